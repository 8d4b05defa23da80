//! Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
//! 3", SC 2011), keyed by (seed, purpose, step, row, time, column).
//!
//! It is the source of all randomness but privacy noise, on every device. A number depends on its address only, never on
//! how many threads or blocks use it.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Marks the last counter word of addresses with a time step above 0.
const TIMED: u32 = 1 << 31;
/// Where the time step lies in that word.
const TIME_SHIFT: u32 = 8;

/// Streams whose addresses have a time step know so many sites.
pub const SITES_WITH_TIME: u32 = 1 << TIME_SHIFT;

/// One block of Philox4x32-10: four random words for a counter under a key.
#[inline]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// What a random number is for. The numbers are part of the format: equal seeds give equal rows across versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Initial weights of parameters.
    Initialise = 1,
    /// Assignment of rows to training and validation.
    Split = 2,
    /// Order of the rows within an epoch.
    Shuffle = 3,
    /// Column order of a training batch.
    Order = 4,
    /// Column order of a validation batch.
    ValidationOrder = 5,
    /// Dropout masks.
    Dropout = 6,
    /// Draws of codes.
    Draw = 7,
    /// Positions inside bins and other choices made while decoding.
    Decode = 8,
    /// Thresholds of value protection.
    Protection = 9,
    /// Null fill while encoding.
    Impute = 10,
    /// Order of encoded rows on disk.
    EncodedOrder = 11,
    /// Generated primary keys.
    Key = 12,
    /// Test data.
    Test = 13,
}

/// A seeded address space of random numbers for one purpose.
///
/// The counter is `[column, row, step, purpose << 24 | site]`, the key is the seed. From the second time step of a sequence on, the last
/// word is [`Stream::high_at`] of the time step; the first one has the numbers of flat data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    high: u32,
}

impl Stream {
    /// The stream of `seed` for `purpose`; `site` (below 2^24) distinguishes the places that share a purpose.
    pub fn new(seed: u64, purpose: Purpose, site: u32) -> Self {
        debug_assert!(site < 1 << 24);
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            high: (purpose as u32) << 24 | (site & 0x00FF_FFFF),
        }
    }

    /// Four words at an address.
    #[inline]
    pub fn block(&self, step: u32, row: u32, column: u32) -> [u32; 4] {
        philox4x32([column, row, step, self.high], self.key)
    }

    /// The last counter word at a time step (below 2^16): that of flat data at time 0, else with the highest bit, which no purpose has,
    /// and the time in the upper bits of the site. Sites of streams with time stay below [`SITES_WITH_TIME`].
    #[inline]
    pub fn high_at(&self, time: u32) -> u32 {
        debug_assert!(time < 1 << 16 && (time == 0 || self.high & 0x00FF_FF00 == 0));
        if time == 0 {
            self.high
        } else {
            self.high | TIMED | time << TIME_SHIFT
        }
    }

    /// Four words at an address with time; at time 0 those of [`Self::block`].
    #[inline]
    pub fn block_at(&self, step: u32, row: u32, time: u32, column: u32) -> [u32; 4] {
        philox4x32([column, row, step, self.high_at(time)], self.key)
    }

    /// The key words, for kernels that evaluate many blocks at once.
    pub fn key(&self) -> [u32; 2] {
        self.key
    }

    /// The last counter word, `purpose << 24 | site`.
    pub fn high(&self) -> u32 {
        self.high
    }

    /// A uniform number in [0, 1) with 53 random bits, for a 64-bit row number.
    #[inline]
    pub fn uniform(&self, row: u64, column: u32) -> f64 {
        let [a, b, _, _] = self.block((row >> 32) as u32, row as u32, column);
        uniform_f64(a, b)
    }

    /// An unbiased-to-2^-64 integer in `0..bound` (multiply-shift), for a 64-bit row number.
    #[inline]
    pub fn below(&self, bound: u64, row: u64, column: u32) -> u64 {
        let [a, b, _, _] = self.block((row >> 32) as u32, row as u32, column);
        let word = u64::from(a) << 32 | u64::from(b);
        ((u128::from(word) * u128::from(bound)) >> 64) as u64
    }
}

