// The ordered linear layer: a sub-column sees the columns before its own in the column order, and its earlier siblings. Hidden
// inputs are skipped: positions count visible inputs only.
#include "linear_product.cuh"
#include "random.cuh"

const u32 NONE = 0xffffffffu;

struct OrderedSubColumn {
    u32 column;
    u32 weight;    // [outputs, inputs] in the arena
    u32 bias;      // [outputs] in the arena
    u32 inputs;    // columns of the weight: all column embeddings, then the earlier siblings
    u32 output;    // first output feature
    u32 outputs;
    u32 sibling;   // first feature of the first sibling
    u32 siblings;  // features of the earlier siblings
};
LAYOUT(OrderedSubColumn, 32);

// What all ordered kernels know of the layer.
struct Ordered {
    const float* columns;       // [rows, column_width]
    const float* sub_columns;   // [rows, sub_column_width]
    const u32* ranks;           // [column_count]
    const u32* offsets;         // [column_count + 1] first feature of each column
    const u32* starts;          // [column_count, column_count + 1] visible features before each column, for each column's view
    const u32* features;        // [column_count, column_width] visible features in order, likewise; null where that is too much
    const OrderedSubColumn* subs;
    const Steps* steps;
    Dropout dropout;
    u32 rows;
    u32 column_count;
    u32 column_width;
    u32 sub_column_width;
    u32 output_width;
    u32 sub_count;
};
LAYOUT(Ordered, 104);

struct OrderedPositions {
    const u32* ranks;
    const u32* offsets;
    u32* starts;
    u32* features;  // null where that is too much
    u32 column_count;
    u32 column_width;
};
LAYOUT(OrderedPositions, 40);

// starts[own][c] = features of the columns before c that `own` sees; a warp scans one view.
KERNEL(ordered_positions, OrderedPositions, 256) {
    const u32 own = blockIdx.x * 8 + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (own >= a.column_count) return;
    const u32 rank = a.ranks[own];
    u32* starts = a.starts + (u64)own * (a.column_count + 1);
    u32 before = 0;
    for (u32 first = 0; first < a.column_count; first += WARP) {
        const u32 c = first + lane;
        const bool seen = c < a.column_count && a.ranks[c] < rank;
        const u32 width = seen ? a.offsets[c + 1] - a.offsets[c] : 0;
        u32 sum = width;
        for (u32 distance = 1; distance < WARP; distance *= 2) {
            const u32 other = __shfl_up_sync(ALL_LANES, sum, distance);
            if (lane >= distance) sum += other;
        }
        if (c < a.column_count) starts[c] = before + sum - width;
        if (a.features != 0) {
            u32* to = a.features + (u64)own * a.column_width + before + sum - width;
            for (u32 k = 0; k < width; ++k) to[k] = a.offsets[c] + k;
        }
        before += __shfl_sync(ALL_LANES, sum, WARP - 1);
    }
    if (lane == 0) starts[a.column_count] = before;
}

// Visible features before each column in the view of a sub-column.
DEVICE const u32* view_of(const Ordered& o, const OrderedSubColumn& sub) {
    return o.starts + (u64)sub.column * (o.column_count + 1);
}

// Number of visible inputs.
DEVICE u32 visible_inputs(const Ordered& o, const OrderedSubColumn& sub) {
    return view_of(o, sub)[o.column_count] + sub.siblings;
}

