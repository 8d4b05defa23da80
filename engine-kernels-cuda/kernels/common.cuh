// What all kernels share: types, the entry macro, random numbers, the state of a step.
#pragma once

#ifdef ENGINE_HOST
#include "host.h"
#else
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
// Every kernel takes one struct by value; its layout is asserted here and in Rust.
#define KERNEL(name, Args, threads) extern "C" __global__ void __launch_bounds__(threads) name(const Args a)
#define SHARED __shared__
#define DYNAMIC_SHARED(name) extern __shared__ float4 name##_raw[]; float* name = reinterpret_cast<float*>(name##_raw)
#define DEVICE __device__ __forceinline__
#endif

#define LAYOUT(Args, bytes) static_assert(sizeof(Args) == bytes, "the layout of " #Args " differs from that in Rust")

const u32 WARP = 32;
const u32 ALL_LANES = 0xffffffffu;

// Scalars of one step, computed by the host for each step of a run.
struct Step {
    u64 seed;
    u64 first_row;  // of this device
    u32 step;
    u32 step_in_run;
    float decay;                    // AdamW: 1 - learning_rate weight_decay
    float step_size;                // AdamW: learning_rate / (1 - beta1^t)
    float inverse_sqrt_correction;  // AdamW: 1 / sqrt(1 - beta2^t)
    u32 row_offset;                 // rows of the batch that other devices hold before this one's
    u32 rows;                       // of the batch, on this device
    u32 first_time;                 // number of the first time step
};
LAYOUT(Step, 48);

// The steps of a run and the number of the one that runs now.
struct Steps {
    u32 now;
    u32 reserved;
    Step steps[1];
};

// The first code outside its cardinality, as (sub-column + 1) << 32 | code; 0 when there is none.
struct Fault {
    u64 code;
};

DEVICE const Step& current(const Steps* steps) { return steps->steps[steps->now]; }

// Where a row of a value stands. Values with time are time-major: one time step of all rows after another.
struct RowPlace {
    u32 batch_row;  // of this device
    u32 time;
};

DEVICE RowPlace row_place(const Step& step, u32 row) {
    RowPlace place = {row, step.first_time};
    if (row >= step.rows && step.rows != 0) {
        place.batch_row = row % step.rows;
        place.time += row / step.rows;
    }
    return place;
}

DEVICE void report_fault(Fault* fault, u32 sub_column, u32 code) {
    atomicMax(&fault->code, (u64)(sub_column + 1) << 32 | code);
}

// Sums over the lanes of a warp; every lane gets the sum, always added in the same order.
DEVICE float warp_sum(float x) {
#pragma unroll
    for (u32 distance = WARP / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(ALL_LANES, x, distance);
    return x;
}

DEVICE float warp_max(float x) {
#pragma unroll
    for (u32 distance = WARP / 2; distance > 0; distance /= 2) {
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, distance));
    }
    return x;
}

// |x|^2 of `width` numbers, by one warp.
DEVICE float sum_of_squares(const float* x, u32 width, u32 lane) {
    float sum = 0.0f;
    for (u32 k = lane; k < width; k += WARP) sum += x[k] * x[k];
    return warp_sum(sum);
}
