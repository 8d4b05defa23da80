//! The three products of a linear layer for one block of rows: outputs, gradients of inputs, gradients of weights.
//!
//! No closure may stand between a kernel and an intrinsic: closures are functions of their own, and the compiler does not inline
//! instructions of a set into a function that was not compiled for it.
//!
//! All three keep a tile of sums in registers: up to `TILE` outputs (or inputs, or features) by one or both halves of a block, as many as
//! leave registers for the factors. Weights are read as they lie in the arena, `[outputs, inputs]` row-major; nothing is packed.

// Tiles are indexed by constants, so that the compiler keeps them in registers; iterators over them hide that.
#![allow(clippy::needless_range_loop)]

use crate::isa::{Isa, Tile, WIDTH, half, half_mut};
use crate::lanes::{LANES, Lanes};

/// A run of weight columns that meets consecutive inputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// First column of the weight.
    pub column: usize,
    /// Number of inputs.
    pub width: usize,
}

#[inline(always)]
fn load_halves<I: Isa, const M: usize>(lanes: &Lanes, first: usize) -> [I::V; M] {
    let mut halves = [I::splat(0.0); M];
    for m in 0..M {
        halves[m] = I::load(half(lanes, first + m));
    }
    halves
}

#[inline(always)]
fn store_halves<I: Isa, const M: usize>(v: [I::V; M], lanes: &mut Lanes, first: usize) {
    for m in 0..M {
        I::store(v[m], half_mut(lanes, first + m));
    }
}

/// Splits `$length` outputs into tiles and calls `$tile::<I, outputs, halves>(first output, first half)` for each: as many as the registers
/// of the set hold, the rest in smaller ones.
macro_rules! in_tiles {
    ($set:ident, $length:expr, |$n:ident, $h:ident, $outputs:ident, $halves:ident| $tile:expr) => {{
        let mut $n = 0;
        macro_rules! tiles {
            ($size:literal by 2) => {
                while $length - $n >= $size {
                    const $outputs: usize = $size;
                    const $halves: usize = 2;
                    let $h = 0;
                    $tile;
                    $n += $size;
                }
            };
            ($size:literal by 1) => {
                while $length - $n >= $size {
                    const $outputs: usize = $size;
                    const $halves: usize = 1;
                    for $h in 0..2 {
                        $tile;
                    }
                    $n += $size;
                }
            };
        }
        match $set::TILE {
            Tile::EightByTwo => {
                tiles!(8 by 2);
                tiles!(4 by 2);
            }
            Tile::SixByOne => {
                tiles!(6 by 1);
                tiles!(4 by 1);
            }
            Tile::TwoByTwo => {}
        }
        tiles!(2 by 2);
        tiles!(1 by 2);
    }};
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
    in_tiles!(I, out.len(), |n, h, N, M| {
        let (bias, out) = (&bias[n..n + N], &mut out[n..n + N]);
        forward_tile::<I, N, M>((x, h), spans, &weight[n * stride..], stride, bias, out);
    });
}

#[inline(always)]
fn forward_tile<I: Isa, const N: usize, const M: usize>(
    (x, h): (&[Lanes], usize),
    spans: &[Span],
    weight: &[f32],
    stride: usize,
    bias: &[f32],
    out: &mut [Lanes],
) {
    let mut sums = [[I::splat(0.0); M]; N];
    for n in 0..N {
        sums[n] = [I::splat(bias[n]); M];
    }
    let mut position = 0;
    for span in spans {
        let x = &x[position..position + span.width];
        let mut rows = [&weight[..0]; N];
        for n in 0..N {
            rows[n] = &weight[n * stride + span.column..][..span.width];
        }
        for (i, x) in x.iter().enumerate() {
            let x = load_halves::<I, M>(x, h);
            for n in 0..N {
                let w = I::splat(rows[n][i]);
                for m in 0..M {
                    sums[n][m] = I::mul_add(w, x[m], sums[n][m]);
                }
            }
        }
        position += span.width;
    }
    for (sum, out) in sums.into_iter().zip(out) {
        store_halves::<I, M>(sum, out, h);
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
    in_tiles!(I, out.len(), |k, h, N, M| {
        backward_tile::<I, N, M>((grad, h), weight, stride, column + k, &mut out[k..k + N]);
    });
}

#[inline(always)]
fn backward_tile<I: Isa, const N: usize, const M: usize>(
    (grad, h): (&[Lanes], usize),
    weight: &[f32],
    stride: usize,
    column: usize,
    out: &mut [Lanes],
) {
    let mut sums = [[I::splat(0.0); M]; N];
    for (n, grad) in grad.iter().enumerate() {
        let row = &weight[n * stride + column..][..N];
        let grad = load_halves::<I, M>(grad, h);
        for k in 0..N {
            let w = I::splat(row[k]);
            for m in 0..M {
                sums[k][m] = I::mul_add(w, grad[m], sums[k][m]);
            }
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        store_halves::<I, M>(sum, out, h);
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
        ($size:literal by $registers:literal) => {
            while features.len() - f >= $size {
                let (features, sums) = (
                    &features[f..f + $size],
                    &mut sums[f * stride..(f + $size) * stride],
                );
                let mut a = 0;
                while a + $registers * WIDTH <= stride {
                    outer_tile::<I, $size, $registers>(features, across, stride, a, rows, sums);
                    a += $registers * WIDTH;
                }
                if a < stride {
                    outer_tile::<I, $size, 1>(features, across, stride, a, rows, sums);
                }
                f += $size;
            }
        };
    }
    match I::TILE {
        Tile::EightByTwo => {
            tiles!(8 by 2);
            tiles!(4 by 2);
        }
        Tile::SixByOne => {
            tiles!(6 by 1);
            tiles!(4 by 1);
        }
        Tile::TwoByTwo => {}
    }
    tiles!(2 by 2);
    tiles!(1 by 2);
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
    let mut sums = load_halves::<I, 2>(out, 0);
    for part in x.chunks(SQUARES_AT_ONCE) {
        let mut squares = [I::splat(0.0); 2];
        for x in part {
            let x = load_halves::<I, 2>(x, 0);
            squares = [
                I::mul_add(x[0], x[0], squares[0]),
                I::mul_add(x[1], x[1], squares[1]),
            ];
        }
        sums = [I::add(sums[0], squares[0]), I::add(sums[1], squares[1])];
    }
    store_halves::<I, 2>(sums, out, 0);
}
