//! Exponential and logarithm of 16 lanes, by the polynomials of the Cephes library (Moshier 1992).

use super::Isa;

/// `e^x` within 2 units in the last place; 0 below -87.3, not meant for x above 88.
#[inline(always)]
pub(crate) fn exp<I: Isa>(x: I::V) -> I::V {
    let low = I::splat(-87.3);
    let clamped = I::max(x, low);
    let n = I::round(I::mul(clamped, I::splat(std::f32::consts::LOG2_E)));
    let r = I::mul_add(n, I::splat(-0.693_359_4), clamped);
    let r = I::mul_add(n, I::splat(2.121_944_4e-4), r);
    let mut p = I::splat(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = I::mul_add(p, r, I::splat(c));
    }
    let y = I::add(I::mul_add(p, I::mul(r, r), r), I::splat(1.0));
    let y = I::mul(y, I::exp2_int(n));
    // What lies below the clamp counts as zero: `x - low > 0` keeps the rest.
    I::where_positive(I::sub(x, low), y)
}

/// `ln x` within 2 units in the last place, for positive normal x.
#[inline(always)]
pub(crate) fn ln<I: Isa>(x: I::V) -> I::V {
    let (e, m) = I::split_exponent(x);
    // Mantissas below sqrt(1/2) are doubled, so that the polynomial is used around 1.
    let below = I::sub(I::splat(std::f32::consts::FRAC_1_SQRT_2), m);
    let e = I::sub(e, I::where_positive(below, I::splat(1.0)));
    let r = I::sub(I::add(m, I::where_positive(below, m)), I::splat(1.0));
    let mut p = I::splat(7.037_683_6e-2);
    for c in [
        -1.151_461e-1,
        1.167_699_84e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        0.333_333_3,
    ] {
        p = I::mul_add(p, r, I::splat(c));
    }
    let r2 = I::mul(r, r);
    let y = I::mul(I::mul(p, r), r2);
    let y = I::mul_add(e, I::splat(-2.121_944_4e-4), y);
    let y = I::mul_add(r2, I::splat(-0.5), y);
    I::mul_add(e, I::splat(0.693_359_4), I::add(r, y))
}
