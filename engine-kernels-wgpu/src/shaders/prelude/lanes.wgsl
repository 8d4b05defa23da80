// Sums and maxima over ragged groups: a workgroup of 64 threads handles four of them, with 16 lanes each.

const LANES: u32 = 16u;

var<workgroup> partial: array<f32, 64>;

// Sum over the lanes of one group; all threads of the workgroup must call it.
fn sum_lanes(thread: u32, value: f32) -> f32 {
    partial[thread] = value;
    workgroupBarrier();
    for (var span = 8u; span > 0u; span >>= 1u) {
        if thread % LANES < span {
            partial[thread] += partial[thread + span];
        }
        workgroupBarrier();
    }
    let total = partial[thread - thread % LANES];
    workgroupBarrier();
    return total;
}

// Maximum over the lanes of one group; all threads of the workgroup must call it.
fn max_lanes(thread: u32, value: f32) -> f32 {
    partial[thread] = value;
    workgroupBarrier();
    for (var span = 8u; span > 0u; span >>= 1u) {
        if thread % LANES < span {
            partial[thread] = max(partial[thread], partial[thread + span]);
        }
        workgroupBarrier();
    }
    let largest = partial[thread - thread % LANES];
    workgroupBarrier();
    return largest;
}

// Number of the group that a thread works on.
fn lane_group(group: vec3<u32>, groups: vec3<u32>, thread: u32) -> u32 {
    return flat_group(group, groups) * 4u + thread / LANES;
}
