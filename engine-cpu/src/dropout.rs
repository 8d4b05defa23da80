//! Dropout masks: the Philox words that decide which units of a block of rows are kept are computed whenever they are needed, in registers.

use engine_core::backend::Run;
use engine_core::ir::ops::activation::Dropout;

use crate::isa::{Isa, half_u, philox_lanes};
use crate::lanes::LANES;

/// Dropout factors of the rows of one block, position by position.
#[derive(Clone, Copy)]
pub(crate) struct DropoutMask {
    threshold: u32,
    scale: f32,
    key: [u32; 2],
    step: u32,
    /// Row of the batch and last counter word of each lane.
    rows: [u32; LANES],
    high: [u32; LANES],
}

impl DropoutMask {
    pub(crate) fn new(dropout: Dropout, run: &Run, block: usize) -> Self {
        let stream = dropout.stream(run.seed);
        let (mut rows, mut high) = ([0; LANES], [0; LANES]);
        for lane in 0..LANES {
            let at = run.place(block * LANES + lane);
            rows[lane] = at.batch_row;
            high[lane] = stream.high_at(at.time.min(u32::from(u16::MAX)));
        }
        Self {
            threshold: u32::from(dropout.threshold),
            scale: dropout.scale(),
            key: stream.key(),
            step: run.first_step,
            rows,
            high,
        }
    }

    /// The words that decide 16 positions from `position` on, for both halves of the lanes.
    #[inline(always)]
    pub(crate) fn words<I: Isa>(&self, group: usize, position: usize) -> [[I::U; 4]; 2] {
        let column = Dropout::counter_column(group, position);
        let mut words = [[I::splat_u(0); 4]; 2];
        for (h, block) in words.iter_mut().enumerate() {
            let (rows, high) = (half_u(&self.rows, h), half_u(&self.high, h));
            *block = philox_lanes::<I>(column, I::load_u(rows), self.step, I::load_u(high), self.key);
        }
        words
    }

    /// `x` times its factor at `position`, given the words of its 16.
    #[inline(always)]
    pub(crate) fn apply<I: Isa>(&self, words: &[[I::U; 4]; 2], position: usize, x: [I::V; 2]) -> [I::V; 2] {
        let (word, byte) = (position % 16 / 4, (position % 4) as u32);
        let mut y = x;
        for h in 0..2 {
            let scaled = I::mul(x[h], I::splat(self.scale));
            y[h] = I::keep(words[h][word], byte, self.threshold, scaled);
        }
        y
    }
}
