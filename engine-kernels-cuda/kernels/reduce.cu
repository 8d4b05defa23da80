// Sums over groups and rows, and the broadcasts that are their gradients.
#include "common.cuh"

struct Add {
    const float* x;
    const float* y;
    float* sum;
    u32 len;
    u32 reserved;
};
LAYOUT(Add, 32);

KERNEL(add, Add, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < a.len) a.sum[i] = a.x[i] + a.y[i];
}

struct RowsArgs {
    const float* x;
    const float* factor;  // [rows]
    float* y;
    u32 rows;
    u32 width;
};
LAYOUT(RowsArgs, 32);

// y[b] = sum over k of x[b, k]; a warp sums a row.
KERNEL(sum_groups, RowsArgs, 256) {
    const u32 b = blockIdx.x * 8 + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (b >= a.rows) return;
    float sum = 0.0f;
    for (u32 k = lane; k < a.width; k += WARP) sum += a.x[(u64)b * a.width + k];
    sum = warp_sum(sum);
    if (lane == 0) a.y[b] = sum;
}

// y[b, k] = x[b]
KERNEL(broadcast_groups, RowsArgs, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < a.rows * a.width) a.y[i] = a.x[i / a.width];
}

// y[b, k] = factor[b] x[b, k]
KERNEL(scale_rows, RowsArgs, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < a.rows * a.width) a.y[i] = a.factor[i / a.width] * a.x[i];
}

struct FillRows {
    float* y;
    u32 rows;
    float value;
};
LAYOUT(FillRows, 16);

KERNEL(fill_rows, FillRows, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i < a.rows) a.y[i] = a.value;
}

struct RecordSum {
    const float* x;  // [rows, width]
    float* trace;
    const Steps* steps;
    u32 rows;
    u32 width;
};
LAYOUT(RecordSum, 32);

// One block sums all of x in one order.
KERNEL(record_sum, RecordSum, 1024) {
    SHARED float sums[WARP];
    const u32 lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const u32 len = a.rows * a.width;
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < len; i += 1024) sum += a.x[i];
    sum = warp_sum(sum);
    if (lane == 0) sums[warp] = sum;
    __syncthreads();
    if (warp == 0) {
        sum = warp_sum(sums[lane]);
        if (lane == 0) a.trace[current(a.steps).step_in_run] = sum;
    }
}
