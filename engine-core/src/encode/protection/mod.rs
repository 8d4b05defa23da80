//! Value protection. Rare values and extremes never reach the statistics: a value is shown when enough subjects share it
//! (`subject_count`), a range without the values of the most extreme subjects (`histogram`, `extremes`), and how many are enough is
//! drawn anew for every column and use ([`ColumnProtection`]). Under a privacy budget counts are shown with noise instead
//! (`mechanism`).

mod extremes;
mod histogram;
mod mechanism;
mod subject_count;

pub(crate) use extremes::{EXTREMES, Extremes, Ranked};
pub(crate) use histogram::Histogram;
pub(crate) use mechanism::{ColumnMechanism, NoisyHistogram};
pub(crate) use subject_count::SubjectCount;

use crate::encode::Compat;
use crate::random::{Purpose, Stream};

/// Least number of subjects whose extremes are shown at all.
const MIN_SUBJECTS: usize = 20;
/// Least number of subjects that share a value, and subjects cut off at each end, before the random part.
const RARE: u64 = 5;
/// Least number of subjects that share a square on the map, before the random part.
const SQUARE: u64 = 20;
/// So many subjects are enough for any threshold.
pub(crate) const ALWAYS_ENOUGH: u64 = RARE + 2;

/// Whether rare values and extremes are kept out of the statistics.
///
/// A value is kept when at least t subjects hold it, and the t most extreme subjects are cut off on either
/// side. A row is a subject of its own unless rows name subjects. t is 5, 6 or 7, drawn anew for every column
/// and use, so that the statistics do not reveal whether one subject more was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protection {
    /// Everything is kept.
    Off,
    /// t is drawn from the seed, the column's name and the use.
    #[default]
    On,
    /// t is exactly 5 plus this number (0, 1 or 2; larger ones count as 2) everywhere: for comparisons, not
    /// for private tables.
    Fixed(u64),
}

/// What a threshold is for.
#[derive(Debug, Clone, Copy)]
enum Use {
    Values = 0,
    Least = 1,
    Greatest = 2,
}

/// The protection of one column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnProtection {
    protection: Protection,
    compat: Compat,
    stream: Stream,
    /// Hash of the column's name: its thresholds do not depend on the other columns.
    key: u64,
}

