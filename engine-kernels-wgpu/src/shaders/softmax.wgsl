// Softmax of all sub-columns at once, and its cross-entropy: sixteen lanes for each group of each row.

override WIDTH: u32 = 1u;
override GROUPS: u32 = 1u;

// First column of each group, and their number at the end.
@group(1) @binding(0) var<storage, read> offsets: array<u32>;
@group(1) @binding(1) var<storage, read> logits: array<f32>;
@group(1) @binding(2) var<storage, read_write> probs: array<f32>;
@group(1) @binding(3) var<storage, read> codes: array<u32>;
@group(1) @binding(4) var<storage, read_write> losses: array<f32>;

// Fills the probabilities of one group; gives the largest logit and the logarithm of the sum of exponentials above it.
fn fill_probs(item: u32, thread: u32) -> vec2<f32> {
    let s = item % GROUPS;
    let start = item / GROUPS * WIDTH + offsets[s];
    let width = select(0u, offsets[s + 1u] - offsets[s], item < run.rows * GROUPS);
    let lane = thread % LANES;
    var largest = LOWEST;
    for (var v = lane; v < width; v += LANES) {
        largest = max(largest, logits[start + v]);
    }
    largest = max_lanes(thread, largest);
    var sum = 0.0;
    for (var v = lane; v < width; v += LANES) {
        let e = exp_accurate(logits[start + v] - largest);
        probs[start + v] = e;
        sum += e;
    }
    sum = sum_lanes(thread, sum);
    for (var v = lane; v < width; v += LANES) {
        probs[start + v] /= sum;
    }
    return vec2<f32>(largest, ln_accurate(sum));
}

@compute @workgroup_size(64)
fn softmax(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    fill_probs(lane_group(group, groups, thread), thread);
}

@compute @workgroup_size(64)
fn softmax_cross_entropy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = lane_group(group, groups, thread);
    let sums = fill_probs(item, thread);
    if item < run.rows * GROUPS && thread % LANES == 0u {
        let logit = logits[item / GROUPS * WIDTH + offsets[item % GROUPS] + codes[item]];
        losses[item] = (sums.x - logit) + sums.y;
    }
}

// Group of each column and its place within.
@group(1) @binding(0) var<storage, read> places: array<vec2<u32>>;
@group(1) @binding(1) var<storage, read> grad_probs: array<f32>;
@group(1) @binding(2) var<storage, read> grad_codes: array<u32>;
@group(1) @binding(3) var<storage, read> grad_losses: array<f32>;
@group(1) @binding(4) var<storage, read_write> grad_logits: array<f32>;

@compute @workgroup_size(256)
fn softmax_cross_entropy_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i >= run.rows * WIDTH {
        return;
    }
    let place = places[i % WIDTH];
    let item = i / WIDTH * GROUPS + place.x;
    let own = select(0.0, 1.0, grad_codes[item] == place.y);
    grad_logits[i] = grad_losses[item] * (grad_probs[i] - own);
}
