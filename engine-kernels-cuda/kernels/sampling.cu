// Ancestral sampling: one block draws all sub-columns of 32 rows from the folded tables without leaving the chip.
#include "random.cuh"
#include "sampling_rules.cuh"

const u32 SAMPLE_ROWS = 32;
const u32 SAMPLE_THREADS = 512;
const u32 SAMPLE_WARPS = SAMPLE_THREADS / WARP;
const u32 NOT_REQUESTED = 0xffffffffu;

// States of a cell: engine-core/src/ir/ops/sampling/cell.rs.
const u32 CELL_SAMPLED = 0xffffffffu;
const u32 CELL_MASKED = 0xfffffffeu;
const u32 CELL_OBSERVED = 0x80000000u;

struct SampleSubColumn {
    u32 cardinality;
    u32 hidden;        // first hidden unit
    u32 units;         // hidden units
    u32 factored;      // 1: an embedding times a table, and a row of constants
    u32 table;         // first element of the table
    u32 embedding;     // first element of the embedding, where factored
    u32 width;         // of the embedding
    u32 head_weight;   // [cardinality, units]
    u32 head_bias;     // [cardinality]
    u32 probs;         // column of its probabilities, or NOT_REQUESTED
    u32 weights;       // column of its weights, or NOT_REQUESTED
    u32 fixed;         // its first fixed probability
    u32 fixed_count;
    u32 plain;         // 1: narrow, not requested, and all its rules do is to forbid codes: draw_narrow serves it
};
LAYOUT(SampleSubColumn, 56);

// A draw: its sub-column, and the hidden units that later draws need.
struct SampleDraw {
    u32 sub;
    u32 first;
    u32 end;
    u32 reserved;
};
LAYOUT(SampleDraw, 16);

struct OrderedSample {
    const float* folded;
    const SampleSubColumn* subs;
    const SampleDraw* draws;
    const u32* cells;       // [rows, count]; null: everything is sampled
    const float* uniforms;  // [rows, count]; null: from Philox
    const Steps* steps;
    u32* codes;             // [rows, count]
    float* probs;           // [rows, probs_width]
    float* weights;         // [rows, weights_width]
    float* log_probs;       // [rows, count]; null when not requested
    float* hidden_scratch;     // hidden units of each block in global memory; null: in shared memory
    float* probs_scratch;      // likewise the probabilities
    Fault* fault;
    Rules rules;
    u32 rows;
    u32 count;
    u32 draw_count;
    u32 hidden;
    u32 first;              // hidden units that any draw needs
    u32 end;
    u32 probs_width;
    u32 weights_width;
    u32 widest;             // largest cardinality
    u32 with_odds;          // 1: a copy of the probabilities is kept
};
LAYOUT(OrderedSample, 208);

// What a block works on.
struct Drawing {
    float* hidden;  // [SAMPLE_ROWS, stride]
    u32 stride;
    float* probs;   // [widest, COLUMN], then the odds likewise
    u32 row0;
    u32 rows;
    u32 lane;
    u32 warp;
};

DEVICE u32 cell_of(const OrderedSample& a, u32 b, u32 s) {
    return a.cells != 0 ? a.cells[(u64)b * a.count + s] : CELL_SAMPLED;
}

DEVICE bool is_observed(u32 cell) { return cell >= CELL_OBSERVED && cell < CELL_MASKED; }

// Adds what a code contributes to the hidden units first .. end of one row; by a warp.
DEVICE void contribute(const OrderedSample& a, const Drawing& d, const SampleSubColumn& sub, u32 row, u32 code, u32 first,
                       u32 end) {
    float* hidden = d.hidden + row * d.stride;
    if (!sub.factored) {
        const float* table = a.folded + sub.table + (u64)code * a.hidden;
        // Eight loads are on their way before the first is added.
        u32 i = first + d.lane;
        for (; i + 7 * WARP < end; i += 8 * WARP) {
            float values[8];
#pragma unroll
            for (u32 j = 0; j < 8; ++j) values[j] = table[i + j * WARP];
#pragma unroll
            for (u32 j = 0; j < 8; ++j) hidden[i + j * WARP] += values[j];
        }
        float values[8];
#pragma unroll
        for (u32 j = 0; j < 8; ++j) values[j] = i + j * WARP < end ? table[i + j * WARP] : 0.0f;
#pragma unroll
        for (u32 j = 0; j < 8; ++j) {
            if (i + j * WARP < end) hidden[i + j * WARP] += values[j];
        }
        return;
    }
    const float *table = a.folded + sub.table, *embedding = a.folded + sub.embedding + (u64)code * sub.width;
    for (u32 i = first + d.lane; i < end; i += WARP) {
        float sum = hidden[i];
        for (u32 k = 0; k < sub.width; ++k) sum = fmaf(embedding[k], table[(u64)k * a.hidden + i], sum);
        hidden[i] = sum + table[(u64)sub.width * a.hidden + i];
    }
}

