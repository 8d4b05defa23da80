//! Launches of `activation.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;
use engine_core::ir::ops::activation::{Dropout, DropoutOp, Relu, ReluGrad};

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

/// A site where units are dropped; `Dropout` of `random.cuh`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct DropoutSite {
    threshold: u32,
    site: u32,
    scale: f32,
    reserved: u32,
}
layout!(DropoutSite, 16);

impl DropoutSite {
    pub(super) fn new(dropout: Option<Dropout>) -> Self {
        Self {
            threshold: dropout.map_or(0, |d| u32::from(d.threshold)),
            site: dropout.map_or(0, |d| d.site),
            scale: dropout.map_or(1.0, |d| d.scale()),
            reserved: 0,
        }
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ReluArgs {
    x: u64,
    y: u64,
    len: u32,
    reserved: u32,
}
layout!(ReluArgs, 24);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ReluGradArgs {
    y: u64,
    grad_output: u64,
    grad_x: u64,
    len: u32,
    reserved: u32,
}
layout!(ReluGradArgs, 32);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct DropoutPlace {
    group: u32,
    position: u32,
}
layout!(DropoutPlace, 8);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct DropoutArgs {
    x: u64,
    y: u64,
    places: u64,
    steps: u64,
    dropout: DropoutSite,
    rows: u32,
    width: u32,
}
layout!(DropoutArgs, 56);

#[derive(Debug)]
struct DropoutKernel {
    dropout: DropoutSite,
    places: DevicePtr,
}

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<DropoutOp>(op) {
        return Ok(Some(Box::new(DropoutKernel {
            dropout: DropoutSite::new(Some(op.dropout)),
            places: context.constants(&places(&op))?,
        })));
    }
    if let Some(op) = as_op::<Relu>(op) {
        return Ok(Some(Box::new(op)));
    }
    Ok(as_op::<ReluGrad>(op).map(|op| Box::new(op) as Box<dyn CudaKernel>))
}

fn places(op: &DropoutOp) -> Vec<DropoutPlace> {
    let of_group = |g: usize| {
        (0..op.groups.width(g)).map(move |position| DropoutPlace {
            group: g as u32,
            position: position as u32,
        })
    };
    (0..op.groups.len()).flat_map(of_group).collect()
}

impl CudaKernel for Relu {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let len = cx.rows() * cx.width(0);
        let args = ReluArgs {
            x: cx.input(0),
            y: cx.output(0),
            len,
            reserved: 0,
        };
        launches.per_thread("relu", len, &args);
    }
}

impl CudaKernel for ReluGrad {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let len = cx.rows() * cx.width(0);
        let args = ReluGradArgs {
            y: cx.input(0),
            grad_output: cx.input(1),
            grad_x: cx.output(0),
            len,
            reserved: 0,
        };
        launches.per_thread("relu_grad", len, &args);
    }
}

impl CudaKernel for DropoutKernel {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = DropoutArgs {
            x: cx.input(0),
            y: cx.output(0),
            places: self.places,
            steps: cx.steps,
            dropout: self.dropout,
            rows: cx.rows(),
            width: cx.width(0),
        };
        launches.per_thread("dropout", cx.rows() * cx.width(0), &args);
    }
}
