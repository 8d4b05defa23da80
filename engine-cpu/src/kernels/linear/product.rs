//! The three products of a linear layer for one block of rows: outputs, gradients of inputs, gradients of weights.
//!
//! No closure may stand between a kernel and an intrinsic: closures are functions of their own, and the compiler does not inline
//! instructions of a set into a function that was not compiled for it.
//!
//! All three keep a tile of sums in registers: `TILE` outputs (or inputs, or features) by two registers. Weights are read as
//! they lie in the arena, `[outputs, inputs]` row-major; nothing is packed.

// Tiles are indexed by constants, so that the compiler keeps them in registers; iterators over them hide that.
#![allow(clippy::needless_range_loop)]

use crate::isa::{Isa, WIDTH, half, half_mut};
use crate::lanes::{LANES, Lanes};

/// A run of weight columns that meets consecutive inputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// First column of the weight.
    pub column: usize,
    /// Number of inputs.
    pub width: usize,
}

type Pair<I> = [<I as Isa>::V; 2];

#[inline(always)]
fn load_pair<I: Isa>(lanes: &Lanes) -> Pair<I> {
    [I::load(half(lanes, 0)), I::load(half(lanes, 1))]
}

#[inline(always)]
fn store_pair<I: Isa>(v: Pair<I>, lanes: &mut Lanes) {
    I::store(v[0], half_mut(lanes, 0));
    I::store(v[1], half_mut(lanes, 1));
}

/// `out[n] = bias[n] + sum over inputs i of weight[n, column of i] x[i]`
#[inline(always)]
pub(crate) fn forward<I: Isa>(
    x: &[Lanes],
    spans: &[Span],
    weight: &[f32],
    stride: usize,
    bias: &[f32],
    out: &mut [Lanes],
) {
    let mut n = 0;
    macro_rules! tiles {
        ($size:literal) => {
            while out.len() - n >= $size {
                let weight = &weight[n * stride..];
                let (bias, out) = (&bias[n..n + $size], &mut out[n..n + $size]);
                forward_tile::<I, $size>(x, spans, weight, stride, bias, out);
                n += $size;
            }
        };
    }
    if I::TILE >= 8 {
        tiles!(8);
        tiles!(4);
    } else if I::TILE == 3 {
        tiles!(3);
    }
    tiles!(2);
    tiles!(1);
}

#[inline(always)]
fn forward_tile<I: Isa, const N: usize>(
    x: &[Lanes],
    spans: &[Span],
    weight: &[f32],
    stride: usize,
    bias: &[f32],
    out: &mut [Lanes],
) {
    let mut sums = [[I::splat(0.0); 2]; N];
    for n in 0..N {
        sums[n] = [I::splat(bias[n]); 2];
    }
    let mut position = 0;
    for span in spans {
        let x = &x[position..position + span.width];
        let mut rows = [&weight[..0]; N];
        for n in 0..N {
            rows[n] = &weight[n * stride + span.column..][..span.width];
        }
        for (i, x) in x.iter().enumerate() {
            let x = load_pair::<I>(x);
            for n in 0..N {
                let w = I::splat(rows[n][i]);
                sums[n] = [I::mul_add(w, x[0], sums[n][0]), I::mul_add(w, x[1], sums[n][1])];
            }
        }
        position += span.width;
    }
    for (sum, out) in sums.into_iter().zip(out) {
        store_pair::<I>(sum, out);
    }
}

/// `out[k] = sum over n of weight[n, column + k] grad[n]`
#[inline(always)]
pub(super) fn backward<I: Isa>(
    grad: &[Lanes],
    weight: &[f32],
    stride: usize,
    column: usize,
    out: &mut [Lanes],
) {
    let mut k = 0;
    macro_rules! tiles {
        ($size:literal) => {
            while out.len() - k >= $size {
                backward_tile::<I, $size>(grad, weight, stride, column + k, &mut out[k..k + $size]);
                k += $size;
            }
        };
    }
    if I::TILE >= 8 {
        tiles!(8);
        tiles!(4);
    } else if I::TILE == 3 {
        tiles!(3);
    }
    tiles!(2);
    tiles!(1);
}

