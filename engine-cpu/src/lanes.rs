//! The layout of values: feature-major in blocks of rows, and conversion from and to row-major matrices.

use ndarray::{ArrayView2, s};
use rayon::prelude::*;

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

/// One feature of a block of rows, of numbers or of codes.
pub(crate) trait Feature: Copy + Send + Sync {
    /// What a row holds.
    type Item: Copy + Send + Sync;
    /// Zero in all rows.
    const ZERO: Self;

    /// The rows of the block.
    fn rows(&self) -> &[Self::Item; LANES];

    /// The rows of the block, to be written.
    fn rows_mut(&mut self) -> &mut [Self::Item; LANES];
}

macro_rules! feature {
    ($lanes:ty, $item:ty) => {
        impl Feature for $lanes {
            type Item = $item;
            const ZERO: Self = Self::ZERO;

            #[inline]
            fn rows(&self) -> &[$item; LANES] {
                &self.0
            }

            #[inline]
            fn rows_mut(&mut self) -> &mut [$item; LANES] {
                &mut self.0
            }
        }
    };
}

feature!(Lanes, f32);
feature!(CodeLanes, u32);

/// Blocks that one task converts at least.
const BLOCKS_OF_A_TASK: usize = 16;

/// Packs a row-major matrix; lanes beyond the last row become zero.
pub(crate) fn pack<F: Feature>(from: ArrayView2<'_, F::Item>, to: &mut [F]) {
    let (rows, width) = from.dim();
    let to = to[..blocks(rows) * width].par_chunks_exact_mut(width.max(1));
    to.enumerate()
        .with_min_len(BLOCKS_OF_A_TASK)
        .for_each(|(block, features)| {
            features.fill(F::ZERO);
            let first = block * LANES;
            let from = from.slice(s![first..first + valid(rows, block), ..]);
            for (lane, row) in from.outer_iter().enumerate() {
                for (feature, value) in features.iter_mut().zip(row) {
                    feature.rows_mut()[lane] = *value;
                }
            }
        });
}

/// Unpacks into a row-major matrix of `width` columns, as many rows as it has.
pub(crate) fn unpack<F: Feature>(from: &[F], width: usize, to: &mut [F::Item]) {
    let width = width.max(1);
    let blocks = to.par_chunks_mut(LANES * width).zip(from.par_chunks(width));
    blocks.with_min_len(BLOCKS_OF_A_TASK).for_each(|(to, features)| {
        for (lane, row) in to.chunks_exact_mut(width).enumerate() {
            for (value, feature) in row.iter_mut().zip(features) {
                *value = feature.rows()[lane];
            }
        }
    });
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
            unpack(&packed, width, back.as_slice_mut().unwrap());
            assert_eq!(matrix, back);
            let nonzero: usize = packed
                .iter()
                .map(|l| l.0.iter().filter(|x| **x != 0.0).count())
                .sum();
            assert_eq!(nonzero, rows * width);
        }
    }
}