// Initial values of the hidden units, codes that are passed through, and what observed ones contribute.
DEVICE void begin_rows(const OrderedSample& a, const Drawing& d) {
    for (u32 row = d.warp; row < SAMPLE_ROWS; row += SAMPLE_WARPS) {
        for (u32 i = a.first + d.lane; i < a.end; i += WARP) d.hidden[row * d.stride + i] = a.folded[i];
        if (row >= d.rows) continue;
        const u32 b = d.row0 + row;
        for (u32 i = d.lane; i < a.probs_width; i += WARP) a.probs[(u64)b * a.probs_width + i] = 0.0f;
        for (u32 i = d.lane; i < a.weights_width; i += WARP) a.weights[(u64)b * a.weights_width + i] = 0.0f;
        for (u32 s = d.lane; s < a.count; s += WARP) {
            u32 cell = cell_of(a, b, s), code = cell & ~CELL_OBSERVED;
            if (cell >= CELL_MASKED) code = 0;
            if (code >= a.subs[s].cardinality) {
                report_fault(a.fault, s, code);
                code = 0;
            }
            a.codes[(u64)b * a.count + s] = code;
            if (a.log_probs != 0) a.log_probs[(u64)b * a.count + s] = 0.0f;
        }
        __syncwarp();
        if (a.cells == 0) continue;
        for (u32 s = 0; s < a.count; ++s) {
            if (!is_observed(cell_of(a, b, s))) continue;
            contribute(a, d, a.subs[s], row, a.codes[(u64)b * a.count + s], a.first, a.end);
        }
    }
}

DEVICE float rectified(float x) { return x < 0.0f ? 0.0f : x; }

// sums[i] += unit . weights[i], one element of a row at a time.
template <u32 codes>
DEVICE void add_products(float (&sums)[codes], const float* const (&weights)[codes], const float* units, u32 count) {
#pragma unroll 4
    for (u32 k = 0; k < count; ++k) {
        const float unit = rectified(units[k]);
#pragma unroll
        for (u32 i = 0; i < codes; ++i) sums[i] = fmaf(unit, weights[i][k], sums[i]);
    }
}

// As add_products, four elements at a time: weights are aligned and `count` is a multiple of four.
template <u32 codes>
DEVICE void add_products_by_four(float (&sums)[codes], const float* const (&weights)[codes], const float* units, u32 count) {
#pragma unroll 2
    for (u32 k = 0; k < count; k += 4) {
        float4 w[codes];
#pragma unroll
        for (u32 i = 0; i < codes; ++i) w[i] = *reinterpret_cast<const float4*>(weights[i] + k);
        const float unit0 = rectified(units[k]), unit1 = rectified(units[k + 1]);
        const float unit2 = rectified(units[k + 2]), unit3 = rectified(units[k + 3]);
#pragma unroll
        for (u32 i = 0; i < codes; ++i) {
            sums[i] = fmaf(unit0, w[i].x, sums[i]);
            sums[i] = fmaf(unit1, w[i].y, sums[i]);
            sums[i] = fmaf(unit2, w[i].z, sums[i]);
            sums[i] = fmaf(unit3, w[i].w, sums[i]);
        }
    }
}

// Logits of codes v0 .. v0 + codes of all rows; a lane is a row.
template <u32 codes>
DEVICE void add_logits(const OrderedSample& a, const Drawing& d, const SampleSubColumn& sub, u32 v0) {
    if (v0 >= sub.cardinality) return;
    const float* units = d.hidden + d.lane * d.stride + sub.hidden;
    const float* weights[codes];
    float sums[codes];
#pragma unroll
    for (u32 i = 0; i < codes; ++i) {
        const u32 v = min(v0 + i, sub.cardinality - 1);
        weights[i] = a.folded + sub.head_weight + (u64)v * sub.units;
        sums[i] = a.folded[sub.head_bias + v];
    }
    if (sub.units % 4 == 0 && sub.head_weight % 4 == 0) {
        add_products_by_four(sums, weights, units, sub.units);
    } else {
        add_products(sums, weights, units, sub.units);
    }
#pragma unroll
    for (u32 i = 0; i < codes; ++i) {
        if (v0 + i < sub.cardinality) d.probs[(v0 + i) * COLUMN + d.lane] = sums[i];
    }
}

// Logits of all rows. A warp takes four codes at a time, one where that leaves no warp idle.
DEVICE void fill_logits(const OrderedSample& a, const Drawing& d, const SampleSubColumn& sub) {
    u32 first = 0;
    for (; first + SAMPLE_WARPS < sub.cardinality; first += SAMPLE_WARPS * 4) add_logits<4>(a, d, sub, first + d.warp * 4);
    if (first < sub.cardinality) add_logits<1>(a, d, sub, first + d.warp);
}

