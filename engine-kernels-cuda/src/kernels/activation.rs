//! Launches of `activation.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;
use engine_core::ir::ops::activation::{Dropout, DropoutOp, Relu, ReluGrad};

use super::{Bound, CudaKernel, Fusion, Launches, Room, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

/// Positions that one block of random words decides.
const CHUNK: usize = 16;

/// A place where units are dropped; `Dropout` of `random.cuh`.
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
struct DropoutChunk {
    group: u32,
    chunk: u32,
    feature: u32,
    count: u32,
}
layout!(DropoutChunk, 16);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct DropoutArgs {
    x: u64,
    y: u64,
    chunks: u64,
    steps: u64,
    dropout: DropoutSite,
    rows: u32,
    width: u32,
    count: u32,
    reserved: u32,
}
layout!(DropoutArgs, 64);

#[derive(Debug)]
struct DropoutKernel {
    dropout: DropoutSite,
    chunks: DevicePtr,
    count: u32,
}

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    room: &mut Room<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<DropoutOp>(op) {
        let chunks = chunks(&op);
        return Ok(Some(Box::new(DropoutKernel {
            dropout: DropoutSite::new(Some(op.dropout)),
            chunks: room.constants(&chunks)?,
            count: chunks.len() as u32,
        })));
    }
    if let Some(op) = as_op::<Relu>(op) {
        return Ok(Some(Box::new(op)));
    }
    Ok(as_op::<ReluGrad>(op).map(|op| Box::new(op) as Box<dyn CudaKernel>))
}

fn chunks(op: &DropoutOp) -> Vec<DropoutChunk> {
    let of_group = |g: usize| {
        let range = op.groups.range(g);
        range
            .clone()
            .step_by(CHUNK)
            .enumerate()
            .map(move |(chunk, feature)| DropoutChunk {
                group: g as u32,
                chunk: chunk as u32,
                feature: feature as u32,
                count: CHUNK.min(range.end - feature) as u32,
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
            chunks: self.chunks,
            steps: cx.steps,
            dropout: self.dropout,
            rows: cx.rows(),
            width: cx.width(0),
            count: self.count,
            reserved: 0,
        };
        launches.per_thread("dropout", cx.rows() * self.count, &args);
    }
}
