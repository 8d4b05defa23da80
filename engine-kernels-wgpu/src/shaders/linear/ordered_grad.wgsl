// The gradients of the ordered linear layer; behind ordered.wgsl.

@group(1) @binding(3) var<storage, read> input_params: array<f32>;
@group(1) @binding(4) var<storage, read> input_grad_output: array<f32>;
@group(1) @binding(5) var<storage, read_write> grad_columns: array<f32>;
@group(1) @binding(6) var<storage, read_write> grad_sub_columns: array<f32>;

// Position of a feature among the visible inputs of a layer, INVISIBLE where it is not one of them.
fn position_of(layer: Layer, tile: Tile, feature: u32) -> u32 {
    if tile.of_siblings == 0u {
        return position_in_order(layer.own, feature);
    }
    let within = feature - layer.siblings;
    return visible_count(layer.own) + select(INVISIBLE, within, within < layer.sibling_width);
}

// Positions of four features of a tile.
fn positions_of(layer: Layer, tile: Tile, feature: u32, end: u32) -> vec4<u32> {
    let features = four_of(feature, end);
    return vec4<u32>(
        position_of(layer, tile, features.x),
        position_of(layer, tile, features.y),
        position_of(layer, tile, features.z),
        position_of(layer, tile, features.w),
    );
}

// How many features of the tile are visible to a layer; they have neighbouring positions from that of the first.
fn visible_in_tile(layer: Layer, tile: Tile, end: u32) -> u32 {
    if tile.of_siblings == 1u {
        let visible_end = min(end, layer.siblings + layer.sibling_width);
        return max(visible_end, tile.first) - tile.first;
    }
    let before = position_in_order(layer.own, tile.first) & ~INVISIBLE;
    if end == FEATURES {
        return visible_count(layer.own) - before;
    }
    return (position_in_order(layer.own, end) & ~INVISIBLE) - before;
}

// The gradient of one output in four rows.
fn grad_rows(at: u32, row: u32) -> vec4<f32> {
    let i = four_rows(row) * OUTPUTS + at;
    return vec4<f32>(input_grad_output[i.x], input_grad_output[i.y], input_grad_output[i.z], input_grad_output[i.w]);
}

// Weights of one output in four columns of the weight.
fn weights_at(at: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(input_params[at.x], input_params[at.y], input_params[at.z], input_params[at.w]);
}

