//! What is known of the values inside a bin beyond its edges: exact values that are frequent, and how many decimals the
//! others have. Only decoding uses it, so codes and widths are those of the plain bins.
//!
//! A uniform draw smears out what lies in a bin: the 90 % of zeros of a column of revenues, prices that end in .99, wages in
//! thousands. Here frequent values are drawn with their own shares, and the others on the decimal grid that they lie on.

use serde::{Deserialize, Serialize};

use crate::encode::protection::{ColumnProtection, SubjectCount};
use crate::encode::values::decimal::{Decimal, LOWEST, power_of_ten};

/// Frequent values of a part of a table that are kept.
const MAX_FREQUENT: usize = 2_000;
/// Fewest rows of a frequent value in a part.
const MIN_ROWS: u64 = 2;
/// Cells that are kept: a bin holds some twenty of them.
const MAX_CELLS: usize = 4_000;
/// Frequent values of a bin that are kept.
const MAX_OF_BIN: usize = 10;
/// Least share of its bin that a frequent value has.
const MIN_SHARE: f64 = 0.01;
/// Shares are stored as multiples of this part.
const SHARES: f64 = 1e4;

/// What a part of a table says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PartialBinDistributions {
    /// Values that occur more than once with who holds them, rising.
    frequent: Vec<(f64, SubjectCount)>,
    /// The other values between neighbouring quantiles, rising.
    cells: Vec<Cell>,
}

/// The values from one quantile to the next.
#[derive(Debug, Clone, PartialEq)]
struct Cell {
    /// The quantile that it begins with.
    from: f64,
    places: DecimalPlaces,
}

/// Subject counts by the power of ten of their last digit.
#[derive(Debug, Clone, Default, PartialEq)]
struct DecimalPlaces(Vec<(i32, SubjectCount)>);

impl DecimalPlaces {
    fn add(&mut self, place: i32, holders: &SubjectCount) {
        match self.0.iter_mut().find(|(p, _)| *p == place) {
            Some((_, all)) => *all += holders,
            None => self.0.push((place, holders.clone())),
        }
    }

    fn merge(&mut self, more: &Self) {
        more.0
            .iter()
            .for_each(|(place, holders)| self.add(*place, holders));
    }

    fn rows(&self) -> u64 {
        self.0.iter().map(|(_, holders)| holders.rows()).sum()
    }
}

/// The power of ten of the last digit that is analysed.
fn place_of(value: f64) -> i32 {
    Decimal::for_digits(value).exponent
}

impl PartialBinDistributions {
    /// Counts runs of equal values, rising; `quantiles` are in any order, the least not above the least value.
    pub(crate) fn of_runs<'a>(
        runs: impl Iterator<Item = (f64, &'a SubjectCount)>,
        mut quantiles: Vec<f64>,
    ) -> Self {
        quantiles.sort_unstable_by(f64::total_cmp);
        quantiles.dedup();
        let cell = |from| Cell {
            from,
            places: DecimalPlaces::default(),
        };
        let mut partial = Self {
            frequent: Vec::new(),
            cells: quantiles.into_iter().map(cell).collect(),
        };
        for (value, holders) in runs {
            if holders.rows() >= MIN_ROWS {
                partial.frequent.push((value, holders.clone()));
            } else {
                partial.count(value, holders);
            }
        }
        partial.keep_most_frequent();
        partial.cells.retain(|cell| !cell.places.0.is_empty());
        partial
    }

