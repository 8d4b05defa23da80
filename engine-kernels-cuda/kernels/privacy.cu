// Per-sample clipping (Abadi et al. 2016, "Deep learning with differential privacy", arXiv 1607.00133).
#include "common.cuh"

struct ClipFactor {
    const float* sq_norm;  // [rows]
    float* factor;         // [rows]
    u32 rows;
    float max_grad_norm;
    float clip_eps;
    u32 reserved;
};
LAYOUT(ClipFactor, 32);

KERNEL(clip_factor, ClipFactor, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.rows) return;
    a.factor[i] = fminf(a.max_grad_norm / (sqrtf(a.sq_norm[i]) + a.clip_eps), 1.0f);
}
