// From the probabilities of one row to a drawn code: parity, temperature, top-p, fixed probabilities, repair, draw. A warp works
// on one row; its codes are COLUMN elements apart.
#pragma once
#include "common.cuh"

// Distance of two codes of one row, odd so that neither rows nor codes collide in a bank.
const u32 COLUMN = 33;
const u32 KNOTS = 103;
const float FIXED_FLOOR = 1e-20f;
const float LOWEST_TEMPERATURE = 1e-3f;

// A code whose probability is set rather than learnt.
struct FixedProbability {
    u32 code;
    float probability;
};
LAYOUT(FixedProbability, 8);

struct Rules {
    float temperature;  // 1 changes nothing
    float top_p;        // 1 changes nothing
    u32 parity_target;  // sub-column whose probabilities are balanced, NO_TARGET without
    u32 group_count;
    u32 sensitive_count;
    u32 reserved;
    const u32* sensitive;       // [sensitive_count] sub-columns
    const u32* groups;          // [group_count, sensitive_count] codes in ascending order
    const double* marginal;     // [cardinality, KNOTS]
    const double* by_group;     // [group_count, cardinality, KNOTS]
    const FixedProbability* fixed;
};
LAYOUT(Rules, 64);

const u32 NO_TARGET = 0xffffffffu;

