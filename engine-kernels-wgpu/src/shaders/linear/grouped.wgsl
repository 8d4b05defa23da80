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

// Loads sixteen columns of 64 rows of a matrix whose rows lie `stride` apart.
fn load_rows(thread: u32, first_row: u32, start: u32, stride: u32, column: u32, width: u32) {
    let row = first_row + thread / 2u;
    for (var j = thread % 2u * 8u; j < thread % 2u * 8u + 8u; j++) {
        var value = 0.0;
        if row < run.rows && column + j < width {
            value = x[row * stride + start + column + j];
        }
        left[j * TILE_ROWS + thread / 2u] = value;
    }
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
    var sums: Sums;
    for (var k = 0u; k < depth; k += TILE_DEPTH) {
        load_rows(thread, first_row, tile.input, tile.input_stride, k, depth);
        let n = tile.first_output + thread / 4u;
        for (var j = thread % 4u * 4u; j < thread % 4u * 4u + 4u; j++) {
            var value = 0.0;
            if n < tile.outputs && k + j < depth {
                value = params[tile.weight + n * tile.inputs + k + j];
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
    var sums: Sums;
    for (var n = 0u; n < depth; n += TILE_DEPTH) {
        load_rows(thread, first_row, tile.output, tile.output_stride, n, depth);
        let output = n + thread / 8u;
        for (var j = thread % 8u * 4u; j < thread % 8u * 4u + 4u; j++) {
            let input = tile.first_input + j;
            var value = 0.0;
            if output < depth && input < tile.inputs {
                value = params[tile.weight + output * tile.inputs + input];
            }
            right[thread / 8u * TILE_COLUMNS + j] = value;
        }
        workgroupBarrier();
        multiply(thread, &sums);
        workgroupBarrier();
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

// Tiles of outputs by inputs; behind the last input stands a one, whose column is the gradient of the bias.
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
    var sums: Sums;
    for (var first = 0u; first < run.rows; first += TILE_DEPTH) {
        let b = thread / 8u;
        let row = first + b;
        for (var j = thread % 8u * 8u; j < thread % 8u * 8u + 8u; j++) {
            let n = tile.first_output + j;
            var value = 0.0;
            if row < run.rows && n < tile.outputs {
                value = grad_output[row * tile.output_stride + tile.output + n];
            }
            left[b * TILE_ROWS + j] = value;
        }
        for (var j = thread % 8u * 4u; j < thread % 8u * 4u + 4u; j++) {
            let k = tile.first_input + j;
            var value = select(0.0, 1.0, k == tile.inputs);
            if row < run.rows && k < tile.inputs {
                value = grad_x[row * tile.input_stride + tile.input + k];
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
            let k = tile.first_input + block_column(thread) + j;
            if n >= tile.outputs {
                continue;
            }
            if k < tile.inputs {
                grads[tile.weight + n * tile.inputs + k] += sums[i][j];
            } else if k == tile.inputs {
                grads[tile.bias + n] += sums[i][j];
            }
        }
    }
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
