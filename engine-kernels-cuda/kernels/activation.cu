// Activations: relu and dropout.
#include "random.cuh"

struct Relu {
    const float* x;
    float* y;
    u32 len;
    u32 reserved;
};
LAYOUT(Relu, 24);

// NaN stays NaN.
KERNEL(relu, Relu, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.len) return;
    const float x = a.x[i];
    a.y[i] = x < 0.0f ? 0.0f : x;
}

struct ReluGrad {
    const float* y;
    const float* grad_output;
    float* grad_x;
    u32 len;
    u32 reserved;
};
LAYOUT(ReluGrad, 32);

KERNEL(relu_grad, ReluGrad, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.len) return;
    a.grad_x[i] = a.y[i] > 0.0f ? a.grad_output[i] : 0.0f;
}

// Sixteen positions of a group, decided by one block of random words.
struct DropoutChunk {
    u32 group;
    u32 chunk;    // position / 16
    u32 feature;  // of the first position
    u32 count;    // 1 to 16
};
LAYOUT(DropoutChunk, 16);

struct DropoutArgs {
    const float* x;
    float* y;
    const DropoutChunk* chunks;
    const Steps* steps;
    Dropout dropout;
    u32 rows;
    u32 width;
    u32 count;  // of chunks
    u32 reserved;
};
LAYOUT(DropoutArgs, 64);

KERNEL(dropout, DropoutArgs, 256) {
    const u32 item = blockIdx.x * 256 + threadIdx.x;
    if (item >= a.rows * a.count) return;
    const u32 b = item / a.count;
    const DropoutChunk chunk = a.chunks[item % a.count];
    const Words words = dropout_words(a.dropout, current(a.steps), b, chunk.group, chunk.chunk);
    const u64 at = (u64)b * a.width + chunk.feature;
#pragma unroll
    for (u32 i = 0; i < 16; ++i) {
        const u32 byte = words.w[i / 4] >> (8 * (i % 4)) & 0xff;
        if (i < chunk.count) a.y[at + i] = a.x[at + i] * dropout_factor(a.dropout, byte);
    }
}
