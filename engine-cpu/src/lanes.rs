//! The layout of values: feature-major in blocks of rows, and conversion from and to row-major matrices.

use ndarray::{ArrayView2, ArrayViewMut2};

/// Rows of a block: two 512-bit or four 256-bit registers of single precision numbers.
pub(crate) const LANES: usize = 32;

/// One feature of a block of rows.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub [f32; LANES]);

/// One column of codes of a block of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct CodeLanes(pub [u32; LANES]);

impl Lanes {
    /// All zero.
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

impl CodeLanes {
    /// All zero.
    pub(crate) const ZERO: Self = Self([0; LANES]);
}

/// Number of blocks for `rows` rows.
pub(crate) fn blocks(rows: usize) -> usize {
    rows.div_ceil(LANES)
}

/// Valid rows in block `block` of `rows` rows.
pub(crate) fn valid(rows: usize, block: usize) -> usize {
    (rows - block * LANES).min(LANES)
}

/// Packs a row-major matrix; lanes beyond the last row become zero.
pub(crate) fn pack(from: ArrayView2<'_, f32>, to: &mut [Lanes]) {
    let (rows, width) = from.dim();
    for block in 0..blocks(rows) {
        for k in 0..width {
            let lanes = &mut to[block * width + k].0;
            lanes.fill(0.0);
            for (lane, value) in lanes.iter_mut().enumerate().take(valid(rows, block)) {
                *value = from[[block * LANES + lane, k]];
            }
        }
    }
}

/// Unpacks into a row-major matrix.
pub(crate) fn unpack(from: &[Lanes], mut to: ArrayViewMut2<'_, f32>) {
    let (rows, width) = to.dim();
    for row in 0..rows {
        for k in 0..width {
            to[[row, k]] = from[row / LANES * width + k].0[row % LANES];
        }
    }
}

/// Packs row-major codes; lanes beyond the last row become zero.
pub(crate) fn pack_codes(from: ArrayView2<'_, u32>, to: &mut [CodeLanes]) {
    let (rows, width) = from.dim();
    for block in 0..blocks(rows) {
        for k in 0..width {
            let lanes = &mut to[block * width + k].0;
            lanes.fill(0);
            for (lane, value) in lanes.iter_mut().enumerate().take(valid(rows, block)) {
                *value = from[[block * LANES + lane, k]];
            }
        }
    }
}

/// Unpacks codes into a row-major matrix.
pub(crate) fn unpack_codes(from: &[CodeLanes], mut to: ArrayViewMut2<'_, u32>) {
    let (rows, width) = to.dim();
    for row in 0..rows {
        for k in 0..width {
            to[[row, k]] = from[row / LANES * width + k].0[row % LANES];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn packing_there_and_back_keeps_every_element_and_zeroes_the_rest() {
        for (rows, width) in [(0, 3), (1, 1), (32, 2), (33, 5), (70, 3)] {
            let matrix = Array2::from_shape_fn((rows, width), |(r, k)| (r * 10 + k) as f32 + 1.0);
            let mut packed = vec![Lanes([9.0; LANES]); blocks(rows) * width];
            pack(matrix.view(), &mut packed);
            let mut back = Array2::zeros((rows, width));
            unpack(&packed, back.view_mut());
            assert_eq!(matrix, back);
            let nonzero: usize = packed
                .iter()
                .map(|l| l.0.iter().filter(|x| **x != 0.0).count())
                .sum();
            assert_eq!(nonzero, rows * width);
        }
    }
}
