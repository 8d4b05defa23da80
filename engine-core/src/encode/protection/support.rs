//! Who shares what: the evidence that value protection decides by. It counts subjects, which in a flat table
//! are its rows.

use std::cmp::Ordering;
use std::ops::AddAssign;

/// Distinct subjects that are remembered of a value: more than any threshold asks for.
const MOST_SUBJECTS: usize = 24;
/// How many extremes are kept on each side.
pub(crate) const EXTREMES: usize = 1_000;

/// The rows and the subjects that share a value. Of many subjects only the first few are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Support {
    rows: u64,
    /// Distinct subjects, rising; empty when every row is a subject of its own.
    subjects: Vec<u32>,
}

impl Support {
    /// Rows that are subjects of their own.
    pub(crate) fn of_rows(rows: u64) -> Self {
        let subjects = Vec::new();
        Self { rows, subjects }
    }

    /// Some rows of a table; `subjects` are those of all its rows.
    pub(crate) fn of(rows: impl Iterator<Item = usize>, subjects: Option<&[u32]>) -> Self {
        match subjects {
            None => Self::of_rows(rows.count() as u64),
            Some(subjects) => rows.fold(Self::default(), |mut all, row| {
                all.add(Some(subjects[row]));
                all
            }),
        }
    }

    /// Counts one more row.
    pub(crate) fn add(&mut self, subject: Option<u32>) {
        self.rows += 1;
        if let Some(subject) = subject {
            self.remember(subject);
        }
    }

    fn remember(&mut self, subject: u32) {
        if let Err(place) = self.subjects.binary_search(&subject)
            && self.subjects.len() < MOST_SUBJECTS
        {
            self.subjects.insert(place, subject);
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of subjects, exact up to 24.
    pub(crate) fn count(&self) -> u64 {
        match self.subjects.len() {
            0 => self.rows,
            subjects => subjects as u64,
        }
    }
}

impl AddAssign<&Self> for Support {
    #[inline]
    fn add_assign(&mut self, other: &Self) {
        self.rows += other.rows;
        other.subjects.iter().for_each(|&subject| self.remember(subject));
    }
}

/// How values spread over a few cells in order: digits 0 to 9, months, lengths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    cells: Vec<Support>,
}

impl Spread {
    /// Counts that `support` holds a value of that cell.
    #[inline]
    pub(crate) fn add(&mut self, cell: usize, support: &Support) {
        if cell >= self.cells.len() {
            self.cells.resize_with(cell + 1, Support::default);
        }
        self.cells[cell] += support;
    }

    /// Takes in the values of another part of the table.
    pub(crate) fn merge(&mut self, later: &Self) {
        for (cell, support) in later.cells.iter().enumerate() {
            self.add(cell, support);
        }
    }

    /// Rows by cell.
    pub(crate) fn rows(&self) -> impl Iterator<Item = u64> {
        self.cells.iter().map(Support::rows)
    }

    /// The first and the last cell that hold any value.
    pub(crate) fn occupied(&self) -> Option<(usize, usize)> {
        self.cut(0, 0)
    }

    /// The first and the last cell once the `below` subjects with the least and the `above` subjects with the
    /// greatest values are left out. `None` when nothing is left.
    pub(crate) fn cut(&self, below: u64, above: u64) -> Option<(usize, usize)> {
        let first = beyond(self.cells.iter().enumerate(), below)?;
        let last = beyond(self.cells.iter().enumerate().rev(), above)?;
        (first <= last).then_some((first, last))
    }

    /// Whether at least so many subjects hold any value.
    pub(crate) fn has_subjects(&self, fewest: u64) -> bool {
        let mut all = Support::default();
        self.cells.iter().any(|support| {
            all += support;
            all.count() >= fewest
        })
    }
}

/// The first cell at which more than `left_out` subjects have been met.
fn beyond<'a>(cells: impl Iterator<Item = (usize, &'a Support)>, left_out: u64) -> Option<usize> {
    let mut met = Support::default();
    let found = cells.into_iter().find(|(_, support)| {
        met += support;
        met.count() > left_out
    });
    found.map(|(cell, _)| cell)
}

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

    /// Takes in the values of another part of the table.
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

    fn of(subjects: &[u32]) -> Support {
        let mut support = Support::default();
        subjects.iter().for_each(|&s| support.add(Some(s)));
        support
    }

    #[test]
    fn a_subject_counts_once() {
        let mut support = of(&[3, 1, 3, 3]);
        assert_eq!((support.rows(), support.count()), (4, 2));
        support += &of(&[1, 7]);
        assert_eq!((support.rows(), support.count()), (6, 3));
        let many: Vec<u32> = (0..100).collect();
        assert_eq!(of(&many).count(), MOST_SUBJECTS as u64);
        assert_eq!(Support::of_rows(1_000).count(), 1_000);
    }

    #[test]
    fn ranges_leave_subjects_out_not_rows() {
        let mut spread = Spread::default();
        for subject in 0..20 {
            spread.add(4, &of(&[subject]));
        }
        spread.add(9, &of(&[77; 500]));
        spread.add(1, &of(&[78; 500]));
        assert_eq!(spread.occupied(), Some((1, 9)));
        assert_eq!(spread.cut(1, 1), Some((4, 4)));
        assert_eq!(spread.cut(22, 0), None);
        assert!(spread.has_subjects(22) && !spread.has_subjects(23));
    }

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
