// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), as engine-core/src/random.rs.

const PURPOSE_SHUFFLE: u32 = 3u;
const PURPOSE_DROPOUT: u32 = 6u;
const PURPOSE_DRAW: u32 = 7u;

// High word of a 64-bit product; WGSL has none.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let cross = a_high * b_low + ((a_low * b_low) >> 16u);
    let middle = a_low * b_high + (cross & 0xffffu);
    return a_high * b_high + (cross >> 16u) + (middle >> 16u);
}

// Four random words. The counter is (column, row, step, purpose << 24 | site), the key is the seed.
fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var i = 0u; i < 10u; i++) {
        let a = multiply_high(0xD2511F53u, c.x);
        let b = multiply_high(0xCD9E8D57u, c.z);
        c = vec4<u32>(b ^ c.y ^ k.x, 0xCD9E8D57u * c.z, a ^ c.w ^ k.y, 0xD2511F53u * c.x);
        k += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// The last word of the counter at a time step, as `Stream::high_at` in engine-core/src/random.rs.
fn word_at(word: u32, time: u32) -> u32 {
    return select(word | 0x80000000u | (time << 8u), word, time == 0u);
}

// A number in [0, 1) with 24 random bits.
fn uniform_number(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}
