// The grouped linear layer: every group has its own weight and bias, or passes through.
#include "linear_product.cuh"

struct LinearGroup {
    u32 weight;   // [outputs, inputs] in the arena
    u32 bias;     // [outputs] in the arena
    u32 input;    // first input feature
    u32 inputs;
    u32 output;   // first output feature
    u32 outputs;
    u32 passes;   // 1: no layer, the input is passed through
    u32 layer;    // number among the groups with a layer
};
LAYOUT(LinearGroup, 32);

// A tile of a group's results.
struct LinearJob {
    u32 group;
    u32 first;    // column of the tile
    u32 second;   // row of the tile, for gradients of weights
    u32 reserved;
};
LAYOUT(LinearJob, 16);

struct GroupedLinear {
    const float* params;
    const float* x;       // [rows, input_width]; grad_output for grouped_linear_grad_input
    float* y;             // [rows, output_width]; grad_x for grouped_linear_grad_input
    const float* gate;    // shaped as y: where it is not above zero, y is zero (the gradient of relu); null without
    const LinearGroup* groups;
    const LinearJob* jobs;
    u32 rows;
    u32 input_width;
    u32 output_width;
    u32 relu;             // 1: y is rectified
};
LAYOUT(GroupedLinear, 64);

DEVICE float gated(const GroupedLinear& a, u64 at, float value) {
    if (a.relu) value = value < 0.0f ? 0.0f : value;
    return a.gate != 0 && !(a.gate[at] > 0.0f) ? 0.0f : value;
}

DEVICE void pass_through(const GroupedLinear& a, u32 from, u32 to, u32 columns, u32 row0) {
    for (u32 e = threadIdx.x; e < TILE_ROWS * TILE_COLS; e += TILE_THREADS) {
        const u32 b = row0 + e / TILE_COLS, k = e % TILE_COLS;
        if (b >= a.rows || k >= columns) continue;
        const u64 at = (u64)b * a.output_width + to + k;
        a.y[at] = gated(a, at, a.x[(u64)b * a.input_width + from + k]);
    }
}

KERNEL(grouped_linear, GroupedLinear, 128) {
    SHARED float4 x_raw[TILE_ROWS * TILE_STRIDE / 4], w_raw[TILE_COLS * TILE_STRIDE / 4];
    float *xs = &x_raw[0].x, *ws = &w_raw[0].x;
    const LinearJob job = a.jobs[blockIdx.x];
    const LinearGroup group = a.groups[job.group];
    const u32 row0 = blockIdx.y * TILE_ROWS, columns = min(TILE_COLS, group.outputs - job.first);
    if (group.passes) {
        pass_through(a, group.input + job.first, group.output + job.first, columns, row0);
        return;
    }
    Tile tile;
    clear(tile);
    const float* weight = a.params + group.weight + (u64)job.first * group.inputs;
    const float* x = a.x + (u64)row0 * a.input_width + group.input;
    FetchedTile next_x;
    FetchedWeights next_w;
    for (u32 k0 = 0; k0 < group.inputs; k0 += TILE_DEPTH) {
        const u32 depth = min(TILE_DEPTH, group.inputs - k0);
        fetch_tile(next_x, x + k0, a.input_width, a.rows - row0, depth);
        fetch_tile(next_w, weight + k0, group.inputs, columns, depth);
        store_tile(next_x, xs);
        store_tile(next_w, ws);
        __syncthreads();
        product_of_rows(tile, xs, ws, (depth + 3) / 4 * 4);
        __syncthreads();
    }
#pragma unroll
    for (u32 j = 0; j < 4; ++j) {
        const u32 n = tile_column_strided(j);
        if (n >= columns) continue;
        const float bias = a.params[group.bias + job.first + n];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const u32 b = row0 + tile_row(i);
            const u64 at = (u64)b * a.output_width + group.output + job.first + n;
            if (b < a.rows) a.y[at] = gated(a, at, tile.sums[i][j] + bias);
        }
    }
}

KERNEL(grouped_linear_grad_input, GroupedLinear, 128) {
    SHARED float4 d_raw[TILE_ROWS * HALF_STRIDE / 4], w_raw[HALF_DEPTH * TILE_STRIDE / 4];
    float *ds = &d_raw[0].x, *ws = &w_raw[0].x;
    const LinearJob job = a.jobs[blockIdx.x];
    const LinearGroup group = a.groups[job.group];
    const u32 row0 = blockIdx.y * TILE_ROWS, columns = min(TILE_COLS, group.inputs - job.first);
    if (group.passes) {
        pass_through(a, group.output + job.first, group.input + job.first, columns, row0);
        return;
    }
    Tile tile;
    clear(tile);
    const float* weight = a.params + group.weight + job.first;
    const float* d = a.x + (u64)row0 * a.input_width + group.output;
    FetchedHalf next_d;
    FetchedTile next_w;
    fetch_half(next_d, d, a.input_width, a.rows - row0, group.outputs);
    fetch_tile(next_w, weight, group.inputs, group.outputs, columns);
    for (u32 n0 = 0; n0 < group.outputs; n0 += HALF_DEPTH) {
        const u32 depth = min(HALF_DEPTH, group.outputs - n0), n1 = n0 + depth;
        store_half(next_d, ds);
        store_tile(next_w, ws);
        __syncthreads();
        // The next step's values are loaded while this one's are multiplied.
        fetch_half(next_d, d + n1, a.input_width, a.rows - row0, group.outputs - n1);
        fetch_tile(next_w, weight + (u64)n1 * group.inputs, group.inputs, group.outputs - n1, columns);
        product_of_rows_and_columns(tile, ds, ws, (depth + 3) / 4 * 4);
        __syncthreads();
    }
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const u32 b = row0 + tile_row(i);
        if (b >= a.rows) continue;
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            const u32 k = tile_column(j);
            const u64 at = (u64)b * a.output_width + group.input + job.first + k;
            if (k < columns) a.y[at] = gated(a, at, tile.sums[i][j]);
        }
    }
}

