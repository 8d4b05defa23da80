// Rows of the encoded table on the device, the ends of their sequences, and the column order of the step.

// Number of rows, then first element and bits of each column, then the columns, codes packed into 32-bit elements.
@group(1) @binding(0) var<storage, read> table: array<u32>;
@group(1) @binding(1) var<storage, read_write> codes: array<u32>;

override COLUMNS: u32 = 1u;
// Steps of an epoch; 0 reads the rows in order.
override STEPS_PER_EPOCH: u32 = 0u;

fn table_code(row: u32, column: u32) -> u32 {
    let start = table[1u + 2u * column];
    let bits = table[2u + 2u * column];
    if bits == 32u {
        return table[start + row];
    }
    let per_element = 32u / bits;
    let element = table[start + row / per_element];
    return (element >> (bits * (row % per_element))) & ((1u << bits) - 1u);
}

// Where a position goes in a permutation of `0 .. length`, as `Permutation` in engine-core/src/random.rs.
fn shuffled(position: u32, epoch: u32, length: u32) -> u32 {
    let bits = 32u - countLeadingZeros(max(length, 1u) - 1u);
    let half_bits = max((bits + 1u) / 2u, 1u);
    let mask = (1u << half_bits) - 1u;
    var x = position;
    loop {
        var left = x >> half_bits;
        var right = x & mask;
        for (var round = 0u; round < 4u; round++) {
            let word = philox(vec4<u32>(round, right, epoch, PURPOSE_SHUFFLE << 24u), run.seed).x;
            let next = left ^ (word & mask);
            left = right;
            right = next;
        }
        x = (left << half_bits) | right;
        if x < length {
            break;
        }
    }
    return x;
}

// The row at position `b` of the batch in a table of `length` rows.
fn row_read(b: u32, length: u32) -> u32 {
    if STEPS_PER_EPOCH == 0u {
        return run.first_row.x + b;
    }
    // The maximum keeps the division valid where this is never reached.
    let steps = max(STEPS_PER_EPOCH, 1u);
    return shuffled(run.step % steps * run.batch + b, run.step / steps, length);
}

@compute @workgroup_size(64)
fn gather_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let b = id.x;
    if b >= run.rows {
        return;
    }
    let row = row_read(b, table[0]);
    for (var s = 0u; s < COLUMNS; s++) {
        codes[b * COLUMNS + s] = table_code(row, s);
    }
}

override WIDTH: u32 = 1u;

// Time steps of each sequence.
@group(1) @binding(0) var<storage, read> lengths: array<u32>;
@group(1) @binding(1) var<storage, read> masked_x: array<f32>;
@group(1) @binding(2) var<storage, read_write> masked_y: array<f32>;

@compute @workgroup_size(256)
fn mask_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = element(group, groups, thread);
    if i >= run.rows * WIDTH {
        return;
    }
    let place = row_place(i / WIDTH);
    let length = lengths[row_read(place.batch_row, arrayLength(&lengths))];
    masked_y[i] = select(0.0, masked_x[i], place.time < length);
}

@group(1) @binding(0) var<storage, read_write> keys: array<vec2<u32>>;
@group(1) @binding(1) var<storage, read_write> ranks: array<u32>;

// Purpose of the random keys; 0 leaves the columns in model order.
override PURPOSE: u32 = 0u;

fn comes_before(a: vec2<u32>, i: u32, b: vec2<u32>, j: u32) -> bool {
    if a.x != b.x {
        return a.x < b.x;
    }
    if a.y != b.y {
        return a.y < b.y;
    }
    return i < j;
}

// One workgroup: the rank of a column is the number of smaller keys.
@compute @workgroup_size(256)
fn column_order(@builtin(local_invocation_index) thread: u32) {
    for (var c = thread; c < COLUMNS; c += 256u) {
        keys[c] = philox(vec4<u32>(c, 0u, run.step, PURPOSE << 24u), run.seed).xy;
    }
    storageBarrier();
    for (var c = thread; c < COLUMNS; c += 256u) {
        let own = keys[c];
        var rank = 0u;
        for (var d = 0u; d < COLUMNS; d++) {
            rank += select(0u, 1u, comes_before(keys[d], d, own, c));
        }
        ranks[c] = select(rank, c, PURPOSE == 0u);
    }
}