// Softmax of one row, by a warp; returns the logarithm of the sum of exponentials.
DEVICE float normalise(float* p, u32 cardinality, u32 lane) {
    float largest = __uint_as_float(0xff800000u);
    for (u32 v = lane; v < cardinality; v += WARP) largest = fmaxf(largest, p[v * COLUMN]);
    largest = warp_max(largest);
    float sum = 0.0f;
    for (u32 v = lane; v < cardinality; v += WARP) {
        const float e = expf(p[v * COLUMN] - largest);
        p[v * COLUMN] = e;
        sum += e;
    }
    sum = warp_sum(sum);
    const float scale = 1.0f / sum;
    for (u32 v = lane; v < cardinality; v += WARP) p[v * COLUMN] *= scale;
    return largest + logf(sum);
}

DEVICE void store_output(float* to, const float* p, u32 cardinality, u32 lane) {
    for (u32 v = lane; v < cardinality; v += WARP) to[v] = p[v * COLUMN];
}

// All rules for sub-column s of row b, in place.
DEVICE void apply_rules(const OrderedSample& a, const SampleSubColumn& sub, u32 s, u32 b, float* p, u32 lane) {
    const Rules& rules = a.rules;
    if (rules.parity_target == s) balance(rules, p, sub.cardinality, a.codes + (u64)b * a.count, lane);
    float* odds = p;
    if (sub.fixed_count != 0 && a.with_odds) {
        odds = p + a.widest * COLUMN;
        for (u32 v = lane; v < sub.cardinality; v += WARP) odds[v * COLUMN] = p[v * COLUMN];
    }
    apply_temperature(rules.temperature, p, sub.cardinality, lane);
    apply_top_p(rules.top_p, p, sub.cardinality, lane);
    if (sub.fixed_count != 0) {
        apply_fixed(rules.fixed + sub.fixed, sub.fixed_count, p, odds, sub.cardinality, lane);
    }
    repair(p, sub.cardinality, lane);
    __syncwarp();
}

// The model's logit of one code, anew: the logits were overwritten by the weights.
DEVICE float logit_of(const OrderedSample& a, const Drawing& d, const SampleSubColumn& sub, u32 row, u32 code) {
    const float* units = d.hidden + row * d.stride + sub.hidden;
    const float* weight = a.folded + sub.head_weight + (u64)code * sub.units;
    float sum = 0.0f;
    for (u32 k = d.lane; k < sub.units; k += WARP) sum = fmaf(rectified(units[k]), weight[k], sum);
    return warp_sum(sum) + a.folded[sub.head_bias + code];
}

DEVICE float uniform_of(const OrderedSample& a, u32 b, u32 s) {
    if (a.uniforms != 0) return a.uniforms[(u64)b * a.count + s];
    const Step& step = current(a.steps);
    const RowPlace place = row_place(step, b);
    const u64 row = step.first_row + place.batch_row;
    return uniform_f32(random_words_at(step.seed, PURPOSE_DRAW, 0, (u32)(row >> 32), (u32)row, place.time, s).w[0]);
}

// Codes that a lane of draw_narrow holds.
const u32 HELD_CODES = 4;

// Draws from the logits of a narrow sub-column without writing anything: softmax, forbidden codes and the draw in registers.
// `log_sum` is the logarithm of the sum of exponentials. NO_CODE when all mass is forbidden.
const u32 NO_CODE = 0xffffffffu;

