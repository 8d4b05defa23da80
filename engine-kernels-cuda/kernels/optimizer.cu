// AdamW (Loshchilov, Hutter 2019, "Decoupled weight decay regularization", arXiv 1711.05101) in one pass over the arena.
#include "common.cuh"

struct AdamW {
    float* params;
    float* grads;
    float* first_moments;
    float* second_moments;
    const Steps* steps;
    u32 len;
    float beta1_complement;  // 1 - beta1
    float beta2;
    float beta2_complement;  // 1 - beta2
    float adam_eps;
    u32 reserved;
};
LAYOUT(AdamW, 64);

KERNEL(adamw, AdamW, 256) {
    const Step& step = current(a.steps);
    for (u32 i = blockIdx.x * 256 + threadIdx.x; i < a.len; i += gridDim.x * 256) {
        const float g = a.grads[i], m0 = a.first_moments[i];
        const float m = m0 + a.beta1_complement * (g - m0);
        const float v = a.beta2 * a.second_moments[i] + a.beta2_complement * g * g;
        const float denominator = sqrtf(v) * step.inverse_sqrt_correction + a.adam_eps;
        a.params[i] = a.params[i] * step.decay - step.step_size * m / denominator;
        a.first_moments[i] = m;
        a.second_moments[i] = v;
        a.grads[i] = 0.0f;
    }
}
