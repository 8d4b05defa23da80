// AdamW (Loshchilov, Hutter 2019, arXiv 1711.05101): one pass over the arenas, a parameter for each thread.

override LENGTH: u32 = 1u;
// Which of the step's constants are this op's.
override OPTIMIZER: u32 = 0u;
override BETA2: f32 = 0.0;
override ONE_MINUS_BETA1: f32 = 1.0;
override ONE_MINUS_BETA2: f32 = 1.0;
override ADAM_EPS: f32 = 1e-8;

@group(1) @binding(0) var<storage, read_write> params: array<f32>;
@group(1) @binding(1) var<storage, read_write> grads: array<f32>;
@group(1) @binding(2) var<storage, read_write> first_moments: array<f32>;
@group(1) @binding(3) var<storage, read_write> second_moments: array<f32>;

@compute @workgroup_size(256)
fn adamw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i >= LENGTH {
        return;
    }
    // Decay, step size, and one over the root of the second moments' correction: `AdamWStep` in the core.
    let constants = run.optimizers[OPTIMIZER];
    let g = grads[i];
    let m = first_moments[i] + ONE_MINUS_BETA1 * (g - first_moments[i]);
    let v = BETA2 * second_moments[i] + ONE_MINUS_BETA2 * g * g;
    let update = constants.y * m / (sqrt(v) * constants.z + ADAM_EPS);
    params[i] = params[i] * constants.x - update;
    first_moments[i] = m;
    second_moments[i] = v;
    grads[i] = 0.0;
}
