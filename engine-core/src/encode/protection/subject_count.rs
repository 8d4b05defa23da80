//! How many subjects share a value: what value protection decides by. In a flat table every row is a subject.

use std::ops::AddAssign;

/// Distinct subjects that are remembered of a value: more than any threshold needs.
const MAX_SUBJECTS: usize = 24;

/// The rows and the subjects that share a value. Of many subjects only the first few are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SubjectCount {
    rows: u64,
    /// Distinct subjects, rising; empty when every row is a subject of its own.
    subjects: Vec<u32>,
}

impl SubjectCount {
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
            && self.subjects.len() < MAX_SUBJECTS
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

impl AddAssign<&Self> for SubjectCount {
    #[inline]
    fn add_assign(&mut self, other: &Self) {
        self.rows += other.rows;
        other.subjects.iter().for_each(|&subject| self.remember(subject));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subjects: &[u32]) -> SubjectCount {
        let mut holders = SubjectCount::default();
        subjects.iter().for_each(|&s| holders.add(Some(s)));
        holders
    }

    #[test]
    fn a_subject_counts_once() {
        let mut holders = of(&[3, 1, 3, 3]);
        assert_eq!((holders.rows(), holders.count()), (4, 2));
        holders += &of(&[1, 7]);
        assert_eq!((holders.rows(), holders.count()), (6, 3));
        let many: Vec<u32> = (0..100).collect();
        assert_eq!(of(&many).count(), MAX_SUBJECTS as u64);
        assert_eq!(SubjectCount::of_rows(1_000).count(), 1_000);
    }
}
