// Rows of the encoded table that lies on the device, and the column order of the step.

// Number of rows, then first word and bits of each column, then the columns, codes packed into words.
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
    let per_word = 32u / bits;
    let word = table[start + row / per_word];
    return (word >> (bits * (row % per_word))) & ((1u << bits) - 1u);
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

@compute @workgroup_size(64)
fn gather_rows(@builtin(global_invocation_id) id: vec3<u32>) {
    let b = id.x;
    if b >= run.rows {
        return;
    }
    var row = run.first_row.x + b;
    if STEPS_PER_EPOCH > 0u {
        // The maximum keeps the division valid where the branch is never taken.
        let steps = max(STEPS_PER_EPOCH, 1u);
        row = shuffled(run.step % steps * run.rows + b, run.step / steps, table[0]);
    }
    for (var s = 0u; s < COLUMNS; s++) {
        codes[b * COLUMNS + s] = table_code(row, s);
    }
}

@group(1) @binding(0) var<storage, read_write> keys: array<vec2<u32>>;
@group(1) @binding(1) var<storage, read_write> ranks: array<u32>;

// Purpose of the random keys; 0 leaves the columns as they stand.
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
