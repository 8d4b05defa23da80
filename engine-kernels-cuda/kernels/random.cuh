// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011), the streams of
// engine-core/src/random.rs, and dropout.
#pragma once
#include "common.cuh"

const u32 PURPOSE_SHUFFLE = 3;
const u32 PURPOSE_ORDER = 4;
const u32 PURPOSE_VALIDATION_ORDER = 5;
const u32 PURPOSE_DROPOUT = 6;
const u32 PURPOSE_DRAW = 7;

struct Words {
    u32 w[4];
};

DEVICE Words philox4x32(u32 c0, u32 c1, u32 c2, u32 c3, u64 seed) {
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        u32 low_a = 0xD2511F53u * c0, high_a = __umulhi(0xD2511F53u, c0);
        u32 low_b = 0xCD9E8D57u * c2, high_b = __umulhi(0xCD9E8D57u, c2);
        c0 = high_b ^ c1 ^ k0;
        c1 = low_b;
        c2 = high_a ^ c3 ^ k1;
        c3 = low_a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    Words words = {{c0, c1, c2, c3}};
    return words;
}

// Four words at (step, row, column) of the stream of a purpose.
DEVICE Words random_words(u64 seed, u32 purpose, u32 site, u32 step, u32 row, u32 column) {
    return philox4x32(column, row, step, purpose << 24 | site, seed);
}

// Four words at (step, row, time, column): those of random_words at time 0. The highest bit, which no purpose has, marks the others.
DEVICE Words random_words_at(u64 seed, u32 purpose, u32 site, u32 step, u32 row, u32 time, u32 column) {
    const u32 timed = time == 0 ? 0 : 0x80000000u | time << 8;
    return philox4x32(column, row, step, purpose << 24 | site | timed, seed);
}

// A uniform number in [0, 1) with 24 random bits.
DEVICE float uniform_f32(u32 word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }

// A site where units are dropped: a unit is zeroed when its byte is below the threshold. Threshold 0 drops nothing.
struct Dropout {
    u32 threshold;
    u32 site;
    float scale;
    u32 reserved;
};
LAYOUT(Dropout, 16);

// The bytes that decide about positions 16 chunk .. 16 chunk + 15 of a group in one row of a value of this device, whose place is known.
DEVICE Words dropout_words_at(const Dropout& dropout, const Step& step, const RowPlace& place, u32 group, u32 chunk) {
    const u32 b = step.row_offset + place.batch_row, column = group << 14 | chunk;
    return random_words_at(step.seed, PURPOSE_DROPOUT, dropout.site, step.step, b, place.time, column);
}

// The same for the row with a number.
DEVICE Words dropout_words(const Dropout& dropout, const Step& step, u32 row, u32 group, u32 chunk) {
    return dropout_words_at(dropout, step, row_place(step, row), group, chunk);
}

// Byte `at` (below 16) of random words; `at` need not be known to the compiler.
DEVICE u32 byte_of(const Words& words, u32 at) {
    const u32 word = at < 8 ? (at < 4 ? words.w[0] : words.w[1]) : (at < 12 ? words.w[2] : words.w[3]);
    return word >> (8 * (at % 4)) & 0xff;
}

// 0 or the scale, for a byte of dropout_words.
DEVICE float dropout_factor(const Dropout& dropout, u32 byte) {
    return byte < dropout.threshold ? 0.0f : dropout.scale;
}
