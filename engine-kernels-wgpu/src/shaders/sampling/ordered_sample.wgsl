// The draws of a row, one after another.

// The uniform number of a draw.
fn uniform_of(row: u32, s: u32) -> f32 {
    if flag(HAS_UNIFORMS) {
        return bitcast<f32>(cells_and_uniforms[descriptor[FIRST_UNIFORM] + row * descriptor[SUB_COLUMNS] + s]);
    }
    let place = row_place(row);
    let low = run.first_row.x + place.batch_row;
    let high = run.first_row.y + select(0u, 1u, low < place.batch_row);
    return uniform_number(philox(vec4<u32>(s, low, high, word_at(PURPOSE_DRAW << 24u, place.time)), run.seed).x);
}

// The number of cumulative weights that are at most `u` times their sum; weights without any mass count as equal. Each lane adds up
// a stretch of the codes.
fn draw(l: Lane, sub: SubColumn, first: u32, u: f32) -> u32 {
    let count = code_count(l, sub);
    let stretch = (sub.cardinality + LANES - 1u) / LANES;
    let start = min(l.lane * stretch, count);
    let end = min(start + stretch, count);
    var own = 0.0;
    for (var v = start; v < end; v++) {
        own += scratch[first + v];
    }
    partial[l.thread] = own;
    workgroupBarrier();
    var cumulative = 0.0;
    var total = 0.0;
    for (var i = 0u; i < LANES; i++) {
        cumulative = select(cumulative, total, i == l.lane);
        total += partial[l.thread - l.lane + i];
    }
    workgroupBarrier();
    var found = NONE;
    // Rounding can push the uniform number to the very end: then the last code that has any weight is drawn.
    var last = NONE;
    own = 0.0;
    for (var v = start; v < end; v++) {
        own += scratch[first + v];
        if found == NONE && cumulative + own > u * total {
            found = v;
        }
        if scratch[first + v] > 0.0 {
            last = NONE - 1u - v;
        }
    }
    found = min_lanes(l.thread, found);
    last = min_lanes(l.thread, last);
    if total <= 0.0 {
        return min(u32(u * f32(sub.cardinality)), sub.cardinality - 1u);
    }
    return select(found, NONE - 1u - last, found == NONE);
}

fn cell_of(row: u32, s: u32) -> u32 {
    if flag(HAS_CELLS) {
        return cells_and_uniforms[row * descriptor[SUB_COLUMNS] + s];
    }
    return CELL_SAMPLED;
}

// Initial values, and results that are zero unless drawn.
fn begin(l: Lane) {
    let count = descriptor[SUB_COLUMNS];
    for (var j = descriptor[SPAN_START] + l.lane; j < descriptor[SPAN_END]; j += LANES) {
        scratch[l.hidden + j] = folded(j);
    }
    for (var i = l.lane; i < descriptor[PROBS_WIDTH]; i += LANES) {
        requested_probs[l.row * descriptor[PROBS_WIDTH] + i] = 0.0;
    }
    for (var i = l.lane; i < descriptor[WEIGHTS_WIDTH]; i += LANES) {
        requested_weights[l.row * descriptor[WEIGHTS_WIDTH] + i] = 0.0;
    }
    for (var s = l.lane; s < count; s += LANES) {
        if flag(HAS_LOG_PROBS) {
            log_probs[l.row * count + s] = 0.0;
        }
        let cell = cell_of(l.row, s);
        codes[l.row * count + s] = select(0u, cell & ~CELL_OBSERVED, cell < CELL_MASKED);
    }
}

// Adds what observed codes contribute to the hidden units of all draws.
fn look_up_observed(l: Lane) {
    for (var s = range.first_observed; s < range.end_observed; s++) {
        let cell = cell_of(l.row, s);
        if cell >= CELL_OBSERVED && cell < CELL_MASKED {
            contribute(l, sub_column(s), cell & ~CELL_OBSERVED, descriptor[SPAN_START], descriptor[SPAN_END]);
        }
    }
}

// Draw number k of all rows of the workgroup, which go through the same barriers.
fn draw_next(l: Lane, k: u32) {
    let i = descriptor[FIRST_DRAW] + 3u * k;
    let s = descriptor[i];
    let sub = sub_column(s);
    var cell = CELL_MASKED;
    if l.exists {
        cell = cell_of(l.row, s);
    }
    let is_needed = cell == CELL_SAMPLED || cell < CELL_OBSERVED;
    if sub.probs == NONE && sub.weights == NONE {
        if !any_row(l.thread, is_needed) {
            return;
        }
    }
    let sums = fill_probs(l, sub);
    if sub.probs != NONE {
        for (var v = l.lane; v < code_count(l, sub); v += LANES) {
            requested_probs[l.row * descriptor[PROBS_WIDTH] + sub.probs + v] = scratch[l.probs + v];
        }
    }
    let weights = apply_rules(l, s, sub);
    if sub.weights != NONE {
        for (var v = l.lane; v < code_count(l, sub); v += LANES) {
            requested_weights[l.row * descriptor[WEIGHTS_WIDTH] + sub.weights + v] = scratch[weights + v];
        }
    }
    storageBarrier();
    let drawn = draw(l, sub, weights, uniform_of(l.row, s));
    if is_needed {
        let code = select(cell, drawn, cell == CELL_SAMPLED);
        if l.lane == 0u {
            codes[l.row * descriptor[SUB_COLUMNS] + s] = code;
            if flag(HAS_LOG_PROBS) {
                log_probs[l.row * descriptor[SUB_COLUMNS] + s] = (logit(l, sub, code) - sums.x) - sums.y;
            }
        }
    }
    // The logarithm is of the units before the code is added.
    storageBarrier();
    if is_needed {
        contribute(l, sub, select(cell, drawn, cell == CELL_SAMPLED), descriptor[i + 1u], descriptor[i + 2u]);
    }
    storageBarrier();
}

@compute @workgroup_size(64)
fn ordered_sample(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slot = group.x * 4u + thread / LANES;
    let hidden = slot * (descriptor[HIDDEN] + 2u * descriptor[WIDEST]);
    let probs = hidden + descriptor[HIDDEN];
    let row = range.first_row + slot;
    let exists = slot < range.rows && row < run.rows;
    let l = Lane(thread, thread % LANES, row, hidden, probs, probs + descriptor[WIDEST], exists);
    if exists {
        if range.begins == 1u {
            begin(l);
        }
        look_up_observed(l);
    }
    storageBarrier();
    for (var k = range.first_draw; k < range.end_draw; k++) {
        draw_next(l, k);
    }
}
