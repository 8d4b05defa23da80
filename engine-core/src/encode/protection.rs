//! Value protection: rare values and extremes never reach the statistics.

use crate::random::{Purpose, Stream};

/// Least number of rows whose extremes are shown at all.
const FEWEST_ROWS: usize = 20;
/// Least number of rows that share a value, and rows cut off at each end, before the random part.
const RARE: u64 = 5;
/// Least number of rows that share a square on the map, before the random part.
const SQUARE: u64 = 20;

/// Whether rare values and extremes are kept out of the statistics.
///
/// A value is kept when at least t rows hold it, and the t most extreme rows are cut off on either side. t is
/// 5, 6 or 7, drawn anew for every column and use, so that nobody can tell from the statistics that one row
/// more was there.
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
    pub(crate) fn new(protection: Protection, seed: u64, column: &str) -> Self {
        Self {
            protection,
            stream: Stream::new(seed, Purpose::Protection, 0),
            key: hash(0xCBF2_9CE4_8422_2325, column),
        }
    }

    /// Whether anything is protected.
    pub(crate) fn is_on(&self) -> bool {
        self.protection != Protection::Off
    }

    fn threshold(&self, purpose: Use) -> u64 {
        match self.protection {
            Protection::Off => 0,
            Protection::On => RARE + self.stream.below(3, self.key, purpose as u32),
            Protection::Fixed(more) => RARE + more.min(2),
        }
    }

    /// Least number of rows that must share a value for it to be kept.
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

    /// Least number of rows that must share a square on the map for it to be kept, protected or not.
    pub(crate) fn square_threshold(&self) -> u64 {
        SQUARE + self.rare_threshold().saturating_sub(RARE)
    }

    /// The least and the greatest value that may be shown: of the smallest values in rising and the largest
    /// in falling order. `None` when there are no values or too few to show any.
    pub(crate) fn bounds<T: Clone>(&self, smallest: &[T], largest: &[T]) -> Option<(T, T)> {
        if self.is_on() && smallest.len().min(largest.len()) < FEWEST_ROWS {
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
            let threshold = ColumnProtection::new(Protection::On, seed, "age").rare_threshold();
            counts[(threshold - 5) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (900..1_100).contains(n)), "{counts:?}");
    }

    #[test]
    fn uses_and_columns_draw_apart() {
        let draws = |name: &str, purpose: Use| -> Vec<u64> {
            let threshold = |seed| ColumnProtection::new(Protection::On, seed, name).threshold(purpose);
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
            ColumnProtection::new(protection, 1, "x").bounds(&rising[..n], &falling[20 - n..])
        };
        assert_eq!(bounds(Protection::Off, 20), Some((0, 19)));
        assert_eq!(bounds(Protection::Fixed(0), 20), Some((5, 14)));
        assert_eq!(bounds(Protection::Fixed(2), 20), Some((7, 12)));
        assert_eq!(bounds(Protection::On, 19), None);
        assert_eq!(bounds(Protection::Off, 0), None);
    }
}
