//! Sums over groups and rows, and broadcasts. Small next to the products, so plain loops.

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::reduce::{Add, BroadcastGroups, FillRows, RecordSum, ScaleRows, SumGroups};

use super::kernel::{Context, CpuKernel, as_op, block_of};
use crate::lanes::{LANES, Lanes, valid};

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if let Some(op) = as_op::<Add>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<SumGroups>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<BroadcastGroups>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<FillRows>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<ScaleRows>(op) {
        return Some(Box::new(op));
    }
    as_op::<RecordSum>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

impl CpuKernel for Add {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let width = cx.width;
        let (a, b) = (cx.f32_input(0, width), cx.f32_input(1, width));
        cx.fill_blocks(0, width, |block, out| {
            let pairs = block_of(a, block, width).iter().zip(block_of(b, block, width));
            for (out, (a, b)) in out.iter_mut().zip(pairs) {
                *out = Lanes(std::array::from_fn(|l| a.0[l] + b.0[l]));
            }
        });
        Ok(())
    }
}

impl CpuKernel for SumGroups {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let width = cx.input_width;
        let x = cx.f32_input(0, width);
        cx.fill_blocks(0, 1, |block, out| {
            let mut sums = [0.0; LANES];
            for x in block_of(x, block, width) {
                sums.iter_mut().zip(&x.0).for_each(|(sum, x)| *sum += x);
            }
            out[0] = Lanes(sums);
        });
        Ok(())
    }
}

impl CpuKernel for BroadcastGroups {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let x = cx.f32_input(0, 1);
        cx.fill_blocks(0, self.groups.total(), |block, out| out.fill(x[block]));
        Ok(())
    }
}

impl CpuKernel for FillRows {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (rows, value) = (cx.rows(), self.value(cx.rows() as u32) as f32);
        cx.fill_blocks(0, 1, |block, out| {
            // Lanes beyond the last row stay zero, so nothing of them reaches a gradient.
            let valid = valid(rows, block);
            out[0] = Lanes(std::array::from_fn(|l| if l < valid { value } else { 0.0 }));
        });
        Ok(())
    }
}

impl CpuKernel for ScaleRows {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let width = cx.width;
        let (x, factor) = (cx.f32_input(0, width), cx.f32_input(1, 1));
        cx.fill_blocks(0, width, |block, out| {
            let factor = &factor[block];
            for (out, x) in out.iter_mut().zip(block_of(x, block, width)) {
                *out = Lanes(std::array::from_fn(|l| factor.0[l] * x.0[l]));
            }
        });
        Ok(())
    }
}

impl CpuKernel for RecordSum {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (x, rows) = (cx.f32_input(0, 1), cx.rows());
        let lanes = |(block, x): (usize, &Lanes)| {
            x.0[..valid(rows, block)]
                .iter()
                .map(|x| f64::from(*x))
                .sum::<f64>()
        };
        let sum: f64 = x.iter().enumerate().map(lanes).sum();
        let step = cx.step_in_run;
        cx.with_arenas([self.trace], |_, [trace]| trace[step] = sum as f32);
        Ok(())
    }
}
