// Kernels that show what the host check can do, and what it finds.
#include "common.cuh"

struct Values {
    const float* from;
    float* to;
    u32 len;
    u32 reserved;
};
LAYOUT(Values, 24);

// to[block] = sum of the block's 256 values, by shuffles within warps and a barrier between them.
KERNEL(sum_blocks, Values, 256) {
    SHARED float warps[8];
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = i < a.len ? a.from[i] : 0.0f;
    for (u32 lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, lanes);
    if (threadIdx.x % WARP == 0) warps[threadIdx.x / WARP] = sum;
    __syncthreads();
    if (threadIdx.x < WARP) {
        sum = threadIdx.x < 8 ? warps[threadIdx.x] : 0.0f;
        for (u32 lanes = 4; lanes > 0; lanes /= 2) sum += __shfl_down_sync(ALL_LANES, sum, lanes);
        if (threadIdx.x == 0) a.to[blockIdx.x] = sum;
    }
}

// The same without the barrier.
KERNEL(sum_blocks_without_barrier, Values, 256) {
    SHARED float warps[8];
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = i < a.len ? a.from[i] : 0.0f;
    for (u32 lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, lanes);
    if (threadIdx.x % WARP == 0) warps[threadIdx.x / WARP] = sum;
    if (threadIdx.x == 0) {
        for (u32 warp = 1; warp < 8; ++warp) sum += warps[warp];
        a.to[blockIdx.x] = sum;
    }
}

// to[i] = from[i] + 1, in the order of the blocks, through dynamic shared memory.
KERNEL(add_one, Values, 1024) {
    DYNAMIC_SHARED(values);
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    values[threadIdx.x] = i < a.len ? a.from[i] : 0.0f;
    __syncthreads();
    const u32 other = blockDim.x - 1 - threadIdx.x, at = blockIdx.x * blockDim.x + other;
    if (at < a.len) a.to[at] = values[other] + 1.0f;
}

// Warp operations of all kinds; to has 8 values a lane.
KERNEL(warp_operations, Values, 32) {
    const u32 lane = threadIdx.x;
    float* to = a.to + lane * 8;
    to[0] = (float)__shfl_sync(ALL_LANES, lane, 5);
    to[1] = (float)__shfl_up_sync(ALL_LANES, (int)lane, 3);
    to[2] = (float)__shfl_down_sync(ALL_LANES, (double)lane, 3);
    to[3] = (float)(__shfl_xor_sync(ALL_LANES, (u64)lane << 40, 8) >> 40);
    to[4] = (float)__popc(__ballot_sync(ALL_LANES, lane % 3 == 0));
    to[5] = (float)(__any_sync(ALL_LANES, lane == 7) + 2 * __all_sync(ALL_LANES, lane == 7));
    // Two halves of the warp by themselves.
    const u32 half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    to[6] = (float)__popc(__ballot_sync(half, lane > 20));
    to[7] = __shfl_sync(ALL_LANES, (float)lane, 3, 8);
}

// to[0] counts blocks by an atomic sum, to[1] becomes the number of the block that ran last.
KERNEL(depends_on_order, Values, 1) {
    atomicAdd(a.to, 1.0f);
    a.to[1] = (float)blockIdx.x;
}

KERNEL(barrier_in_a_branch, Values, 64) {
    if (threadIdx.x < 32) __syncthreads();
    __syncwarp();
    __syncthreads();
}

KERNEL(barrier_against_warp, Values, 32) {
    if (threadIdx.x == 3) {
        __syncthreads();
    } else {
        __syncwarp();
    }
}

KERNEL(uneven_loop, Values, 32) {
    for (u32 i = 0; i < 2 + threadIdx.x % 2; ++i) __syncthreads();
}

// Threads may leave before the first barrier.
KERNEL(early_return, Values, 64) {
    if (threadIdx.x >= a.len) return;
    __syncthreads();
    a.to[threadIdx.x] = 1.0f;
}

KERNEL(shuffle_from_outside, Values, 32) {
    if (threadIdx.x < 16) a.to[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.0f, 20);
}

KERNEL(overrun, Values, 1) { a.to[a.len] = 1.0f; }

KERNEL(underrun, Values, 1) { (a.to - 1)[0] = 1.0f; }

KERNEL(far_overrun, Values, 1) { a.to[a.len + 4096] = 1.0f; }

KERNEL(shared_overrun, Values, 1) {
    SHARED float values[4];
    values[a.len] = 1.0f;
    a.to[0] = values[0];
}

KERNEL(dynamic_overrun, Values, 1) {
    DYNAMIC_SHARED(values);
    values[a.len] = 1.0f;
}

KERNEL(unwritten_shared, Values, 1) {
    SHARED float values[4];
    DYNAMIC_SHARED(others);
    a.to[0] = values[0] + others[0];
    values[0] = others[0] = 1.0f;
}

KERNEL(misaligned, Values, 1) { a.to[0] = reinterpret_cast<const float4*>(a.from + 1)->x; }

KERNEL(divides_by_zero, Values, 1) { a.to[0] = (float)(7 / a.len); }

KERNEL(deep_stack, Values, 1) {
    volatile float large[1 << 15];
    large[a.len] = 1.0f;
    a.to[0] = large[0];
}
