// Exponential and logarithm by the polynomials of the Cephes library (Moshier 1992): those of WGSL are allowed errors that
// grow with the argument.

const LOWEST: f32 = -3.40282e38;

// `e^x` within 2 units in the last place; 0 below -87.3, not meant for x above 88.
fn exp_accurate(x: f32) -> f32 {
    let clamped = max(x, -87.3);
    let n = round(clamped * 1.44269504);
    let r = fma(n, 2.12194440e-4, fma(n, -0.693359375, clamped));
    var p = 1.9875691500e-4;
    p = fma(p, r, 1.3981999507e-3);
    p = fma(p, r, 8.3334519073e-3);
    p = fma(p, r, 4.1665795894e-2);
    p = fma(p, r, 1.6666665459e-1);
    p = fma(p, r, 5.0000001201e-1);
    let y = fma(p, r * r, r) + 1.0;
    let power = bitcast<f32>(u32(i32(n) + 127) << 23u);
    return select(y * power, 0.0, x < -87.3);
}

// `ln x` within 2 units in the last place for positive normal x; LOWEST for anything below.
fn ln_accurate(x: f32) -> f32 {
    if x < 1.17549435e-38 {
        return LOWEST;
    }
    let bits = bitcast<u32>(x);
    var e = f32(i32(bits >> 23u) - 126);
    // The mantissa in [0.5, 1); below the square root of one half it is doubled, so that the polynomial is used around 1.
    var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f000000u);
    if m < 0.70710678 {
        m = m + m;
        e -= 1.0;
    }
    let r = m - 1.0;
    var p = 7.0376836292e-2;
    p = fma(p, r, -1.1514610310e-1);
    p = fma(p, r, 1.1676998740e-1);
    p = fma(p, r, -1.2420140846e-1);
    p = fma(p, r, 1.4249322787e-1);
    p = fma(p, r, -1.6668057665e-1);
    p = fma(p, r, 2.0000714765e-1);
    p = fma(p, r, -2.4999993993e-1);
    p = fma(p, r, 3.3333331174e-1);
    let r2 = r * r;
    let y = fma(e, -2.12194440e-4, p * r * r2);
    return fma(e, 0.693359375, r + fma(r2, -0.5, y));
}
