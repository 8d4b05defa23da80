// Sums over the rows of the batch, tile by tile; behind tile.wgsl.

// Slices of the rows of the batch where sums run over them (split-K): a workgroup sums one slice and leaves it in `partial_sums`, and
// `reduce_slices` adds up the slices in their order.
override SLICES: u32 = 1u;

@group(1) @binding(7) var<storage, read_write> partial_sums: array<vec4<f32>>;

// First row of a slice, a multiple of TILE_DEPTH, at most the number of rows.
fn slice_start(slice: u32) -> u32 {
    let blocks = (run.rows + TILE_DEPTH - 1u) / TILE_DEPTH;
    return min((blocks + SLICES - 1u) / SLICES * TILE_DEPTH * slice, run.rows);
}

// Index of row `i` of the partial sums of a thread.
fn partial_sum_index(slice: u32, number: u32, i: u32, thread: u32) -> u32 {
    return ((slice * TILES + number) * 4u + i) * 128u + thread;
}

// Row `i` of a thread's block of sums over all slices.
fn reduced(number: u32, i: u32, thread: u32) -> vec4<f32> {
    var total = vec4<f32>();
    for (var slice = 0u; slice < SLICES; slice++) {
        total += partial_sums[partial_sum_index(slice, number, i, thread)];
    }
    return total;
}

// Leaves the sums of a slice, or adds them to the gradients where it is the only one. The shader that uses this has two functions:
// `add_to_grads` adds row `i` of a thread's block of a tile's sums to the gradients, and `has_sums` says whether a tile has any.
fn store_sums(slice: u32, number: u32, thread: u32, sums: ptr<function, Sums>) {
    for (var i = 0u; i < 4u; i++) {
        if SLICES > 1u {
            partial_sums[partial_sum_index(slice, number, i, thread)] = (*sums)[i];
        } else {
            add_to_grads(number, thread, i, (*sums)[i]);
        }
    }
}

// Adds what the slices left; y counts the rows of a thread's block.
@compute @workgroup_size(128)
fn reduce_slices(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = tile_number(group, groups);
    if number >= TILES {
        return;
    }
    if has_sums(number) {
        add_to_grads(number, thread, group.y, reduced(number, group.y, thread));
    }
}
