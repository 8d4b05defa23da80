// Matrix products of one tile: 32 rows by 64 columns, 128 threads, 4 by 4 results a thread. Operands lie in shared memory,
// filled with zeros where a ragged group ends.
#pragma once
#include "tensor_cores.cuh"

const u32 TILE_ROWS = 32;
const u32 TILE_COLS = 64;
const u32 TILE_THREADS = 128;
// Depth of a step, and the distance of rows in shared memory, padded against bank conflicts.
const u32 TILE_DEPTH = 64;
const u32 TILE_STRIDE = TILE_DEPTH + 4;
const u32 HALF_DEPTH = 32;
const u32 HALF_STRIDE = HALF_DEPTH + 4;

struct Tile {
    float sums[4][4];
};

DEVICE void clear(Tile& tile) {
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
#pragma unroll
        for (u32 j = 0; j < 4; ++j) tile.sums[i][j] = 0.0f;
    }
}

DEVICE float4 load4(const float* at) { return *reinterpret_cast<const float4*>(at); }

#if ON_TENSOR_CORES

// Row of result i of this thread, in all products.
DEVICE u32 tile_row(u32 i) { return i / 2 * 16 + i % 2 * 8 + mma_group(); }

// Column of result j: a warp has 16 columns.
DEVICE u32 tile_column(u32 j) { return threadIdx.x / WARP * 16 + j / 2 * 8 + mma_member() * 2 + j % 2; }

// Column of result j of product_of_rows.
DEVICE u32 tile_column_strided(u32 j) { return tile_column(j); }

// sums[i][j] += x[row i, :] . w[:, column j], where rows, columns and depths lie these steps apart. The depth is rounded up to a multiple of 8:
// behind it there are zeros.
template <u32 row_step, u32 x_depth_step, u32 column_step, u32 w_depth_step>
DEVICE void product(Tile& tile, const float* x, const float* w, u32 depth) {
#pragma unroll 2
    for (u32 k = 0; k < depth; k += 8) {
        RowFactors rows[2];
        ColumnFactors columns[2];
#pragma unroll
        for (u32 m = 0; m < 2; ++m) {
            load_rows<row_step, x_depth_step>(rows[m], x, 16 * m, k);
            load_columns<column_step, w_depth_step>(columns[m], w, threadIdx.x / WARP * 16 + 8 * m, k);
        }
#pragma unroll
        for (u32 m = 0; m < 2; ++m) {
#pragma unroll
            for (u32 n = 0; n < 2; ++n) {
                float sums[4];
#pragma unroll
                for (u32 e = 0; e < 4; ++e) sums[e] = tile.sums[2 * m + e / 2][2 * n + e % 2];
                mma(sums, rows[m], columns[n]);
#pragma unroll
                for (u32 e = 0; e < 4; ++e) tile.sums[2 * m + e / 2][2 * n + e % 2] = sums[e];
            }
        }
    }
}

// sums[i][j] += x[row i, :] . w[column j, :], both [.., depth] with rows `TILE_STRIDE` apart.
DEVICE void product_of_rows(Tile& tile, const float* x, const float* w, u32 depth) {
    product<TILE_STRIDE, 1, TILE_STRIDE, 1>(tile, x, w, depth);
}

// sums[i][j] += x[row i, :] . w[:, column j]: x rows `HALF_STRIDE` apart, w rows `TILE_STRIDE` apart.
DEVICE void product_of_rows_and_columns(Tile& tile, const float* x, const float* w, u32 depth) {
    product<HALF_STRIDE, 1, 1, TILE_STRIDE>(tile, x, w, depth);
}

// sums[i][j] += d[:, row i] . x[:, column j]: d rows `HALF_STRIDE` apart, x rows `TILE_STRIDE` apart.
DEVICE void product_of_columns(Tile& tile, const float* d, const float* x, u32 depth) {
    product<1, HALF_STRIDE, 1, TILE_STRIDE>(tile, d, x, depth);
}

#else

// Row of result i of this thread, in all products.
DEVICE u32 tile_row(u32 i) { return threadIdx.x / 16 * 4 + i; }

