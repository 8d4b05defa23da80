//! Quantiles and the edges of bins.

use crate::encode::protection::{ALWAYS_ENOUGH, SubjectCount};
use crate::encode::values::decimal::{Decimal, HIGHEST, LOWEST, power_of_ten};

/// How many intervals a binned column has at most.
pub(crate) const INTERVALS: usize = 100;
/// How finely quantiles may be cut to find that many different edges.
const FINEST: usize = 1_000;
/// Number of quantiles of a part of a table.
const QUANTILES: usize = 1_001;

/// The position of quantile `q` in `len` sorted values: the closest observation, ties to the even position
/// counted from one.
fn position(len: usize, q: f64) -> usize {
    let h = len as f64 * q - 1.5;
    let floor = h.floor();
    let stays = h == floor && (floor as i64).rem_euclid(2) == 1;
    (if stays { floor } else { floor + 1.0 }).max(0.0) as usize
}

/// `i` of `steps` equal steps from 0 to 1; the last is exactly 1.
fn step(i: usize, steps: usize) -> f64 {
    if i == steps {
        1.0
    } else {
        i as f64 * (1.0 / steps as f64)
    }
}

/// Rising values.
pub(crate) struct Sorted<'a> {
    /// Number of values.
    pub(crate) len: usize,
    /// The value at a place.
    pub(crate) value: &'a dyn Fn(usize) -> f64,
    /// Its subject, if rows name subjects.
    pub(crate) subject: &'a dyn Fn(usize) -> Option<u32>,
}

impl Sorted<'_> {
    /// The first place in `range` from which on values are at least `least`.
    fn first_at_least(&self, least: f64) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            if (self.value)(middle) < least {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Whether enough subjects for any threshold hold a value from `least` to below `beyond`.
    fn are_enough(&self, least: f64, beyond: f64) -> bool {
        let mut holders = SubjectCount::default();
        (self.first_at_least(least)..self.len)
            .take_while(|&place| (self.value)(place) < beyond)
            .any(|place| {
                holders.add((self.subject)(place));
                holders.count() >= ALWAYS_ENOUGH
            })
    }
}

/// The 1001 quantiles of sorted values; `None` when there are none.
pub(crate) fn of_sorted(sorted: &Sorted<'_>) -> Option<Vec<f64>> {
    let quantile = |i| (sorted.value)(position(sorted.len, step_of_thousand(i)));
    (sorted.len > 0).then(|| (0..QUANTILES).map(quantile).collect())
}

/// The 1001 quantiles of sorted values with as many digits as enough subjects share: a quantile is an exact
/// value of a subject, and shown as it is only when many subjects share it. Those that no others share are left out;
/// `None` when all are.
pub(crate) fn shared(sorted: &Sorted<'_>) -> Option<Vec<f64>> {
    let mut last: Option<(f64, Option<f64>)> = None;
    let quantile = |i| {
        let value = (sorted.value)(position(sorted.len, step_of_thousand(i)));
        match last {
            Some((before, shown)) if before == value => shown,
            _ => {
                let shown = rounded(sorted, value);
                last = Some((value, shown));
                shown
            }
        }
    };
    let places = if sorted.len > 0 { QUANTILES } else { 0 };
    let shown: Vec<f64> = (0..places).filter_map(quantile).collect();
    (!shown.is_empty()).then_some(shown)
}

/// A value with as many digits as enough subjects share: the value itself, or else the nearest multiple of
/// the smallest of 1, 2, 5, 10, ... times its last decimal place around which enough subjects hold a value.
fn rounded(sorted: &Sorted<'_>, value: f64) -> Option<f64> {
    if sorted.are_enough(value, value.next_up()) {
        return Some(value);
    }
    (Decimal::shortest(value).exponent.max(LOWEST)..=HIGHEST)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|leading| (leading, exponent)))
        .find_map(|(leading, exponent)| {
            let scale = power_of_ten(exponent.abs());
            // Multiples of a decimal place are read off a quotient, so that they are the floats nearest to
            // it.
            let multiple = |times: f64| match exponent {
                0.. => times * leading * scale,
                _ => times * leading / scale,
            };
            let times = (value / multiple(1.0)).round();
            let around = (multiple(times - 0.5), multiple(times + 0.5));
            sorted.are_enough(around.0, around.1).then(|| multiple(times))
        })
}

fn step_of_thousand(i: usize) -> f64 {
    if i == QUANTILES - 1 { 1.0 } else { i as f64 * 0.001 }
}

/// Rising edges of at most `intervals` bins that hold about equally many values.
pub(crate) fn distinct_bins(mut values: Vec<f64>, intervals: usize) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let mut distinct = values.clone();
    distinct.dedup();
    if distinct.len() <= intervals {
        return distinct;
    }
    let mut steps = intervals;
    loop {
        let quantile = |i| values[position(values.len(), step(i, steps))];
        let mut edges: Vec<f64> = (0..=steps).map(quantile).collect();
        edges.dedup();
        if edges.len() > intervals {
            if edges.len() > intervals + 1 {
                let tail = edges.split_off(edges.len() - intervals / 2);
                edges.truncate(intervals / 2 + 1);
                edges.extend(tail);
            }
            return edges;
        }
        steps += 1 + intervals - edges.len();
        if steps > FINEST {
            return edges;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_closest_observations() {
        let at = |len| -> Vec<usize> { (0..=8).map(|i| position(len, step(i, 8))).collect() };
        assert_eq!(at(4), [0, 0, 0, 1, 1, 1, 2, 3, 3]);
        assert_eq!(at(5), [0, 0, 0, 1, 1, 2, 3, 3, 4]);
        assert_eq!(at(10), [0, 0, 1, 3, 4, 5, 7, 8, 9]);
    }

    #[test]
    fn edges_are_distinct() {
        let floats = |ints: Vec<i32>| -> Vec<f64> { ints.into_iter().map(f64::from).collect() };
        assert_eq!(distinct_bins(floats(vec![3, 1, 2, 2]), 100), [1.0, 2.0, 3.0]);
        assert_eq!(
            distinct_bins(floats((0..20).collect()), 4),
            [0.0, 4.0, 9.0, 14.0, 19.0]
        );
        let mut skewed = vec![1; 5];
        skewed.extend(vec![2; 500]);
        skewed.extend([3, 4, 5, 6]);
        assert_eq!(distinct_bins(floats(skewed), 4), [1.0, 2.0, 3.0, 4.0, 6.0]);
        let even = distinct_bins(floats((1..=200).collect()), 100);
        assert_eq!(even.len(), 101);
        assert_eq!((&even[..5], even[100]), (&[1.0, 2.0, 4.0, 6.0, 8.0][..], 200.0));
        let mut zeros = vec![0; 5_000];
        zeros.extend(1..=119);
        let edges = distinct_bins(floats(zeros), 100);
        assert_eq!(edges.len(), 24);
        assert_eq!((&edges[..4], edges[23]), (&[0.0, 4.0, 9.0, 14.0][..], 119.0));
    }
}
