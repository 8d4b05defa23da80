// Embedding lookups of all sub-columns at once, their gradient and its norm.

override WIDTH: u32 = 1u;
override SUB_COLUMNS: u32 = 1u;

// One feature of the output: sub-column, first element of its table, width of the table, place in its row.
@group(1) @binding(0) var<storage, read> features: array<vec4<u32>>;
@group(1) @binding(1) var<storage, read> params: array<f32>;
@group(1) @binding(2) var<storage, read> codes: array<u32>;
@group(1) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn embedding(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i >= run.rows * WIDTH {
        return;
    }
    let feature = features[i % WIDTH];
    let code = codes[i / WIDTH * SUB_COLUMNS + feature.x];
    y[i] = params[feature.y + code * feature.z + feature.w];
}

// A tile of codes by features of one table. `EmbeddingTile` of kernels/embedding.rs has the same fields.
struct Tile {
    sub_column: u32,
    sub_columns: u32,
    table: u32,
    cardinality: u32,
    width: u32,
    output: u32,
    output_stride: u32,
    first_code: u32,
    first_feature: u32,
    reserved_0: u32,
    reserved_1: u32,
    reserved_2: u32,
}

@group(1) @binding(0) var<storage, read> tiles: array<Tile>;
@group(1) @binding(1) var<storage, read> tile_codes: array<u32>;
@group(1) @binding(2) var<storage, read> grad_output: array<f32>;
@group(1) @binding(3) var<storage, read_write> grads: array<f32>;

// Codes of the rows at hand, counted from the first code of the tile.
var<workgroup> relative: array<u32, TILE_DEPTH>;

// The product of one-hot codes and gradients: every sum is one thread's, so it has one order, and no atomics are needed. Rows are
// not multiplied where none of them has a code of the tile.
@compute @workgroup_size(128)
fn embedding_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = tile_number(group, groups);
    if number >= TILES {
        return;
    }
    let tile = tiles[number];
    let b = thread / 8u;
    let n = thread % 8u;
    var sums: Sums;
    for (var first = 0u; first < run.rows; first += TILE_DEPTH) {
        if thread < TILE_DEPTH {
            // Rows that do not exist lie outside of every tile.
            var code = 0xffffffffu;
            if first + thread < run.rows {
                code = tile_codes[(first + thread) * tile.sub_columns + tile.sub_column] - tile.first_code;
            }
            relative[thread] = code;
        }
        workgroupBarrier();
        var any = false;
        for (var i = 0u; i < TILE_DEPTH; i++) {
            any = any || relative[i] < TILE_ROWS;
        }
        if any {
            for (var j = 0u; j < 8u; j++) {
                left[b * TILE_ROWS + n * 8u + j] = select(0.0, 1.0, relative[b] == n * 8u + j);
            }
            for (var j = 0u; j < 4u; j++) {
                let feature = tile.first_feature + n * 4u + j;
                var value = 0.0;
                if feature < tile.width && first + b < run.rows {
                    value = grad_output[(first + b) * tile.output_stride + tile.output + feature];
                }
                right[b * TILE_COLUMNS + n * 4u + j] = value;
            }
        }
        workgroupBarrier();
        if any {
            multiply(thread, &sums);
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let code = tile.first_code + block_row(thread) + i;
        for (var j = 0u; j < 4u; j++) {
            let feature = tile.first_feature + block_column(thread) + j;
            if code < tile.cardinality && feature < tile.width {
                grads[tile.table + code * tile.width + feature] += sums[i][j];
            }
        }
    }
}

// First feature of each sub-column, and their number at the end.
@group(1) @binding(0) var<storage, read> offsets: array<u32>;
@group(1) @binding(1) var<storage, read> norm_grad: array<f32>;
@group(1) @binding(2) var<storage, read_write> norms: array<f32>;

@compute @workgroup_size(64)
fn embedding_sq_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = lane_group(group, groups, thread);
    let exists = item < run.rows * SUB_COLUMNS;
    let s = item % SUB_COLUMNS;
    let start = item / SUB_COLUMNS * WIDTH + offsets[s];
    let width = select(0u, offsets[s + 1u] - offsets[s], exists);
    var sum = 0.0;
    for (var k = thread % LANES; k < width; k += LANES) {
        sum += norm_grad[start + k] * norm_grad[start + k];
    }
    sum = sum_lanes(thread, sum);
    if exists && thread % LANES == 0u {
        norms[item] = sum;
    }
}