// Column of result j where columns lie side by side.
DEVICE u32 tile_column(u32 j) { return threadIdx.x % 16 * 4 + j; }

// Column of result j of product_of_rows.
DEVICE u32 tile_column_strided(u32 j) { return threadIdx.x % 16 + 16 * j; }

// sums[i][j] += x[row i, :] . w[column j, :], both [.., depth] with rows `TILE_STRIDE` apart.
DEVICE void product_of_rows(Tile& tile, const float* x, const float* w, u32 depth) {
    for (u32 k = 0; k < depth; k += 4) {
        float4 xs[4], ws[4];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            xs[i] = load4(x + tile_row(i) * TILE_STRIDE + k);
            ws[i] = load4(w + tile_column_strided(i) * TILE_STRIDE + k);
        }
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
#pragma unroll
            for (u32 j = 0; j < 4; ++j) {
                float sum = tile.sums[i][j];
                sum = fmaf(xs[i].x, ws[j].x, sum);
                sum = fmaf(xs[i].y, ws[j].y, sum);
                sum = fmaf(xs[i].z, ws[j].z, sum);
                tile.sums[i][j] = fmaf(xs[i].w, ws[j].w, sum);
            }
        }
    }
}

DEVICE void multiply_add(Tile& tile, u32 i, float x, const float4& w) {
    tile.sums[i][0] = fmaf(x, w.x, tile.sums[i][0]);
    tile.sums[i][1] = fmaf(x, w.y, tile.sums[i][1]);
    tile.sums[i][2] = fmaf(x, w.z, tile.sums[i][2]);
    tile.sums[i][3] = fmaf(x, w.w, tile.sums[i][3]);
}

// sums[i][j] += x[row i, :] . w[:, column j]: x rows `HALF_STRIDE` apart, w rows `TILE_STRIDE` apart.
DEVICE void product_of_rows_and_columns(Tile& tile, const float* x, const float* w, u32 depth) {
    for (u32 k = 0; k < depth; k += 4) {
        float4 xs[4];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) xs[i] = load4(x + tile_row(i) * HALF_STRIDE + k);
        const float* at = w + k * TILE_STRIDE + tile_column(0);
        const float4 w0 = load4(at), w1 = load4(at + TILE_STRIDE);
        const float4 w2 = load4(at + 2 * TILE_STRIDE), w3 = load4(at + 3 * TILE_STRIDE);
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            multiply_add(tile, i, xs[i].x, w0);
            multiply_add(tile, i, xs[i].y, w1);
            multiply_add(tile, i, xs[i].z, w2);
            multiply_add(tile, i, xs[i].w, w3);
        }
    }
}

// sums[i][j] += d[:, row i] . x[:, column j]: d rows `HALF_STRIDE` apart, x rows `TILE_STRIDE` apart.
DEVICE void product_of_columns(Tile& tile, const float* d, const float* x, u32 depth) {
#pragma unroll 4
    for (u32 k = 0; k < depth; ++k) {
        const float4 ds = load4(d + k * HALF_STRIDE + tile_row(0));
        const float4 xs = load4(x + k * TILE_STRIDE + tile_column(0));
        multiply_add(tile, 0, ds.x, xs);
        multiply_add(tile, 1, ds.y, xs);
        multiply_add(tile, 2, ds.z, xs);
        multiply_add(tile, 3, ds.w, xs);
    }
}

#endif

// A reduction that is split over several blocks (split-K): each leaves its sums in `partial_sums`, the last one adds them in their order.
struct Split {
    float* partial_sums;
    u32* counters;  // zero between launches
};
LAYOUT(Split, 16);

// Partial sums of a thread.
const u32 SPLIT_VALUES = 17;

