//! Embedding lookups of all sub-columns at once.

use bytemuck::{Pod, Zeroable};
use engine_core::backend::BackendError;
use engine_core::ir::ops::embedding::{Embedding, EmbeddingGrad, EmbeddingSqNorm, embedding_groups};
use engine_core::ir::{Node, ParamView};

use super::prelude::{TILE_COLUMNS, TILE_ROWS, offsets, op_of, pieces, push_sliced};
use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    if let Some(op) = op_of::<Embedding>(node) {
        embedding(op, node, cx)?;
    } else if let Some(op) = op_of::<EmbeddingGrad>(node) {
        embedding_grad(op, node, cx)?;
    } else if let Some(op) = op_of::<EmbeddingSqNorm>(node) {
        embedding_sq_norm(op, node, cx)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn cardinalities(tables: &[ParamView]) -> Vec<usize> {
    tables.iter().map(|t| t.rows).collect()
}

fn embedding(op: &Embedding, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let width = cx.width(node.outputs[0]);
    let of_table = |(s, t): (usize, &ParamView)| {
        let (s, offset, width) = (s as u32, t.offset as u32, t.columns as u32);
        (0..width).map(move |k| [s, offset, width, k])
    };
    let features: Vec<[u32; 4]> = op.tables.iter().enumerate().flat_map(of_table).collect();
    let kernel = Kernel::new(Shader::Embedding, "embedding")
        .size("WIDTH", width)
        .size("SUB_COLUMNS", op.tables.len())
        .reads(0, cx.descriptor(&features)?)
        .reads(1, cx.resource(op.params))
        .reads(2, cx.value(node.inputs[0]))
        .writes(3, cx.value(node.outputs[0]));
    cx.check_codes(node.inputs[0], cardinalities(&op.tables), false);
    cx.push(kernel, Grid::Elements { width })
}

/// `Tile` in `shaders/embedding.wgsl`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct EmbeddingTile {
    sub_column: u32,
    sub_columns: u32,
    table: u32,
    cardinality: u32,
    width: u32,
    output: u32,
    output_stride: u32,
    first_code: u32,
    first_feature: u32,
    reserved: [u32; 3],
}

const _: () = assert!(size_of::<EmbeddingTile>() == 48);

fn tiles(tables: &[ParamView]) -> Vec<EmbeddingTile> {
    let groups = embedding_groups(tables);
    let mut tiles = Vec::new();
    for (s, table) in tables.iter().enumerate() {
        for first_code in pieces(table.rows, TILE_ROWS) {
            for first_feature in pieces(table.columns, TILE_COLUMNS) {
                tiles.push(EmbeddingTile {
                    sub_column: s as u32,
                    sub_columns: tables.len() as u32,
                    table: table.offset as u32,
                    cardinality: table.rows as u32,
                    width: table.columns as u32,
                    output: groups.offset(s) as u32,
                    output_stride: groups.total() as u32,
                    first_code,
                    first_feature,
                    reserved: [0; 3],
                });
            }
        }
    }
    tiles
}

fn embedding_grad(op: &EmbeddingGrad, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let tiles = tiles(&op.tables);
    cx.check_codes(node.inputs[0], cardinalities(&op.tables), false);
    let kernel = Kernel::new(Shader::Embedding, "embedding_grad")
        .reads(0, cx.descriptor(&tiles)?)
        .reads(1, cx.value(node.inputs[0]))
        .reads(2, cx.value(node.inputs[1]))
        .writes(3, cx.resource(op.grads));
    push_sliced(kernel, "embedding_grad_join", tiles.len(), cx)
}

fn embedding_sq_norm(op: &EmbeddingSqNorm, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let groups = embedding_groups(&op.tables);
    let kernel = Kernel::new(Shader::Embedding, "embedding_sq_norm")
        .size("WIDTH", groups.total())
        .size("SUB_COLUMNS", groups.len())
        .reads(0, cx.descriptor(&offsets(&groups))?)
        .reads(1, cx.value(node.inputs[1]))
        .writes(2, cx.value(node.outputs[0]));
    let groups = groups.len();
    cx.push(kernel, Grid::Lanes { groups })
}
