// Which units are kept: a random byte for each, sixteen to a Philox block, as `Dropout` in engine-core/src/ir/ops/activation.rs.

// A unit is zeroed when its byte is below this; 0 drops nothing.
override THRESHOLD: u32 = 0u;
override SITE: u32 = 0u;
// What kept units are multiplied by.
override SCALE: f32 = 1.0;

// The block of a row that decides positions `16 * block ..` of a group.
fn dropout_words(row: u32, group: u32, block: u32) -> vec4<u32> {
    if THRESHOLD == 0u {
        return vec4<u32>(0u);
    }
    let place = row_place(row);
    let word = word_at((PURPOSE_DROPOUT << 24u) | SITE, place.time);
    return philox(vec4<u32>((group << 14u) | block, place.batch_row, run.step, word), run.seed);
}

// 0 or SCALE for a position whose word is known.
fn dropout_factor(word: u32, position: u32) -> f32 {
    let byte = (word >> (8u * (position % 4u))) & 0xffu;
    return select(SCALE, 0.0, byte < THRESHOLD);
}

// Four bits for the bytes of a word, from the lowest: 1 where the unit is kept.
fn kept_bytes(word: u32) -> u32 {
    let bytes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    let bits = select(vec4<u32>(0u), vec4<u32>(1u, 2u, 4u, 8u), bytes >= vec4<u32>(THRESHOLD));
    return (bits.x | bits.y) | (bits.z | bits.w);
}

// Sixteen bits for the positions of a block: 1 where the unit is kept.
fn kept_units(row: u32, group: u32, block: u32) -> u32 {
    if THRESHOLD == 0u {
        return 0xffffu;
    }
    let words = dropout_words(row, group, block);
    return kept_bytes(words.x) | (kept_bytes(words.y) << 4u) | (kept_bytes(words.z) << 8u) | (kept_bytes(words.w) << 12u);
}

// 0 or SCALE for a position among the sixteen of such bits.
fn kept_factor(bits: u32, position: u32) -> f32 {
    return select(0.0, SCALE, ((bits >> (position % 16u)) & 1u) == 1u);
}
