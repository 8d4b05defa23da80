//! A histogram that knows how many subjects hold the values of each cell, so that a range can leave subjects out, and not rows.

use super::subject_count::SubjectCount;

/// Values counted over a few ordered cells: digits 0 to 9, months, lengths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    cells: Vec<SubjectCount>,
}

impl Histogram {
    /// Counts that `holders` holds a value of that cell.
    #[inline]
    pub(crate) fn add(&mut self, cell: usize, holders: &SubjectCount) {
        if cell >= self.cells.len() {
            self.cells.resize_with(cell + 1, SubjectCount::default);
        }
        self.cells[cell] += holders;
    }

    /// Merges the values of another part of the table.
    pub(crate) fn merge(&mut self, later: &Self) {
        for (cell, holders) in later.cells.iter().enumerate() {
            self.add(cell, holders);
        }
    }

    /// Rows by cell.
    pub(crate) fn rows(&self) -> impl Iterator<Item = u64> {
        self.cells.iter().map(SubjectCount::rows)
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
    pub(crate) fn has_subjects(&self, min: u64) -> bool {
        let mut all = SubjectCount::default();
        self.cells.iter().any(|holders| {
            all += holders;
            all.count() >= min
        })
    }
}

/// The first cell at which more than `left_out` subjects have been met.
fn beyond<'a>(cells: impl Iterator<Item = (usize, &'a SubjectCount)>, left_out: u64) -> Option<usize> {
    let mut met = SubjectCount::default();
    let found = cells.into_iter().find(|(_, holders)| {
        met += holders;
        met.count() > left_out
    });
    found.map(|(cell, _)| cell)
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
    fn ranges_leave_subjects_out_not_rows() {
        let mut histogram = Histogram::default();
        for subject in 0..20 {
            histogram.add(4, &of(&[subject]));
        }
        histogram.add(9, &of(&[77; 500]));
        histogram.add(1, &of(&[78; 500]));
        assert_eq!(histogram.occupied(), Some((1, 9)));
        assert_eq!(histogram.cut(1, 1), Some((4, 4)));
        assert_eq!(histogram.cut(22, 0), None);
        assert!(histogram.has_subjects(22) && !histogram.has_subjects(23));
    }
}