    /// Merges the rows that follow.
    pub(crate) fn merge(&mut self, later: Self) {
        self.frequent.extend(later.frequent);
        self.frequent.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.frequent.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 += &later.1;
            }
            same
        });
        self.cells.extend(later.cells);
        self.cells.sort_by(|a, b| a.from.total_cmp(&b.from));
        self.keep_most_frequent();
        while self.cells.len() > MAX_CELLS {
            let mut halved: Vec<Cell> = Vec::with_capacity(self.cells.len() / 2 + 1);
            for (at, cell) in self.cells.drain(..).enumerate() {
                match halved.last_mut() {
                    Some(before) if at % 2 == 1 => before.places.merge(&cell.places),
                    _ => halved.push(cell),
                }
            }
            self.cells = halved;
        }
    }

    fn keep_most_frequent(&mut self) {
        if self.frequent.len() <= MAX_FREQUENT {
            return;
        }
        self.frequent
            .sort_by(|a, b| b.1.rows().cmp(&a.1.rows()).then(a.0.total_cmp(&b.0)));
        for (value, holders) in self.frequent.split_off(MAX_FREQUENT) {
            self.count(value, &holders);
        }
        self.frequent.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// Counts a value among the others.
    fn count(&mut self, value: f64, holders: &SubjectCount) {
        let after = self.cells.partition_point(|cell| cell.from <= value);
        let places = match self.cells.get_mut(after.saturating_sub(1)) {
            Some(cell) => &mut cell.places,
            None => {
                let places = DecimalPlaces::default();
                self.cells.push(Cell { from: value, places });
                &mut self.cells[0].places
            }
        };
        places.add(place_of(value), holders);
    }
}

/// What is known of the values inside each bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinDistributions {
    /// By bin: frequent values with their shares of the bin's rows, rising.
    pub frequent_values: Vec<Vec<(f64, f64)>>,
    /// By bin: powers of ten of the last digit of the other values with their shares, rising.
    pub last_places: Vec<Vec<(i32, f64)>>,
}

/// Something with its share.
type Shared<T> = (T, f64);

/// What is counted of a bin.
#[derive(Default)]
struct Counts {
    places: DecimalPlaces,
    frequent: Vec<(f64, SubjectCount)>,
}

