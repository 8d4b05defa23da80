//! Plain Rust over arrays; the compiler vectorises it with whatever the target offers.

use super::{Isa, Tile, WIDTH};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn zip<T: Copy>(mut a: [T; WIDTH], b: [T; WIDTH], f: impl Fn(T, T) -> T) -> [T; WIDTH] {
    for i in 0..WIDTH {
        a[i] = f(a[i], b[i]);
    }
    a
}

impl Isa for Portable {
    type V = [f32; WIDTH];
    type U = [u32; WIDTH];
    const TILE: Tile = Tile::TwoByTwo;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        [x; WIDTH]
    }
    #[inline(always)]
    fn load(from: &[f32; WIDTH]) -> Self::V {
        *from
    }
    #[inline(always)]
    fn store(v: Self::V, to: &mut [f32; WIDTH]) {
        *to = v;
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn max(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(a: Self::V) -> Self::V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Without a fused instruction `f32::mul_add` would be a library call per lane.
        let mut sum = c;
        for i in 0..WIDTH {
            sum[i] += a[i] * b[i];
        }
        sum
    }
    #[inline(always)]
    fn round(a: Self::V) -> Self::V {
        // Adding and taking away 1.5 * 2^23 leaves the nearest integer.
        a.map(|x| (x + 12_582_912.0) - 12_582_912.0)
    }
    #[inline(always)]
    fn where_positive(mask: Self::V, x: Self::V) -> Self::V {
        zip(mask, x, |m, x| if m > 0.0 { x } else { 0.0 })
    }
    #[inline(always)]
    fn count_le(a: Self::V, b: Self::V, count: Self::U) -> Self::U {
        std::array::from_fn(|i| count[i] + u32::from(a[i] <= b[i]))
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self::V; WIDTH]) {
        super::transpose_in_memory::<Self>(rows);
    }
    #[inline(always)]
    fn splat_u(x: u32) -> Self::U {
        [x; WIDTH]
    }
    #[inline(always)]
    fn load_u(from: &[u32; WIDTH]) -> Self::U {
        *from
    }
    #[inline(always)]
    fn store_u(v: Self::U, to: &mut [u32; WIDTH]) {
        *to = v;
    }
    #[inline(always)]
    fn xor_u(a: Self::U, b: Self::U) -> Self::U {
        zip(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    fn mul_wide(a: Self::U, b: Self::U) -> (Self::U, Self::U) {
        let wide = |i: usize| u64::from(a[i]) * u64::from(b[i]);
        (
            std::array::from_fn(|i| (wide(i) >> 32) as u32),
            std::array::from_fn(|i| wide(i) as u32),
        )
    }
    #[inline(always)]
    fn keep(words: Self::U, byte: u32, threshold: u32, x: Self::V) -> Self::V {
        std::array::from_fn(|i| {
            if words[i] >> (8 * byte) & 0xFF >= threshold {
                x[i]
            } else {
                0.0
            }
        })
    }
    #[inline(always)]
    fn exp2_int(n: Self::V) -> Self::V {
        n.map(|n| f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn split_exponent(x: Self::V) -> (Self::V, Self::V) {
        let exponent = x.map(|x| ((x.to_bits() >> 23) as i32 - 126) as f32);
        let mantissa = x.map(|x| f32::from_bits(x.to_bits() & 0x007F_FFFF | 0x3F00_0000));
        (exponent, mantissa)
    }
}
