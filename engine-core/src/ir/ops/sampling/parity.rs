//! Statistical parity by quantile mapping: in each group, the distribution of the probability of a target code is mapped, quantile by
//! quantile, to that of all rows.

/// Quantiles between the knots 0 and 1 that are added at both ends.
const QUANTILES: usize = 101;
/// How much of evenly spaced knots is mixed into knots that are scaled.
const APART: f64 = 1e-3;
/// Added to the denominator of slopes.
const SLOPE_FLOOR: f64 = 1e-10;

/// Quantiles of the probability of one code over rows, from 0 to 1 in steps of a hundredth, between 0 and 1: the knots of a piecewise
/// linear quantile map.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles(Vec<f64>);

impl Quantiles {
    /// The quantiles of probabilities, in any order; at least one.
    pub fn of(mut probs: Vec<f64>) -> Self {
        probs.sort_by(f64::total_cmp);
        let last = probs.len().saturating_sub(1);
        let quantile = |q: usize| {
            let rank = q as f64 / (QUANTILES - 1) as f64 * last as f64;
            let (below, fraction) = (rank.floor() as usize, rank.fract());
            let at = |i: usize| probs.get(i.min(last)).copied().unwrap_or(0.0);
            at(below) + (at(below + 1) - at(below)) * fraction
        };
        let inner = (0..QUANTILES).map(quantile);
        Self([0.0].into_iter().chain(inner).chain([1.0]).collect())
    }

    /// The quantiles of each of `cardinality` codes from probabilities `[rows, codes]`.
    pub fn of_codes(probs: &[f32], cardinality: usize) -> Vec<Self> {
        let of_code = |code: usize| {
            probs
                .iter()
                .skip(code)
                .step_by(cardinality)
                .map(|p| f64::from(*p))
        };
        (0..cardinality)
            .map(|code| Self::of(of_code(code).collect()))
            .collect()
    }

    /// The quantiles to which `image` must be mapped so that the map makes about `scale` times what it makes of these ones, but
    /// at most 1. Between the ends of `image` it is a continuous function of the scale, even where knots are equal.
    #[must_use]
    pub fn scaled(&self, image: &Self, scale: f64) -> Self {
        let (from, to) = (self.drawn_apart(), image.drawn_apart());
        let mut least = 0.0f64;
        let inner = to[1..to.len() - 1].iter().map(|y| {
            let x = interpolate(y / scale, &to, &from);
            least = least.max(x.clamp(0.0, 1.0));
            least
        });
        Self([0.0].into_iter().chain(inner).chain([1.0]).collect())
    }

    /// Nearly the same quantiles, no two of which are equal.
    fn drawn_apart(&self) -> Vec<f64> {
        let last = (self.0.len() - 1) as f64;
        let knots = self.0.iter().enumerate();
        knots.map(|(j, x)| x + APART * (j as f64 / last - x)).collect()
    }

    /// The quantiles with both ends, 103 values in ascending order.
    pub fn values(&self) -> &[f64] {
        &self.0
    }
}

/// Piecewise linear interpolation from `x_knots` to `y_knots` (as many, at least two): the first knot above `x`, but never the
/// first of all, ends the piece.
pub fn interpolate(x: f64, x_knots: &[f64], y_knots: &[f64]) -> f64 {
    let above = x_knots.partition_point(|knot| *knot <= x);
    let j = above.clamp(1, x_knots.len() - 1);
    let slope = (y_knots[j] - y_knots[j - 1]) / (x_knots[j] - x_knots[j - 1] + SLOPE_FLOOR);
    y_knots[j - 1] + slope * (x - x_knots[j - 1])
}

/// The transform that gives the probabilities of one sub-column the same distribution in every group of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Parity {
    /// The sub-column whose probabilities change.
    pub target: usize,
    /// Sub-columns, drawn or known before the target, whose codes make the groups.
    pub sensitive: Vec<usize>,
    /// Codes of the sensitive sub-columns of each group, in ascending order of the lists.
    pub groups: Vec<Vec<u32>>,
    /// Quantiles of each code of the target over all rows.
    pub marginal: Vec<Quantiles>,
    /// Quantiles of each code of the target by group.
    pub by_group: Vec<Vec<Quantiles>>,
}

