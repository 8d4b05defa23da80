//! Philox4x32-10 for 16 counters at once; the same words as [`engine_core::random::philox4x32`].

use engine_core::random::{Stream, uniform_f32};

use super::{Isa, WIDTH};
use crate::lanes::{LANES, Lanes};

/// One block per lane: the counters `[column, rows, step, high]` under one key.
#[inline(always)]
pub(crate) fn philox_lanes<I: Isa>(
    column: u32,
    rows: I::U,
    step: u32,
    high: I::U,
    mut key: [u32; 2],
) -> [I::U; 4] {
    let (m0, m1) = (I::splat_u(0xD251_1F53), I::splat_u(0xCD9E_8D57));
    let mut c = [I::splat_u(column), rows, I::splat_u(step), high];
    for _ in 0..10 {
        let (high0, low0) = I::mul_wide(m0, c[0]);
        let (high1, low1) = I::mul_wide(m1, c[2]);
        c = [
            I::xor_u(I::xor_u(high1, c[1]), I::splat_u(key[0])),
            low1,
            I::xor_u(I::xor_u(high0, c[3]), I::splat_u(key[1])),
            low0,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

/// Uniform numbers in [0, 1) of 32 rows from `first_row` on at one time step, from the first word at (row, column); the same as
/// [`engine_core::ir::ops::sampling::OrderedSample::uniform`].
#[inline(always)]
pub(crate) fn uniform_lanes<I: Isa>(stream: &Stream, first_row: u64, time: u32, column: u32) -> Lanes {
    let mut uniforms = Lanes::ZERO;
    for h in 0..LANES / WIDTH {
        let first = first_row + (h * WIDTH) as u64;
        let mut rows = [0; WIDTH];
        for (l, row) in rows.iter_mut().enumerate() {
            *row = (first as u32).wrapping_add(l as u32);
        }
        let step = (first >> 32) as u32;
        let words = philox_lanes::<I>(
            column,
            I::load_u(&rows),
            step,
            I::splat_u(stream.high_at(time)),
            stream.key(),
        );
        let mut lanes = [0; WIDTH];
        I::store_u(words[0], &mut lanes);
        for (l, word) in lanes.into_iter().enumerate() {
            // Where the low word of the row number wraps, the lanes behind it belong to the next high word.
            let wrapped = rows[l] < rows[0];
            let word = if wrapped {
                stream.block_at(step.wrapping_add(1), rows[l], time, column)[0]
            } else {
                word
            };
            uniforms.0[h * WIDTH + l] = uniform_f32(word);
        }
    }
    uniforms
}
