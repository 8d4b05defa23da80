// The grouped linear layer: every group has its own weight and bias, or passes through.

// A tile of the result in one group. `GroupedTile` of kernels/linear/grouped.rs has the same fields.
struct Tile {
    input: u32,
    inputs: u32,
    input_stride: u32,
    output: u32,
    outputs: u32,
    output_stride: u32,
    weight: u32,
    bias: u32,
    // First row of the weight (an output), then first column (an input), as far as the tile has them.
    first_output: u32,
    first_input: u32,
    // 1 for a group without a layer.
    passes: u32,
    reserved: u32,
}

@group(1) @binding(0) var<storage, read> tiles: array<Tile>;
@group(1) @binding(1) var<storage, read> params: array<f32>;
@group(1) @binding(2) var<storage, read> x: array<f32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

// Column `at` of four rows of `x`.
fn x_rows(at: u32, row: u32, stride: u32) -> vec4<f32> {
    let i = at + four_rows(row) * stride;
    return vec4<f32>(x[i.x], x[i.y], x[i.z], x[i.w]);
}

// Four elements of `params` that are `stride` apart, from element `first` of `count`.
fn params_along(at: u32, first: u32, count: u32, stride: u32) -> vec4<f32> {
    let i = at + four_of(first, count) * stride;
    return vec4<f32>(params[i.x], params[i.y], params[i.z], params[i.w]);
}

// Tiles of rows by outputs.
@compute @workgroup_size(128)
fn grouped_linear(
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
    let depth = select(tile.inputs, 0u, tile.passes == 1u);
    let quad = thread / 32u;
    var sums: Sums;
    for (var k = 0u; k < depth; k += TILE_DEPTH) {
        let own = k + thread % 32u;
        let exists = own < depth;
        let input = min(own, depth - 1u);
        let row = first_row + 4u * quad;
        let x0 = x_rows(tile.input + input, row, tile.input_stride);
        let x1 = x_rows(tile.input + input, row + 16u, tile.input_stride);
        let x2 = x_rows(tile.input + input, row + 32u, tile.input_stride);
        let x3 = x_rows(tile.input + input, row + 48u, tile.input_stride);
        let output = tile.first_output + 4u * quad;
        let w0 = params_along(tile.weight + input, output, tile.outputs, tile.inputs);
        let w1 = params_along(tile.weight + input, output + 16u, tile.outputs, tile.inputs);
        workgroupBarrier();
        store_rows(thread, x0, x1, x2, x3, exists);
        store_columns(thread, w0, w1, exists);
        multiply_stored(thread, depth - k, &sums);
    }
    for (var i = 0u; i < 4u; i++) {
        let row = first_row + block_row(thread) + i;
        for (var j = 0u; j < 4u; j++) {
            let n = tile.first_output + block_column(thread) + j;
            if row >= run.rows || n >= tile.outputs {
                continue;
            }
            var value = 0.0;
            if tile.passes == 1u {
                value = x[row * tile.input_stride + tile.input + n];
            } else {
                value = sums[i][j] + params[tile.bias + n];
            }
            y[row * tile.output_stride + tile.output + n] = value;
        }
    }
}

// Tiles of rows by inputs; `x` is the gradient of the output.
@compute @workgroup_size(128)
fn grouped_linear_grad_input(
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
    let depth = select(tile.outputs, 0u, tile.passes == 1u);
    let quad = thread / 32u;
    let input = tile.first_input + thread % 8u * 4u;
    var sums: Sums;
    for (var n = 0u; n < depth; n += TILE_DEPTH) {
        let own = n + thread % 32u;
        let exists = own < depth;
        let at = tile.output + min(own, depth - 1u);
        let row = first_row + 4u * quad;
        let x0 = x_rows(at, row, tile.output_stride);
        let x1 = x_rows(at, row + 16u, tile.output_stride);
        let x2 = x_rows(at, row + 32u, tile.output_stride);
        let x3 = x_rows(at, row + 48u, tile.output_stride);
        let output = n + thread / 8u;
        let w0 = params_along(tile.weight + min(output, depth - 1u) * tile.inputs, input, tile.inputs, 1u);
        let w1 = params_along(tile.weight + min(output + 16u, depth - 1u) * tile.inputs, input, tile.inputs, 1u);
        workgroupBarrier();
        store_rows(thread, x0, x1, x2, x3, exists);
        store_terms_of_columns(thread, w0, w1, depth - n);
        multiply_stored(thread, depth - n, &sums);
    }
    for (var i = 0u; i < 4u; i++) {
        let row = first_row + block_row(thread) + i;
        for (var j = 0u; j < 4u; j++) {
            let k = tile.first_input + block_column(thread) + j;
            if row >= run.rows || k >= tile.inputs {
                continue;
            }
            var value = sums[i][j];
            if tile.passes == 1u {
                value = x[row * tile.output_stride + tile.output + k];
            }
            y[row * tile.input_stride + tile.input + k] = value;
        }
    }
}