// Piecewise linear interpolation; the first knot above x, but never the first of all, ends the piece.
DEVICE double interpolate(double x, const double* x_knots, const double* y_knots) {
    u32 low = 0, high = KNOTS;
    while (low < high) {
        const u32 middle = (low + high) / 2;
        if (x_knots[middle] <= x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const u32 j = min(max(low, 1u), KNOTS - 1);
    const double slope = (y_knots[j] - y_knots[j - 1]) / (x_knots[j] - x_knots[j - 1] + 1e-10);
    return y_knots[j - 1] + slope * (x - x_knots[j - 1]);
}

// The group of a row's codes, group_count when it is in none.
DEVICE u32 group_of(const Rules& rules, const u32* codes) {
    for (u32 g = 0; g < rules.group_count; ++g) {
        bool same = true;
        for (u32 i = 0; i < rules.sensitive_count; ++i) {
            same = same && rules.groups[g * rules.sensitive_count + i] == codes[rules.sensitive[i]];
        }
        if (same) return g;
    }
    return rules.group_count;
}

// Gives the probabilities of the target the same distribution in every group of rows.
DEVICE void balance(const Rules& rules, float* p, u32 cardinality, const u32* codes, u32 lane) {
    const u32 group = group_of(rules, codes);
    float sum = 0.0f;
    for (u32 v = lane; v < cardinality; v += WARP) {
        float value = p[v * COLUMN];
        if (group < rules.group_count) {
            const double* from = rules.by_group + ((u64)group * cardinality + v) * KNOTS;
            value = (float)interpolate((double)value, from, rules.marginal + (u64)v * KNOTS);
        }
        p[v * COLUMN] = value;
        sum += value;
    }
    sum = warp_sum(sum);
    if (sum > 0.0f) {
        for (u32 v = lane; v < cardinality; v += WARP) p[v * COLUMN] /= sum;
    }
}

// p <- softmax(ln p / max(t, 0.001))
DEVICE void apply_temperature(float t, float* p, u32 cardinality, u32 lane) {
    if (t == 1.0f) return;
    if (!isnan(t)) t = fmaxf(t, LOWEST_TEMPERATURE);
    float largest = __uint_as_float(0xff800000u);
    for (u32 v = lane; v < cardinality; v += WARP) largest = fmaxf(largest, p[v * COLUMN]);
    largest = logf(warp_max(largest));
    float sum = 0.0f;
    for (u32 v = lane; v < cardinality; v += WARP) {
        const float e = expf((logf(p[v * COLUMN]) - largest) / t);
        p[v * COLUMN] = e;
        sum += e;
    }
    sum = warp_sum(sum);
    for (u32 v = lane; v < cardinality; v += WARP) p[v * COLUMN] /= sum;
}

// The mass of all codes that are more probable than `value`.
DEVICE float mass_above(const float* p, u32 cardinality, float value, u32 lane) {
    float sum = 0.0f;
    for (u32 v = lane; v < cardinality; v += WARP) sum += p[v * COLUMN] > value ? p[v * COLUMN] : 0.0f;
    return warp_sum(sum);
}

// Keeps the most probable codes until their mass strictly exceeds top_p (at least one), and renormalises. The smallest kept
// value is found by bisection over the bits of non-negative floats, which are ordered as the floats are.
DEVICE void apply_top_p(float top_p, float* p, u32 cardinality, u32 lane) {
    if (top_p >= 1.0f || isnan(top_p)) return;
    u32 low = 0, high = 0x7f800000u;
    while (low < high) {
        const u32 middle = low + (high - low) / 2;
        if (mass_above(p, cardinality, __uint_as_float(middle), lane) <= top_p) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    float least = __uint_as_float(low), before = mass_above(p, cardinality, least, lane);
    if (top_p < 0.0f) {
        // Nothing fits below: the most probable code alone is kept.
        least = 0.0f;
        for (u32 v = lane; v < cardinality; v += WARP) least = fmaxf(least, p[v * COLUMN]);
        least = warp_max(least);
    }
    float kept = 0.0f;
    u32 ties = 0;
    for (u32 first = 0; first < cardinality; first += WARP) {
        const u32 v = first + lane;
        const float value = v < cardinality ? p[v * COLUMN] : -1.0f;
        const u32 equal = __ballot_sync(ALL_LANES, value == least);
        const u32 earlier = ties + __popc(equal & ((1u << lane) - 1));
        const bool keep = value > least || (value == least && (earlier == 0 || before + earlier * least <= top_p));
        if (v < cardinality && !keep) p[v * COLUMN] = 0.0f;
        kept += v < cardinality && keep ? value : 0.0f;
        ties += __popc(equal);
    }
    kept = warp_sum(kept);
    for (u32 v = lane; v < cardinality; v += WARP) {
        p[v * COLUMN] = kept > 0.0f ? p[v * COLUMN] / kept : 1.0f / cardinality;
    }
}

// The last fixed probability of a code, -1 when it is open.
DEVICE float fixed_of(const FixedProbability* fixed, u32 count, u32 code) {
    float probability = -1.0f;
    for (u32 i = 0; i < count; ++i) {
        if (fixed[i].code == code) probability = fixed[i].probability;
    }
    return probability;
}

DEVICE float open_mass(const FixedProbability* fixed, u32 count, const float* p, u32 cardinality, u32 lane) {
    float sum = 0.0f;
    for (u32 v = lane; v < cardinality; v += WARP) sum += fixed_of(fixed, count, v) < 0.0f ? p[v * COLUMN] : 0.0f;
    return warp_sum(sum);
}

// Sets the fixed codes to their probabilities and scales the others to the remaining mass; where they have lost all of theirs they
// share it by `odds`.
DEVICE void apply_fixed(const FixedProbability* fixed, u32 count, float* p, const float* odds, u32 cardinality, u32 lane) {
    float total = 0.0f;
    for (u32 i = 0; i < count; ++i) total += fixed[i].probability;
    bool has_open = false;
    for (u32 v = lane; v < cardinality; v += WARP) has_open = has_open || fixed_of(fixed, count, v) < 0.0f;
    if (!__any_sync(ALL_LANES, has_open) && total == 0.0f) {
        for (u32 v = lane; v < cardinality; v += WARP) p[v * COLUMN] = 1.0f / cardinality;
        return;
    }
    const bool emptied = open_mass(fixed, count, p, cardinality, lane) == 0.0f &&
                         open_mass(fixed, count, odds, cardinality, lane) > 0.0f;
    for (u32 v = lane; v < cardinality; v += WARP) p[v * COLUMN] = (emptied ? odds : p)[v * COLUMN] + FIXED_FLOOR;
    __syncwarp();
    const float mass = open_mass(fixed, count, p, cardinality, lane), remainder = fmaxf(1.0f - total, 0.0f);
    for (u32 v = lane; v < cardinality; v += WARP) {
        const float probability = fixed_of(fixed, count, v);
        p[v * COLUMN] = probability >= 0.0f ? probability : p[v * COLUMN] * remainder / mass;
    }
}

// NaN becomes 1, negative 0, above one 1.
DEVICE void repair(float* p, u32 cardinality, u32 lane) {
    for (u32 v = lane; v < cardinality; v += WARP) {
        const float value = p[v * COLUMN];
        p[v * COLUMN] = isnan(value) ? 1.0f : fminf(fmaxf(value, 0.0f), 1.0f);
    }
}

// The number of entries of the cumulative weights that are at most uniform times their sum. Weights without any mass count as
// equal. Every lane gets the code.
DEVICE u32 draw(const float* p, u32 cardinality, float uniform, u32 lane) {
    float total = 0.0f;
    for (u32 v = lane; v < cardinality; v += WARP) total += p[v * COLUMN];
    total = warp_sum(total);
    if (!(total > 0.0f)) return min((u32)(uniform * cardinality), cardinality - 1);
    const float target = uniform * total;
    float before = 0.0f;
    u32 last = 0;
    for (u32 first = 0; first < cardinality; first += WARP) {
        const u32 v = first + lane;
        const float value = v < cardinality ? p[v * COLUMN] : 0.0f;
        float sum = value;
#pragma unroll
        for (u32 distance = 1; distance < WARP; distance *= 2) {
            const float other = __shfl_up_sync(ALL_LANES, sum, distance);
            if (lane >= distance) sum += other;
        }
        const u32 reached = __ballot_sync(ALL_LANES, value > 0.0f && before + sum > target);
        if (reached != 0) return first + __ffs(reached) - 1;
        const u32 positive = __ballot_sync(ALL_LANES, value > 0.0f);
        if (positive != 0) last = first + WARP - 1 - __clz(positive);
        before += __shfl_sync(ALL_LANES, sum, WARP - 1);
    }
    // Rounding can push the target to the very end, behind the last code that has any weight.
    return last;
}
