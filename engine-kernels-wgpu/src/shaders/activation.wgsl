// Relu, its gradient, and dropout: an element for each thread.

override WIDTH: u32 = 1u;

@group(1) @binding(0) var<storage, read> relu_x: array<f32>;
@group(1) @binding(1) var<storage, read_write> relu_y: array<f32>;

@compute @workgroup_size(256)
fn relu(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i >= run.rows * WIDTH {
        return;
    }
    // A comparison that NaN fails: it stays NaN.
    relu_y[i] = select(relu_x[i], 0.0, relu_x[i] < 0.0);
}

@group(1) @binding(0) var<storage, read> grad_y: array<f32>;
@group(1) @binding(1) var<storage, read> grad_output: array<f32>;
@group(1) @binding(2) var<storage, read_write> grad_x: array<f32>;

@compute @workgroup_size(256)
fn relu_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i >= run.rows * WIDTH {
        return;
    }
    grad_x[i] = select(0.0, grad_output[i], grad_y[i] > 0.0);
}

@group(1) @binding(0) var<storage, read> dropout_x: array<f32>;
// Group and position of each feature.
@group(1) @binding(1) var<storage, read> dropout_places: array<vec2<u32>>;
@group(1) @binding(2) var<storage, read_write> dropout_y: array<f32>;

@compute @workgroup_size(256)
fn dropout(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i >= run.rows * WIDTH {
        return;
    }
    let place = dropout_places[i % WIDTH];
    let words = dropout_words(i / WIDTH, place.x, place.y / 16u);
    dropout_y[i] = dropout_x[i] * dropout_factor(words[place.y % 16u / 4u], place.y);
}
