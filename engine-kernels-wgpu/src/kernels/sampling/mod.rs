//! Ancestral sampling.

mod parts;
mod plan;

use engine_core::backend::BackendError;
use engine_core::ir::Node;
use engine_core::ir::ops::sampling::{FoldedSubColumn, OrderedSample};

use super::op_of;
use crate::compiler::{Compiler, Work};
use crate::grid::Grid;
use crate::kernel::{Kernel, Source};
use crate::shaders::Shader;
use parts::parts;
use plan::Plan;

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

/// Words of scratch memory of a row: hidden units, probabilities, weights.
fn row_words(op: &OrderedSample) -> usize {
    (op.model.hidden + 2 * op.model.cardinalities.max_width()).max(1)
}

/// Rows that are drawn together.
fn block_rows(op: &OrderedSample, cx: &Compiler<'_>) -> Result<usize, BackendError> {
    let largest_grid = GROUP_ROWS * cx.gpu.limits.max_compute_workgroups_per_dimension as usize;
    let most = cx.max_rows.clamp(1, largest_grid);
    let needed = 4 * row_words(op) as u64;
    let allowed = cx.gpu.largest_buffer().min(SCRATCH_BYTES);
    match (allowed / needed) as usize {
        0 => {
            let what = "the scratch memory of a row, in bytes,".to_owned();
            Err(cx.gpu.limit(what, needed, allowed))
        }
        rows => Ok(most.min(rows)),
    }
}

/// Cells, uniform numbers, or a buffer with both of them, to which they are copied; and where the uniform numbers begin in it.
fn given(op: &OrderedSample, node: &Node, cx: &mut Compiler<'_>) -> Result<(Source, usize), BackendError> {
    let (Some(cells), Some(uniforms)) = (op.cells_input(), op.uniforms_input()) else {
        return Ok(match node.inputs.first() {
            Some(value) => (cx.value(*value), 0),
            None => (Source::Own(cx.scratch(0)?), 0),
        });
    };
    let width = op.model.sub_columns.len();
    let words = width * cx.max_rows;
    let buffer = cx.scratch(2 * words)?;
    for (input, first) in [(cells, 0), (uniforms, words)] {
        let slot = cx.slot(node.inputs[input]);
        cx.work.push(Work::Copy {
            slot,
            to: buffer.clone(),
            offset: 4 * first as u64,
            row_bytes: 4 * width as u64,
            rows: cx.rows,
        });
    }
    Ok((Source::Own(buffer), words))
}

/// The folded model as the kernel reads it, packed anew when its contents change.
fn folded(op: &OrderedSample, cx: &mut Compiler<'_>) -> Result<Source, BackendError> {
    let len = op.model.len;
    let words = if cx.half_tables { len.div_ceil(2) } else { len };
    let packed = cx.scratch(words)?;
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
    let dispatch = cx.dispatch(kernel, Grid::Fixed { elements: words })?;
    cx.work.push(Work::Prepare {
        dispatch,
        resource: op.folded.index(),
    });
    Ok(Source::Own(packed))
}

/// Codes, probabilities, weights, logarithms; what is not asked for is bound to a buffer that nobody reads, each to its own.
fn results(op: &OrderedSample, node: &Node, cx: &Compiler<'_>) -> Result<Vec<Source>, BackendError> {
    let mut outputs = node.outputs.iter();
    let asked_for = [
        true,
        !op.requested.probs.is_empty(),
        !op.requested.weights.is_empty(),
        op.requested.log_probs,
    ];
    let bind = |is_asked_for: bool| match is_asked_for.then(|| outputs.next()).flatten() {
        Some(value) => Ok(cx.value(*value)),
        None => cx.scratch(0).map(Source::Own),
    };
    asked_for.into_iter().map(bind).collect()
}

fn ordered_sample(op: &OrderedSample, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let parts = parts(op, cx.gpu.longest_loop()).map_err(|needed| {
        let what = "drawing one sub-column, in turns of a loop,".to_owned();
        cx.gpu.limit(what, needed as u64, cx.gpu.longest_loop() as u64)
    })?;
    let rows = block_rows(op, cx)?;
    let (given, first_uniform) = given(op, node, cx)?;
    let mut kernel = Kernel::new(Shader::Sampling, "ordered_sample")
        .constant("HALF", u32::from(cx.half_tables).into())
        .reads(0, cx.descriptor(&Plan::new(op, first_uniform).words)?)
        .reads(1, folded(op, cx)?)
        .reads(2, given);
    for (number, result) in (3..).zip(results(op, node, cx)?) {
        kernel = kernel.writes(number, result);
    }
    let kernel = kernel.writes(7, Source::Own(cx.scratch(rows * row_words(op))?));
    if let Some(cells) = op.cells_input() {
        cx.check_codes(
            node.inputs[cells],
            op.model.cardinalities.widths().collect(),
            true,
        );
    }
    for first in (0..cx.max_rows).step_by(rows) {
        for part in &parts {
            let part = part.of_rows(first, rows);
            let buffer = cx
                .gpu
                .uniform_of("a part of the draws", bytemuck::bytes_of(&part))?;
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
