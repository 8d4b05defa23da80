//! The ordered linear layer: each sub-column sees the columns before its own in the order of the step.

use bytemuck::{Pod, Zeroable};
use engine_core::backend::BackendError;
use engine_core::ir::ops::linear::{
    OrderedLinear, OrderedLinearGradInput, OrderedLinearGradParams, OrderedLinearSqNorm, OrderedSpec,
};
use engine_core::ir::{Node, ValueId};

use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::{Kernel, Source};
use crate::kernels::activation::with_dropout;
use crate::kernels::prelude::{
    TILE_COLUMNS, TILE_ROWS, offsets, op_of, pieces, push_sliced, tile_iterations,
};
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    if let Some(op) = op_of::<OrderedLinear>(node) {
        ordered_linear(op, node, cx)?;
    } else if let Some(op) = op_of::<OrderedLinearGradInput>(node) {
        ordered_linear_grad_input(op, node, cx)?;
    } else if let Some(op) = op_of::<OrderedLinearGradParams>(node) {
        ordered_linear_grad_params(op, node, cx)?;
    } else if let Some(op) = op_of::<OrderedLinearSqNorm>(node) {
        ordered_linear_sq_norm(op, node, cx)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// `Layer` in `shaders/linear/ordered.wgsl`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct OrderedLayer {
    own: u32,
    weight: u32,
    bias: u32,
    inputs: u32,
    output: u32,
    outputs: u32,
    siblings: u32,
    sibling_width: u32,
}

/// `Tile` in `shaders/linear/ordered.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct OrderedTile {
    layer: u32,
    first_output: u32,
    first: u32,
    end: u32,
    from_layer: u32,
    to_layer: u32,
    of_siblings: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<OrderedLayer>() == 32 && size_of::<OrderedTile>() == 32);

fn layers(spec: &OrderedSpec) -> Vec<OrderedLayer> {
    let layer = |s: usize| {
        let siblings = spec.sub_columns.offset(spec.first_sibling(s));
        OrderedLayer {
            own: spec.column_of[s] as u32,
            weight: spec.layers[s].weight.offset as u32,
            bias: spec.layers[s].bias.offset as u32,
            inputs: spec.input_width(s) as u32,
            output: spec.output.offset(s) as u32,
            outputs: spec.output.width(s) as u32,
            siblings: siblings as u32,
            sibling_width: (spec.sub_columns.offset(s) - siblings) as u32,
        }
    };
    (0..spec.layers.len()).map(layer).collect()
}

/// A kernel of this family with what all of them bind: layers, and what the columns see.
fn kernel(
    entry: &'static str,
    spec: &OrderedSpec,
    ranks: ValueId,
    cx: &mut Compiler<'_>,
) -> Result<Kernel, BackendError> {
    let visible = cx.visible(ranks, &spec.columns, |cx| visible_features(spec, ranks, cx))?;
    let kernel = with_dropout(Kernel::new(Shader::OrderedLinear, entry), spec.dropout);
    Ok(sized(kernel, spec)
        .size("SUB_FEATURES", spec.sub_columns.total())
        .size("OUTPUTS", spec.output.total())
        .size("LAYERS", spec.layers.len())
        .reads(1, cx.descriptor(&layers(spec))?)
        .reads(2, visible))
}

fn sized(kernel: Kernel, spec: &OrderedSpec) -> Kernel {
    kernel
        .size("COLUMNS", spec.columns.len())
        .constant("FEATURES", spec.columns.total() as f64)
}

fn visible_features(
    spec: &OrderedSpec,
    ranks: ValueId,
    cx: &mut Compiler<'_>,
) -> Result<wgpu::Buffer, BackendError> {
    let columns = spec.columns.len();
    let buffer = cx.scratch(columns + 2 * columns * spec.columns.total())?;
    let kernel = sized(Kernel::new(Shader::OrderedLinear, "visible_features"), spec)
        .reads(0, cx.descriptor(&offsets(&spec.columns))?)
        .reads(1, cx.value(ranks))
        .writes(2, Source::Own(buffer.clone()));
    cx.push(kernel, Grid::Workgroups(columns))?;
    Ok(buffer)
}

