//! The smallest and the largest values of a column. A subject has one among them, so that cutting some off cuts subjects off.

use std::cmp::Ordering;

/// How many extremes are kept on each side.
pub(crate) const EXTREMES: usize = 1_000;

/// Values in an order.
pub(crate) trait Ranked: Copy {
    /// Which of two values comes first.
    fn rank(&self, other: &Self) -> Ordering;
}

impl Ranked for f64 {
    fn rank(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }
}

impl Ranked for i64 {
    fn rank(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

impl<A: Ord + Copy, B: Ord + Copy> Ranked for (A, B) {
    fn rank(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

/// The most extreme values of a column, one of each subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extremes<T> {
    /// The smallest values, rising, with their subjects.
    smallest: Vec<(T, Option<u32>)>,
    /// The largest values, falling, with their subjects.
    largest: Vec<(T, Option<u32>)>,
}

impl<T> Default for Extremes<T> {
    fn default() -> Self {
        Self {
            smallest: Vec::new(),
            largest: Vec::new(),
        }
    }
}

/// The first [`EXTREMES`] values, the first of each subject.
fn first_of_each<T: Copy>(sorted: impl Iterator<Item = (T, Option<u32>)>) -> Vec<(T, Option<u32>)> {
    let mut met = std::collections::HashSet::new();
    let new = sorted.filter(|(_, subject)| subject.is_none_or(|subject| met.insert(subject)));
    new.take(EXTREMES).collect()
}

impl<T: Ranked> Extremes<T> {
    /// The extremes of rising values.
    pub(crate) fn of_sorted(sorted: impl DoubleEndedIterator<Item = (T, Option<u32>)> + Clone) -> Self {
        Self::new(sorted.clone(), sorted.rev())
    }

    /// The extremes of values that come once rising and once falling.
    pub(crate) fn new(
        rising: impl Iterator<Item = (T, Option<u32>)>,
        falling: impl Iterator<Item = (T, Option<u32>)>,
    ) -> Self {
        Self {
            smallest: first_of_each(rising),
            largest: first_of_each(falling),
        }
    }

    /// Merges the values of another part of the table.
    pub(crate) fn merge(&mut self, later: &Self) {
        let join = |all: &mut Vec<_>, more: &[(T, Option<u32>)], order: fn(&T, &T) -> Ordering| {
            all.extend_from_slice(more);
            all.sort_by(|(a, _), (b, _)| order(a, b));
            *all = first_of_each(all.iter().copied());
        };
        join(&mut self.smallest, &later.smallest, |a, b| a.rank(b));
        join(&mut self.largest, &later.largest, |a, b| b.rank(a));
    }

    /// The smallest values, rising, one of each subject.
    pub(crate) fn smallest(&self) -> Vec<T> {
        self.smallest.iter().map(|&(value, _)| value).collect()
    }

    /// The largest values, falling, one of each subject.
    pub(crate) fn largest(&self) -> Vec<T> {
        self.largest.iter().map(|&(value, _)| value).collect()
    }

    /// Whether no value was seen.
    pub(crate) fn is_empty(&self) -> bool {
        self.smallest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_hold_one_value_of_a_subject() {
        let sorted = [(1.0, Some(5)), (2.0, Some(5)), (3.0, Some(6)), (9.0, Some(5))];
        let mut extremes = Extremes::of_sorted(sorted.into_iter());
        assert_eq!(extremes.smallest(), [1.0, 3.0]);
        assert_eq!(extremes.largest(), [9.0, 3.0]);
        extremes.merge(&Extremes::of_sorted([(0.0, Some(5)), (4.0, Some(7))].into_iter()));
        assert_eq!(extremes.smallest(), [0.0, 3.0, 4.0]);
        assert_eq!(extremes.largest(), [9.0, 4.0, 3.0]);
        let rows = Extremes::of_sorted([(1.0, None), (1.0, None)].into_iter());
        assert_eq!(rows.smallest(), [1.0, 1.0]);
    }
}
