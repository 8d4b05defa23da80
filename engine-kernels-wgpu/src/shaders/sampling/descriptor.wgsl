// Ancestral sampling over a folded model: sixteen lanes draw the sub-columns of a row, one after another. Its hidden units and the
// probabilities of the draw at hand are in its own stretch of the scratch memory.

@group(1) @binding(0) var<storage, read> descriptor: array<u32>;
// The folded model as `pack_model` leaves it: f32 values by their bits, or two of half precision in an element.
@group(1) @binding(1) var<storage, read> folded_words: array<u32>;
// Cells `[rows, sub-columns]`, uniform numbers, or both one after the other.
@group(1) @binding(2) var<storage, read> cells_and_uniforms: array<u32>;
@group(1) @binding(3) var<storage, read_write> codes: array<u32>;
@group(1) @binding(4) var<storage, read_write> requested_probs: array<f32>;
@group(1) @binding(5) var<storage, read_write> requested_weights: array<f32>;
@group(1) @binding(6) var<storage, read_write> log_probs: array<f32>;
@group(1) @binding(7) var<storage, read_write> scratch: array<f32>;

// 1 where the folded model is in half precision.
override HALF: u32 = 0u;

// Element of the folded model.
fn folded(i: u32) -> f32 {
    if HALF == 0u {
        return bitcast<f32>(folded_words[i]);
    }
    return unpack2x16float(folded_words[i / 2u])[i % 2u];
}

// The rows of a dispatch, and the range of their observed cells and draws that it works on. `DrawRange` of kernels/sampling/ranges.rs has the same fields.
struct DrawRange {
    first_row: u32,
    rows: u32,
    // Sub-columns whose observed codes are looked up.
    first_observed: u32,
    end_observed: u32,
    first_draw: u32,
    end_draw: u32,
    // 1 for the first range of all.
    begins: u32,
    reserved: u32,
}

@group(1) @binding(8) var<uniform> range: DrawRange;

// Elements of the descriptor. `Header` of kernels/sampling/descriptor.rs has the same names in the same order.
const SUB_COLUMNS: u32 = 0u;
const HIDDEN: u32 = 1u;
const WIDEST: u32 = 2u;
const FLAGS: u32 = 3u;
const PROBS_WIDTH: u32 = 4u;
const WEIGHTS_WIDTH: u32 = 5u;
const FIRST_UNIFORM: u32 = 6u;
const FIRST_SUB_COLUMN: u32 = 7u;
const FIRST_DRAW: u32 = 8u;
const TEMPERATURE: u32 = 9u;
const TOP_P: u32 = 10u;
const PARITY: u32 = 11u;
const PARITY_TARGET: u32 = 12u;
const SPAN_START: u32 = 13u;
const SPAN_END: u32 = 14u;

const HAS_CELLS: u32 = 1u;
const HAS_UNIFORMS: u32 = 2u;
const HAS_LOG_PROBS: u32 = 4u;
const HAS_TEMPERATURE: u32 = 8u;
const HAS_TOP_P: u32 = 16u;

const NONE: u32 = 0xffffffffu;

// Values of a cell, as `Cell` in engine-core/src/ir/ops/sampling/cell.rs.
const CELL_SAMPLED: u32 = 0xffffffffu;
const CELL_MASKED: u32 = 0xfffffffeu;
const CELL_OBSERVED: u32 = 0x80000000u;

// What is added to every probability before fixed ones are set.
const FIXED_FLOOR: f32 = 1e-20;

// Pieces between the knots of one quantile map of a parity transform, and elements of a piece.
const PIECES: u32 = 102u;
const PIECE_LENGTH: u32 = 4u;

struct SubColumn {
    cardinality: u32,
    hidden: u32,
    width: u32,
    // First element of the table of contributions, of the embedding (NONE where the table is full), and its width.
    table: u32,
    embedding: u32,
    embedding_width: u32,
    head_weight: u32,
    head_bias: u32,
    // Columns of its probabilities and weights in the requested outputs; NONE where they are not requested.
    probs: u32,
    weights: u32,
    // First element of the fixed probabilities of its codes, negative where a code is open; NONE without any.
    is_fixed: u32,
    fixed_total: f32,
    // 1 where all codes are forbidden.
    all_forbidden: u32,
}

fn flag(flag: u32) -> bool {
    return (descriptor[FLAGS] & flag) != 0u;
}

fn descriptor_f32(i: u32) -> f32 {
    return bitcast<f32>(descriptor[i]);
}

fn sub_column(s: u32) -> SubColumn {
    let i = descriptor[FIRST_SUB_COLUMN] + 13u * s;
    return SubColumn(
        descriptor[i], descriptor[i + 1u], descriptor[i + 2u], descriptor[i + 3u], descriptor[i + 4u], descriptor[i + 5u], descriptor[i + 6u], descriptor[i + 7u],
        descriptor[i + 8u], descriptor[i + 9u], descriptor[i + 10u], descriptor_f32(i + 11u), descriptor[i + 12u],
    );
}

