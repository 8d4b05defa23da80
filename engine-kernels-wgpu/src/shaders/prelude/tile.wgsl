// Products of matrices in tiles of 64 by 32: 128 threads, 16 terms at a time, a block of 4 by 4 sums for each thread.

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 32u;
const TILE_DEPTH: u32 = 16u;

// Number of tiles; the last workgroups of a folded grid have none.
override TILES: u32 = 1u;

// The tile of a workgroup: numbered along x, then z; y counts blocks of rows.
fn tile_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.z * groups.x + group.x;
}

// Term k of row m lies at `k * TILE_ROWS + m`, of column n at `k * TILE_COLUMNS + n`.
var<workgroup> left: array<f32, 1024>;
var<workgroup> right: array<f32, 512>;

alias Sums = array<vec4<f32>, 4>;

// First row and column of a thread's block in the tile.
fn block_row(thread: u32) -> u32 {
    return thread / 8u * 4u;
}

fn block_column(thread: u32) -> u32 {
    return thread % 8u * 4u;
}

// Adds the products of the terms that were loaded. Barriers before and after are the caller's.
fn multiply(thread: u32, sums: ptr<function, Sums>) {
    let m = block_row(thread);
    let n = block_column(thread);
    for (var k = 0u; k < TILE_DEPTH; k++) {
        let l = k * TILE_ROWS + m;
        let r = k * TILE_COLUMNS + n;
        let row = vec4<f32>(right[r], right[r + 1u], right[r + 2u], right[r + 3u]);
        (*sums)[0] += left[l] * row;
        (*sums)[1] += left[l + 1u] * row;
        (*sums)[2] += left[l + 2u] * row;
        (*sums)[3] += left[l + 3u] * row;
    }
}
