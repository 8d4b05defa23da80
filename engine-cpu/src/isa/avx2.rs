//! AVX2 and FMA: 16 lanes are two registers.
//!
//! SAFETY of all blocks below: the intrinsics need AVX2 and FMA. Methods of [`Avx2`] are only reached from [`run`], whose caller
//! vouches for both; loads and stores go through references to whole arrays.

use std::arch::x86_64::*;

use super::{Isa, Kernel, Tile, WIDTH};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2;

/// Runs a kernel compiled with AVX2 and FMA.
///
/// # Safety
/// The processor must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

macro_rules! both {
    ($f:ident, $a:expr) => {
        // SAFETY: see the module.
        unsafe { [$f($a[0]), $f($a[1])] }
    };
    ($f:ident, $a:expr, $b:expr) => {
        // SAFETY: see the module.
        unsafe { [$f($a[0], $b[0]), $f($a[1], $b[1])] }
    };
}

/// High and low words of the products of eight words.
#[inline(always)]
fn mul_wide8(a: __m256i, b: __m256i) -> (__m256i, __m256i) {
    // SAFETY: see the module.
    unsafe {
        let even = _mm256_mul_epu32(a, b);
        let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
        let high = _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd);
        let low = _mm256_blend_epi32::<0b1010_1010>(even, _mm256_slli_epi64::<32>(odd));
        (high, low)
    }
}

/// Eight lanes of [`Isa::keep`].
#[inline(always)]
fn keep8(words: __m256i, byte: u32, threshold: u32, x: __m256) -> __m256 {
    // SAFETY: see the module.
    unsafe {
        let (limit, low) = (_mm256_set1_epi32(threshold as i32), _mm256_set1_epi32(0xFF));
        let shift = _mm_cvtsi32_si128((8 * byte) as i32);
        let value = _mm256_and_si256(_mm256_srl_epi32(words, shift), low);
        _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, value)), x)
    }
}

/// Eight lanes of [`Isa::exp2_int`].
#[inline(always)]
fn exp2_int8(n: __m256) -> __m256 {
    // SAFETY: see the module.
    unsafe {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
}

/// Eight lanes of [`Isa::split_exponent`].
#[inline(always)]
fn split_exponent8(x: __m256) -> (__m256, __m256) {
    // SAFETY: see the module.
    unsafe {
        let bits = _mm256_castps_si256(x);
        let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(126));
        let mantissa = _mm256_or_si256(
            _mm256_and_si256(bits, _mm256_set1_epi32(0x007F_FFFF)),
            _mm256_set1_epi32(0x3F00_0000),
        );
        (_mm256_cvtepi32_ps(exponent), _mm256_castsi256_ps(mantissa))
    }
}

/// Transposes eight by eight floats.
#[inline(always)]
fn transpose8(rows: [__m256; 8]) -> [__m256; 8] {
    // SAFETY: see the module.
    unsafe {
        // Pairs of rows interleaved, then fours: lane l of `fours[4 g + c]` holds column 4 l + c of rows 4 g to 4 g + 3.
        let (mut pairs, mut fours) = (rows, rows);
        for i in 0..4 {
            pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
            pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
        }
        for g in 0..2 {
            for h in 0..2 {
                let (a, b) = (pairs[4 * g + h], pairs[4 * g + 2 + h]);
                fours[4 * g + 2 * h] = _mm256_shuffle_ps::<0b01_00_01_00>(a, b);
                fours[4 * g + 2 * h + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, b);
            }
        }
        let mut columns = rows;
        for c in 0..4 {
            columns[c] = _mm256_permute2f128_ps::<0x20>(fours[c], fours[4 + c]);
            columns[4 + c] = _mm256_permute2f128_ps::<0x31>(fours[c], fours[4 + c]);
        }
        columns
    }
}