DEVICE u32 draw_narrow(const OrderedSample& a, const SampleSubColumn& sub, const float* logits, float uniform, u32 lane,
                       float& log_sum) {
    float values[HELD_CODES], sums[HELD_CODES];
    float largest = __uint_as_float(0xff800000u), total = 0.0f;
#pragma unroll
    for (u32 i = 0; i < HELD_CODES; ++i) {
        const u32 v = lane + i * WARP;
        values[i] = v < sub.cardinality ? logits[v * COLUMN] : __uint_as_float(0xff800000u);
        largest = fmaxf(largest, values[i]);
    }
    largest = warp_max(largest);
#pragma unroll
    for (u32 i = 0; i < HELD_CODES; ++i) {
        values[i] = lane + i * WARP < sub.cardinality ? expf(values[i] - largest) : 0.0f;
        total += values[i];
    }
    total = warp_sum(total);
    log_sum = largest + logf(total);
    for (u32 f = 0; f < sub.fixed_count; ++f) {
        const u32 code = a.rules.fixed[sub.fixed + f].code;
#pragma unroll
        for (u32 i = 0; i < HELD_CODES; ++i) values[i] = lane + i * WARP == code ? 0.0f : values[i];
    }
    // The chunks of 32 codes are summed beside each other, then behind each other.
#pragma unroll
    for (u32 i = 0; i < HELD_CODES; ++i) sums[i] = values[i];
#pragma unroll
    for (u32 distance = 1; distance < WARP; distance *= 2) {
#pragma unroll
        for (u32 i = 0; i < HELD_CODES; ++i) {
            const float other = __shfl_up_sync(ALL_LANES, sums[i], distance);
            if (lane >= distance) sums[i] += other;
        }
    }
    float before[HELD_CODES + 1];
    before[0] = 0.0f;
#pragma unroll
    for (u32 i = 0; i < HELD_CODES; ++i) before[i + 1] = before[i] + __shfl_sync(ALL_LANES, sums[i], WARP - 1);
    if (!(before[HELD_CODES] > 0.0f)) return NO_CODE;
    const float target = uniform * before[HELD_CODES];
    u32 last = 0;
#pragma unroll
    for (u32 i = 0; i < HELD_CODES; ++i) {
        const u32 reached = __ballot_sync(ALL_LANES, values[i] > 0.0f && before[i] + sums[i] > target);
        if (reached != 0) return i * WARP + __ffs(reached) - 1;
        const u32 positive = __ballot_sync(ALL_LANES, values[i] > 0.0f);
        if (positive != 0) last = i * WARP + WARP - 1 - __clz(positive);
    }
    return last;
}

// Draws one sub-column of one row, or takes its teacher-forced code; by a warp.
DEVICE void choose(const OrderedSample& a, const Drawing& d, const SampleDraw& draw_, u32 row) {
    const u32 s = draw_.sub, b = d.row0 + row;
    const SampleSubColumn& sub = a.subs[s];
    const u32 cell = cell_of(a, b, s);
    const bool needed = cell < CELL_OBSERVED || cell == CELL_SAMPLED;
    const bool requested = sub.probs != NOT_REQUESTED || sub.weights != NOT_REQUESTED;
    if (!needed && !requested) return;
    float* p = d.probs + row;
    float log_sum;
    u32 code = NO_CODE;
    if (sub.plain) code = draw_narrow(a, sub, p, cell == CELL_SAMPLED ? uniform_of(a, b, s) : 0.0f, d.lane, log_sum);
    if (code == NO_CODE) {
        log_sum = normalise(p, sub.cardinality, d.lane);
        __syncwarp();
        if (sub.probs != NOT_REQUESTED) {
            store_output(a.probs + (u64)b * a.probs_width + sub.probs, p, sub.cardinality, d.lane);
        }
        apply_rules(a, sub, s, b, p, d.lane);
        if (sub.weights != NOT_REQUESTED) {
            store_output(a.weights + (u64)b * a.weights_width + sub.weights, p, sub.cardinality, d.lane);
        }
        if (!needed) return;
        if (cell == CELL_SAMPLED) code = draw(p, sub.cardinality, uniform_of(a, b, s), d.lane);
    }
    if (cell != CELL_SAMPLED) code = a.codes[(u64)b * a.count + s];
    if (a.log_probs != 0) {
        const float logit = logit_of(a, d, sub, row, code);
        if (d.lane == 0) a.log_probs[(u64)b * a.count + s] = logit - log_sum;
    }
    if (d.lane == 0) a.codes[(u64)b * a.count + s] = code;
    contribute(a, d, sub, row, code, draw_.first, draw_.end);
    __syncwarp();
}

KERNEL(ordered_sample, OrderedSample, 512) {
    DYNAMIC_SHARED(scratch);
    Drawing d;
    d.lane = threadIdx.x % WARP;
    d.warp = threadIdx.x / WARP;
    d.stride = a.hidden | 1;
    const u64 hidden_len = (u64)SAMPLE_ROWS * d.stride, probs_len = (u64)a.widest * COLUMN * (a.with_odds ? 2 : 1);
    d.hidden = a.hidden_scratch != 0 ? a.hidden_scratch + blockIdx.x * hidden_len : scratch;
    d.probs = a.probs_scratch != 0 ? a.probs_scratch + blockIdx.x * probs_len : scratch + (a.hidden_scratch != 0 ? 0 : hidden_len);
    for (d.row0 = blockIdx.x * SAMPLE_ROWS; d.row0 < a.rows; d.row0 += gridDim.x * SAMPLE_ROWS) {
        d.rows = min(SAMPLE_ROWS, a.rows - d.row0);
        begin_rows(a, d);
        __syncthreads();
        for (u32 k = 0; k < a.draw_count; ++k) {
            fill_logits(a, d, a.subs[a.draws[k].sub]);
            __syncthreads();
            for (u32 row = d.warp; row < d.rows; row += SAMPLE_WARPS) choose(a, d, a.draws[k], row);
            __syncthreads();
        }
    }
}