struct GroupedLinearGradParams {
    float* grads;
    const float* x;            // [rows, input_width]
    const float* grad_output;  // [rows, output_width]
    const LinearGroup* groups;
    const LinearJob* jobs;
    Split split;
    u32 rows;
    u32 input_width;
    u32 output_width;
    u32 reserved;
};
LAYOUT(GroupedLinearGradParams, 72);

KERNEL(grouped_linear_grad_params, GroupedLinearGradParams, 128) {
    SHARED float4 d_raw[TILE_ROWS * HALF_STRIDE / 4], x_raw[TILE_ROWS * TILE_STRIDE / 4];
    float *ds = &d_raw[0].x, *xs = &x_raw[0].x;
    const LinearJob job = a.jobs[blockIdx.x];
    const LinearGroup group = a.groups[job.group];
    const u32 own_split = blockIdx.y, split_count = gridDim.y;
    const u32 columns = min(TILE_COLS, group.inputs - job.first);
    const u32 outputs = min(TILE_ROWS, group.outputs - job.second);
    const u32 end = split_start(a.rows, own_split + 1, split_count);
    Tile tile;
    clear(tile);
    float bias = 0.0f;
    const float* d = a.grad_output + group.output + job.second;
    const float* x = a.x + group.input + job.first;
    FetchedHalf next_d;
    FetchedTile next_x;
    u32 row0 = split_start(a.rows, own_split, split_count);
    fetch_half(next_d, d + (u64)row0 * a.output_width, a.output_width, end - row0, outputs);
    fetch_tile(next_x, x + (u64)row0 * a.input_width, a.input_width, end - row0, columns);
    while (row0 < end) {
        store_half(next_d, ds);
        store_tile(next_x, xs);
        __syncthreads();
        // The next step's values are loaded while this one's are multiplied.
        row0 += TILE_ROWS;
        const u32 rows = row0 < end ? end - row0 : 0;
        fetch_half(next_d, d + (u64)row0 * a.output_width, a.output_width, rows, outputs);
        fetch_tile(next_x, x + (u64)row0 * a.input_width, a.input_width, rows, columns);
        product_of_columns(tile, ds, xs, TILE_ROWS);
        if (threadIdx.x < TILE_ROWS) {
            for (u32 row = 0; row < TILE_ROWS; ++row) bias += ds[row * HALF_STRIDE + threadIdx.x];
        }
        __syncthreads();
    }
    if (!reduce_splits(a.split, blockIdx.x, own_split, split_count, tile, bias)) return;
    if (job.first == 0 && threadIdx.x < outputs) a.grads[group.bias + job.second + threadIdx.x] += bias;
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const u32 n = tile_row(i);
        if (n >= outputs) continue;
        float* row = a.grads + group.weight + (u64)(job.second + n) * group.inputs + job.first;
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            const u32 k = tile_column(j);
            if (k < columns) row[k] += tile.sums[i][j];
        }
    }
}

struct GroupedLinearSqNorm {
    const float* x;            // [rows, input_width]
    const float* grad_output;  // [rows, output_width]
    const LinearGroup* groups;
    float* y;                  // [rows, 2 layers]
    u32 rows;
    u32 input_width;
    u32 output_width;
    u32 count;   // of groups
    u32 layers;
    u32 reserved;
};
LAYOUT(GroupedLinearSqNorm, 56);

// A warp works on one group of one row.
KERNEL(grouped_linear_sq_norm, GroupedLinearSqNorm, 256) {
    const u32 item = blockIdx.x * 8 + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (item >= a.rows * a.count) return;
    const u32 b = item / a.count;
    const LinearGroup group = a.groups[item % a.count];
    if (group.passes) return;
    const float xx = sum_of_squares(a.x + (u64)b * a.input_width + group.input, group.inputs, lane);
    const float dd = sum_of_squares(a.grad_output + (u64)b * a.output_width + group.output, group.outputs, lane);
    if (lane == 0) {
        float* y = a.y + (u64)b * 2 * a.layers + 2 * group.layer;
        y[0] = xx * dd;
        y[1] = dd;
    }
}
