// The ordered linear layer: sub-column s sees the columns before its own in the order of this step, and the earlier
// sub-columns of its own column. Hidden features are skipped, not multiplied by zero.

// The layer of one sub-column. `OrderedLayer` of kernels/linear/ordered.rs has the same fields.
struct Layer {
    // Its column.
    own: u32,
    weight: u32,
    bias: u32,
    // Columns of the weight, hidden ones included.
    inputs: u32,
    output: u32,
    outputs: u32,
    // First feature of its column among the sub-columns' features, and how many of them it sees.
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
    // Layers that may see the tile's features.
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

// What the columns see in this step. First, for each column, the number of features it sees; then, column by column, these
// features in order; then, column by column, how many of them come before each feature, with HIDDEN added where it is not seen.
@group(1) @binding(2) var<storage, read> visible: array<u32>;

const HIDDEN: u32 = 0x80000000u;

fn seen(own: u32) -> u32 {
    return visible[own];
}

fn seen_feature(own: u32, position: u32) -> u32 {
    return visible[COLUMNS + own * FEATURES + position];
}

fn place_of(own: u32, feature: u32) -> u32 {
    return visible[COLUMNS + (COLUMNS + own) * FEATURES + feature];
}

// First feature of each column, and their number at the end.
@group(1) @binding(0) var<storage, read> column_offsets: array<u32>;
@group(1) @binding(1) var<storage, read> ranks: array<u32>;
@group(1) @binding(2) var<storage, read_write> visible_out: array<u32>;

var<workgroup> counts: array<u32, 64>;

// A workgroup for each column: each thread counts the features that are seen in its stretch of the columns, then writes them.
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
        let is_seen = ranks[c] < ranks[own];
        for (var i = column_offsets[c]; i < column_offsets[c + 1u]; i++) {
            if is_seen {
                visible_out[COLUMNS + own * FEATURES + place] = i;
            }
            visible_out[COLUMNS + (COLUMNS + own) * FEATURES + i] = select(HIDDEN, 0u, is_seen) + place;
            place += select(0u, 1u, is_seen);
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

// The input at a position among those that a layer sees: columns first, then siblings.
fn input_at(layer: Layer, row: u32, position: u32) -> f32 {
    let count = seen(layer.own);
    if position < count {
        return columns[row * FEATURES + seen_feature(layer.own, position)];
    }
    return sub_columns[row * SUB_FEATURES + layer.siblings + position - count];
}

// The column of the weight at such a position.
fn weight_column(layer: Layer, position: u32) -> u32 {
    let count = seen(layer.own);
    if position < count {
        return seen_feature(layer.own, position);
    }
    return FEATURES + position - count;
}

@group(1) @binding(5) var<storage, read> params: array<f32>;
@group(1) @binding(6) var<storage, read_write> y: array<f32>;

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
    let depth = seen(layer.own) + layer.sibling_width;
    var sums: Sums;
    for (var k = 0u; k < depth; k += TILE_DEPTH) {
        let row = first_row + thread / 2u;
        let words = dropout_words(row, tile.layer, k / 16u);
        for (var j = thread % 2u * 8u; j < thread % 2u * 8u + 8u; j++) {
            var value = 0.0;
            if row < run.rows && k + j < depth {
                value = input_at(layer, row, k + j) * dropout_factor(words[j / 4u], j);
            }
            left[j * TILE_ROWS + thread / 2u] = value;
        }
        let n = tile.first_output + thread / 4u;
        for (var j = thread % 4u * 4u; j < thread % 4u * 4u + 4u; j++) {
            var value = 0.0;
            if n < layer.outputs && k + j < depth {
                value = params[layer.weight + n * layer.inputs + weight_column(layer, k + j)];
            }
            right[j * TILE_COLUMNS + thread / 4u] = value;
        }
        workgroupBarrier();
        multiply(thread, &sums);
        workgroupBarrier();
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

@group(1) @binding(3) var<storage, read> input_params: array<f32>;
@group(1) @binding(4) var<storage, read> input_grad_output: array<f32>;
@group(1) @binding(5) var<storage, read_write> grad_columns: array<f32>;
@group(1) @binding(6) var<storage, read_write> grad_sub_columns: array<f32>;

// Random words of the positions of a tile: three blocks for each of 64 rows.
var<workgroup> tile_words: array<vec4<u32>, 192>;

// Position of a feature among those that a layer sees, HIDDEN where it sees it not.
fn position_of(layer: Layer, tile: Tile, feature: u32) -> u32 {
    if tile.of_siblings == 0u {
        return place_of(layer.own, feature);
    }
    let within = feature - layer.siblings;
    return seen(layer.own) + select(HIDDEN, within, within < layer.sibling_width);
}

// How many features of the tile a layer sees; they stand at neighbouring positions from that of the first.
fn seen_in_tile(layer: Layer, tile: Tile, end: u32) -> u32 {
    if tile.of_siblings == 1u {
        let seen_end = min(end, layer.siblings + layer.sibling_width);
        return max(seen_end, tile.first) - tile.first;
    }
    let before = place_of(layer.own, tile.first) & ~HIDDEN;
    if end == FEATURES {
        return seen(layer.own) - before;
    }
    return (place_of(layer.own, end) & ~HIDDEN) - before;
}

// Tiles of rows by features: the sums over the outputs of a layer are masked by its dropout, then added to those of the others.
@compute @workgroup_size(128)
fn ordered_linear_grad_input(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = tile_number(group, groups);
    if number >= TILES {
        return;
    }
    let tile = tiles[number];
    let first_row = group.y * TILE_ROWS;
    let end = min(tile.first + TILE_COLUMNS, tile.end);
    var totals: Sums;
    for (var s = tile.from_layer; s < tile.to_layer; s++) {
        let layer = layers[s];
        let count = seen_in_tile(layer, tile, end);
        if count == 0u {
            continue;
        }
        let first_block = (position_of(layer, tile, tile.first) & ~HIDDEN) / 16u;
        if THRESHOLD > 0u {
            for (var i = thread; i < 192u; i += 128u) {
                tile_words[i] = dropout_words(first_row + i / 3u, s, first_block + i % 3u);
            }
        }
        var sums: Sums;
        for (var n = 0u; n < layer.outputs; n += TILE_DEPTH) {
            let row = first_row + thread / 2u;
            for (var j = thread % 2u * 8u; j < thread % 2u * 8u + 8u; j++) {
                var value = 0.0;
                if row < run.rows && n + j < layer.outputs {
                    value = input_grad_output[row * OUTPUTS + layer.output + n + j];
                }
                left[j * TILE_ROWS + thread / 2u] = value;
            }
            for (var j = thread % 8u * 4u; j < thread % 8u * 4u + 4u; j++) {
                let output = n + thread / 8u;
                let feature = tile.first + j;
                var value = 0.0;
                if output < layer.outputs && feature < end {
                    if (position_of(layer, tile, feature) & HIDDEN) == 0u {
                        let column = select(feature, FEATURES + feature - layer.siblings, tile.of_siblings == 1u);
                        value = input_params[layer.weight + output * layer.inputs + column];
                    }
                }
                right[thread / 8u * TILE_COLUMNS + j] = value;
            }
            workgroupBarrier();
            multiply(thread, &sums);
            workgroupBarrier();
        }
        for (var j = 0u; j < 4u; j++) {
            let feature = min(tile.first + block_column(thread) + j, end - 1u);
            let position = position_of(layer, tile, feature) & ~HIDDEN;
            for (var i = 0u; i < 4u; i++) {
                var factor = 1.0;
                if THRESHOLD > 0u {
                    let block = min(position / 16u - first_block, 2u);
                    let words = tile_words[(block_row(thread) + i) * 3u + block];
                    factor = dropout_factor(words[position % 16u / 4u], position);
                }
                totals[i][j] += sums[i][j] * factor;
            }
        }
        // The words are read until here.
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let row = first_row + block_row(thread) + i;
        for (var j = 0u; j < 4u; j++) {
            let feature = tile.first + block_column(thread) + j;
            if row >= run.rows || feature >= end {
                continue;
            }
            if tile.of_siblings == 1u {
                grad_sub_columns[row * SUB_FEATURES + feature] = totals[i][j];
            } else {
                grad_columns[row * FEATURES + feature] = totals[i][j];
            }
        }
    }
}

@group(1) @binding(5) var<storage, read> params_grad_output: array<f32>;
@group(1) @binding(6) var<storage, read_write> grads: array<f32>;

// Tiles of outputs by positions; behind the last position stands a one, whose column is the gradient of the bias.
@compute @workgroup_size(128)
fn ordered_linear_grad_params(
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
    let depth = seen(layer.own) + layer.sibling_width;
    if tile.first > depth {
        return;
    }
    var sums: Sums;
    for (var first = 0u; first < run.rows; first += TILE_DEPTH) {
        let b = thread / 8u;
        let row = first + b;
        for (var j = thread % 8u * 8u; j < thread % 8u * 8u + 8u; j++) {
            let n = tile.first_output + j;
            var value = 0.0;
            if row < run.rows && n < layer.outputs {
                value = params_grad_output[row * OUTPUTS + layer.output + n];
            }
            left[b * TILE_ROWS + j] = value;
        }
        let words = dropout_words(row, tile.layer, (tile.first + thread % 8u * 4u) / 16u);
        for (var j = thread % 8u * 4u; j < thread % 8u * 4u + 4u; j++) {
            let position = tile.first + j;
            var value = select(0.0, 1.0, position == depth);
            if row < run.rows && position < depth {
                value = input_at(layer, row, position) * dropout_factor(words[position % 16u / 4u], position);
            }
            right[b * TILE_COLUMNS + j] = value;
        }
        workgroupBarrier();
        multiply(thread, &sums);
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let n = tile.first_output + block_row(thread) + i;
        for (var j = 0u; j < 4u; j++) {
            let position = tile.first + block_column(thread) + j;
            if n >= layer.outputs {
                continue;
            }
            if position < depth {
                grads[layer.weight + n * layer.inputs + weight_column(layer, position)] += sums[i][j];
            } else if position == depth {
                grads[layer.bias + n] += sums[i][j];
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
    let depth = select(0u, seen(layer.own) + layer.sibling_width, exists);
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