// Weight column of a visible position.
DEVICE u32 weight_column(const Ordered& o, const OrderedSubColumn& sub, u32 position) {
    const u32* starts = view_of(o, sub);
    const u32 of_columns = starts[o.column_count];
    if (position >= of_columns) return o.column_width + position - of_columns;
    if (o.features != 0) return o.features[(u64)sub.column * o.column_width + position];
    // The last column that starts at or before the position: hidden ones are empty and start where the next one does.
    u32 low = 0, high = o.column_count;
    while (high - low > 1) {
        const u32 middle = (low + high) / 2;
        if (starts[middle] <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return o.offsets[low] + position - starts[low];
}

// Where row 0 of the input that meets a weight column lies, and the distance of rows.
DEVICE const float* input_of(const Ordered& o, const OrderedSubColumn& sub, u32 column, u32& width) {
    const bool of_columns = column < o.column_width;
    width = of_columns ? o.column_width : o.sub_column_width;
    return of_columns ? o.columns + column : o.sub_columns + sub.sibling + column - o.column_width;
}

// Dropout bytes of 32 rows: 16 positions a chunk, rows MASK_STRIDE bytes apart against bank conflicts.
const u32 MASK_STRIDE = 80;

DEVICE void load_masks(const Ordered& o, u8* masks, u32 s, u32 row0, u32 chunk0, u32 chunks) {
    const u32 row = threadIdx.x % TILE_ROWS;
    for (u32 q = threadIdx.x / TILE_ROWS; q < chunks; q += TILE_THREADS / TILE_ROWS) {
        const Words words = dropout_words(o.dropout, current(o.steps), row0 + row, s, chunk0 + q);
        *reinterpret_cast<uint4*>(masks + row * MASK_STRIDE + 16 * q) =
            make_uint4(words.w[0], words.w[1], words.w[2], words.w[3]);
    }
}

// Visible inputs at positions first .. first + 64 of 32 rows, dropped out.
struct VisibleTile {
    float4 x[TILE_ROWS * TILE_STRIDE / 4];
    uint4 masks[TILE_ROWS * MASK_STRIDE / 16];
    u32 columns[TILE_DEPTH];  // weight column of each position, NONE behind the last
};

// Finds the weight columns of a tile's positions; a barrier must follow before they are read.
DEVICE void place_visible(const Ordered& o, VisibleTile& tile, const OrderedSubColumn& sub, u32 first, u32 visible) {
    for (u32 k = threadIdx.x; k < TILE_DEPTH; k += TILE_THREADS) {
        tile.columns[k] = first + k < visible ? weight_column(o, sub, first + k) : NONE;
    }
}

// Starts to load the tile's inputs in rows row0 .. row0 + rows; columns must be placed.
DEVICE void fetch_visible(const Ordered& o, FetchedTile& fetched, const VisibleTile& tile, const OrderedSubColumn& sub, u32 row0,
                          u32 rows) {
    const u32 row = threadIdx.x / TILE_DEPTH, column = tile.columns[threadIdx.x % TILE_DEPTH];
    u32 width = 0;
    const float* from = column == NONE ? o.columns : input_of(o, sub, column, width) + (u64)(row0 + row) * width;
    fetch(fetched, from, (u64)TILE_STEP * width, column == NONE ? 0 : steps_below(row, TILE_STEP, rows));
}

// Finds out what is dropped of the tile in 32 rows; a barrier must follow before store_visible.
DEVICE void mask_visible(const Ordered& o, VisibleTile& tile, u32 s, u32 first, u32 row0) {
    if (o.dropout.threshold != 0) {
        load_masks(o, reinterpret_cast<u8*>(tile.masks), s, row0, first / 16, TILE_DEPTH / 16);
    }
}

// Fills the tile with what fetch_visible brought.
DEVICE void store_visible(const Ordered& o, FetchedTile& fetched, VisibleTile& tile) {
    const u8* masks = reinterpret_cast<const u8*>(tile.masks);
    const u32 k = threadIdx.x % TILE_DEPTH, row = threadIdx.x / TILE_DEPTH;
    if (o.dropout.threshold != 0) {
#pragma unroll
        for (u32 j = 0; j < TILE_ROWS / TILE_STEP; ++j) {
            fetched.values[j] *= dropout_factor(o.dropout, masks[(row + j * TILE_STEP) * MASK_STRIDE + k]);
        }
    }
    store_tile(fetched, &tile.x[0].x);
}

struct OrderedJob {
    u32 sub;
    u32 first;   // first output of the tile
    u32 second;  // first position of the tile, for gradients of weights
    u32 reserved;
};
LAYOUT(OrderedJob, 16);

struct OrderedLinear {
    Ordered o;
    const float* params;
    float* y;  // [rows, output_width]
    const OrderedJob* jobs;
    u32 relu;  // 1: y is rectified
    u32 reserved;
};
LAYOUT(OrderedLinear, 136);

// Starts to load the weights of up to 64 outputs that meet the inputs of a tile.
DEVICE void fetch_weights(FetchedWeights& fetched, const VisibleTile& tile, const float* weight, u32 inputs, u32 outputs) {
    const u32 n = threadIdx.x / TILE_DEPTH, column = tile.columns[threadIdx.x % TILE_DEPTH];
    const float* from = weight + (u64)n * inputs + (column == NONE ? 0 : column);
    fetch(fetched, from, (u64)TILE_STEP * inputs, column == NONE ? 0 : steps_below(n, TILE_STEP, outputs));
}

KERNEL(ordered_linear, OrderedLinear, 128) {
    SHARED VisibleTile visible;
    SHARED float4 w_raw[TILE_COLS * TILE_STRIDE / 4];
    float* ws = &w_raw[0].x;
    const OrderedJob job = a.jobs[blockIdx.x];
    const OrderedSubColumn sub = a.o.subs[job.sub];
    const u32 row0 = blockIdx.y * TILE_ROWS, columns = min(TILE_COLS, sub.outputs - job.first);
    const u32 count = visible_inputs(a.o, sub);
    const float* weight = a.params + sub.weight + (u64)job.first * sub.inputs;
    Tile tile;
    clear(tile);
    for (u32 first = 0; first < count; first += TILE_DEPTH) {
        const u32 depth = min(TILE_DEPTH, count - first);
        place_visible(a.o, visible, sub, first, count);
        __syncthreads();
        FetchedTile next_x;
        FetchedWeights next_w;
        fetch_visible(a.o, next_x, visible, sub, row0, a.o.rows - row0);
        fetch_weights(next_w, visible, weight, sub.inputs, columns);
        // Random numbers are found while the values are loaded.
        mask_visible(a.o, visible, job.sub, first, row0);
        __syncthreads();
        store_visible(a.o, next_x, visible);
        store_tile(next_w, ws);
        __syncthreads();
        product_of_rows(tile, &visible.x[0].x, ws, (depth + 3) / 4 * 4);
        __syncthreads();
    }
#pragma unroll
    for (u32 j = 0; j < 4; ++j) {
        const u32 n = tile_column_strided(j);
        if (n >= columns) continue;
        const float bias = a.params[sub.bias + job.first + n];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const u32 b = row0 + tile_row(i);
            if (b >= a.o.rows) continue;
            const float y = tile.sums[i][j] + bias;
            a.y[(u64)b * a.o.output_width + sub.output + job.first + n] = a.relu && y < 0.0f ? 0.0f : y;
        }
    }
}

// A tile of the gradient of the column embeddings (of_siblings 0) or of the sub-column embeddings (1).
struct OrderedInputJob {
    u32 of_siblings;
    u32 first;         // first feature
    u32 count;         // features, up to 64
    u32 first_column;  // column of the first feature
    u32 last_column;   // column of the last feature
    u32 reserved;
};
LAYOUT(OrderedInputJob, 24);

struct OrderedLinearGradInput {
    Ordered o;
    const float* params;
    const float* grad_output;    // [rows, output_width]
    float* grad_columns;         // [rows, column_width]
    float* grad_sub_columns;     // [rows, sub_column_width]; null where no column has siblings
    const u32* column_of;        // column of each column feature
    const OrderedInputJob* jobs;
    Split split;
};
LAYOUT(OrderedLinearGradInput, 168);

// Position of a feature of the tile in the view of a sub-column, NONE where it is hidden.
DEVICE u32 position_of(const OrderedLinearGradInput& a, const OrderedInputJob& job, const OrderedSubColumn& sub, u32 f) {
    const u32* starts = view_of(a.o, sub);
    if (job.of_siblings) {
        const bool seen = f >= sub.sibling && f < sub.sibling + sub.siblings;
        return seen ? starts[a.o.column_count] + f - sub.sibling : NONE;
    }
    const u32 c = a.column_of[f];
    return starts[c + 1] > starts[c] ? starts[c] + f - a.o.offsets[c] : NONE;
}

// Whether a sub-column sees anything of the tile, and the position of the first feature that it sees.
DEVICE bool sees(const OrderedLinearGradInput& a, const OrderedInputJob& job, const OrderedSubColumn& sub, u32& lowest) {
    const u32* starts = view_of(a.o, sub);
    if (job.of_siblings) {
        const u32 from = max(job.first, sub.sibling), to = min(job.first + job.count, sub.sibling + sub.siblings);
        lowest = starts[a.o.column_count] + from - sub.sibling;
        return sub.siblings != 0 && from < to;
    }
    const u32 c = job.first_column;
    const bool first_seen = starts[c + 1] > starts[c];
    lowest = starts[c] + (first_seen ? job.first - a.o.offsets[c] : 0);
    return starts[job.last_column + 1] > starts[c];
}

KERNEL(ordered_linear_grad_input, OrderedLinearGradInput, 128) {
    SHARED float4 d_raw[TILE_ROWS * HALF_STRIDE / 4], w_raw[HALF_DEPTH * TILE_STRIDE / 4];
    SHARED uint4 mask_raw[TILE_ROWS * MASK_STRIDE / 16];
    SHARED u32 positions[TILE_COLS];
    float *ds = &d_raw[0].x, *ws = &w_raw[0].x;
    u8* masks = reinterpret_cast<u8*>(mask_raw);
    const OrderedInputJob job = a.jobs[blockIdx.x];
    const u32 row0 = blockIdx.y * TILE_ROWS, split_count = gridDim.z;
    Tile total;
    clear(total);
    for (u32 s = blockIdx.z; s < a.o.sub_count; s += split_count) {
        const OrderedSubColumn sub = a.o.subs[s];
        u32 lowest;
        if (!sees(a, job, sub, lowest)) continue;
        const u32 chunk0 = lowest / 16;
        __syncthreads();
        for (u32 k = threadIdx.x; k < TILE_COLS; k += TILE_THREADS) {
            positions[k] = k < job.count ? position_of(a, job, sub, job.first + k) : NONE;
        }
        __syncthreads();
        Tile tile;
        clear(tile);
        // Hidden features are not read: with siblings their weights may lie outside.
        const bool seen = positions[threadIdx.x % TILE_COLS] != NONE;
        const u32 column0 = job.of_siblings ? a.o.column_width + job.first - sub.sibling : job.first;
        const float* weight = a.params + sub.weight + (int)column0;
        const float* d = a.grad_output + (u64)row0 * a.o.output_width + sub.output;
        const u32 rows = a.o.rows - row0, seen_columns = seen ? TILE_COLS : 0;
        FetchedHalf next_d;
        FetchedTile next_w;
        fetch_half(next_d, d, a.o.output_width, rows, sub.outputs);
        fetch_tile(next_w, weight, sub.inputs, sub.outputs, seen_columns);
        // 64 positions from anywhere within a chunk touch five chunks.
        if (a.o.dropout.threshold != 0) load_masks(a.o, masks, s, row0, chunk0, MASK_STRIDE / 16);
        for (u32 n0 = 0; n0 < sub.outputs; n0 += HALF_DEPTH) {
            const u32 depth = min(HALF_DEPTH, sub.outputs - n0), n1 = n0 + depth;
            store_half(next_d, ds);
            store_tile(next_w, ws);
            __syncthreads();
            // The next step's values are loaded while this one's are multiplied.
            fetch_half(next_d, d + n1, a.o.output_width, rows, sub.outputs - n1);
            fetch_tile(next_w, weight + (u64)n1 * sub.inputs, sub.inputs, sub.outputs - n1, seen_columns);
            product_of_rows_and_columns(tile, ds, ws, (depth + 3) / 4 * 4);
            __syncthreads();
        }
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            const u32 position = positions[tile_column(j)];
            if (position == NONE) continue;
#pragma unroll
            for (u32 i = 0; i < 4; ++i) {
                float factor = 1.0f;
                if (a.o.dropout.threshold != 0) {
                    factor = dropout_factor(a.o.dropout, masks[tile_row(i) * MASK_STRIDE + position - 16 * chunk0]);
                }
                total.sums[i][j] = fmaf(factor, tile.sums[i][j], total.sums[i][j]);
            }
        }
    }
    float unused = 0.0f;
    const u32 number = blockIdx.x * gridDim.y + blockIdx.y;
    if (!reduce_splits(a.split, number, blockIdx.z, split_count, total, unused)) return;
    float* grad = job.of_siblings ? a.grad_sub_columns : a.grad_columns;
    const u32 width = job.of_siblings ? a.o.sub_column_width : a.o.column_width;
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const u32 b = row0 + tile_row(i);
        if (b >= a.o.rows) continue;
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            const u32 k = tile_column(j);
            if (k < job.count) grad[(u64)b * width + job.first + k] = total.sums[i][j];
        }
    }
}

