//! Philox4x32-10 for 16 counters at once; the same words as [`engine_core::random::philox4x32`].

use super::Isa;

/// One block per lane: the counters `[column, rows, step, high]` under one key.
#[inline(always)]
pub(crate) fn philox_lanes<I: Isa>(
    column: u32,
    rows: I::U,
    step: u32,
    high: u32,
    mut key: [u32; 2],
) -> [I::U; 4] {
    let (m0, m1) = (I::splat_u(0xD251_1F53), I::splat_u(0xCD9E_8D57));
    let mut c = [I::splat_u(column), rows, I::splat_u(step), I::splat_u(high)];
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