// The lane of a row that a thread is.
struct Lane {
    // Of the workgroup.
    thread: u32,
    // Of the row.
    lane: u32,
    row: u32,
    // First element of the row's scratch memory: hidden units, then probabilities, then weights.
    hidden: u32,
    probs: u32,
    weights: u32,
    // Whether there is such a row.
    exists: bool,
}

var<workgroup> chosen: array<u32, 64>;

// Minimum over the lanes of a row; all threads of the workgroup must call it.
fn min_lanes(thread: u32, value: u32) -> u32 {
    chosen[thread] = value;
    workgroupBarrier();
    for (var span = 8u; span > 0u; span >>= 1u) {
        if thread % LANES < span {
            chosen[thread] = min(chosen[thread], chosen[thread + span]);
        }
        workgroupBarrier();
    }
    let least = chosen[thread - thread % LANES];
    workgroupBarrier();
    return least;
}

var<workgroup> any: u32;

// Whether a condition holds for any row of the workgroup; all threads must call it.
fn any_row(thread: u32, holds: bool) -> bool {
    let first = min_lanes(thread, select(1u, 0u, holds));
    chosen[thread] = first;
    workgroupBarrier();
    if thread == 0u {
        any = 4u - (chosen[0] + chosen[LANES] + chosen[2u * LANES] + chosen[3u * LANES]);
    }
    return workgroupUniformLoad(&any) > 0u;
}

// Adds what a code contributes to the hidden units `start .. end`; each lane has units of its own.
fn contribute(l: Lane, sub: SubColumn, code: u32, start: u32, end: u32) {
    let hidden = descriptor[HIDDEN];
    for (var j = start + l.lane; j < end; j += LANES) {
        var sum = scratch[l.hidden + j];
        if sub.embedding == NONE {
            sum += folded(sub.table + code * hidden + j);
        } else {
            let row = sub.embedding + code * sub.embedding_width;
            for (var k = 0u; k < sub.embedding_width; k++) {
                sum += folded(row + k) * folded(sub.table + k * hidden + j);
            }
            sum += folded(sub.table + sub.embedding_width * hidden + j);
        }
        scratch[l.hidden + j] = sum;
    }
}

// A hidden unit after the relu.
fn unit(l: Lane, sub: SubColumn, k: u32) -> f32 {
    return max(scratch[l.hidden + sub.hidden + k], 0.0);
}

// Weights of a code lie as far apart as there are codes.
fn logit(l: Lane, sub: SubColumn, code: u32) -> f32 {
    let weight = sub.head_weight + code;
    let n = sub.cardinality;
    var sums = vec4<f32>(folded(sub.head_bias + code), 0.0, 0.0, 0.0);
    var k = 0u;
    while k + 4u <= sub.width {
        let at = weight + k * n;
        let w = vec4<f32>(folded(at), folded(at + n), folded(at + 2u * n), folded(at + 3u * n));
        sums += w * vec4<f32>(unit(l, sub, k), unit(l, sub, k + 1u), unit(l, sub, k + 2u), unit(l, sub, k + 3u));
        k += 4u;
    }
    while k < sub.width {
        sums.x += folded(weight + k * n) * unit(l, sub, k);
        k += 1u;
    }
    return (sums.x + sums.y) + (sums.z + sums.w);
}

// Codes of a sub-column for the loops of a lane: none for a row that there is not.
fn code_count(l: Lane, sub: SubColumn) -> u32 {
    return select(0u, sub.cardinality, l.exists);
}

// Sum of the elements that start at `first`, one for each code.
fn sum_codes(l: Lane, sub: SubColumn, first: u32) -> f32 {
    var sum = 0.0;
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        sum += scratch[first + v];
    }
    return sum_lanes(l.thread, sum);
}

fn divide_codes(l: Lane, sub: SubColumn, first: u32, by: f32) {
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        scratch[first + v] /= by;
    }
}

fn fill_weights(l: Lane, sub: SubColumn, value: f32) {
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        scratch[l.weights + v] = value;
    }
}

// Fills the probabilities of a draw; gives the largest logit and the logarithm of the sum of exponentials above it.
fn fill_probs(l: Lane, sub: SubColumn) -> vec2<f32> {
    let count = code_count(l, sub);
    var largest = LOWEST;
    for (var v = l.lane; v < count; v += LANES) {
        let value = logit(l, sub, v);
        scratch[l.probs + v] = value;
        largest = max(largest, value);
    }
    largest = max_lanes(l.thread, largest);
    for (var v = l.lane; v < count; v += LANES) {
        scratch[l.probs + v] = exp_accurate(scratch[l.probs + v] - largest);
    }
    let sum = sum_codes(l, sub, l.probs);
    divide_codes(l, sub, l.probs, sum);
    return vec2<f32>(largest, ln_accurate(sum));
}