struct OrderedLinearGradParams {
    Ordered o;
    float* grads;
    const float* grad_output;  // [rows, output_width]
    const OrderedJob* jobs;
    Split split;
};
LAYOUT(OrderedLinearGradParams, 144);

KERNEL(ordered_linear_grad_params, OrderedLinearGradParams, 128) {
    SHARED VisibleTile visible;
    SHARED float4 d_raw[TILE_ROWS * HALF_STRIDE / 4];
    float* ds = &d_raw[0].x;
    const OrderedJob job = a.jobs[blockIdx.x];
    const OrderedSubColumn sub = a.o.subs[job.sub];
    const u32 own_split = blockIdx.y, split_count = gridDim.y;
    const u32 count = visible_inputs(a.o, sub);
    if (job.second != 0 && job.second >= count) return;
    const u32 outputs = min(TILE_ROWS, sub.outputs - job.first);
    const u32 end = split_start(a.o.rows, own_split + 1, split_count);
    Tile tile;
    clear(tile);
    float bias = 0.0f;
    place_visible(a.o, visible, sub, job.second, count);
    __syncthreads();
    const float* d = a.grad_output + sub.output + job.first;
    FetchedHalf next_d;
    FetchedTile next_x;
    u32 row0 = split_start(a.o.rows, own_split, split_count);
    fetch_half(next_d, d + (u64)row0 * a.o.output_width, a.o.output_width, end - row0, outputs);
    fetch_visible(a.o, next_x, visible, sub, row0, end - row0);
    mask_visible(a.o, visible, job.sub, job.second, row0);
    __syncthreads();
    while (row0 < end) {
        store_half(next_d, ds);
        store_visible(a.o, next_x, visible);
        __syncthreads();
        // The next step's values are loaded while this one's are multiplied.
        row0 += TILE_ROWS;
        const u32 rows = row0 < end ? end - row0 : 0;
        fetch_half(next_d, d + (u64)row0 * a.o.output_width, a.o.output_width, rows, outputs);
        fetch_visible(a.o, next_x, visible, sub, row0, rows);
        if (rows > 0) mask_visible(a.o, visible, job.sub, job.second, row0);
        product_of_columns(tile, ds, &visible.x[0].x, TILE_ROWS);
        if (threadIdx.x < TILE_ROWS) {
            for (u32 row = 0; row < TILE_ROWS; ++row) bias += ds[row * HALF_STRIDE + threadIdx.x];
        }
        __syncthreads();
    }
    if (!reduce_splits(a.split, blockIdx.x, own_split, split_count, tile, bias)) return;
    if (job.second == 0 && threadIdx.x < outputs) a.grads[sub.bias + job.first + threadIdx.x] += bias;
#pragma unroll
    for (u32 j = 0; j < 4; ++j) {
        const u32 position = job.second + tile_column(j);
        if (position >= count) continue;
        const u32 column = visible.columns[tile_column(j)];
#pragma unroll
        for (u32 i = 0; i < 4; ++i) {
            const u32 n = tile_row(i);
            if (n >= outputs) continue;
            a.grads[sub.weight + (u64)(job.first + n) * sub.inputs + column] += tile.sums[i][j];
        }
    }
}

