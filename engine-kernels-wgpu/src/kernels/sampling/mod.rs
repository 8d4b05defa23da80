//! Ancestral sampling.

mod descriptor;
mod ranges;

use engine_core::backend::BackendError;
use engine_core::ir::Node;
use engine_core::ir::ops::sampling::{FoldedSubColumn, OrderedSample};

use super::prelude::op_of;
use crate::compiler::{Compiler, Work};
use crate::grid::Grid;
use crate::kernel::{Kernel, Source};
use crate::shaders::Shader;
use descriptor::SampleDescriptor;
use ranges::ranges;

/// Bytes of scratch memory at most, so that caches hold it; where a batch needs more, it is drawn in several blocks of rows.
const SCRATCH_BYTES: u64 = 32 << 20;
/// Rows of a workgroup.
const GROUP_ROWS: usize = 4;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    match op_of::<OrderedSample>(node) {
        Some(op) => ordered_sample(op, node, cx).map(|()| true),
        None => Ok(false),
    }
}

/// f32 elements of scratch memory of a row: hidden units, probabilities, weights.
fn row_elements(op: &OrderedSample) -> usize {
    (op.model.hidden + 2 * op.model.cardinalities.max_width()).max(1)
}

/// Rows that are drawn together.
fn block_rows(op: &OrderedSample, cx: &Compiler<'_>) -> Result<usize, BackendError> {
    let largest_grid = GROUP_ROWS * cx.gpu.limits.max_compute_workgroups_per_dimension as usize;
    let max_rows = cx.max_rows.clamp(1, largest_grid);
    let needed = 4 * row_elements(op) as u64;
    let allowed = cx.gpu.largest_buffer().min(SCRATCH_BYTES);
    match (allowed / needed) as usize {
        0 => {
            let what = "the scratch memory of a row, in bytes,".to_owned();
            Err(cx.gpu.limit(what, needed, allowed))
        }
        rows => Ok(max_rows.min(rows)),
    }
}

/// Cells, uniform values, or a buffer with both of them, to which they are copied; and where the uniform numbers begin in it.
fn cells_and_uniforms(
    op: &OrderedSample,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(Source, usize), BackendError> {
    let (Some(cells), Some(uniforms)) = (op.cells_input(), op.uniforms_input()) else {
        return Ok(match node.inputs.first() {
            Some(value) => (cx.value(*value), 0),
            None => (Source::Own(cx.scratch(0)?), 0),
        });
    };
    let width = op.model.sub_columns.len();
    let len = width * cx.max_rows;
    let buffer = cx.scratch(2 * len)?;
    for (input, first) in [(cells, 0), (uniforms, len)] {
        let slot = cx.slot(node.inputs[input]);
        cx.work.push(Work::Copy {
            slot,
            to: buffer.clone(),
            offset: 4 * first as u64,
            row_bytes: 4 * width as u64,
            rows: cx.rows,
        });
    }
    Ok((Source::Own(buffer), len))
}

/// The folded model as the kernel reads it, packed anew when its contents change.
fn folded(op: &OrderedSample, cx: &mut Compiler<'_>) -> Result<Source, BackendError> {
    let len = op.model.len;
    let packed_len = if cx.half_tables { len.div_ceil(2) } else { len };
    let packed = cx.scratch(packed_len)?;
    let head =
        |sub: &FoldedSubColumn| [sub.head_weight, sub.hidden.len(), sub.cardinality, 0].map(|n| n as u32);
    let mut heads: Vec<[u32; 4]> = op.model.sub_columns.iter().map(head).collect();
    heads.sort_unstable();
    let kernel = Kernel::new(Shader::Sampling, "pack_model")
        .constant("HALF", u32::from(cx.half_tables).into())
        .size("LENGTH", len)
        .size("HEADS", heads.len())
        .reads(0, cx.resource(op.folded))
        .writes(1, Source::Own(packed.clone()))
        .reads(2, cx.descriptor(&heads)?);
    let dispatch = cx.dispatch(kernel, Grid::Fixed { elements: packed_len })?;
    cx.work.push(Work::Prepare {
        dispatch,
        resource: op.folded.index(),
    });
    Ok(Source::Own(packed))
}

/// Codes, probabilities, weights, logarithms; what is not requested is bound to a buffer that is not read, each to its own.
fn results(op: &OrderedSample, node: &Node, cx: &Compiler<'_>) -> Result<Vec<Source>, BackendError> {
    let mut outputs = node.outputs.iter();
    let requested = [
        true,
        !op.requested.probs.is_empty(),
        !op.requested.weights.is_empty(),
        op.requested.log_probs,
    ];
    let bind = |is_requested: bool| match is_requested.then(|| outputs.next()).flatten() {
        Some(value) => Ok(cx.value(*value)),
        None => cx.scratch(0).map(Source::Own),
    };
    requested.into_iter().map(bind).collect()
}

fn ordered_sample(op: &OrderedSample, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let ranges = ranges(op, cx.gpu.longest_loop()).map_err(|needed| {
        let what = "drawing one sub-column, in iterations of a loop,".to_owned();
        cx.gpu.limit(what, needed as u64, cx.gpu.longest_loop() as u64)
    })?;
    let rows = block_rows(op, cx)?;
    let (inputs, first_uniform) = cells_and_uniforms(op, node, cx)?;
    let mut kernel = Kernel::new(Shader::Sampling, "ordered_sample")
        .constant("HALF", u32::from(cx.half_tables).into())
        .reads(
            0,
            cx.descriptor(&SampleDescriptor::new(op, first_uniform).elements)?,
        )
        .reads(1, folded(op, cx)?)
        .reads(2, inputs);
    for (number, result) in (3..).zip(results(op, node, cx)?) {
        kernel = kernel.writes(number, result);
    }
    let kernel = kernel.writes(7, Source::Own(cx.scratch(rows * row_elements(op))?));
    if let Some(cells) = op.cells_input() {
        cx.check_codes(
            node.inputs[cells],
            op.model.cardinalities.widths().collect(),
            true,
        );
    }
    for first in (0..cx.max_rows).step_by(rows) {
        for range in &ranges {
            let range = range.of_rows(first, rows);
            let buffer = cx
                .gpu
                .uniform_of("a range of the draws", bytemuck::bytes_of(&range))?;
            let grid = Grid::Blocks {
                first,
                rows,
                lanes: 16,
            };
            cx.push(kernel.clone().uniform(8, buffer), grid)?;
        }
    }
    Ok(())
}
