// Embedding lookups of all sub-columns at once.
#include "common.cuh"

// One table [cardinality, width] and its group of features.
struct EmbeddingTable {
    u32 offset;       // in the arena
    u32 cardinality;
    u32 width;
    u32 feature;      // first feature
};
LAYOUT(EmbeddingTable, 16);

struct Embedding {
    const float* params;
    const u32* codes;              // [rows, tables]
    const EmbeddingTable* tables;  // [tables]
    const u32* owner;              // table of each feature
    float* y;                      // [rows, width]
    Fault* fault;
    u32 rows;
    u32 width;
    u32 count;
    u32 reserved;
};
LAYOUT(Embedding, 64);

KERNEL(embedding, Embedding, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.rows * a.width) return;
    const u32 b = i / a.width, feature = i % a.width;
    const u32 s = a.owner[feature];
    const EmbeddingTable table = a.tables[s];
    const u32 code = a.codes[b * a.count + s];
    float value = 0.0f;
    if (code < table.cardinality) {
        value = a.params[table.offset + code * table.width + feature - table.feature];
    } else {
        report_fault(a.fault, s, code);
    }
    a.y[i] = value;
}

// A part of a table's gradient: entries first .. first + 64 of table s.
struct EmbeddingPart {
    u32 s;
    u32 first;
};
LAYOUT(EmbeddingPart, 8);

struct EmbeddingGrad {
    float* grads;
    const u32* codes;              // [rows, tables]
    const float* grad_output;      // [rows, width]
    const EmbeddingTable* tables;  // [tables]
    const EmbeddingPart* parts;    // one per block of embedding_grad
    const u32* large;              // tables, one per blockIdx.y of embedding_grad_sparse
    float* partial_sums;           // [splits, blocks, PART]
    Fault* fault;
    u32 rows;
    u32 width;
    u32 count;
    u32 splits;  // of the rows
};
LAYOUT(EmbeddingGrad, 80);

const u32 PART = 64;
const u32 SLICES = 8;
const u32 CODE_ROWS = 512;

// Small tables: a thread sums one entry over a slice of the rows, as a product with one-hot codes; the rows are
// split over several blocks, which leave their sums in `partial_sums`. Every sum has one order.
KERNEL(embedding_grad, EmbeddingGrad, 512) {
    SHARED u32 codes[CODE_ROWS];
    SHARED float sums[SLICES][PART];
    const EmbeddingPart part = a.parts[blockIdx.x];
    const EmbeddingTable table = a.tables[part.s];
    const u32 lane = threadIdx.x % PART, slice = threadIdx.x / PART;
    const u32 entry = part.first + lane;
    const u32 v = entry / table.width, k = entry % table.width;
    const bool live = v < table.cardinality;
    const float* signal = a.grad_output + table.feature + (live ? k : 0);
    float sum = 0.0f;
    for (u32 first = blockIdx.y * CODE_ROWS; first < a.rows; first += gridDim.y * CODE_ROWS) {
        const u32 rows = min(CODE_ROWS, a.rows - first);
        __syncthreads();
        for (u32 b = threadIdx.x; b < rows; b += PART * SLICES) {
            const u32 code = a.codes[(first + b) * a.count + part.s];
            codes[b] = code;
            if (code >= table.cardinality) report_fault(a.fault, part.s, code);
        }
        __syncthreads();
#pragma unroll 16
        for (u32 b = slice; b < rows; b += SLICES) {
            const float value = signal[(u64)(first + b) * a.width];
            sum += codes[b] == v ? value : 0.0f;
        }
    }
    sums[slice][lane] = sum;
    __syncthreads();
    if (slice != 0) return;
    float total = sums[0][lane];
    for (u32 i = 1; i < SLICES; ++i) total += sums[i][lane];
    if (gridDim.y == 1) {
        if (live) a.grads[table.offset + entry] += total;
    } else {
        a.partial_sums[((u64)blockIdx.y * gridDim.x + blockIdx.x) * PART + lane] = total;
    }
}

// Adds what the blocks of embedding_grad left, in their order.
KERNEL(embedding_grad_join, EmbeddingGrad, 64) {
    const EmbeddingPart part = a.parts[blockIdx.x];
    const EmbeddingTable table = a.tables[part.s];
    const u32 entry = part.first + threadIdx.x;
    if (entry >= table.cardinality * table.width) return;
    float total = 0.0f;
    for (u32 i = 0; i < a.splits; ++i) total += a.partial_sums[((u64)i * gridDim.x + blockIdx.x) * PART + threadIdx.x];
    a.grads[table.offset + entry] += total;
}

// Large tables: the warp of the first row with a code sums all rows with that code, in their order.
KERNEL(embedding_grad_sparse, EmbeddingGrad, 256) {
    const u32 own = blockIdx.x * 8 + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (own >= a.rows) return;
    const u32 s = a.large[blockIdx.y];
    const EmbeddingTable table = a.tables[s];
    const u32 code = a.codes[own * a.count + s];
    if (code >= table.cardinality) {
        report_fault(a.fault, s, code);
        return;
    }
    for (u32 first = 0; first < own; first += WARP) {
        const u32 b = first + lane;
        if (__any_sync(ALL_LANES, b < own && a.codes[b * a.count + s] == code)) return;
    }
    for (u32 k0 = 0; k0 < table.width; k0 += WARP) {
        const u32 k = k0 + lane;
        const float* signal = a.grad_output + table.feature + min(k, table.width - 1);
        float sum = 0.0f;
        for (u32 first = own; first < a.rows; first += WARP) {
            const u32 b = first + lane;
            u32 matches = __ballot_sync(ALL_LANES, b < a.rows && a.codes[b * a.count + s] == code);
            while (matches != 0) {
                // Four loads are in flight before the first is added.
                float values[4];
#pragma unroll
                for (u32 i = 0; i < 4; ++i) {
                    const bool any = matches != 0;
                    const u32 at = any ? first + __ffs(matches) - 1 : own;
                    const float value = signal[(u64)at * a.width];
                    values[i] = any ? value : 0.0f;
                    matches &= matches - 1;
                }
#pragma unroll
                for (u32 i = 0; i < 4; ++i) sum += values[i];
            }
        }
        if (k < table.width) a.grads[table.offset + code * table.width + k] += sum;
    }
}

struct EmbeddingSqNorm {
    const float* grad_output;      // [rows, width]
    const EmbeddingTable* tables;  // [count]
    float* y;                      // [rows, count]
    u32 rows;
    u32 width;
    u32 count;
    u32 reserved;
};
LAYOUT(EmbeddingSqNorm, 40);

KERNEL(embedding_sq_norm, EmbeddingSqNorm, 256) {
    const u32 item = blockIdx.x * 8 + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (item >= a.rows * a.count) return;
    const u32 b = item / a.count, s = item % a.count;
    const EmbeddingTable table = a.tables[s];
    const float sum = sum_of_squares(a.grad_output + (u64)b * a.width + table.feature, table.width, lane);
    if (lane == 0) a.y[item] = sum;
}