impl Parity {
    /// Changes the probabilities of the target in one row; `code_of` returns the row's codes. Rows in no group are normalised only.
    pub fn apply(&self, probs: &mut [f32], code_of: impl Fn(usize) -> u32) {
        let compare = |group: &Vec<u32>| {
            group
                .iter()
                .copied()
                .cmp(self.sensitive.iter().map(|s| code_of(*s)))
        };
        if let Ok(group) = self.groups.binary_search_by(compare) {
            for ((p, from), to) in probs.iter_mut().zip(&self.by_group[group]).zip(&self.marginal) {
                *p = interpolate(f64::from(*p), from.values(), to.values()) as f32;
            }
        }
        let sum: f32 = probs.iter().sum();
        if sum > 0.0 {
            probs.iter_mut().for_each(|p| *p /= sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolation_takes_the_last_of_equal_knots() {
        let (x, y) = ([0.0, 0.0, 0.5, 1.0, 1.0], [0.0, 0.2, 0.3, 0.8, 1.0]);
        for (at, want) in [(0.0, 0.2), (0.25, 0.25), (0.5, 0.3), (1.0, 0.8)] {
            let got = interpolate(at, &x, &y);
            assert!((got - want).abs() < 1e-6, "{got} instead of {want} at {at}");
        }
    }

    #[test]
    fn knots_are_quantiles_between_zero_and_one() {
        let knots = Quantiles::of(vec![0.4, 0.2, 0.6]);
        let values = knots.values();
        assert_eq!(values.len(), 103);
        assert_eq!(
            (values[0], values[1], values[101], values[102]),
            (0.0, 0.2, 0.6, 1.0)
        );
        assert!((values[51] - 0.4).abs() < 1e-12 && (values[26] - 0.3).abs() < 1e-12);
    }

    #[test]
    fn scaled_knots_make_multiples() {
        let knots = |from: f64, width: f64| {
            Quantiles::of((0..=100).map(|i| from + width * f64::from(i) / 100.0).collect())
        };
        let (x, y) = (knots(0.5, 0.3), knots(0.1, 0.4));
        for scale in [0.6, 1.0, 1.5] {
            let scaled = x.scaled(&y, scale);
            assert!(scaled.values().is_sorted());
            for at in [0.6, 0.65] {
                let plain = interpolate(at, x.values(), y.values());
                let got = interpolate(at, scaled.values(), y.values());
                assert!(
                    (got - scale * plain).abs() < 0.01,
                    "{scale} times {plain} is {got}"
                );
            }
        }
        // A step has no slope, and still every factor makes a difference.
        let step = Quantiles::of(vec![0.5; 9]);
        let made = |scale| interpolate(0.5, step.scaled(&y, scale).values(), y.values());
        let made: Vec<f64> = (1..20).map(|i| made(f64::from(i) / 5.0)).collect();
        assert!(made.is_sorted() && made[0] < 0.1 && made[18] > 0.45, "{made:?}");
        assert!(made.windows(2).all(|w| w[1] - w[0] < 0.15), "{made:?}");
    }

    #[test]
    fn groups_get_the_distribution_of_all_rows() {
        let knots = |shift: f64| Quantiles::of((0..=100).map(|i| shift + f64::from(i) / 400.0).collect());
        let parity = Parity {
            target: 1,
            sensitive: vec![0],
            groups: vec![vec![1], vec![2]],
            marginal: vec![knots(0.3), knots(0.45)],
            by_group: vec![vec![knots(0.1), knots(0.65)], vec![knots(0.5), knots(0.25)]],
        };
        let applied = |code, p: f32| {
            let mut probs = [p, 1.0 - p];
            parity.apply(&mut probs, |_| code);
            assert!((probs[0] + probs[1] - 1.0).abs() < 1e-6);
            probs[0]
        };
        let (one, two) = (applied(1, 0.2), applied(2, 0.6));
        assert!(
            (one - two).abs() < 1e-4 && (one - 0.4).abs() < 1e-4,
            "{one} and {two}"
        );
        assert_eq!(applied(3, 0.2), 0.2, "rows of no group keep their probabilities");
    }
}