fn ordered_linear(op: &OrderedLinear, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let spec = &op.spec;
    let of_layer = |s: usize| {
        let outputs = pieces(spec.output.width(s), TILE_COLUMNS);
        outputs.map(move |first_output| OrderedTile {
            layer: s as u32,
            first_output,
            ..OrderedTile::default()
        })
    };
    let tiles: Vec<OrderedTile> = (0..spec.layers.len()).flat_map(of_layer).collect();
    let inputs = spec.columns.total() + spec.sub_columns.max_width();
    let kernel = kernel("ordered_linear", spec, node.inputs[2], cx)?
        .size("TILES", tiles.len())
        .max_iterations(tile_iterations(inputs))
        .reads(0, cx.descriptor(&tiles)?)
        .reads(3, cx.value(node.inputs[0]))
        .reads(4, cx.value(node.inputs[1]))
        .reads(5, cx.resource(op.params))
        .writes(6, cx.value(node.outputs[0]));
    let count = tiles.len();
    cx.push(kernel, Grid::RowTiles { count })
}

/// Tiles of the features of all columns, then, if asked for, of those of the sub-columns, column by column.
fn feature_tiles(spec: &OrderedSpec, with_siblings: bool) -> Vec<OrderedTile> {
    let sub_columns = spec.layers.len();
    let features = spec.columns.total();
    let of_columns = pieces(features, TILE_COLUMNS).map(|first| OrderedTile {
        first,
        end: features as u32,
        to_layer: sub_columns as u32,
        ..OrderedTile::default()
    });
    let mut tiles: Vec<OrderedTile> = of_columns.collect();
    let mut from = 0;
    while with_siblings && from < sub_columns {
        let to = spec.column_of.partition_point(|c| *c <= spec.column_of[from]);
        let (start, end) = (spec.sub_columns.offset(from), spec.sub_columns.range(to - 1).end);
        tiles.extend(pieces(end - start, TILE_COLUMNS).map(|first| OrderedTile {
            first: start as u32 + first,
            end: end as u32,
            from_layer: from as u32,
            to_layer: to as u32,
            of_siblings: 1,
            ..OrderedTile::default()
        }));
        from = to;
    }
    tiles
}

fn ordered_linear_grad_input(
    op: &OrderedLinearGradInput,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let siblings = node.outputs.get(1).map(|value| cx.value(*value));
    let tiles = feature_tiles(&op.spec, siblings.is_some());
    let siblings = match siblings {
        Some(source) => source,
        None => Source::Own(cx.scratch(0)?),
    };
    // Beside its terms, each layer has the factors of its dropout.
    let iterations = op
        .spec
        .output
        .widths()
        .map(|outputs| tile_iterations(outputs) + 20)
        .sum();
    let kernel = kernel("ordered_linear_grad_input", &op.spec, node.inputs[2], cx)?
        .size("TILES", tiles.len())
        .max_iterations(iterations)
        .reads(0, cx.descriptor(&tiles)?)
        .reads(3, cx.resource(op.params))
        .reads(4, cx.value(node.inputs[3]))
        .writes(5, cx.value(node.outputs[0]))
        .writes(6, siblings);
    let count = tiles.len();
    cx.push(kernel, Grid::RowTiles { count })
}

fn ordered_linear_grad_params(
    op: &OrderedLinearGradParams,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let spec = &op.spec;
    let mut tiles = Vec::new();
    for s in 0..spec.layers.len() {
        for first_output in pieces(spec.output.width(s), TILE_ROWS) {
            // One more position than inputs: that of the bias.
            for first in pieces(spec.input_width(s) + 1, TILE_COLUMNS) {
                tiles.push(OrderedTile {
                    layer: s as u32,
                    first_output,
                    first,
                    ..OrderedTile::default()
                });
            }
        }
    }
    let kernel = kernel("ordered_linear_grad_params", spec, node.inputs[2], cx)?
        .reads(0, cx.descriptor(&tiles)?)
        .reads(3, cx.value(node.inputs[0]))
        .reads(4, cx.value(node.inputs[1]))
        .reads(5, cx.value(node.inputs[3]))
        .writes(6, cx.resource(op.grads));
    push_sliced(kernel, "ordered_linear_grad_params_join", tiles.len(), cx)
}

fn ordered_linear_sq_norm(
    op: &OrderedLinearSqNorm,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let kernel = kernel("ordered_linear_sq_norm", &op.spec, node.inputs[2], cx)?
        .reads(3, cx.value(node.inputs[0]))
        .reads(4, cx.value(node.inputs[1]))
        .reads(5, cx.value(node.inputs[3]))
        .writes(6, cx.value(node.outputs[0]));
    let groups = op.spec.layers.len();
    cx.push(kernel, Grid::Lanes { groups })
}
