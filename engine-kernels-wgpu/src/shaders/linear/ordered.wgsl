// The ordered linear layer: the inputs of sub-column s are the columns before its own in the order of this step, and the earlier
// sub-columns of its own column. Other features are skipped, not multiplied by zero.

// The layer of one sub-column. `OrderedLayer` of kernels/linear/ordered.rs has the same fields.
struct Layer {
    // Its column.
    own: u32,
    weight: u32,
    bias: u32,
    // Columns of the weight, those of invisible features included.
    inputs: u32,
    output: u32,
    outputs: u32,
    // First feature of its column among the sub-columns' features, and how many of them are visible to it.
    siblings: u32,
    sibling_width: u32,
}

// A tile of outputs of one layer, or of the features of columns or sub-columns. `OrderedTile` has the same fields.
struct Tile {
    layer: u32,
    first_output: u32,
    // First feature or position, and the end of the features that the tile may hold.
    first: u32,
    end: u32,
    // Layers to which some of the tile's features are visible.
    from_layer: u32,
    to_layer: u32,
    // 1 for features of sub-columns.
    of_siblings: u32,
    reserved: u32,
}

override COLUMNS: u32 = 1u;
// Features of all columns, of all sub-columns, and outputs of all layers.
override FEATURES: u32 = 1u;
override SUB_FEATURES: u32 = 1u;
override OUTPUTS: u32 = 1u;
override LAYERS: u32 = 1u;

// The features that are visible to the columns in this step. First, for each column, their number; then, column by column, these
// features in order; then, column by column, how many of them come before each feature, with INVISIBLE added where it is not visible.
@group(1) @binding(2) var<storage, read> visible: array<u32>;

const INVISIBLE: u32 = 0x80000000u;

fn visible_count(own: u32) -> u32 {
    return visible[own];
}

// Number of visible inputs of a layer: columns, then siblings.
fn depth_of(layer: Layer) -> u32 {
    return visible_count(layer.own) + layer.sibling_width;
}

fn visible_feature(own: u32, position: u32) -> u32 {
    return visible[COLUMNS + own * FEATURES + position];
}

fn position_in_order(own: u32, feature: u32) -> u32 {
    return visible[COLUMNS + (COLUMNS + own) * FEATURES + feature];
}

// First feature of each column, and their number at the end.
@group(1) @binding(0) var<storage, read> column_offsets: array<u32>;
@group(1) @binding(1) var<storage, read> ranks: array<u32>;
@group(1) @binding(2) var<storage, read_write> visible_out: array<u32>;

var<workgroup> counts: array<u32, 64>;

// A workgroup for each column: each thread counts the visible features in its stretch of the columns, then writes them.
@compute @workgroup_size(64)
fn visible_features(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let own = group.x;
    let stretch = (COLUMNS + 63u) / 64u;
    let start = min(thread * stretch, COLUMNS);
    let end = min(start + stretch, COLUMNS);
    var count = 0u;
    for (var c = start; c < end; c++) {
        if ranks[c] < ranks[own] {
            count += column_offsets[c + 1u] - column_offsets[c];
        }
    }
    counts[thread] = count;
    workgroupBarrier();
    var place = 0u;
    for (var t = 0u; t < thread; t++) {
        place += counts[t];
    }
    for (var c = start; c < end; c++) {
        let is_visible = ranks[c] < ranks[own];
        for (var i = column_offsets[c]; i < column_offsets[c + 1u]; i++) {
            if is_visible {
                visible_out[COLUMNS + own * FEATURES + place] = i;
            }
            visible_out[COLUMNS + (COLUMNS + own) * FEATURES + i] = select(INVISIBLE, 0u, is_visible) + place;
            place += select(0u, 1u, is_visible);
        }
    }
    if thread == 63u {
        visible_out[own] = place;
    }
}

@group(1) @binding(0) var<storage, read> tiles: array<Tile>;
@group(1) @binding(1) var<storage, read> layers: array<Layer>;
@group(1) @binding(3) var<storage, read> columns: array<f32>;
@group(1) @binding(4) var<storage, read> sub_columns: array<f32>;

// The input at a position among the visible inputs of a layer: columns first, then siblings.
fn input_at(layer: Layer, row: u32, position: u32) -> f32 {
    let count = visible_count(layer.own);
    if position < count {
        return columns[row * FEATURES + visible_feature(layer.own, position)];
    }
    return sub_columns[row * SUB_FEATURES + layer.siblings + position - count];
}

// The column of the weight at such a position.
fn weight_column(layer: Layer, position: u32) -> u32 {
    let count = visible_count(layer.own);
    if position < count {
        return visible_feature(layer.own, position);
    }
    return FEATURES + position - count;
}

@group(1) @binding(5) var<storage, read> params: array<f32>;
@group(1) @binding(6) var<storage, read_write> y: array<f32>;

