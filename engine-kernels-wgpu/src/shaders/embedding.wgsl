// Embedding lookups of all sub-columns at once, their gradient and its norm.

override WIDTH: u32 = 1u;
override SUB_COLUMNS: u32 = 1u;

// One feature of the output: sub-column, first element of its table, width of the table, column in its row.
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

// Codes of the rows at hand, counted from the first code of the tile, and the gradients of the rows that have one.
var<workgroup> relative: array<u32, TILE_DEPTH>;
var<workgroup> signal: array<f32, 1024>;
// Sums of the tile: features of a code are contiguous.
var<workgroup> totals: array<f32, 2048>;

fn load_signal(tile: Tile, first: u32, b: u32, feature: u32) {
    var value = 0.0;
    if relative[b] < TILE_ROWS && feature < tile.width {
        value = grad_output[(first + b) * tile.output_stride + tile.output + feature];
    }
    signal[b * TILE_COLUMNS + feature - tile.first_feature] = value;
}

fn has_sums(number: u32) -> bool {
    return true;
}

// Adds row `i` of a thread's block of sums to the gradients.
fn add_to_grads(number: u32, thread: u32, i: u32, values: vec4<f32>) {
    let tile = tiles[number];
    let code = tile.first_code + block_row(thread) + i;
    for (var j = 0u; j < 4u; j++) {
        let feature = tile.first_feature + block_column(thread) + j;
        if code < tile.cardinality && feature < tile.width {
            grads[tile.table + code * tile.width + feature] += values[j];
        }
    }
}

// Sums of a tile over a slice of the rows: each is one thread's, which adds the rows in their order, so no atomics are needed. A
// thread has one feature and a quarter of the codes.
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
    let column = thread % 32u;
    let quarter = thread / 32u;
    for (var code = quarter * 16u; code < quarter * 16u + 16u; code++) {
        totals[code * TILE_COLUMNS + column] = 0.0;
    }
    let end = slice_start(group.y + 1u);
    for (var first = slice_start(group.y); first < end; first += TILE_DEPTH) {
        workgroupBarrier();
        if thread < TILE_DEPTH {
            // Rows that do not exist lie outside of every tile.
            var code = 0xffffffffu;
            if first + thread < end {
                code = tile_codes[(first + thread) * tile.sub_columns + tile.sub_column] - tile.first_code;
            }
            relative[thread] = code;
        }
        workgroupBarrier();
        let feature = tile.first_feature + column;
        for (var i = 0u; i < 8u; i++) {
            load_signal(tile, first, quarter + 4u * i, feature);
        }
        workgroupBarrier();
        for (var b = 0u; b < TILE_DEPTH; b++) {
            let code = relative[b];
            if code / 16u == quarter {
                totals[code * TILE_COLUMNS + column] += signal[b * TILE_COLUMNS + column];
            }
        }
    }
    workgroupBarrier();
    var sums: Sums;
    for (var i = 0u; i < 4u; i++) {
        let at = (block_row(thread) + i) * TILE_COLUMNS + block_column(thread);
        sums[i] = vec4<f32>(totals[at], totals[at + 1u], totals[at + 2u], totals[at + 3u]);
    }
    store_sums(group.y, number, thread, &sums);
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