#[inline(always)]
fn backward_tile<I: Isa, const N: usize>(
    grad: &[Lanes],
    weight: &[f32],
    stride: usize,
    column: usize,
    out: &mut [Lanes],
) {
    let mut sums: [Pair<I>; N] = [[I::splat(0.0); 2]; N];
    for (n, grad) in grad.iter().enumerate() {
        let row = &weight[n * stride + column..][..N];
        let grad = load_pair::<I>(grad);
        for k in 0..N {
            let w = I::splat(row[k]);
            sums[k] = [
                I::mul_add(w, grad[0], sums[k][0]),
                I::mul_add(w, grad[1], sums[k][1]),
            ];
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        store_pair::<I>(sum, out);
    }
}

/// Pads a width to whole registers.
pub(super) fn padded(width: usize) -> usize {
    width.next_multiple_of(WIDTH)
}

/// Copies feature-major lanes to rows: `out[row, k] = lanes[k][row]`, rows `padded(lanes.len())` apart; padding becomes zero.
#[inline(always)]
pub(super) fn transpose<I: Isa>(lanes: &[Lanes], out: &mut [f32]) {
    let stride = padded(lanes.len());
    for first in (0..stride).step_by(WIDTH) {
        for h in 0..2 {
            let mut rows = [I::splat(0.0); WIDTH];
            for (row, lanes) in rows.iter_mut().zip(&lanes[first..]) {
                *row = I::load(half(lanes, h));
            }
            I::transpose(&mut rows);
            for (l, row) in rows.into_iter().enumerate() {
                if let Some(to) = out[(h * WIDTH + l) * stride + first..].first_chunk_mut() {
                    I::store(row, to);
                }
            }
        }
    }
}

/// `sums[f, a] += sum over rows of features[f][row] across[row, a]`; both `sums` and `across` have rows `stride` apart, a multiple
/// of the register width.
#[inline(always)]
pub(super) fn outer<I: Isa>(
    features: &[Lanes],
    across: &[f32],
    stride: usize,
    rows: usize,
    sums: &mut [f32],
) {
    let mut f = 0;
    macro_rules! tiles {
        ($size:literal) => {
            while features.len() - f >= $size {
                let (features, sums) = (
                    &features[f..f + $size],
                    &mut sums[f * stride..(f + $size) * stride],
                );
                let mut a = 0;
                while a + 2 * WIDTH <= stride {
                    outer_tile::<I, $size, 2>(features, across, stride, a, rows, sums);
                    a += 2 * WIDTH;
                }
                if a < stride {
                    outer_tile::<I, $size, 1>(features, across, stride, a, rows, sums);
                }
                f += $size;
            }
        };
    }
    if I::TILE >= 8 {
        tiles!(8);
        tiles!(4);
    } else if I::TILE == 3 {
        tiles!(3);
    }
    tiles!(2);
    tiles!(1);
}

#[inline(always)]
fn chunk(from: &[f32], at: usize) -> &[f32; WIDTH] {
    match from[at..].first_chunk() {
        Some(chunk) => chunk,
        None => unreachable!("strides are multiples of the register width"),
    }
}

#[inline(always)]
fn outer_tile<I: Isa, const N: usize, const M: usize>(
    features: &[Lanes],
    across: &[f32],
    stride: usize,
    a: usize,
    rows: usize,
    sums: &mut [f32],
) {
    let mut tile = [[I::splat(0.0); M]; N];
    for n in 0..N {
        for m in 0..M {
            tile[n][m] = I::load(chunk(sums, n * stride + a + m * WIDTH));
        }
    }
    let features: &[Lanes] = &features[..N];
    for row in 0..rows.min(LANES) {
        let mut x = [I::splat(0.0); M];
        for m in 0..M {
            x[m] = I::load(chunk(across, row * stride + a + m * WIDTH));
        }
        for n in 0..N {
            let s = I::splat(features[n].0[row]);
            for m in 0..M {
                tile[n][m] = I::mul_add(s, x[m], tile[n][m]);
            }
        }
    }
    for (n, row) in tile.into_iter().enumerate() {
        for (m, v) in row.into_iter().enumerate() {
            if let Some(to) = sums[n * stride + a + m * WIDTH..].first_chunk_mut() {
                I::store(v, to);
            }
        }
    }
}

/// Features whose squares are summed before they join the rest: squares are never negative, so that the roundings of one long chain
/// would not cancel out.
const SQUARES_AT_ONCE: usize = 64;

/// `out[row] += x[row]^2`
#[inline(always)]
pub(super) fn add_squares<I: Isa>(x: &[Lanes], out: &mut Lanes) {
    let mut sums = load_pair::<I>(out);
    for part in x.chunks(SQUARES_AT_ONCE) {
        let mut squares = [I::splat(0.0); 2];
        for x in part {
            let x = load_pair::<I>(x);
            squares = [
                I::mul_add(x[0], x[0], squares[0]),
                I::mul_add(x[1], x[1], squares[1]),
            ];
        }
        sums = [I::add(sums[0], squares[0]), I::add(sums[1], squares[1])];
    }
    store_pair::<I>(sums, out);
}
