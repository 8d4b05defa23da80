// From probabilities to the weights of a draw, as `rules.rs` and `parity.rs` of the core: parity, temperature, top-p, fixed
// probabilities, repair; in this order.

// The group of a row's codes in a parity transform; NONE where it is in no group.
fn parity_group(row: u32) -> u32 {
    let first = descriptor[PARITY];
    let groups = descriptor[first];
    let sensitive = descriptor[first + 1u];
    for (var g = 0u; g < groups; g++) {
        var same = true;
        for (var i = 0u; i < sensitive; i++) {
            let code = codes[row * descriptor[SUB_COLUMNS] + descriptor[first + 2u + i]];
            same = same && code == descriptor[first + 2u + sensitive + g * sensitive + i];
        }
        if same {
            return g;
        }
    }
    return NONE;
}

// Piecewise linear interpolation: each piece has the high and low part of its first knot, the value there and the slope.
fn interpolate(x: f32, pieces: u32) -> f32 {
    var low = 0u;
    var high = PIECES;
    // The last piece whose first knot is not above x; the first piece where all are.
    while high - low > 1u {
        let middle = (low + high) / 2u;
        let knot = descriptor_f32(pieces + middle * PIECE_LENGTH);
        let rest = descriptor_f32(pieces + middle * PIECE_LENGTH + 1u);
        if knot < x || (knot == x && rest <= 0.0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let piece = pieces + low * PIECE_LENGTH;
    return descriptor_f32(piece + 2u) + descriptor_f32(piece + 3u) * ((x - descriptor_f32(piece)) - descriptor_f32(piece + 1u));
}

// Gives the probabilities the distribution that they have over all rows.
fn balance(l: Lane, sub: SubColumn) {
    let first = descriptor[PARITY];
    if l.exists {
        let group = parity_group(l.row);
        let maps = first + 2u + descriptor[first + 1u] * (descriptor[first] + 1u);
        for (var v = l.lane; v < select(sub.cardinality, 0u, group == NONE); v += LANES) {
            let pieces = maps + (group * sub.cardinality + v) * PIECES * PIECE_LENGTH;
            scratch[l.probs + v] = interpolate(scratch[l.probs + v], pieces);
        }
    }
    let sum = sum_codes(l, sub, l.probs);
    divide_codes(l, sub, l.probs, select(1.0, sum, sum > 0.0));
}

// `w <- softmax(ln w / temperature)`
fn apply_temperature(l: Lane, sub: SubColumn) {
    let count = code_count(l, sub);
    var largest = 0.0;
    for (var v = l.lane; v < count; v += LANES) {
        largest = max(largest, scratch[l.weights + v]);
    }
    let top = ln_accurate(max_lanes(l.thread, largest));
    for (var v = l.lane; v < count; v += LANES) {
        let w = scratch[l.weights + v];
        let e = exp_accurate((ln_accurate(w) - top) / descriptor_f32(TEMPERATURE));
        scratch[l.weights + v] = select(e, 0.0, w <= 0.0);
    }
    let sum = sum_codes(l, sub, l.weights);
    divide_codes(l, sub, l.weights, sum);
}

// Mass of the codes that weigh more than a value, which is passed by its bits.
fn mass_above(l: Lane, sub: SubColumn, bits: u32) -> f32 {
    var mass = 0.0;
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        let w = scratch[l.weights + v];
        mass += select(0.0, w, bitcast<u32>(w) > bits);
    }
    return sum_lanes(l.thread, mass);
}

// Keeps the most probable codes until their mass strictly exceeds top-p, at least one. They are those that weigh at least the
// least value above which there is no more mass than top-p; bits of positive floats are ordered as the floats are.
fn apply_top_p(l: Lane, sub: SubColumn) {
    var low = 0u;
    var high = 0x3f800001u;
    for (var i = 0u; i < 30u; i++) {
        let middle = (low + high) / 2u;
        if mass_above(l, sub, middle) <= descriptor_f32(TOP_P) {
            high = middle;
        } else {
            low = min(middle + 1u, high);
        }
    }
    let above = mass_above(l, sub, high);
    let least = bitcast<f32>(high);
    storageBarrier();
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        let w = scratch[l.weights + v];
        var keeps = w >= least;
        if w == least && w > 0.0 {
            // Equal codes are taken in their order.
            var before = above;
            for (var i = 0u; i < v; i++) {
                before += select(0.0, w, abs(scratch[l.weights + i]) == w);
            }
            keeps = before <= descriptor_f32(TOP_P);
        }
        // What is left out is marked by its sign, because other lanes still look at it.
        scratch[l.weights + v] = select(-w, w, keeps);
    }
    storageBarrier();
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        scratch[l.weights + v] = max(scratch[l.weights + v], 0.0);
    }
    let kept = sum_codes(l, sub, l.weights);
    if kept > 0.0 {
        divide_codes(l, sub, l.weights, kept);
    } else {
        fill_weights(l, sub, 1.0 / f32(sub.cardinality));
    }
}

// Mass of the codes that are not fixed.
fn open_mass(l: Lane, sub: SubColumn, first: u32) -> f32 {
    var mass = 0.0;
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        mass += select(0.0, scratch[first + v], descriptor_f32(sub.is_fixed + v) < 0.0);
    }
    return sum_lanes(l.thread, mass);
}

// Sets the fixed codes to their probabilities and scales the others to the remaining mass.
fn fix_probabilities(l: Lane, sub: SubColumn) {
    if sub.all_forbidden == 1u {
        fill_weights(l, sub, 1.0 / f32(sub.cardinality));
        return;
    }
    // Where the rules before have left the open codes without mass, the remainder is divided by the probabilities before these rules.
    let weights_mass = open_mass(l, sub, l.weights);
    let probs_mass = open_mass(l, sub, l.probs);
    let first = select(l.weights, l.probs, weights_mass == 0.0 && probs_mass > 0.0);
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        scratch[l.weights + v] = scratch[first + v] + FIXED_FLOOR;
    }
    let mass = open_mass(l, sub, l.weights);
    let remainder = max(1.0 - sub.fixed_total, 0.0);
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        let fixed_to = descriptor_f32(sub.is_fixed + v);
        let w = scratch[l.weights + v];
        scratch[l.weights + v] = select(fixed_to, w * remainder / mass, fixed_to < 0.0);
    }
}

// NaN becomes 1, negative 0, above one 1.
fn repair(l: Lane, sub: SubColumn) {
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        let w = scratch[l.weights + v];
        let is_nan = (bitcast<u32>(w) & 0x7fffffffu) > 0x7f800000u;
        scratch[l.weights + v] = select(clamp(w, 0.0, 1.0), 1.0, is_nan);
    }
}

// Applies the rules to the probabilities; returns the first element of the weights of the draw.
fn apply_rules(l: Lane, s: u32, sub: SubColumn) -> u32 {
    if descriptor[PARITY_TARGET] == s {
        balance(l, sub);
    } else if !flag(HAS_TEMPERATURE) && !flag(HAS_TOP_P) && sub.is_fixed == NONE {
        return l.probs;
    }
    for (var v = l.lane; v < code_count(l, sub); v += LANES) {
        scratch[l.weights + v] = scratch[l.probs + v];
    }
    if flag(HAS_TEMPERATURE) {
        apply_temperature(l, sub);
    }
    if flag(HAS_TOP_P) {
        apply_top_p(l, sub);
    }
    if sub.is_fixed != NONE {
        fix_probabilities(l, sub);
    }
    repair(l, sub);
    return l.weights;
}
