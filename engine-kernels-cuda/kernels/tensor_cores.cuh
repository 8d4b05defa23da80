// Products of 16 rows by 8 columns, 8 deep, on tensor cores: a warp holds the factors and the sums in pieces (PTX ISA, "Matrix fragments for
// mma.m16n8k8"). Factors are rounded to TF32, ten bits behind the point; sums are in single precision.
//
// Used where TENSOR_CORES is defined and the architecture has them. The host computes the same products by shuffles and rounds nothing, so that
// what lies where is held to the bounds of all other kernels.
#pragma once
#include "common.cuh"

#if defined(TENSOR_CORES) && (defined(ENGINE_HOST) || __CUDA_ARCH__ >= 800)
#define ON_TENSOR_CORES 1
#else
#define ON_TENSOR_CORES 0
#endif

#if ON_TENSOR_CORES

// A lane holds results in rows group and group + 8, columns 2 member and 2 member + 1.
DEVICE u32 mma_group() { return threadIdx.x % WARP / 4; }
DEVICE u32 mma_member() { return threadIdx.x % 4; }

// Rows group, group + 8 at depths member, then both at depths member + 4.
struct RowFactors {
    u32 bits[4];
};

// Column group at depths member and member + 4.
struct ColumnFactors {
    u32 bits[2];
};

#ifdef ENGINE_HOST

DEVICE u32 rounded(float x) { return __float_as_uint(x); }

DEVICE float factor_of(u32 bits, u32 lane) { return __uint_as_float(__shfl_sync(ALL_LANES, bits, (int)lane)); }

DEVICE void mma(float (&sums)[4], const RowFactors& a, const ColumnFactors& b) {
    for (u32 i = 0; i < 4; ++i) {
        for (u32 k = 0; k < 8; ++k) {
            const float x = factor_of(a.bits[k / 4 * 2 + i / 2], mma_group() * 4 + k % 4);
            const float y = factor_of(b.bits[k / 4], (mma_member() * 2 + i % 2) * 4 + k % 4);
            sums[i] = fmaf(x, y, sums[i]);
        }
    }
}

#else

DEVICE u32 rounded(float x) {
    u32 bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

DEVICE void mma(float (&sums)[4], const RowFactors& a, const ColumnFactors& b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a.bits[0]), "r"(a.bits[1]), "r"(a.bits[2]), "r"(a.bits[3]), "r"(b.bits[0]), "r"(b.bits[1]));
}

#endif

// Loads rows row .. row + 15 at depths k .. k + 7, which lie `row_step` and `depth_step` apart.
template <u32 row_step, u32 depth_step>
DEVICE void load_rows(RowFactors& factors, const float* from, u32 row, u32 k) {
    const float* at = from + (row + mma_group()) * row_step + (k + mma_member()) * depth_step;
    factors.bits[0] = rounded(at[0]);
    factors.bits[1] = rounded(at[8 * row_step]);
    factors.bits[2] = rounded(at[4 * depth_step]);
    factors.bits[3] = rounded(at[8 * row_step + 4 * depth_step]);
}

// Loads columns column .. column + 7 at depths k .. k + 7, likewise.
template <u32 column_step, u32 depth_step>
DEVICE void load_columns(ColumnFactors& factors, const float* from, u32 column, u32 k) {
    const float* at = from + (column + mma_group()) * column_step + (k + mma_member()) * depth_step;
    factors.bits[0] = rounded(at[0]);
    factors.bits[1] = rounded(at[4 * depth_step]);
}

#endif
