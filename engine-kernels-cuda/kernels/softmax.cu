// Softmax of all sub-columns at once, and its cross-entropy. A warp works on one group of one row.
#include "common.cuh"

struct Softmax {
    const float* logits;  // [rows, width]
    const u32* codes;     // [rows, groups]; null for the softmax alone
    const u32* offsets;   // [groups + 1] first feature of each group
    float* losses;        // [rows, groups]; null for the softmax alone
    float* probs;         // [rows, width]; gradients for softmax_cross_entropy_with_grad
    Fault* fault;
    u32 rows;
    u32 width;
    u32 groups;
    float weight;         // of each loss, for softmax_cross_entropy_with_grad
};
LAYOUT(Softmax, 64);

// Groups up to this many times 32 wide stay in registers.
const u32 HELD = 4;

// What is stored of a probability: itself, or the gradient of the weighted loss.
DEVICE float stored(const Softmax& a, bool with_grad, float p, bool hit) {
    return with_grad ? a.weight * (p - (hit ? 1.0f : 0.0f)) : p;
}

// Softmax of a narrow group; returns the largest logit and the sum of exponentials.
DEVICE float2 narrow_softmax(const Softmax& a, const float* logits, float* probs, u32 width, u32 target, bool with_grad, u32 lane) {
    float values[HELD];
    float largest = __uint_as_float(0xff800000u), sum = 0.0f;
#pragma unroll
    for (u32 i = 0; i < HELD; ++i) {
        const u32 v = lane + i * WARP;
        values[i] = v < width ? logits[v] : __uint_as_float(0xff800000u);
        largest = fmaxf(largest, values[i]);
    }
    largest = warp_max(largest);
#pragma unroll
    for (u32 i = 0; i < HELD; ++i) {
        values[i] = lane + i * WARP < width ? expf(values[i] - largest) : 0.0f;
        sum += values[i];
    }
    sum = warp_sum(sum);
    const float scale = 1.0f / sum;
#pragma unroll
    for (u32 i = 0; i < HELD; ++i) {
        const u32 v = lane + i * WARP;
        if (v < width) probs[v] = stored(a, with_grad, values[i] * scale, v == target);
    }
    return make_float2(largest, sum);
}

// Softmax of a wide group, likewise.
DEVICE float2 wide_softmax(const Softmax& a, const float* logits, float* probs, u32 width, u32 target, bool with_grad, u32 lane) {
    float largest = __uint_as_float(0xff800000u), sum = 0.0f;
    for (u32 v = lane; v < width; v += WARP) largest = fmaxf(largest, logits[v]);
    largest = warp_max(largest);
    for (u32 v = lane; v < width; v += WARP) {
        const float e = expf(logits[v] - largest);
        probs[v] = e;
        sum += e;
    }
    sum = warp_sum(sum);
    const float scale = 1.0f / sum;
    for (u32 v = lane; v < width; v += WARP) probs[v] = stored(a, with_grad, probs[v] * scale, v == target);
    return make_float2(largest, sum);
}

DEVICE void softmax_of_group(const Softmax& a, u32 item, u32 lane, bool with_grad) {
    const u32 b = item / a.groups, s = item % a.groups;
    const u32 offset = a.offsets[s], width = a.offsets[s + 1] - offset;
    const float* logits = a.logits + (u64)b * a.width + offset;
    float* probs = a.probs + (u64)b * a.width + offset;
    const u32 target = a.codes != 0 ? a.codes[item] : 0;
    const float2 sums = width <= HELD * WARP ? narrow_softmax(a, logits, probs, width, target, with_grad, lane)
                                             : wide_softmax(a, logits, probs, width, target, with_grad, lane);
    if (a.codes != 0 && lane == 0) {
        const bool inside = target < width;
        if (!inside) report_fault(a.fault, s, target);
        a.losses[item] = inside ? logf(sums.y) + (sums.x - logits[target]) : 0.0f;
    }
}

KERNEL(softmax, Softmax, 256) {
    const u32 item = blockIdx.x * 8 + threadIdx.x / WARP;
    if (item < a.rows * a.groups) softmax_of_group(a, item, threadIdx.x % WARP, false);
}

KERNEL(softmax_cross_entropy, Softmax, 256) {
    const u32 item = blockIdx.x * 8 + threadIdx.x / WARP;
    if (item < a.rows * a.groups) softmax_of_group(a, item, threadIdx.x % WARP, false);
}

KERNEL(softmax_cross_entropy_with_grad, Softmax, 256) {
    const u32 item = blockIdx.x * 8 + threadIdx.x / WARP;
    if (item < a.rows * a.groups) softmax_of_group(a, item, threadIdx.x % WARP, true);
}

struct SoftmaxCrossEntropyGrad {
    const float* probs;        // [rows, width]
    const u32* codes;          // [rows, groups]
    const float* grad_losses;  // [rows, groups]; null: `weight` for all
    const u32* owner;          // group of each feature
    const u32* offsets;        // [groups + 1]
    float* grad_logits;        // [rows, width]
    Fault* fault;
    u32 rows;
    u32 width;
    u32 groups;
    float weight;
};
LAYOUT(SoftmaxCrossEntropyGrad, 72);

KERNEL(softmax_cross_entropy_grad, SoftmaxCrossEntropyGrad, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.rows * a.width) return;
    const u32 b = i / a.width, feature = i % a.width;
    const u32 s = a.owner[feature];
    const u32 offset = a.offsets[s], code = a.codes[b * a.groups + s];
    if (code >= a.offsets[s + 1] - offset) report_fault(a.fault, s, code);
    const float signal = a.grad_losses != 0 ? a.grad_losses[b * a.groups + s] : a.weight;
    const float hit = feature - offset == code ? 1.0f : 0.0f;
    a.grad_logits[i] = signal * (a.probs[i] - hit);
}