impl Isa for Avx2 {
    type V = [__m256; 2];
    type U = [__m256i; 2];
    const TILE: Tile = Tile::SixByOne;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: see the module.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    fn load(from: &[f32; WIDTH]) -> Self::V {
        // SAFETY: see the module; the array holds 16 floats.
        unsafe {
            [
                _mm256_loadu_ps(from.as_ptr()),
                _mm256_loadu_ps(from.as_ptr().add(8)),
            ]
        }
    }
    #[inline(always)]
    fn store(v: Self::V, to: &mut [f32; WIDTH]) {
        // SAFETY: see the module; the array holds 16 floats.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), v[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), v[1]);
        }
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    fn max(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    fn sqrt(a: Self::V) -> Self::V {
        both!(_mm256_sqrt_ps, a)
    }
    #[inline(always)]
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }
    #[inline(always)]
    fn round(a: Self::V) -> Self::V {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: see the module.
        unsafe { [_mm256_round_ps::<NEAREST>(a[0]), _mm256_round_ps::<NEAREST>(a[1])] }
    }
    #[inline(always)]
    fn where_positive(mask: Self::V, x: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let zero = _mm256_setzero_ps();
            let low = _mm256_cmp_ps::<_CMP_GT_OQ>(mask[0], zero);
            let high = _mm256_cmp_ps::<_CMP_GT_OQ>(mask[1], zero);
            [_mm256_and_ps(low, x[0]), _mm256_and_ps(high, x[1])]
        }
    }
    #[inline(always)]
    fn count_le(a: Self::V, b: Self::V, count: Self::U) -> Self::U {
        // SAFETY: see the module. A true comparison is -1, so subtracting counts it.
        unsafe {
            let le = |i: usize| _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LE_OQ>(a[i], b[i]));
            [
                _mm256_sub_epi32(count[0], le(0)),
                _mm256_sub_epi32(count[1], le(1)),
            ]
        }
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self::V; WIDTH]) {
        // No closures here: they would not be compiled for this set.
        let mut quarters = [[rows[0][0]; 8]; 4];
        for (q, quarter) in quarters.iter_mut().enumerate() {
            for (i, part) in quarter.iter_mut().enumerate() {
                *part = rows[q % 2 * 8 + i][q / 2];
            }
            *quarter = transpose8(*quarter);
        }
        let [top_left, bottom_left, top_right, bottom_right] = quarters;
        for j in 0..8 {
            rows[j] = [top_left[j], bottom_left[j]];
            rows[8 + j] = [top_right[j], bottom_right[j]];
        }
    }
    #[inline(always)]
    fn splat_u(x: u32) -> Self::U {
        // SAFETY: see the module.
        unsafe { [_mm256_set1_epi32(x as i32); 2] }
    }
    #[inline(always)]
    fn load_u(from: &[u32; WIDTH]) -> Self::U {
        let p = from.as_ptr().cast::<__m256i>();
        // SAFETY: see the module; the array holds 16 words.
        unsafe { [_mm256_loadu_si256(p), _mm256_loadu_si256(p.add(1))] }
    }
    #[inline(always)]
    fn store_u(v: Self::U, to: &mut [u32; WIDTH]) {
        let p = to.as_mut_ptr().cast::<__m256i>();
        // SAFETY: see the module; the array holds 16 words.
        unsafe {
            _mm256_storeu_si256(p, v[0]);
            _mm256_storeu_si256(p.add(1), v[1]);
        }
    }
    #[inline(always)]
    fn xor_u(a: Self::U, b: Self::U) -> Self::U {
        both!(_mm256_xor_si256, a, b)
    }
    #[inline(always)]
    fn mul_wide(a: Self::U, b: Self::U) -> (Self::U, Self::U) {
        let ((h0, l0), (h1, l1)) = (mul_wide8(a[0], b[0]), mul_wide8(a[1], b[1]));
        ([h0, h1], [l0, l1])
    }
    #[inline(always)]
    fn keep(words: Self::U, byte: u32, threshold: u32, x: Self::V) -> Self::V {
        [
            keep8(words[0], byte, threshold, x[0]),
            keep8(words[1], byte, threshold, x[1]),
        ]
    }
    #[inline(always)]
    fn exp2_int(n: Self::V) -> Self::V {
        [exp2_int8(n[0]), exp2_int8(n[1])]
    }
    #[inline(always)]
    fn split_exponent(x: Self::V) -> (Self::V, Self::V) {
        let ((e0, m0), (e1, m1)) = (split_exponent8(x[0]), split_exponent8(x[1]));
        ([e0, e1], [m0, m1])
    }
}
