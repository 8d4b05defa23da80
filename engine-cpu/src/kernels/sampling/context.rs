//! The context of a draw: what observed and drawn codes add to its hidden units.

use engine_core::ir::ops::sampling::{Contribution, OrderedSample};

use crate::isa::{Isa, WIDTH, half_mut};
use crate::lanes::{LANES, Lanes};

/// Accumulates the codes that later draws are conditioned on, as offsets of their rows in the folded arena. Each draw sums those parts of
/// the rows that its own hidden units need, so that only the sums of one draw are ever written.
pub(super) struct ContextAccumulator<'a> {
    /// `[LANES, sub-columns]`: rows of tables from the front, factored codes as `[sub-column, code]` in one integer from the back.
    pub(super) offsets: &'a mut [u64],
    /// How many of each, by row.
    pub(super) counts: &'a mut [[usize; 2]; LANES],
}

/// Codes are below 2^32.
const CODE_BITS: u32 = 32;

impl ContextAccumulator<'_> {
    #[inline(always)]
    pub(super) fn add(&mut self, op: &OrderedSample, lane: usize, s: usize, code: usize) {
        let count = op.model.sub_columns.len();
        let of_lane = &mut self.offsets[lane * count..(lane + 1) * count];
        let [tables, factored] = &mut self.counts[lane];
        match op.model.sub_columns[s].contribution {
            Contribution::Table { offset } => {
                of_lane[*tables] = (offset + code * op.model.hidden) as u64;
                *tables += 1;
            }
            Contribution::Factored { .. } => {
                *factored += 1;
                of_lane[count - *factored] = (s as u64) << CODE_BITS | code as u64;
            }
        }
    }

    /// The hidden units from `start` on of one row, padded to whole registers with whatever follows in the arena.
    #[inline(always)]
    pub(super) fn sum<I: Isa>(
        &self,
        op: &OrderedSample,
        folded: &[f32],
        lane: usize,
        start: usize,
        to: &mut [f32],
    ) {
        let count = op.model.sub_columns.len();
        let of_lane = &self.offsets[lane * count..(lane + 1) * count];
        let [tables, factored] = self.counts[lane];
        let (tables, mut first) = (&of_lane[..tables], 0);
        macro_rules! sums {
            ($registers:literal) => {
                while to.len() - first >= $registers * WIDTH {
                    let to = &mut to[first..first + $registers * WIDTH];
                    sum_rows::<I, $registers>(folded, tables, start + first, to);
                    first += $registers * WIDTH;
                }
            };
        }
        sums!(4);
        sums!(3);
        sums!(2);
        sums!(1);
        for entry in of_lane[count - factored..].iter().rev() {
            add_factored::<I>(op, folded, *entry, start, to);
        }
    }
}

/// `to = folded[at ..] + sum over offsets of folded[offset + at ..]`
#[allow(clippy::needless_range_loop)] // Zipped slices cost a call for each offset, which the compiler does not inline here.
#[inline(always)]
fn sum_rows<I: Isa, const REGISTERS: usize>(folded: &[f32], offsets: &[u64], at: usize, to: &mut [f32]) {
    let mut sums = [I::splat(0.0); REGISTERS];
    for (r, sum) in sums.iter_mut().enumerate() {
        *sum = load_padded::<I>(folded, at + r * WIDTH);
    }
    for offset in offsets {
        let row = &folded[*offset as usize + at..];
        if let Some(row) = row.get(..REGISTERS * WIDTH) {
            let (chunks, _) = row.as_chunks();
            for r in 0..REGISTERS {
                sums[r] = I::add(sums[r], I::load(&chunks[r]));
            }
        } else {
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = I::add(*sum, load_padded::<I>(row, r * WIDTH));
            }
        }
    }
    for (sum, to) in sums.into_iter().zip(to.as_chunks_mut().0) {
        I::store(sum, to);
    }
}

/// Adds an embedding row times its table.
#[inline(always)]
fn add_factored<I: Isa>(op: &OrderedSample, folded: &[f32], entry: u64, start: usize, to: &mut [f32]) {
    let (s, code) = ((entry >> CODE_BITS) as usize, entry as u32 as usize);
    let Contribution::Factored {
        embedding,
        width,
        offset,
    } = op.model.sub_columns[s].contribution
    else {
        return;
    };
    let hidden = op.model.hidden;
    let factors = &folded[embedding + code * width..][..width];
    for (r, to) in to.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
        let at = offset + start + r * WIDTH;
        let mut sum = I::load(to);
        for (k, factor) in factors.iter().enumerate() {
            let row = load_padded::<I>(folded, at + k * hidden);
            sum = I::mul_add(row, I::splat(*factor), sum);
        }
        I::store(I::add(sum, load_padded::<I>(folded, at + width * hidden)), to);
    }
}

/// A register of values from `at` on, zeros behind the last.
#[inline(always)]
fn load_padded<I: Isa>(values: &[f32], at: usize) -> I::V {
    let left = values.get(at..).unwrap_or(&[]);
    match left.first_chunk() {
        Some(chunk) => I::load(chunk),
        None => {
            let mut chunk = [0.0; WIDTH];
            chunk[..left.len()].copy_from_slice(left);
            I::load(&chunk)
        }
    }
}

/// Rectified hidden units of one draw, from rows `stride` apart to feature-major; `stride` is a multiple of the register width.
#[inline(always)]
pub(super) fn rectified_units<I: Isa>(hidden: &[f32], stride: usize, units: &mut [Lanes]) {
    for first in (0..stride).step_by(WIDTH) {
        for h in 0..2 {
            let mut rows = [I::splat(0.0); WIDTH];
            for (l, row) in rows.iter_mut().enumerate() {
                if let Some(from) = hidden[(h * WIDTH + l) * stride + first..].first_chunk() {
                    *row = I::max(I::splat(0.0), I::load(from));
                }
            }
            I::transpose(&mut rows);
            for (unit, row) in units[first..first + WIDTH].iter_mut().zip(rows) {
                I::store(row, half_mut(unit, h));
            }
        }
    }
}
