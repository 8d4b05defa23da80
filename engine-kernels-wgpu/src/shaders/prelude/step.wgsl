// What every kernel sees: the scalars of the step, and how threads are numbered.

// `Step` of step.rs has the same fields at the same offsets.
struct Step {
    seed: vec2<u32>,
    first_row: vec2<u32>,
    step: u32,
    step_in_run: u32,
    rows: u32,
    reserved: u32,
    optimizers: array<vec4<f32>, 4>,
}

@group(0) @binding(0) var<uniform> run: Step;

// Number of a workgroup in a grid that is folded to two dimensions, because one holds 65,535 at most.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

// Element of a thread where 256 threads handle an element each.
fn element(group: vec3<u32>, groups: vec3<u32>, thread: u32) -> u32 {
    return flat_group(group, groups) * 256u + thread;
}
