// Where batches come from: rows of the encoded table on the device, the ends of their sequences, and the column order of the step.
#include "random.cuh"

const u32 GATHER_ROWS = 16;
const u32 SEQUENTIAL = 0;

// Where a sub-column's code lies in a packed row.
struct PackedCode {
    u32 byte;
    u32 bytes;  // 1, 2 or 4
};
LAYOUT(PackedCode, 8);

// Which rows of a table make the batch of a step.
struct Source {
    const u8* table;  // [len, stride] packed rows
    const Steps* steps;
    u64 len;
    u32 stride;           // a multiple of 4
    u32 rows;             // of this device
    u32 batch_rows;       // of the batch, on all devices
    u32 steps_per_epoch;  // 0 reads in order
    u32 half_bits;        // of the permutation's Feistel network
    u32 ring_steps;       // steps that a ring in front of the table holds; 0 without one
};
LAYOUT(Source, 48);

struct GatherRows {
    Source source;
    const u8* ring;       // [ring_steps, rows, stride]
    const PackedCode* packed_codes;  // [columns]
    u32* codes;           // [rows, columns]
    u32 columns;
    u32 reserved;
};
LAYOUT(GatherRows, 80);

// Position i of permutation number `epoch` of 0..len: a four-round Feistel network with cycle walking.
DEVICE u64 permuted(u64 seed, u32 epoch, u64 len, u32 half_bits, u64 i) {
    const u64 mask = (1ull << half_bits) - 1;
    u64 x = i;
    do {
        u64 left = x >> half_bits, right = x & mask;
        for (u32 round = 0; round < 4; ++round) {
            u32 word = random_words(seed, PURPOSE_SHUFFLE, 0, epoch, (u32)right, round).w[0];
            u64 next = left ^ ((u64)word & mask);
            left = right;
            right = next;
        }
        x = left << half_bits | right;
    } while (x >= len);
    return x;
}

// The row of the table at position `b` of this device's shard of the batch.
DEVICE u64 row_of_table(const Source& source, const Step& step, u32 b) {
    if (source.steps_per_epoch == SEQUENTIAL) return step.first_row + b;
    const u32 epoch = step.step / source.steps_per_epoch, within = step.step % source.steps_per_epoch;
    const u64 position = (u64)within * source.batch_rows + step.row_offset + b;
    return permuted(step.seed, epoch, source.len, source.half_bits, position);
}

KERNEL(gather_rows, GatherRows, 256) {
    SHARED const u8* at[GATHER_ROWS];
    const Source& source = a.source;
    const Step& step = current(source.steps);
    const u32 first = blockIdx.x * GATHER_ROWS;
    if (threadIdx.x < GATHER_ROWS && first + threadIdx.x < source.rows) {
        const u32 b = first + threadIdx.x;
        if (source.ring_steps != 0) {
            const u64 slot = step.step_in_run % source.ring_steps;
            at[threadIdx.x] = a.ring + (slot * source.rows + b) * source.stride;
        } else {
            at[threadIdx.x] = source.table + row_of_table(source, step, b) * source.stride;
        }
    }
    __syncthreads();
    const u32 rows = min(GATHER_ROWS, source.rows - first);
    for (u32 i = threadIdx.x; i < rows * a.columns; i += blockDim.x) {
        const u32 b = i / a.columns, c = i % a.columns;
        const PackedCode packed = a.packed_codes[c];
        const u8* from = at[b] + packed.byte;
        u32 code = *from;
        if (packed.bytes == 2) code = *(const u16*)from;
        if (packed.bytes == 4) code = *(const u32*)from;
        a.codes[(u64)(first + b) * a.columns + c] = code;
    }
}

struct FetchRows {
    Source source;
    u8* ring;          // [ring_steps, rows, stride]
    u32 first_in_run;  // the first step whose rows are fetched; one for each block along y
    u32 reserved;
};
LAYOUT(FetchRows, 64);

// Copies the rows of later steps from main memory into the ring, beside the launches of the steps before them.
KERNEL(fetch_rows, FetchRows, 256) {
    SHARED const u32* from[GATHER_ROWS];
    const Source& source = a.source;
    const Step& step = source.steps->steps[a.first_in_run + blockIdx.y];
    const u32 first = blockIdx.x * GATHER_ROWS;
    if (threadIdx.x < GATHER_ROWS && first + threadIdx.x < source.rows) {
        const u64 row = row_of_table(source, step, first + threadIdx.x);
        from[threadIdx.x] = (const u32*)(source.table + row * source.stride);
    }
    __syncthreads();
    const u64 slot = step.step_in_run % source.ring_steps;
    u32* to = (u32*)(a.ring + (slot * source.rows + first) * source.stride);
    const u32 words = source.stride / 4;
    const u32 count = min(GATHER_ROWS, source.rows - first) * words;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) to[i] = from[i / words][i % words];
}

struct MaskRows {
    Source source;  // of lengths, [len] u32
    const float* x;
    float* y;
    u32 rows;  // of x
    u32 width;
};
LAYOUT(MaskRows, 72);

// y[b, k] = x[b, k] in time steps before the end of the sequence, else 0.
KERNEL(mask_rows, MaskRows, 256) {
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= a.rows * a.width) return;
    const Step& step = current(a.source.steps);
    const RowPlace place = row_place(step, i / a.width);
    const u32* lengths = (const u32*)a.source.table;
    a.y[i] = place.time < lengths[row_of_table(a.source, step, place.batch_row)] ? a.x[i] : 0.0f;
}

struct ColumnOrder {
    u32* ranks;  // [columns]
    const Steps* steps;
    u32 columns;
    u32 purpose;  // 0 leaves the columns as they stand
};
LAYOUT(ColumnOrder, 24);

DEVICE u64 order_key(const Step& step, u32 purpose, u32 column) {
    const Words words = random_words(step.seed, purpose, 0, step.step, 0, column);
    return (u64)words.w[0] << 32 | words.w[1];
}

// The rank of a column is the number of columns with a smaller key; ties by index.
KERNEL(column_order, ColumnOrder, 256) {
    SHARED u64 keys[256];
    const Step& step = current(a.steps);
    const u32 c = blockIdx.x * 256 + threadIdx.x;
    if (a.purpose == 0) {
        if (c < a.columns) a.ranks[c] = c;
        return;
    }
    const u64 own = order_key(step, a.purpose, c);
    u32 rank = 0;
    for (u32 tile = 0; tile < a.columns; tile += 256) {
        keys[threadIdx.x] = order_key(step, a.purpose, tile + threadIdx.x);
        __syncthreads();
        const u32 count = min(256u, a.columns - tile);
        for (u32 i = 0; i < count; ++i) {
            rank += keys[i] < own || (keys[i] == own && tile + i < c) ? 1 : 0;
        }
        __syncthreads();
    }
    if (c < a.columns) a.ranks[c] = rank;
}

struct NextStep {
    Steps* steps;
};
LAYOUT(NextStep, 8);

KERNEL(next_step, NextStep, 32) {
    if (threadIdx.x == 0) a.steps->now += 1;
}