impl BinDistributions {
    /// Merges parts. A frequent value or a last place is kept only when as many subjects have it as a category needs.
    pub(crate) fn of<'a>(
        partials: impl Iterator<Item = &'a PartialBinDistributions>,
        bins: &[f64],
        protection: &ColumnProtection,
    ) -> Self {
        let mut counts: Vec<Counts> = bins[1..].iter().map(|_| Counts::default()).collect();
        let mut merged = PartialBinDistributions::default();
        partials
            .filter(|_| bins.len() > 1)
            .for_each(|partial| merged.merge(partial.clone()));
        let bin_of = |value: f64| {
            bins[1..]
                .partition_point(|&edge| edge <= value)
                .min(bins.len() - 2)
        };
        for cell in &merged.cells {
            counts[bin_of(cell.from)].places.merge(&cell.places);
        }
        for (value, holders) in merged.frequent {
            counts[bin_of(value)].frequent.push((value, holders));
        }
        let ends = (bins[0], bins[bins.len() - 1]);
        let threshold = protection.of_part("within").rare_threshold().max(MIN_ROWS);
        let finished = counts.into_iter().map(|counts| counts.finish(ends, threshold));
        let (frequent_values, last_places) = finished.unzip();
        Self {
            frequent_values,
            last_places,
        }
    }

    /// How values of each bin are drawn.
    pub(crate) fn draws(&self, bins: &[f64]) -> Vec<BinDraw> {
        let known = self
            .frequent_values
            .iter()
            .zip(&self.last_places)
            .zip(bins.windows(2));
        known
            .map(|((frequent, places), edges)| BinDraw::new(frequent, places, edges[0], edges[1]))
            .collect()
    }

    /// Whether it fits these many bins with these edges; otherwise the key at fault and what is wrong.
    pub(crate) fn check(&self, bins: &[f64]) -> Result<(), (&'static str, String)> {
        let intervals = bins.len() - 1;
        if self.frequent_values.len() != intervals {
            return Err(("frequent_values", format!("there must be {intervals} lists")));
        }
        if self.last_places.len() != intervals {
            return Err(("last_places", format!("there must be {intervals} lists")));
        }
        for (values, edges) in self.frequent_values.iter().zip(bins.windows(2)) {
            let inside = values
                .iter()
                .all(|(value, _)| (edges[0]..edges[1]).contains(value));
            if !inside || !are_shares(values.iter().map(|(_, share)| *share)) {
                return Err((
                    "frequent_values",
                    "values must lie in their bin, shares add to at most 1".to_owned(),
                ));
            }
        }
        for places in &self.last_places {
            let known = places.iter().all(|(place, _)| (LOWEST..=308).contains(place));
            if !known || !are_shares(places.iter().map(|(_, share)| *share)) {
                return Err((
                    "last_places",
                    "places must be powers of ten, shares add to at most 1".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

/// Whether shares are positive and sum to at most 1, but for what rounding adds.
fn are_shares(shares: impl Iterator<Item = f64> + Clone) -> bool {
    shares.clone().all(|share| share > 0.0) && shares.sum::<f64>() <= 1.0 + 100.0 / SHARES
}

impl Counts {
    fn finish(
        mut self,
        (least, greatest): (f64, f64),
        threshold: u64,
    ) -> (Vec<Shared<f64>>, Vec<Shared<i32>>) {
        // The ends of the range have codes of their own, and what lies beyond them is not shown.
        self.frequent
            .retain(|(value, _)| *value > least && *value < greatest);
        let frequent_rows: u64 = self.frequent.iter().map(|(_, holders)| holders.rows()).sum();
        let total = (frequent_rows + self.places.rows()) as f64;
        let is_kept = |holders: &SubjectCount| {
            holders.count() >= threshold && holders.rows() as f64 >= MIN_SHARE * total
        };
        self.frequent.sort_by(|(a, m), (b, n)| {
            let by_rows = is_kept(n).cmp(&is_kept(m)).then(n.rows().cmp(&m.rows()));
            by_rows.then(a.total_cmp(b))
        });
        let kept = self
            .frequent
            .iter()
            .take_while(|(_, holders)| is_kept(holders))
            .count();
        for (value, holders) in self.frequent.split_off(kept.min(MAX_OF_BIN)) {
            self.places.add(place_of(value), &holders);
        }
        self.frequent.sort_by(|a, b| a.0.total_cmp(&b.0));
        let share = |rows: u64, of: f64| (rows as f64 / of * SHARES).round() / SHARES;
        let frequent = self.frequent.iter();
        let frequent = frequent.map(|(value, holders)| (*value, share(holders.rows(), total)));
        let mut places = self.places;
        places.0.retain(|(_, holders)| holders.count() >= threshold);
        places.0.sort_by_key(|(place, _)| *place);
        let others = places.rows() as f64;
        let places = places.0.iter();
        let places = places.map(|(place, holders)| (*place, share(holders.rows(), others)));
        (
            frequent.collect(),
            places.filter(|(_, share)| *share > 0.0).collect(),
        )
    }
}

/// How values of one bin are drawn.
pub(crate) struct BinDraw {
    /// Frequent values with the sum of the shares up to theirs.
    frequent: Vec<(f64, f64)>,
    /// Grids with the sum of the shares up to theirs; the last is 1.
    grids: Vec<(Grid, f64)>,
}

/// The numbers in a bin whose last digit has one place: `k * 10^place`, where ten does not divide k.
struct Grid {
    place: i32,
    /// Numbers of the grid below the bin, in the counting of [`not_divisible`].
    below: i64,
    /// Numbers of the grid in the bin.
    count: i64,
}

impl Grid {
    /// `None` when no such number lies in `[from, to)`, or when they are too many for exact numbers.
    fn new(place: i32, from: f64, to: f64) -> Option<Self> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let unit = |k: f64| scaled(k, place);
        let inverse = |value: f64| {
            if place >= 0 {
                value / power_of_ten(place)
            } else {
                value * power_of_ten(-place)
            }
        };
        let (first, end) = (inverse(from), inverse(to));
        if !(first.abs() < EXACT && end.abs() < EXACT) {
            return None;
        }
        // The quotient is rounded: its neighbours decide.
        let at_least = |quotient: f64, edge: f64| {
            let k = quotient.round();
            [k - 1.0, k, k + 1.0]
                .into_iter()
                .find(|&k| unit(k) >= edge)
                .unwrap_or(k + 2.0) as i64
        };
        let (first, end) = (at_least(first, from), at_least(end, to));
        let below = not_divisible(first);
        let count = not_divisible(end) - below;
        (count > 0).then_some(Self { place, below, count })
    }

    /// The number at a position in [0, 1).
    fn at(&self, position: f64) -> f64 {
        let index = ((position * self.count as f64) as i64).min(self.count - 1) + self.below;
        // The inverse of `not_divisible`: nine of ten whole numbers count.
        let k = index.div_euclid(9) * 10 + index.rem_euclid(9) + 1;
        scaled(k as f64, self.place)
    }
}

/// How many whole numbers from 1 to below `k` ten does not divide; negative for `k` below 1.
fn not_divisible(k: i64) -> i64 {
    k.div_euclid(10) * 9 + (k.rem_euclid(10) - 1).max(0)
}

/// `k * 10^place`, correctly rounded for whole k and places that a double holds exactly.
fn scaled(k: f64, place: i32) -> f64 {
    if place >= 0 {
        k * power_of_ten(place)
    } else {
        k / power_of_ten(-place)
    }
}

impl BinDraw {
    pub(crate) fn new(frequent: &[(f64, f64)], places: &[(i32, f64)], from: f64, to: f64) -> Self {
        let mut sum = 0.0;
        let frequent = frequent.iter().map(|&(value, share)| {
            sum += share;
            (value, sum.min(1.0))
        });
        let frequent = frequent.collect();
        let grids = places
            .iter()
            .filter_map(|&(place, share)| Some((Grid::new(place, from, to)?, share)));
        let mut grids: Vec<(Grid, f64)> = grids.collect();
        let total: f64 = grids.iter().map(|(_, share)| share).sum();
        let mut sum = 0.0;
        for (_, share) in &mut grids {
            sum += *share / total;
            *share = sum;
        }
        Self { frequent, grids }
    }

    /// The value at a position in [0, 1); a position in [0, 1) of the plain bin where nothing more is known.
    pub(crate) fn at(&self, position: f64) -> Result<f64, f64> {
        /// The digits of a position from which the grid is chosen: finer than any bin is filled.
        const FINE: f64 = 65_536.0;
        if let Some((value, _)) = self.frequent.iter().find(|(_, sum)| position < *sum) {
            return Ok(*value);
        }
        let used = self.frequent.last().map_or(0.0, |(_, sum)| *sum);
        let rest = if used < 1.0 {
            (position - used) / (1.0 - used)
        } else {
            position
        };
        let choice = (rest * FINE).fract();
        match self
            .grids
            .iter()
            .find(|(_, sum)| choice < *sum)
            .or(self.grids.last())
        {
            Some((grid, _)) => Ok(grid.at(rest)),
            None => Err(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_holds_the_numbers_that_end_at_its_place() {
        let all = |place, from: f64, to: f64| -> Vec<f64> {
            let Some(grid) = Grid::new(place, from, to) else {
                return Vec::new();
            };
            (0..grid.count)
                .map(|i| grid.at((i as f64 + 0.5) / grid.count as f64))
                .collect()
        };
        assert_eq!(all(0, 8.0, 13.0), [8.0, 9.0, 11.0, 12.0]);
        assert_eq!(all(-1, 0.95, 1.35), [1.1, 1.2, 1.3]);
        assert_eq!(all(3, -2500.0, 1500.0), [-2000.0, -1000.0, 1000.0]);
        assert_eq!(all(-2, 0.28, 0.3), [0.28, 0.29]);
        assert_eq!(all(1, 11.0, 19.0), [0.0; 0]);
        assert_eq!(all(-20, 1e300, 2e300), [0.0; 0]);
    }

    #[test]
    fn frequent_values_are_drawn_with_their_shares() {
        let draw = BinDraw::new(&[(0.0, 0.9)], &[(0, 1.0)], 0.0, 5.0);
        let values: Vec<f64> = (0..1_000)
            .map(|i| draw.at(f64::from(i) / 1_000.0).unwrap())
            .collect();
        assert_eq!(values.iter().filter(|v| **v == 0.0).count(), 900);
        assert!(values[900..].iter().all(|v| [1.0, 2.0, 3.0, 4.0].contains(v)));
        assert_eq!(values[900..].iter().filter(|v| **v == 3.0).count(), 25);
    }

    #[test]
    fn what_is_unknown_is_drawn_as_before() {
        assert_eq!(BinDraw::new(&[], &[], 1.0, 2.0).at(0.25), Err(0.25));
    }
}