struct OrderedLinearSqNorm {
    Ordered o;
    const float* grad_output;  // [rows, output_width]
    float* y;                  // [rows, 2 sub_count]
};
LAYOUT(OrderedLinearSqNorm, 120);

// A warp works on one sub-column of one row, a lane on 16 positions at a time.
KERNEL(ordered_linear_sq_norm, OrderedLinearSqNorm, 256) {
    const u32 item = blockIdx.x * 8 + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    if (item >= a.o.rows * a.o.sub_count) return;
    const u32 b = item / a.o.sub_count, s = item % a.o.sub_count;
    const OrderedSubColumn sub = a.o.subs[s];
    const u32 count = visible_inputs(a.o, sub);
    // The place needs a division, which in the loop would take registers from it.
    RowPlace place = {b, 0};
    if (a.o.dropout.threshold != 0) place = row_place(current(a.o.steps), b);
    float xx = 0.0f;
    for (u32 chunk = lane; chunk * 16 < count; chunk += WARP) {
        Words words = {{0, 0, 0, 0}};
        if (a.o.dropout.threshold != 0) words = dropout_words_at(a.o.dropout, current(a.o.steps), place, s, chunk);
        const u32 positions = min(16u, count - chunk * 16);
        for (u32 i = 0; i < positions; ++i) {
            u32 width;
            const float* from = input_of(a.o, sub, weight_column(a.o, sub, chunk * 16 + i), width);
            float x = from[(u64)b * width];
            if (a.o.dropout.threshold != 0) x *= dropout_factor(a.o.dropout, byte_of(words, i));
            xx += x * x;
        }
    }
    xx = warp_sum(xx);
    const float dd = sum_of_squares(a.grad_output + (u64)b * a.o.output_width + sub.output, sub.outputs, lane);
    if (lane == 0) {
        a.y[(u64)item * 2] = xx * dd;
        a.y[(u64)item * 2 + 1] = dd;
    }
}
