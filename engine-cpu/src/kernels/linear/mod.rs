//! Linear layers of all sub-columns at once.

mod grouped;
mod ordered;
mod product;

pub(super) use product::{Span, forward};

use engine_core::ir::Op;

use crate::kernels::kernel::CpuKernel;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    grouped::make(op).or_else(|| ordered::make(op))
}

/// Adds the sums `[features, outputs]` (rows `stride` apart) of a layer's weight gradient to the arena, `[outputs, inputs]`.
fn add_transposed(
    sums: &[f32],
    stride: usize,
    features: usize,
    weight: &mut [f32],
    inputs: usize,
    column: usize,
) {
    for (n, row) in weight.chunks_exact_mut(inputs).enumerate() {
        for (f, w) in row[column..column + features].iter_mut().enumerate() {
            *w += sums[f * stride + n];
        }
    }
}
