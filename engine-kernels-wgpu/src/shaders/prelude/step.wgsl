// What every kernel sees: the scalars of the step, and how threads are numbered.

// `Step` of step.rs has the same fields at the same offsets.
struct Step {
    seed: vec2<u32>,
    first_row: vec2<u32>,
    step: u32,
    step_in_run: u32,
    // Rows of the values of a kernel: those of the batch, times time steps where they have time.
    rows: u32,
    // Rows of the batch.
    batch: u32,
    // Number of the first time step.
    first_time: u32,
    reserved_0: u32,
    reserved_1: u32,
    reserved_2: u32,
    optimizers: array<vec4<f32>, 4>,
}

@group(0) @binding(0) var<uniform> run: Step;

// Where a row stands: values with time are time-major.
struct RowPlace {
    batch_row: u32,
    time: u32,
}

fn row_place(row: u32) -> RowPlace {
    if run.rows == run.batch {
        return RowPlace(row, run.first_time);
    }
    let batch = max(run.batch, 1u);
    return RowPlace(row % batch, run.first_time + row / batch);
}

// Number of a workgroup in a grid that is folded to two dimensions, because one holds 65,535 at most.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

// Element of a thread where 256 threads handle an element each.
fn element(group: vec3<u32>, groups: vec3<u32>, thread: u32) -> u32 {
    return flat_group(group, groups) * 256u + thread;
}
