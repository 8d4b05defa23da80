// Products of matrices in tiles of 64 by 32: 128 threads, 32 terms at a time, a block of 4 by 4 sums for each thread. Terms are
// loaded all at once before the first is used, because a load takes as long as a hundred products; where a row, a column or a
// term does not exist, one that does is loaded instead of branching.

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 32u;
const TILE_DEPTH: u32 = 32u;

// Number of tiles; the last workgroups of a folded grid have none.
override TILES: u32 = 1u;

// The tile of a workgroup: numbered along x, then z; y counts blocks of rows.
fn tile_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.z * groups.x + group.x;
}

// Four rows (of `left`) or columns (of `right`) of one term stand together, those of the next term so many places on: an odd
// number, against conflicts of banks.
const LEFT_STRIDE: u32 = 17u;
const RIGHT_STRIDE: u32 = 9u;
var<workgroup> left: array<vec4<f32>, 544>;
var<workgroup> right: array<vec4<f32>, 288>;

alias Sums = array<vec4<f32>, 4>;

// First row and column of a thread's block in the tile.
fn block_row(thread: u32) -> u32 {
    return thread / 8u * 4u;
}

fn block_column(thread: u32) -> u32 {
    return thread % 8u * 4u;
}

// Adds the products of the first `terms` terms; those up to the next multiple of four must be zero. Barriers before and after are
// the caller's.
fn multiply(thread: u32, terms: u32, sums: ptr<function, Sums>) {
    var l = thread / 8u;
    var r = thread % 8u;
    var s0 = (*sums)[0];
    var s1 = (*sums)[1];
    var s2 = (*sums)[2];
    var s3 = (*sums)[3];
    for (var k = 0u; k < terms; k += 4u) {
        for (var i = 0u; i < 4u; i++) {
            let rows = left[l + i * LEFT_STRIDE];
            let columns = right[r + i * RIGHT_STRIDE];
            s0 += rows.x * columns;
            s1 += rows.y * columns;
            s2 += rows.z * columns;
            s3 += rows.w * columns;
        }
        l += 4u * LEFT_STRIDE;
        r += 4u * RIGHT_STRIDE;
    }
    (*sums)[0] = s0;
    (*sums)[1] = s1;
    (*sums)[2] = s2;
    (*sums)[3] = s3;
}

// Stores one term of sixteen rows, four from `quad` on and those 16, 32 and 48 further, where a warp has all terms of the tile.
fn store_rows(thread: u32, x0: vec4<f32>, x1: vec4<f32>, x2: vec4<f32>, x3: vec4<f32>, exists: bool) {
    let l = thread % 32u * LEFT_STRIDE + thread / 32u;
    left[l] = select(vec4<f32>(), x0, exists);
    left[l + 4u] = select(vec4<f32>(), x1, exists);
    left[l + 8u] = select(vec4<f32>(), x2, exists);
    left[l + 12u] = select(vec4<f32>(), x3, exists);
}

// Stores one term of eight columns likewise.
fn store_columns(thread: u32, w0: vec4<f32>, w1: vec4<f32>, exists: bool) {
    let r = thread % 32u * RIGHT_STRIDE + thread / 32u;
    right[r] = select(vec4<f32>(), w0, exists);
    right[r + 4u] = select(vec4<f32>(), w1, exists);
}

// Stores four rows of term `thread / 16` and of those 8, 16 and 24 further, of which there are `terms`.
fn store_terms_of_rows(thread: u32, d0: vec4<f32>, d1: vec4<f32>, d2: vec4<f32>, d3: vec4<f32>, terms: u32) {
    let k = thread / 16u;
    let l = k * LEFT_STRIDE + thread % 16u;
    left[l] = select(vec4<f32>(), d0, k < terms);
    left[l + 8u * LEFT_STRIDE] = select(vec4<f32>(), d1, k + 8u < terms);
    left[l + 16u * LEFT_STRIDE] = select(vec4<f32>(), d2, k + 16u < terms);
    left[l + 24u * LEFT_STRIDE] = select(vec4<f32>(), d3, k + 24u < terms);
}

// Stores four columns of term `thread / 8` and of that 16 further, of which there are `terms`.
fn store_terms_of_columns(thread: u32, w0: vec4<f32>, w1: vec4<f32>, terms: u32) {
    let k = thread / 8u;
    let r = k * RIGHT_STRIDE + thread % 8u;
    right[r] = select(vec4<f32>(), w0, k < terms);
    right[r + 16u * RIGHT_STRIDE] = select(vec4<f32>(), w1, k + 16u < terms);
}

// Four consecutive indices from `first` on among `count`: those behind the last are replaced by it.
fn four_of(first: u32, count: u32) -> vec4<u32> {
    return min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(count - 1u));
}

fn four_rows(row: u32) -> vec4<u32> {
    return four_of(row, run.rows);
}

// Adds the products of the terms that were just stored: TILE_DEPTH of them, or the `terms` that are left. The barrier before they are
// stored is the caller's.
fn multiply_stored(thread: u32, terms: u32, sums: ptr<function, Sums>) {
    workgroupBarrier();
    multiply(thread, min(terms, TILE_DEPTH), sums);
}
