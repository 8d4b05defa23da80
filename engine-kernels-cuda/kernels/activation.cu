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

// Where a feature stands.
struct DropoutPlace {
    u32 group;
    u32 position;  // within the group
};
LAYOUT(DropoutPlace, 8);

struct DropoutArgs {
    const float* x;
    float* y;
    const DropoutPlace* places;  // [width]
    const Steps* steps;
    Dropout dropout;
    u32 rows;
    u32 width;
};
LAYOUT(DropoutArgs, 56);

// A thread finds the random words of its 16 positions alone: that costs less than loads that are not contiguous.
KERNEL(dropout, DropoutArgs, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.rows * a.width) return;
    const u32 b = i / a.width;
    const DropoutPlace place = a.places[i % a.width];
    const Words words = dropout_words(a.dropout, current(a.steps), b, place.group, place.position / 16);
    a.y[i] = a.x[i] * dropout_factor(a.dropout, byte_of(words, place.position % 16));
}