/// Goes on with an FNV-1a hash.
fn hash(before: u64, name: &str) -> u64 {
    name.bytes().fold(before, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

impl ColumnProtection {
    pub(crate) fn new(protection: Protection, compat: Compat, seed: u64, column: &str) -> Self {
        Self {
            protection,
            compat,
            stream: Stream::new(seed, Purpose::Protection, 0),
            key: hash(0xCBF2_9CE4_8422_2325, column),
        }
    }

    /// Whether anything is protected.
    pub(crate) fn is_on(&self) -> bool {
        self.protection != Protection::Off
    }

    /// Whether everything is protected, and not only what mostlyai-engine protects.
    pub(crate) fn is_native(&self) -> bool {
        self.is_on() && self.compat == Compat::Native
    }

    /// Whether statistics have keys that mostlyai-engine does not know.
    pub(crate) fn is_detailed(&self) -> bool {
        self.compat == Compat::Native
    }

    fn threshold(&self, purpose: Use) -> u64 {
        match self.protection {
            Protection::Off => 0,
            Protection::On => RARE + self.stream.below(3, self.key, purpose as u32),
            Protection::Fixed(more) => RARE + more.min(2),
        }
    }

    /// Least number of subjects that must share a value for it to be kept.
    pub(crate) fn rare_threshold(&self) -> u64 {
        self.threshold(Use::Values)
    }

    /// The protection of a part of the column, which draws thresholds of its own.
    pub(crate) fn of_part(&self, part: &str) -> Self {
        Self {
            key: hash(self.key, part),
            ..*self
        }
    }

    /// Least number of subjects that must share a square on the map for it to be kept, protected or not.
    pub(crate) fn square_threshold(&self) -> u64 {
        SQUARE + self.rare_threshold().saturating_sub(RARE)
    }

    /// Whether a flag such as `has_nan` may be shown: enough subjects give reason for it. `part` names the
    /// flag.
    pub(crate) fn flag(&self, part: &str, holders: &SubjectCount) -> bool {
        let min = if self.is_native() {
            self.of_part(part).rare_threshold()
        } else {
            1
        };
        holders.count() >= min
    }

    /// The first and the last cell of a range that may be shown: the subjects with the most extreme values on
    /// either side are left out. `None` when there are no values or too few to show any. `part` names the
    /// range.
    pub(crate) fn range(&self, part: &str, histogram: &Histogram) -> Option<(usize, usize)> {
        if !self.is_native() {
            return histogram.occupied();
        }
        if !histogram.has_subjects(MIN_SUBJECTS as u64) {
            return None;
        }
        let part = self.of_part(part);
        histogram.cut(part.threshold(Use::Least), part.threshold(Use::Greatest))
    }

    /// The least and the greatest value that may be shown; `None` when there are no values or too few to show
    /// any.
    pub(crate) fn ends<T: Ranked>(&self, extremes: &Extremes<T>) -> Option<(T, T)> {
        self.bounds(&extremes.smallest(), &extremes.largest())
    }

    /// The least and the greatest value that may be shown: of the smallest values in rising and the largest
    /// in falling order, one of each subject. `None` when there are no values or too few to show any.
    pub(crate) fn bounds<T: Clone>(&self, smallest: &[T], largest: &[T]) -> Option<(T, T)> {
        if self.is_on() && smallest.len().min(largest.len()) < MIN_SUBJECTS {
            return None;
        }
        let least = smallest.get(self.threshold(Use::Least) as usize)?;
        let greatest = largest.get(self.threshold(Use::Greatest) as usize)?;
        Some((least.clone(), greatest.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_five_six_or_seven_equally_often() {
        let mut counts = [0; 3];
        for seed in 0..3_000 {
            let threshold =
                ColumnProtection::new(Protection::On, Compat::Native, seed, "age").rare_threshold();
            counts[(threshold - 5) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (900..1_100).contains(n)), "{counts:?}");
    }

    #[test]
    fn uses_and_columns_draw_apart() {
        let draws = |name: &str, purpose: Use| -> Vec<u64> {
            let threshold =
                |seed| ColumnProtection::new(Protection::On, Compat::Native, seed, name).threshold(purpose);
            (0..50).map(threshold).collect()
        };
        assert_ne!(draws("a", Use::Least), draws("a", Use::Greatest));
        assert_ne!(draws("a", Use::Values), draws("b", Use::Values));
        assert_eq!(draws("a", Use::Values), draws("a", Use::Values));
    }

    #[test]
    fn extremes_are_cut_off() {
        let rising: Vec<i32> = (0..20).collect();
        let falling: Vec<i32> = (0..20).rev().collect();
        let bounds = |protection, n: usize| {
            ColumnProtection::new(protection, Compat::Native, 1, "x").bounds(&rising[..n], &falling[20 - n..])
        };
        assert_eq!(bounds(Protection::Off, 20), Some((0, 19)));
        assert_eq!(bounds(Protection::Fixed(0), 20), Some((5, 14)));
        assert_eq!(bounds(Protection::Fixed(2), 20), Some((7, 12)));
        assert_eq!(bounds(Protection::On, 19), None);
        assert_eq!(bounds(Protection::Off, 0), None);
    }

    #[test]
    fn flags_and_ranges_are_protected_unless_mostlyai_engine_is_asked_for() {
        let protection = |protection, compat| ColumnProtection::new(protection, compat, 1, "x");
        let native = protection(Protection::Fixed(0), Compat::Native);
        let open = [
            protection(Protection::Fixed(0), Compat::MostlyAi),
            protection(Protection::Off, Compat::Native),
        ];
        assert!(
            native.flag("nan", &SubjectCount::of_rows(5)) && !native.flag("nan", &SubjectCount::of_rows(4))
        );
        assert!(!open[0].flag("nan", &SubjectCount::default()));
        let mut digits = Histogram::default();
        digits.add(1, &SubjectCount::of_rows(30));
        digits.add(9, &SubjectCount::of_rows(5));
        assert_eq!(native.range("E0", &digits), Some((1, 1)));
        for protection in open {
            assert!(protection.flag("nan", &SubjectCount::of_rows(1)));
            assert_eq!(protection.range("E0", &digits), Some((1, 9)));
        }
        let mut few = Histogram::default();
        few.add(1, &SubjectCount::of_rows(19));
        assert_eq!(native.range("E0", &few), None);
    }
}