@group(1) @binding(0) var<storage, read> grad_tiles: array<Tile>;
@group(1) @binding(1) var<storage, read> grad_x: array<f32>;
@group(1) @binding(2) var<storage, read> grad_output: array<f32>;
@group(1) @binding(3) var<storage, read_write> grads: array<f32>;

// Four outputs' gradients in one row.
fn outputs_of(tile: Tile, row: u32, n: u32) -> vec4<f32> {
    let i = min(row, run.rows - 1u) * tile.output_stride + tile.output + four_of(n, tile.outputs);
    return vec4<f32>(grad_output[i.x], grad_output[i.y], grad_output[i.z], grad_output[i.w]);
}

// Four inputs in one row; behind the last stands a one.
fn inputs_of(tile: Tile, row: u32, k: u32) -> vec4<f32> {
    // A group without inputs has its bias alone: any value of the row does in place of an input.
    let i = min(row, run.rows - 1u) * tile.input_stride + tile.input + four_of(k, max(tile.inputs, 1u));
    let values = vec4<f32>(grad_x[i.x], grad_x[i.y], grad_x[i.z], grad_x[i.w]);
    return select(values, vec4<f32>(1.0), vec4<u32>(k, k + 1u, k + 2u, k + 3u) == vec4<u32>(tile.inputs));
}

// Adds row `i` of a thread's block of sums to the gradients.
fn add_to_grads(number: u32, thread: u32, i: u32, values: vec4<f32>) {
    let tile = grad_tiles[number];
    let n = tile.first_output + block_row(thread) + i;
    if n >= tile.outputs {
        return;
    }
    for (var j = 0u; j < 4u; j++) {
        let k = tile.first_input + block_column(thread) + j;
        if k < tile.inputs {
            grads[tile.weight + n * tile.inputs + k] += values[j];
        } else if k == tile.inputs {
            grads[tile.bias + n] += values[j];
        }
    }
}

fn has_sums(number: u32) -> bool {
    return true;
}

// Tiles of outputs by inputs, the column of ones being the gradient of the bias, for a slice of the rows.
@compute @workgroup_size(128)
fn grouped_linear_grad_params(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = tile_number(group, groups);
    if number >= TILES {
        return;
    }
    let tile = grad_tiles[number];
    let end = slice_start(group.y + 1u);
    let n = tile.first_output + thread % 16u * 4u;
    let k = tile.first_input + thread % 8u * 4u;
    var sums: Sums;
    for (var first = slice_start(group.y); first < end; first += TILE_DEPTH) {
        let b = first + thread / 16u;
        let d0 = outputs_of(tile, b, n);
        let d1 = outputs_of(tile, b + 8u, n);
        let d2 = outputs_of(tile, b + 16u, n);
        let d3 = outputs_of(tile, b + 24u, n);
        let row = first + thread / 8u;
        let x0 = inputs_of(tile, row, k);
        let x1 = inputs_of(tile, row + 16u, k);
        workgroupBarrier();
        store_terms_of_rows(thread, d0, d1, d2, d3, end - first);
        store_terms_of_columns(thread, x0, x1, end - first);
        multiply_stored(thread, end - first, &sums);
    }
    store_sums(group.y, number, thread, &sums);
}

// One group with a layer. `NormGroup` of kernels/linear/grouped.rs has the same fields.
struct Group {
    input: u32,
    inputs: u32,
    output: u32,
    outputs: u32,
}

override LAYERS: u32 = 1u;
override INPUT_WIDTH: u32 = 1u;
override OUTPUT_WIDTH: u32 = 1u;

@group(1) @binding(0) var<storage, read> norm_groups: array<Group>;
@group(1) @binding(1) var<storage, read> norm_x: array<f32>;
@group(1) @binding(2) var<storage, read> norm_grad: array<f32>;
@group(1) @binding(3) var<storage, read_write> norms: array<f32>;

@compute @workgroup_size(64)
fn grouped_linear_sq_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = lane_group(group, groups, thread);
    let row = item / LAYERS;
    let layer = norm_groups[item % LAYERS];
    let exists = row < run.rows;
    let lane = thread % LANES;
    var xx = 0.0;
    for (var k = lane; k < select(0u, layer.inputs, exists); k += LANES) {
        let value = norm_x[row * INPUT_WIDTH + layer.input + k];
        xx += value * value;
    }
    var dd = 0.0;
    for (var n = lane; n < select(0u, layer.outputs, exists); n += LANES) {
        let value = norm_grad[row * OUTPUT_WIDTH + layer.output + n];
        dd += value * value;
    }
    xx = sum_lanes(thread, xx);
    dd = sum_lanes(thread, dd);
    if exists && lane == 0u {
        norms[2u * item] = xx * dd;
        norms[2u * item + 1u] = dd;
    }
}