// Which units of the rows and blocks of sixteen positions at hand are kept.
var<workgroup> kept: array<u32, 192>;

// The input at a position of the visible inputs of a layer, in four rows.
fn input_rows(layer: Layer, row: u32, position: u32) -> vec4<f32> {
    let rows = four_rows(row);
    let count = visible_count(layer.own);
    if position < count {
        let at = rows * FEATURES + visible_feature(layer.own, position);
        return vec4<f32>(columns[at.x], columns[at.y], columns[at.z], columns[at.w]);
    }
    let at = rows * SUB_FEATURES + (layer.siblings + position - count);
    return vec4<f32>(sub_columns[at.x], sub_columns[at.y], sub_columns[at.z], sub_columns[at.w]);
}

// Four outputs' weights in one column of the weight.
fn weights_of(layer: Layer, output: u32, column: u32) -> vec4<f32> {
    let at = four_of(output, layer.outputs) * layer.inputs + (layer.weight + column);
    return vec4<f32>(params[at.x], params[at.y], params[at.z], params[at.w]);
}

// Factors of one position in four rows; a row has two blocks in `kept`.
fn factors_of_rows(first: u32, position: u32) -> vec4<f32> {
    let at = first * 2u + position % 32u / 16u;
    return vec4<f32>(
        kept_factor(kept[at], position),
        kept_factor(kept[at + 2u], position),
        kept_factor(kept[at + 4u], position),
        kept_factor(kept[at + 6u], position),
    );
}

// Tiles of rows by outputs.
@compute @workgroup_size(128)
fn ordered_linear(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = tile_number(group, groups);
    if number >= TILES {
        return;
    }
    let tile = tiles[number];
    let layer = layers[tile.layer];
    let first_row = group.y * TILE_ROWS;
    let depth = depth_of(layer);
    let quad = thread / 32u;
    var sums: Sums;
    for (var k = 0u; k < depth; k += TILE_DEPTH) {
        let own = k + thread % 32u;
        let exists = own < depth;
        let position = min(own, depth - 1u);
        let row = first_row + 4u * quad;
        let x0 = input_rows(layer, row, position);
        let x1 = input_rows(layer, row + 16u, position);
        let x2 = input_rows(layer, row + 32u, position);
        let x3 = input_rows(layer, row + 48u, position);
        let column = weight_column(layer, position);
        let output = tile.first_output + 4u * quad;
        let w0 = weights_of(layer, output, column);
        let w1 = weights_of(layer, output + 16u, column);
        // Random numbers are computed while the values are loaded.
        kept[thread] = kept_units(first_row + thread / 2u, tile.layer, k / 16u + thread % 2u);
        workgroupBarrier();
        store_rows(
            thread,
            x0 * factors_of_rows(4u * quad, own),
            x1 * factors_of_rows(4u * quad + 16u, own),
            x2 * factors_of_rows(4u * quad + 32u, own),
            x3 * factors_of_rows(4u * quad + 48u, own),
            exists,
        );
        store_columns(thread, w0, w1, exists);
        multiply_stored(thread, depth - k, &sums);
    }
    for (var i = 0u; i < 4u; i++) {
        let row = first_row + block_row(thread) + i;
        for (var j = 0u; j < 4u; j++) {
            let n = tile.first_output + block_column(thread) + j;
            if row < run.rows && n < layer.outputs {
                y[row * OUTPUTS + layer.output + n] = sums[i][j] + params[layer.bias + n];
            }
        }
    }
}

@group(1) @binding(5) var<storage, read> norm_grad_output: array<f32>;
@group(1) @binding(6) var<storage, read_write> norms: array<f32>;

// Sixteen lanes for each layer of each row, each with the sixteen positions of a random block.
@compute @workgroup_size(64)
fn ordered_linear_sq_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = lane_group(group, groups, thread);
    let row = item / LAYERS;
    let s = item % LAYERS;
    let exists = row < run.rows;
    let layer = layers[s];
    let depth = select(0u, depth_of(layer), exists);
    let lane = thread % LANES;
    var uu = 0.0;
    for (var block = lane; block * 16u < depth; block += LANES) {
        let words = dropout_words(row, s, block);
        var squares = 0.0;
        for (var position = block * 16u; position < min(block * 16u + 16u, depth); position++) {
            let u = input_at(layer, row, position) * dropout_factor(words[position % 16u / 4u], position);
            squares += u * u;
        }
        uu += squares;
    }
    var dd = 0.0;
    for (var n = lane; n < select(0u, layer.outputs, exists); n += LANES) {
        let d = norm_grad_output[row * OUTPUTS + layer.output + n];
        dd += d * d;
    }
    uu = sum_lanes(thread, uu);
    dd = sum_lanes(thread, dd);
    if exists && lane == 0u {
        norms[2u * item] = uu * dd;
        norms[2u * item + 1u] = dd;
    }
}