// True in the one block that holds the whole sum afterwards, in `tile` and `extra`.
DEVICE bool reduce_splits(const Split& split, u32 job, u32 own_split, u32 split_count, Tile& tile, float& extra) {
    if (split_count == 1) return true;
    SHARED u32 ticket;
    float* to = split.partial_sums + ((u64)job * split_count + own_split) * SPLIT_VALUES * TILE_THREADS + threadIdx.x;
#pragma unroll
    for (u32 e = 0; e < 16; ++e) to[e * TILE_THREADS] = tile.sums[e / 4][e % 4];
    to[16 * TILE_THREADS] = extra;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) ticket = atomicAdd(&split.counters[job], 1u);
    __syncthreads();
    if (ticket != split_count - 1) return false;
    __threadfence();
    clear(tile);
    extra = 0.0f;
    const volatile float* from = split.partial_sums + (u64)job * split_count * SPLIT_VALUES * TILE_THREADS + threadIdx.x;
    for (u32 p = 0; p < split_count; ++p) {
#pragma unroll
        for (u32 e = 0; e < 16; ++e) tile.sums[e / 4][e % 4] += from[e * TILE_THREADS];
        extra += from[16 * TILE_THREADS];
        from += SPLIT_VALUES * TILE_THREADS;
    }
    if (threadIdx.x == 0) split.counters[job] = 0;
    return true;
}

// First row of split `own_split` of `split_count`: whole tiles.
DEVICE u32 split_start(u32 rows, u32 own_split, u32 split_count) {
    const u32 tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    return min(rows, tiles * own_split / split_count * TILE_ROWS);
}

// Values on their way from global to shared memory: loads are started together, other work can be done before they are stored.
template <u32 count>
struct Fetched {
    float values[count];
};

// Starts to load values that lie `step` apart; those from `valid` on are zeros.
template <u32 count>
DEVICE void fetch(Fetched<count>& fetched, const float* from, u64 step, u32 valid) {
#pragma unroll
    for (u32 j = 0; j < count; ++j) fetched.values[j] = j < valid ? from[j * step] : 0.0f;
}

template <u32 count>
DEVICE void store(const Fetched<count>& fetched, float* to, u32 step) {
#pragma unroll
    for (u32 j = 0; j < count; ++j) to[j * step] = fetched.values[j];
}

// How many of the elements start, start + step, .. lie below `end`.
DEVICE u32 steps_below(u32 start, u32 step, u32 end) { return start < end ? (end - start + step - 1) / step : 0; }

// A block [TILE_ROWS, 32] of a matrix, to lie in rows `HALF_STRIDE` apart.
const u32 HALF_STEP = TILE_THREADS / HALF_DEPTH;
typedef Fetched<TILE_ROWS / HALF_STEP> FetchedHalf;

// Starts to load a block [rows, columns] of a matrix with rows `width` apart.
DEVICE void fetch_half(FetchedHalf& fetched, const float* from, u64 width, u32 rows, u32 columns) {
    const u32 k = threadIdx.x % HALF_DEPTH, row = threadIdx.x / HALF_DEPTH;
    fetch(fetched, from + row * width + k, HALF_STEP * width, k < columns ? steps_below(row, HALF_STEP, rows) : 0);
}

DEVICE void store_half(const FetchedHalf& fetched, float* to) {
    store(fetched, to + threadIdx.x / HALF_DEPTH * HALF_STRIDE + threadIdx.x % HALF_DEPTH, HALF_STEP * HALF_STRIDE);
}

// A block of 32 (or twice as many) rows of 64 columns, to lie in rows `TILE_STRIDE` apart.
const u32 TILE_STEP = TILE_THREADS / TILE_DEPTH;
typedef Fetched<TILE_ROWS / TILE_STEP> FetchedTile;
typedef Fetched<TILE_COLS / TILE_STEP> FetchedWeights;

template <u32 count>
DEVICE void fetch_tile(Fetched<count>& fetched, const float* from, u64 width, u32 rows, u32 columns) {
    const u32 k = threadIdx.x % TILE_DEPTH, row = threadIdx.x / TILE_DEPTH;
    fetch(fetched, from + row * width + k, TILE_STEP * width, k < columns ? steps_below(row, TILE_STEP, rows) : 0);
}

template <u32 count>
DEVICE void store_tile(const Fetched<count>& fetched, float* to) {
    store(fetched, to + threadIdx.x / TILE_DEPTH * TILE_STRIDE + threadIdx.x % TILE_DEPTH, TILE_STEP * TILE_STRIDE);
}
