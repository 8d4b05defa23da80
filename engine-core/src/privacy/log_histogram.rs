//! How values spread over the powers of two: 128 bins, from -2^63 to 2^63, that noise can be added to.

/// Number of bins.
pub const BINS: usize = 128;

/// The bin of a finite value: 64 holds [0, 1), 65 + k holds [2^k, 2^(k+1)), 63 holds [-1, 0), 62 - k holds
/// [-2^(k+1), -2^k). Values beyond the ends fall into the last bins.
pub(crate) fn bin_of(value: f64) -> usize {
    if (0.0..1.0).contains(&value) {
        return 64;
    }
    if (-1.0..0.0).contains(&value) {
        return 63;
    }
    let bits = value.abs().to_bits();
    let exponent = (bits >> 52) as usize - 1_023;
    if value > 0.0 {
        (65 + exponent).min(BINS - 1)
    } else {
        let above = usize::from(bits & ((1 << 52) - 1) != 0);
        63usize.saturating_sub(exponent + above)
    }
}

/// The edges of a bin; the lower one lies in it.
pub fn edges(bin: usize) -> (f64, f64) {
    let power = |exponent: usize| 2f64.powi(exponent as i32);
    match bin {
        0..63 => (-power(63 - bin), -power(62 - bin)),
        63 => (-1.0, 0.0),
        64 => (0.0, 1.0),
        _ => (power(bin - 65), power(bin - 64)),
    }
}

/// How many of some values fall into each bin; those that are not finite are left out.
pub fn log_histogram(values: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; BINS];
    for value in values.iter().filter(|value| value.is_finite()) {
        counts[bin_of(*value)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_their_bins() {
        let values = [
            -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 4.0, 1e30, -1e30,
        ];
        let bins = values.map(bin_of);
        assert_eq!(bins, [61, 62, 62, 63, 63, 64, 64, 65, 65, 66, 67, 127, 0]);
    }

    #[test]
    fn bins_lie_between_their_edges() {
        for bin in 0..BINS {
            let (lower, upper) = edges(bin);
            assert_eq!((bin_of(lower), bin_of(upper.next_down())), (bin, bin), "{bin}");
        }
        let counts = log_histogram(&[1.0, f64::NAN, f64::INFINITY, -0.0]);
        assert_eq!((counts[64], counts[65], counts.iter().sum::<u64>()), (1, 1, 2));
    }
}
