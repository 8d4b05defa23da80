//! AVX-512: 16 lanes are one register.
//!
//! SAFETY of all blocks below: the intrinsics need AVX-512 F, BW, DQ and VL. Methods of [`Avx512`] are only reached from [`run`],
//! whose caller vouches for them; loads and stores go through references to whole arrays.

use std::arch::x86_64::*;

use super::{Isa, Kernel, Tile, WIDTH};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512;

/// Runs a kernel compiled with AVX-512 F, BW, DQ and VL.
///
/// # Safety
/// The processor must have these features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

macro_rules! safely {
    ($body:expr) => {
        // SAFETY: see the module.
        unsafe { $body }
    };
}

/// Odd 32-bit lanes.
const ODD: __mmask16 = 0b1010_1010_1010_1010;

impl Isa for Avx512 {
    type V = __m512;
    type U = __m512i;
    const TILE: Tile = Tile::EightByTwo;

    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        safely!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn load(from: &[f32; WIDTH]) -> Self::V {
        safely!(_mm512_loadu_ps(from.as_ptr()))
    }
    #[inline(always)]
    fn store(v: Self::V, to: &mut [f32; WIDTH]) {
        safely!(_mm512_storeu_ps(to.as_mut_ptr(), v));
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        safely!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        safely!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        safely!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        safely!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn max(a: Self::V, b: Self::V) -> Self::V {
        safely!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(a: Self::V) -> Self::V {
        safely!(_mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        safely!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn round(a: Self::V) -> Self::V {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        safely!(_mm512_roundscale_ps::<NEAREST>(a))
    }
    #[inline(always)]
    fn where_positive(mask: Self::V, x: Self::V) -> Self::V {
        safely!(_mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask::<_CMP_GT_OQ>(mask, _mm512_setzero_ps()),
            x
        ))
    }
    #[inline(always)]
    fn count_le(a: Self::V, b: Self::V, count: Self::U) -> Self::U {
        safely!(_mm512_mask_add_epi32(
            count,
            _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b),
            count,
            _mm512_set1_epi32(1)
        ))
    }
    #[inline(always)]
    fn transpose(rows: &mut [Self::V; WIDTH]) {
        // SAFETY: see the module.
        unsafe {
            let mut pairs = *rows;
            for i in 0..WIDTH / 2 {
                pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            // Quad 4 g + c holds, in its 128-bit lane l, column 4 l + c of rows 4 g to 4 g + 3.
            let mut quads = pairs;
            for g in 0..4 {
                for half in 0..2 {
                    let a = _mm512_castps_pd(pairs[4 * g + half]);
                    let b = _mm512_castps_pd(pairs[4 * g + 2 + half]);
                    quads[4 * g + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                    quads[4 * g + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
                }
            }
            for c in 0..4 {
                let low0 = _mm512_shuffle_f32x4::<0x44>(quads[c], quads[4 + c]);
                let high0 = _mm512_shuffle_f32x4::<0xEE>(quads[c], quads[4 + c]);
                let low1 = _mm512_shuffle_f32x4::<0x44>(quads[8 + c], quads[12 + c]);
                let high1 = _mm512_shuffle_f32x4::<0xEE>(quads[8 + c], quads[12 + c]);
                rows[c] = _mm512_shuffle_f32x4::<0x88>(low0, low1);
                rows[4 + c] = _mm512_shuffle_f32x4::<0xDD>(low0, low1);
                rows[8 + c] = _mm512_shuffle_f32x4::<0x88>(high0, high1);
                rows[12 + c] = _mm512_shuffle_f32x4::<0xDD>(high0, high1);
            }
        }
    }
    #[inline(always)]
    fn splat_u(x: u32) -> Self::U {
        safely!(_mm512_set1_epi32(x as i32))
    }
    #[inline(always)]
    fn load_u(from: &[u32; WIDTH]) -> Self::U {
        safely!(_mm512_loadu_si512(from.as_ptr().cast()))
    }
    #[inline(always)]
    fn store_u(v: Self::U, to: &mut [u32; WIDTH]) {
        safely!(_mm512_storeu_si512(to.as_mut_ptr().cast(), v));
    }
    #[inline(always)]
    fn xor_u(a: Self::U, b: Self::U) -> Self::U {
        safely!(_mm512_xor_si512(a, b))
    }
    #[inline(always)]
    fn mul_wide(a: Self::U, b: Self::U) -> (Self::U, Self::U) {
        // SAFETY: see the module.
        unsafe {
            let even = _mm512_mul_epu32(a, b);
            let odd = _mm512_mul_epu32(_mm512_srli_epi64::<32>(a), _mm512_srli_epi64::<32>(b));
            let high = _mm512_mask_blend_epi32(ODD, _mm512_srli_epi64::<32>(even), odd);
            let low = _mm512_mask_blend_epi32(ODD, even, _mm512_slli_epi64::<32>(odd));
            (high, low)
        }
    }
    #[inline(always)]
    fn keep(words: Self::U, byte: u32, threshold: u32, x: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let shifted = _mm512_srl_epi32(words, _mm_cvtsi32_si128((8 * byte) as i32));
            let value = _mm512_and_si512(shifted, _mm512_set1_epi32(0xFF));
            let kept = _mm512_cmpge_epu32_mask(value, _mm512_set1_epi32(threshold as i32));
            _mm512_maskz_mov_ps(kept, x)
        }
    }
    #[inline(always)]
    fn exp2_int(n: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        }
    }
    #[inline(always)]
    fn split_exponent(x: Self::V) -> (Self::V, Self::V) {
        // SAFETY: see the module.
        unsafe {
            let bits = _mm512_castps_si512(x);
            let exponent = _mm512_sub_epi32(_mm512_srli_epi32::<23>(bits), _mm512_set1_epi32(126));
            let mantissa = _mm512_or_si512(
                _mm512_and_si512(bits, _mm512_set1_epi32(0x007F_FFFF)),
                _mm512_set1_epi32(0x3F00_0000),
            );
            (_mm512_cvtepi32_ps(exponent), _mm512_castsi512_ps(mantissa))
        }
    }
}