// Factors of four positions in one row, which has three blocks in `kept`.
fn factors_of_positions(row: u32, first_block: u32, positions: vec4<u32>) -> vec4<f32> {
    let at = row * 3u + min(positions / 16u - first_block, vec4<u32>(2u));
    return vec4<f32>(
        kept_factor(kept[at.x], positions.x),
        kept_factor(kept[at.y], positions.y),
        kept_factor(kept[at.z], positions.z),
        kept_factor(kept[at.w], positions.w),
    );
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
    let quad = thread / 32u;
    let feature = tile.first + thread % 8u * 4u;
    let features = four_of(feature, end);
    var totals: Sums;
    for (var s = tile.from_layer; s < tile.to_layer; s++) {
        let layer = layers[s];
        if visible_in_tile(layer, tile, end) == 0u {
            continue;
        }
        let positions = positions_of(layer, tile, feature, end);
        let is_visible = (positions & vec4<u32>(INVISIBLE)) == vec4<u32>(0u);
        let first_block = (position_of(layer, tile, tile.first) & ~INVISIBLE) / 16u;
        // Invisible features are not read: where they are siblings, their weights may lie outside.
        let own_column = select(features, FEATURES + features - layer.siblings, vec4<bool>(tile.of_siblings == 1u));
        let weight = layer.weight + select(vec4<u32>(0u), own_column, is_visible);
        var sums: Sums;
        for (var n = 0u; n < layer.outputs; n += TILE_DEPTH) {
            let own = n + thread % 32u;
            let at = layer.output + min(own, layer.outputs - 1u);
            let row = first_row + 4u * quad;
            let d0 = grad_rows(at, row);
            let d1 = grad_rows(at, row + 16u);
            let d2 = grad_rows(at, row + 32u);
            let d3 = grad_rows(at, row + 48u);
            let output = n + thread / 8u;
            let w0 = weights_at(weight + min(output, layer.outputs - 1u) * layer.inputs);
            let w1 = weights_at(weight + min(output + 16u, layer.outputs - 1u) * layer.inputs);
            if n == 0u && THRESHOLD > 0u {
                // The bits of the layer before are read no more behind the barrier at the end of its iteration.
                for (var i = thread; i < 192u; i += 128u) {
                    kept[i] = kept_units(first_row + i / 3u, s, first_block + i % 3u);
                }
            }
            let w0_visible = select(vec4<f32>(), w0, is_visible);
            let w1_visible = select(vec4<f32>(), w1, is_visible);
            workgroupBarrier();
            store_rows(thread, d0, d1, d2, d3, own < layer.outputs);
            store_terms_of_columns(thread, w0_visible, w1_visible, layer.outputs - n);
            multiply_stored(thread, layer.outputs - n, &sums);
        }
        for (var i = 0u; i < 4u; i++) {
            var factors = vec4<f32>(1.0);
            if THRESHOLD > 0u {
                factors = factors_of_positions(block_row(thread) + i, first_block, positions & vec4<u32>(~INVISIBLE));
            }
            totals[i] += sums[i] * factors;
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let row = first_row + block_row(thread) + i;
        for (var j = 0u; j < 4u; j++) {
            let own = feature + j;
            if row >= run.rows || own >= end {
                continue;
            }
            if tile.of_siblings == 1u {
                grad_sub_columns[row * SUB_FEATURES + own] = totals[i][j];
            } else {
                grad_columns[row * FEATURES + own] = totals[i][j];
            }
        }
    }
}

@group(1) @binding(5) var<storage, read> params_grad_output: array<f32>;
@group(1) @binding(6) var<storage, read_write> grads: array<f32>;

// Four outputs' gradients in one row.
fn outputs_of(layer: Layer, row: u32, n: u32) -> vec4<f32> {
    let i = min(row, run.rows - 1u) * OUTPUTS + layer.output + four_of(n, layer.outputs);
    return vec4<f32>(params_grad_output[i.x], params_grad_output[i.y], params_grad_output[i.z], params_grad_output[i.w]);
}

// Indices of the inputs at four neighbouring positions of a layer: features of columns, or of sub-columns where `of_siblings`.
struct InputIndices {
    features: vec4<u32>,
    of_siblings: vec4<bool>,
}

fn input_indices(layer: Layer, position: u32, depth: u32) -> InputIndices {
    let count = visible_count(layer.own);
    let positions = four_of(position, max(depth, 1u));
    let of_siblings = positions >= vec4<u32>(count);
    // A position behind the columns' gives some feature that is not used.
    let visible_positions = min(positions, vec4<u32>(max(count, 1u) - 1u));
    let features = vec4<u32>(
        visible_feature(layer.own, visible_positions.x),
        visible_feature(layer.own, visible_positions.y),
        visible_feature(layer.own, visible_positions.z),
        visible_feature(layer.own, visible_positions.w),
    );
    return InputIndices(select(features, layer.siblings + positions - count, of_siblings), of_siblings);
}

fn input_or_sibling(row: u32, feature: u32, of_siblings: bool) -> f32 {
    if of_siblings {
        return sub_columns[row * SUB_FEATURES + feature];
    }
    return columns[row * FEATURES + feature];
}

// The inputs of four positions in one row.
fn inputs_at(indices: InputIndices, b: u32) -> vec4<f32> {
    let row = min(b, run.rows - 1u);
    if any(indices.of_siblings) {
        return vec4<f32>(
            input_or_sibling(row, indices.features.x, indices.of_siblings.x),
            input_or_sibling(row, indices.features.y, indices.of_siblings.y),
            input_or_sibling(row, indices.features.z, indices.of_siblings.z),
            input_or_sibling(row, indices.features.w, indices.of_siblings.w),
        );
    }
    let at = row * FEATURES + indices.features;
    return vec4<f32>(columns[at.x], columns[at.y], columns[at.z], columns[at.w]);
}

// Four inputs of the layer in one of the 32 rows of `kept`: dropped out, and a one behind the last position.
fn dropped(inputs: vec4<f32>, row: u32, position: u32, depth: u32) -> vec4<f32> {
    let positions = vec4<u32>(position, position + 1u, position + 2u, position + 3u);
    let bits = kept[row * 2u + position % 32u / 16u];
    let factors = vec4<f32>(
        kept_factor(bits, position),
        kept_factor(bits, position + 1u),
        kept_factor(bits, position + 2u),
        kept_factor(bits, position + 3u),
    );
    return select(inputs * factors, vec4<f32>(1.0), positions == vec4<u32>(depth));
}

// Adds row `i` of a thread's block of sums to the gradients.
fn add_to_grads(number: u32, thread: u32, i: u32, values: vec4<f32>) {
    let tile = tiles[number];
    let layer = layers[tile.layer];
    let depth = depth_of(layer);
    let n = tile.first_output + block_row(thread) + i;
    if n >= layer.outputs {
        return;
    }
    for (var j = 0u; j < 4u; j++) {
        let position = tile.first + block_column(thread) + j;
        if position < depth {
            grads[layer.weight + n * layer.inputs + weight_column(layer, position)] += values[j];
        } else if position == depth {
            grads[layer.bias + n] += values[j];
        }
    }
}

// Whether a tile holds visible inputs, or the column of ones behind the last of them.
fn has_sums(number: u32) -> bool {
    let tile = tiles[number];
    return tile.first <= depth_of(layers[tile.layer]);
}

// Tiles of outputs by positions, the column of ones being the gradient of the bias, for a slice of the rows.
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
    if !has_sums(number) {
        return;
    }
    let tile = tiles[number];
    let layer = layers[tile.layer];
    let depth = depth_of(layer);
    let end = slice_start(group.y + 1u);
    let n = tile.first_output + thread % 16u * 4u;
    let position = tile.first + thread % 8u * 4u;
    let indices = input_indices(layer, position, depth);
    var sums: Sums;
    for (var first = slice_start(group.y); first < end; first += TILE_DEPTH) {
        let b = first + thread / 16u;
        let d0 = outputs_of(layer, b, n);
        let d1 = outputs_of(layer, b + 8u, n);
        let d2 = outputs_of(layer, b + 16u, n);
        let d3 = outputs_of(layer, b + 24u, n);
        let row = thread / 8u;
        let x0 = inputs_at(indices, first + row);
        let x1 = inputs_at(indices, first + row + 16u);
        if thread < 64u {
            kept[thread] = kept_units(first + thread / 2u, tile.layer, tile.first / 16u + thread % 2u);
        }
        workgroupBarrier();
        let u0 = dropped(x0, row, position, depth);
        let u1 = dropped(x1, row + 16u, position, depth);
        store_terms_of_rows(thread, d0, d1, d2, d3, end - first);
        store_terms_of_columns(thread, u0, u1, end - first);
        multiply_stored(thread, end - first, &sums);
    }
    store_sums(group.y, number, thread, &sums);
}
