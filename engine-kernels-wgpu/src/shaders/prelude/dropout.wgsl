// The fate of units: a byte each, sixteen to a Philox block, as `Dropout` in engine-core/src/ir/ops/activation.rs.

// A unit is zeroed when its byte is below this; 0 drops nothing.
override THRESHOLD: u32 = 0u;
override SITE: u32 = 0u;
// What kept units are multiplied by.
override SCALE: f32 = 1.0;

// The block that decides positions `16 * block ..` of a group.
fn dropout_words(row: u32, group: u32, block: u32) -> vec4<u32> {
    if THRESHOLD == 0u {
        return vec4<u32>(0u);
    }
    return philox(vec4<u32>((group << 14u) | block, row, run.step, (PURPOSE_DROPOUT << 24u) | SITE), run.seed);
}

// 0 or SCALE for a position whose word is known.
fn dropout_factor(word: u32, position: u32) -> f32 {
    let byte = (word >> (8u * (position % 4u))) & 0xffu;
    return select(SCALE, 0.0, byte < THRESHOLD);
}
