//! Launches of `embedding.cu`.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use engine_core::ir::ops::embedding::{Embedding, EmbeddingGrad, EmbeddingSqNorm, embedding_groups};
use engine_core::ir::{Op, ParamView, ResourceId};

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, THREADS, WARP, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

/// Entries of a gradient that a block of `embedding_grad` sums.
const PART: usize = 64;
/// Rows that such a block takes at once, its threads, and the largest number of splits of the rows.
const CODE_ROWS: u32 = 512;
const PART_THREADS: u32 = 512;
const MAX_SPLITS: u32 = 16;
/// Tables with more codes go through `embedding_grad_sparse`.
const DENSE_CARDINALITY: usize = 1024;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EmbeddingTable {
    offset: u32,
    cardinality: u32,
    width: u32,
    feature: u32,
}
layout!(EmbeddingTable, 16);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EmbeddingArgs {
    params: u64,
    codes: u64,
    tables: u64,
    owner: u64,
    y: u64,
    fault: u64,
    rows: u32,
    width: u32,
    count: u32,
    reserved: u32,
}
layout!(EmbeddingArgs, 64);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EmbeddingPart {
    s: u32,
    first: u32,
}
layout!(EmbeddingPart, 8);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EmbeddingGradArgs {
    grads: u64,
    codes: u64,
    grad_output: u64,
    tables: u64,
    parts: u64,
    large: u64,
    partial_sums: u64,
    fault: u64,
    rows: u32,
    width: u32,
    count: u32,
    splits: u32,
}
layout!(EmbeddingGradArgs, 80);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EmbeddingSqNormArgs {
    grad_output: u64,
    tables: u64,
    y: u64,
    rows: u32,
    width: u32,
    count: u32,
    reserved: u32,
}
layout!(EmbeddingSqNormArgs, 40);

#[derive(Debug)]
struct Lookup {
    params: ResourceId,
    views: Arc<[ParamView]>,
    tables: DevicePtr,
    owner: DevicePtr,
    count: u32,
}

#[derive(Debug)]
struct Gradient {
    grads: ResourceId,
    views: Arc<[ParamView]>,
    tables: DevicePtr,
    parts: DevicePtr,
    part_count: u32,
    partial_sums: DevicePtr,
    large: DevicePtr,
    large_count: u32,
    count: u32,
}

#[derive(Debug)]
struct SqNorm {
    tables: DevicePtr,
    count: u32,
}

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<Embedding>(op) {
        return Ok(Some(Box::new(Lookup {
            params: op.params,
            views: Arc::clone(&op.tables),
            tables: tables(&op.tables, context)?,
            owner: context.owners(&embedding_groups(&op.tables))?,
            count: op.tables.len() as u32,
        })));
    }
    if let Some(op) = as_op::<EmbeddingGrad>(op) {
        let parts = parts(&op.tables);
        let is_large = |s: &u32| op.tables[*s as usize].rows > DENSE_CARDINALITY;
        let large: Vec<u32> = (0..op.tables.len() as u32).filter(is_large).collect();
        return Ok(Some(Box::new(Gradient {
            grads: op.grads,
            views: Arc::clone(&op.tables),
            tables: tables(&op.tables, context)?,
            parts: context.constants(&parts)?,
            part_count: parts.len() as u32,
            partial_sums: context
                .scratch(splits(context.max_rows as u32) as usize * parts.len() * PART * size_of::<f32>())?,
            large: context.constants(&large)?,
            large_count: large.len() as u32,
            count: op.tables.len() as u32,
        })));
    }
    let Some(op) = as_op::<EmbeddingSqNorm>(op) else {
        return Ok(None);
    };
    Ok(Some(Box::new(SqNorm {
        tables: tables(&op.tables, context)?,
        count: op.tables.len() as u32,
    })))
}

fn tables(views: &Arc<[ParamView]>, context: &mut CompileContext<'_>) -> Result<DevicePtr, CudaError> {
    let groups = embedding_groups(views);
    let tables: Vec<EmbeddingTable> = views
        .iter()
        .enumerate()
        .map(|(s, view)| EmbeddingTable {
            offset: view.offset as u32,
            cardinality: view.rows as u32,
            width: view.columns as u32,
            feature: groups.offset(s) as u32,
        })
        .collect();
    context.constants(&tables)
}

/// Splits of the rows of a batch.
fn splits(rows: u32) -> u32 {
    rows.div_ceil(CODE_ROWS).clamp(1, MAX_SPLITS)
}

/// Parts of the gradients of small tables.
fn parts(views: &[ParamView]) -> Vec<EmbeddingPart> {
    let of_table = |(s, view): (usize, &ParamView)| {
        let entries = if view.rows <= DENSE_CARDINALITY {
            view.len()
        } else {
            0
        };
        (0..entries).step_by(PART).map(move |first| EmbeddingPart {
            s: s as u32,
            first: first as u32,
        })
    };
    views.iter().enumerate().flat_map(of_table).collect()
}

impl CudaKernel for Lookup {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = EmbeddingArgs {
            params: cx.f32(self.params),
            codes: cx.input(0),
            tables: self.tables,
            owner: self.owner,
            y: cx.output(0),
            fault: cx.fault,
            rows: cx.rows(),
            width: cx.width(0),
            count: self.count,
            reserved: 0,
        };
        launches.per_thread("embedding", cx.rows() * cx.width(0), &args);
    }

    fn cardinality(&self, sub_column: usize) -> Option<usize> {
        self.views.get(sub_column).map(|view| view.rows)
    }
}

impl CudaKernel for Gradient {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        if cx.rows() == 0 {
            return;
        }
        let args = EmbeddingGradArgs {
            grads: cx.f32(self.grads),
            codes: cx.input(0),
            grad_output: cx.input(1),
            tables: self.tables,
            parts: self.parts,
            large: self.large,
            partial_sums: self.partial_sums,
            fault: cx.fault,
            rows: cx.rows(),
            width: cx.input_width(1),
            count: self.count,
            splits: splits(cx.rows()),
        };
        let grid = [self.part_count, args.splits, 1];
        launches.push("embedding_grad", grid, PART_THREADS, &args);
        if args.splits > 1 {
            launches.push("embedding_grad_join", [self.part_count, 1, 1], PART as u32, &args);
        }
        let blocks = cx.rows().div_ceil(THREADS / WARP);
        launches.push(
            "embedding_grad_sparse",
            [blocks, self.large_count, 1],
            THREADS,
            &args,
        );
    }

    fn cardinality(&self, sub_column: usize) -> Option<usize> {
        self.views.get(sub_column).map(|view| view.rows)
    }
}

impl CudaKernel for SqNorm {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = EmbeddingSqNormArgs {
            grad_output: cx.input(1),
            tables: self.tables,
            y: cx.output(0),
            rows: cx.rows(),
            width: cx.input_width(1),
            count: self.count,
            reserved: 0,
        };
        launches.per_warp("embedding_sq_norm", cx.rows() * self.count, &args);
    }
}
