//! SipHash-2-4 with 128 bits (Aumasson, Bernstein: "SipHash: a fast short-input PRF", INDOCRYPT 2012): without the key one cannot
//! try whether a table has a digest.

/// Hashes a stream of bytes; how it is cut into pieces does not matter.
#[derive(Debug, Clone)]
pub(super) struct SipHasher128 {
    v: [u64; 4],
    /// Bytes that do not fill a word yet, the first one lowest.
    tail: u64,
    /// Bytes so far.
    len: u64,
}

impl SipHasher128 {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(key);
        let (k0, k1) = (key as u64, (key >> 64) as u64);
        let v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        Self { v, tail: 0, len: 0 }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) {
        while !self.len.is_multiple_of(8) {
            let Some((&first, rest)) = bytes.split_first() else {
                return;
            };
            self.push(first);
            bytes = rest;
        }
        let words = bytes.chunks_exact(8);
        let rest = words.remainder();
        for word in words {
            let word = u64::from_le_bytes([
                word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
            ]);
            self.compress(word);
        }
        self.len += (bytes.len() - rest.len()) as u64;
        rest.iter().for_each(|&byte| self.push(byte));
    }

    fn push(&mut self, byte: u8) {
        self.tail |= u64::from(byte) << (8 * (self.len % 8));
        self.len += 1;
        if self.len.is_multiple_of(8) {
            self.compress(self.tail);
            self.tail = 0;
        }
    }

    fn compress(&mut self, word: u64) {
        self.v[3] ^= word;
        self.rounds(2);
        self.v[0] ^= word;
    }

    fn rounds(&mut self, rounds: usize) {
        let [mut a, mut b, mut c, mut d] = self.v;
        for _ in 0..rounds {
            a = a.wrapping_add(b);
            b = b.rotate_left(13) ^ a;
            a = a.rotate_left(32);
            c = c.wrapping_add(d);
            d = d.rotate_left(16) ^ c;
            a = a.wrapping_add(d);
            d = d.rotate_left(21) ^ a;
            c = c.wrapping_add(b);
            b = b.rotate_left(17) ^ c;
            c = c.rotate_left(32);
        }
        self.v = [a, b, c, d];
    }

    /// The hash of all bytes.
    pub(super) fn finish(mut self) -> u128 {
        self.compress(self.tail | self.len << 56);
        self.v[2] ^= 0xee;
        self.rounds(4);
        let low = self.v.iter().fold(0, |all, v| all ^ v);
        self.v[1] ^= 0xdd;
        self.rounds(4);
        let high = self.v.iter().fold(0, |all, v| all ^ v);
        u128::from(high) << 64 | u128::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and inputs of the authors' test vectors: bytes that count up from 0.
    fn hash_of(len: u8) -> [u8; 16] {
        let mut hasher = SipHasher128::new(std::array::from_fn(|i| i as u8));
        hasher.write(&(0..len).collect::<Vec<u8>>());
        hasher.finish().to_le_bytes()
    }

    #[test]
    fn hashes_are_those_of_the_authors() {
        let hex = |hash: [u8; 16]| hash.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex(hash_of(0)), "a3817f04ba25a8e66df67214c7550293");
        assert_eq!(hex(hash_of(1)), "da87c1d86b99af44347659119b22fc45");
    }

    #[test]
    fn pieces_do_not_matter() {
        let bytes: Vec<u8> = (0..=255).collect();
        let hash = |pieces: usize| {
            let mut hasher = SipHasher128::new([7; 16]);
            bytes.chunks(pieces).for_each(|piece| hasher.write(piece));
            hasher.finish()
        };
        for pieces in [1, 3, 7, 8, 9, 100] {
            assert_eq!(hash(pieces), hash(256), "{pieces}");
        }
    }
}