/// A uniform number in [0, 1) with 24 random bits: exact in f32 on every device.
#[inline]
pub fn uniform_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A uniform number in [0, 1) with 53 random bits.
#[inline]
pub fn uniform_f64(a: u32, b: u32) -> f64 {
    let bits = u64::from(a) << 21 | u64::from(b) >> 11;
    bits as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// A pseudo-random permutation of `0..len` that needs no memory: a four-round Feistel network over the next even power of two
/// with cycle walking (Black, Rogaway: "Ciphers with arbitrary finite domains", CT-RSA 2002), Philox as round function.
#[derive(Debug, Clone, Copy)]
pub struct Permutation {
    stream: Stream,
    index: u32,
    len: u64,
    half_bits: u32,
}

impl Permutation {
    /// Permutation number `index` (an epoch, say) of `0..len` in `stream`.
    pub fn new(stream: Stream, index: u32, len: u64) -> Self {
        let bits = 64 - len.saturating_sub(1).leading_zeros();
        Self {
            stream,
            index,
            len,
            half_bits: bits.div_ceil(2).max(1),
        }
    }

    /// Where position `i` (below `len`) goes.
    pub fn get(&self, i: u64) -> u64 {
        debug_assert!(i < self.len);
        let mut x = i;
        loop {
            x = self.feistel(x);
            if x < self.len {
                return x;
            }
        }
    }

    fn feistel(&self, x: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for round in 0..4 {
            let word = self.stream.block(self.index, right as u32, round)[0];
            (left, right) = (right, left ^ (u64::from(word) & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
        );
        assert_eq!(
            philox4x32([!0; 4], [!0; 2]),
            [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0]
            ),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn a_permutation_visits_every_position_once() {
        for len in [1u64, 2, 3, 7, 64, 65, 1000, 39_074] {
            let permutation = Permutation::new(Stream::new(7, Purpose::Shuffle, 0), 3, len);
            let mut seen = vec![false; len as usize];
            for i in 0..len {
                let to = permutation.get(i) as usize;
                assert!(!seen[to], "length {len}: position {to} is visited twice");
                seen[to] = true;
            }
        }
    }

    #[test]
    fn permutations_differ_by_index_and_are_uniform_enough() {
        let stream = Stream::new(1, Purpose::Shuffle, 0);
        let mut counts = [0u32; 10];
        for epoch in 0..20_000 {
            counts[Permutation::new(stream, epoch, 10).get(0) as usize] += 1;
        }
        for (to, &count) in counts.iter().enumerate() {
            assert!(
                (1_800..2_200).contains(&count),
                "0 went to {to} {count} times of 20000"
            );
        }
    }

    #[test]
    fn time_steps_have_numbers_of_their_own_and_the_first_those_of_flat_data() {
        let streams = [Purpose::Dropout, Purpose::Draw].map(|purpose| Stream::new(5, purpose, 3));
        for stream in streams {
            assert_eq!(stream.block_at(7, 8, 0, 9), stream.block(7, 8, 9));
        }
        let mut words: Vec<u32> = streams
            .iter()
            .flat_map(|s| (0..1 << 16).map(|t| s.high_at(t)))
            .collect();
        // No flat stream of another site or purpose has the word of a time step.
        words.extend((0..1 << 12).map(|site| Stream::new(5, Purpose::Draw, 4 + site).high()));
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }

    #[test]
    fn uniforms_stay_below_one() {
        assert!(uniform_f32(u32::MAX) < 1.0);
        assert!(uniform_f64(u32::MAX, u32::MAX) < 1.0);
        let stream = Stream::new(9, Purpose::Test, 1);
        assert!((0..1000).all(|i| stream.below(7, i, 0) < 7));
    }
}
