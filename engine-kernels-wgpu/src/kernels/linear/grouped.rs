//! The grouped linear layer: every group has its own weight and bias, or passes through.

use bytemuck::{Pod, Zeroable};
use engine_core::backend::BackendError;
use engine_core::ir::Node;
use engine_core::ir::ops::linear::{
    GroupedLinear, GroupedLinearGradInput, GroupedLinearGradParams, GroupedLinearSqNorm, Layer, LinearGroups,
};

use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::kernels::prelude::{TILE_COLUMNS, TILE_ROWS, op_of, pieces, push_sliced, tile_iterations};
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    if let Some(op) = op_of::<GroupedLinear>(node) {
        grouped_linear(op, node, cx)?;
    } else if let Some(op) = op_of::<GroupedLinearGradInput>(node) {
        grouped_linear_grad_input(op, node, cx)?;
    } else if let Some(op) = op_of::<GroupedLinearGradParams>(node) {
        grouped_linear_grad_params(op, node, cx)?;
    } else if let Some(op) = op_of::<GroupedLinearSqNorm>(node) {
        grouped_linear_sq_norm(op, node, cx)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// `Tile` in `shaders/linear/grouped.wgsl`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GroupedTile {
    input: u32,
    inputs: u32,
    input_stride: u32,
    output: u32,
    outputs: u32,
    output_stride: u32,
    weight: u32,
    bias: u32,
    first_output: u32,
    first_input: u32,
    passes: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<GroupedTile>() == 48);

/// The tile at the start of a group.
fn tile(groups: &LinearGroups, g: usize) -> GroupedTile {
    let layer = groups.layers[g];
    let offset = |view: fn(&Layer) -> usize| layer.as_ref().map_or(0, view) as u32;
    GroupedTile {
        input: groups.input.offset(g) as u32,
        inputs: groups.input.width(g) as u32,
        input_stride: groups.input.total() as u32,
        output: groups.output.offset(g) as u32,
        outputs: groups.output.width(g) as u32,
        output_stride: groups.output.total() as u32,
        weight: offset(|l| l.weight.offset),
        bias: offset(|l| l.bias.offset),
        first_output: 0,
        first_input: 0,
        passes: u32::from(layer.is_none()),
        reserved: 0,
    }
}

fn grouped_linear(op: &GroupedLinear, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let groups = &op.groups;
    let of_group = |g: usize| {
        let outputs = pieces(groups.output.width(g), TILE_COLUMNS);
        outputs.map(move |first_output| GroupedTile {
            first_output,
            ..tile(groups, g)
        })
    };
    let tiles: Vec<GroupedTile> = (0..groups.layers.len()).flat_map(of_group).collect();
    let kernel = Kernel::new(Shader::GroupedLinear, "grouped_linear")
        .size("TILES", tiles.len())
        .max_iterations(tile_iterations(groups.input.max_width()))
        .reads(0, cx.descriptor(&tiles)?)
        .reads(1, cx.resource(op.params))
        .reads(2, cx.value(node.inputs[0]))
        .writes(3, cx.value(node.outputs[0]));
    let count = tiles.len();
    cx.push(kernel, Grid::RowTiles { count })
}

fn grouped_linear_grad_input(
    op: &GroupedLinearGradInput,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let groups = &op.groups;
    let of_group = |g: usize| {
        let inputs = pieces(groups.input.width(g), TILE_COLUMNS);
        inputs.map(move |first_input| GroupedTile {
            first_input,
            ..tile(groups, g)
        })
    };
    let tiles: Vec<GroupedTile> = (0..groups.layers.len()).flat_map(of_group).collect();
    let kernel = Kernel::new(Shader::GroupedLinear, "grouped_linear_grad_input")
        .size("TILES", tiles.len())
        .max_iterations(tile_iterations(groups.output.max_width()))
        .reads(0, cx.descriptor(&tiles)?)
        .reads(1, cx.resource(op.params))
        .reads(2, cx.value(node.inputs[0]))
        .writes(3, cx.value(node.outputs[0]));
    let count = tiles.len();
    cx.push(kernel, Grid::RowTiles { count })
}

fn grouped_linear_grad_params(
    op: &GroupedLinearGradParams,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let groups = &op.groups;
    let mut tiles = Vec::new();
    for (g, _) in groups.layers_present() {
        for first_output in pieces(groups.output.width(g), TILE_ROWS) {
            // One more column than inputs: that of the bias.
            for first_input in pieces(groups.input.width(g) + 1, TILE_COLUMNS) {
                tiles.push(GroupedTile {
                    first_output,
                    first_input,
                    ..tile(groups, g)
                });
            }
        }
    }
    let kernel = Kernel::new(Shader::GroupedLinear, "grouped_linear_grad_params")
        .reads(0, cx.descriptor(&tiles)?)
        .reads(1, cx.value(node.inputs[0]))
        .reads(2, cx.value(node.inputs[1]))
        .writes(3, cx.resource(op.grads));
    push_sliced(kernel, "grouped_linear_grad_params_join", tiles.len(), cx)
}

/// `Group` in `shaders/linear/grouped.wgsl`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct NormGroup {
    input: u32,
    inputs: u32,
    output: u32,
    outputs: u32,
}

fn grouped_linear_sq_norm(
    op: &GroupedLinearSqNorm,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let (input, output) = (&op.groups.input, &op.groups.output);
    let group = |(g, _): (usize, Layer)| NormGroup {
        input: input.offset(g) as u32,
        inputs: input.width(g) as u32,
        output: output.offset(g) as u32,
        outputs: output.width(g) as u32,
    };
    let layers: Vec<NormGroup> = op.groups.layers_present().map(group).collect();
    let kernel = Kernel::new(Shader::GroupedLinear, "grouped_linear_sq_norm")
        .size("LAYERS", layers.len())
        .size("INPUT_WIDTH", input.total())
        .size("OUTPUT_WIDTH", output.total())
        .reads(0, cx.descriptor(&layers)?)
        .reads(1, cx.value(node.inputs[0]))
        .reads(2, cx.value(node.inputs[1]))
        .writes(3, cx.value(node.outputs[0]));
    let groups = layers.len();
    cx.push(kernel, Grid::Lanes { groups })
}
