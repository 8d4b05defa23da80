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

// `with_grad` stores the gradients of the weighted losses in place of the probabilities.
DEVICE void softmax_of_group(const Softmax& a, u32 item, u32 lane, bool with_grad) {
    const u32 b = item / a.groups, s = item % a.groups;
    const u32 offset = a.offsets[s], width = a.offsets[s + 1] - offset;
    const float* logits = a.logits + (u64)b * a.width + offset;
    float* probs = a.probs + (u64)b * a.width + offset;
    float largest = __uint_as_float(0xff800000u);
    for (u32 v = lane; v < width; v += WARP) largest = fmaxf(largest, logits[v]);
    largest = warp_max(largest);
    float sum = 0.0f;
    for (u32 v = lane; v < width; v += WARP) {
        const float e = expf(logits[v] - largest);
        probs[v] = e;
        sum += e;
    }
    sum = warp_sum(sum);
    const float scale = 1.0f / sum;
    const u32 target = with_grad ? a.codes[item] : width;
    for (u32 v = lane; v < width; v += WARP) {
        const float p = probs[v] * scale;
        probs[v] = with_grad ? a.weight * (p - (v == target ? 1.0f : 0.0f)) : p;
    }
    if (a.codes != 0 && lane == 0) {
        const u32 code = a.codes[item];
        const bool inside = code < width;
        if (!inside) report_fault(a.fault, s, code);
        a.losses[item] = inside ? logf(sum) + (largest - logits[code]) : 0.0f;
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
