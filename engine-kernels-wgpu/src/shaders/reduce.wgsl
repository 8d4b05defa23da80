// Sums over groups and rows, and the broadcasts that are their gradients.

override WIDTH: u32 = 1u;

@group(1) @binding(0) var<storage, read> add_a: array<f32>;
@group(1) @binding(1) var<storage, read> add_b: array<f32>;
@group(1) @binding(2) var<storage, read_write> add_y: array<f32>;

@compute @workgroup_size(256)
fn add(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i < run.rows * WIDTH {
        add_y[i] = add_a[i] + add_b[i];
    }
}

@group(1) @binding(0) var<storage, read> sum_x: array<f32>;
@group(1) @binding(1) var<storage, read_write> sum_y: array<f32>;

@compute @workgroup_size(64)
fn sum_groups(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = lane_group(group, groups, thread);
    let width = select(0u, WIDTH, row < run.rows);
    var sum = 0.0;
    for (var k = thread % LANES; k < width; k += LANES) {
        sum += sum_x[row * WIDTH + k];
    }
    sum = sum_lanes(thread, sum);
    if row < run.rows && thread % LANES == 0u {
        sum_y[row] = sum;
    }
}

@compute @workgroup_size(256)
fn broadcast_groups(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i < run.rows * WIDTH {
        sum_y[i] = sum_x[i / WIDTH];
    }
}

@group(1) @binding(0) var<storage, read_write> filled: array<f32>;

// Micro-batches that share the mean; 0 gives each row the weight 1.
override MICRO_BATCHES: u32 = 0u;

@compute @workgroup_size(256)
fn fill_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i < run.rows {
        filled[i] = select(1.0 / (f32(run.rows) * f32(MICRO_BATCHES)), 1.0, MICRO_BATCHES == 0u);
    }
}

@group(1) @binding(0) var<storage, read> scale_x: array<f32>;
@group(1) @binding(1) var<storage, read> scale_factor: array<f32>;
@group(1) @binding(2) var<storage, read_write> scale_y: array<f32>;

@compute @workgroup_size(256)
fn scale_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i < run.rows * WIDTH {
        scale_y[i] = scale_factor[i / WIDTH] * scale_x[i];
    }
}

@group(1) @binding(0) var<storage, read> recorded: array<f32>;
@group(1) @binding(1) var<storage, read_write> trace: array<f32>;

var<workgroup> sums: array<f32, 256>;

// One workgroup adds up the whole batch.
@compute @workgroup_size(256)
fn record_sum(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var b = thread; b < run.rows; b += 256u) {
        sum += recorded[b];
    }
    sums[thread] = sum;
    workgroupBarrier();
    for (var span = 128u; span > 0u; span >>= 1u) {
        if thread < span {
            sums[thread] += sums[thread + span];
        }
        workgroupBarrier();
    }
    if thread == 0u {
        trace[run.step_in_run] = sums[0];
    }
}
