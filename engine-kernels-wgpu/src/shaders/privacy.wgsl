// Per-sample clipping (Abadi et al. 2016, "Deep learning with differential privacy", arXiv 1607.00133).

override MAX_GRAD_NORM: f32 = 1.0;
override CLIP_EPS: f32 = 1e-6;

@group(1) @binding(0) var<storage, read> per_sample_sq_norm: array<f32>;
@group(1) @binding(1) var<storage, read_write> factor: array<f32>;

@compute @workgroup_size(256)
fn clip_factor(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let b = element(group, groups, thread);
    if b < run.rows {
        factor[b] = min(1.0, MAX_GRAD_NORM / (sqrt(per_sample_sq_norm[b]) + CLIP_EPS));
    }
}
