//! Binned numbers: one code per interval between quantiles, and codes of their own for the least and the
//! greatest value.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bin_distributions::{BinDistributions, BinDraw};
use super::decoded::{finish, fits_int};
use super::encoding::NumericEncoding;
use super::partial::NumericPartial;
use super::private::Range;
use super::quantiles::{INTERVALS, distinct_bins};
use super::summary::{Summary, warn_of_small_numbers};
use crate::encode::encodings::column::{
    ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats, WrittenDigits,
};
use crate::encode::encodings::encoding::{Coverage, PublicFacts, read_stats};
use crate::encode::encodings::tokens::{Cardinalities, Codes, code_of, number_tokens};
use crate::encode::protection::{ColumnMechanism, ColumnProtection};
use crate::encode::values::decimal::power_of_ten;
use crate::encode::values::numbers::{Number, Numbers};
use crate::encode::{EncodeError, EncodingType, RareReplacement};
use crate::privacy::log_histogram::{BINS, edges};
use crate::schema::names::{BIN, MAX_TOKEN, MIN_TOKEN, NULL_TOKEN, UNKNOWN_TOKEN};
use crate::schema::{CodeColumn, Column};

impl EncodingType {
    /// One code per interval between quantiles.
    pub const NUMERIC_BINNED: Self = Self::named("TABULAR_NUMERIC_BINNED");
}

/// The encoding by bins.
pub(crate) struct Binned;

impl NumericEncoding for Binned {
    const TYPE: EncodingType = EncodingType::NUMERIC_BINNED;
    const QUANTILES: bool = true;

    fn reduce(
        column: &str,
        summary: Summary,
        partials: &[&NumericPartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        let stats = BinnedStats::of(summary, partials, protection);
        warn_of_small_numbers(
            column,
            stats.bins.first().copied().zip(stats.bins.last().copied()),
        );
        stats.into()
    }

    /// Half of the share goes to the range (with nulls), half to the decimals.
    fn reduce_private(
        partials: &[&NumericPartial],
        _public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        let range = Range::release(partials, mechanism.epsilon / 2.0, mechanism)?;
        Ok(BinnedStats::of_range(&range).into())
    }

    fn read(keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<BinnedStats>(keys)
    }

    fn coverage(partial: &NumericPartial, stats: &EncodingStats) -> Option<Coverage> {
        let stats: &BinnedStats = stats.get()?;
        let ends = stats.bins.first().copied().zip(stats.bins.last().copied());
        // Hidden bins have no code for the ends.
        Some(partial.outside(ends.filter(|_| stats.shows_values())))
    }
}

/// Statistics of a binned column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinnedStats {
    /// `bin`.
    pub cardinalities: Cardinalities,
    /// The tokens `<<UNK>>`, `<<NULL>>` if there are nulls, `<<MIN>>`, `<<MAX>>`; the intervals follow them.
    pub codes: Codes,
    /// Power of ten of the last digit that is ever other than 0; whole numbers if at least 0.
    pub min_decimal: i32,
    /// Rising edges of the intervals; only 0 when value protection hides everything.
    #[serde(serialize_with = "write_bins")]
    pub bins: Vec<f64>,
    /// What is known of the values inside the bins; mostlyai-engine's files do not have it.
    #[serde(flatten)]
    pub within: Option<BinDistributions>,
}

/// Hidden bins are the whole number 0 in the file, all others floats.
fn write_bins<S: serde::Serializer>(bins: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    match bins {
        [0.0] => [0].serialize(serializer),
        bins => bins.serialize(serializer),
    }
}

impl BinnedStats {
    /// The statistics of a column, and of what lies inside its bins where that is wanted.
    pub(crate) fn of(summary: Summary, partials: &[&NumericPartial], protection: &ColumnProtection) -> Self {
        let bins = summary.bounds.map(|(least, greatest)| {
            let quantiles = summary.quantiles.into_iter();
            distinct_bins(quantiles.map(|q| q.clamp(least, greatest)).collect(), INTERVALS)
        });
        let mut stats = Self::new(summary.has_nan, bins, summary.min_decimal);
        if protection.is_detailed() {
            let within = partials.iter().filter_map(|p| p.within.as_ref());
            stats.within = Some(BinDistributions::of(within, &stats.bins, protection));
        }
        stats
    }

    /// Of what is known under a privacy budget. The intervals are shared out among the powers of two by their noisy counts; within one they are
    /// equally wide.
    pub(crate) fn of_range(range: &Range) -> Self {
        let bins = range.occupied.map(|(first, last)| {
            let weights: Vec<f64> = (first..=last)
                .map(|bin| range.magnitudes.counts[bin].max(0.0))
                .collect();
            let total: f64 = weights.iter().sum();
            let left = INTERVALS.saturating_sub(weights.len()) as f64;
            let mut all = vec![edges(first).0];
            for (bin, weight) in (first..=last).zip(weights) {
                let (lower, upper) = edges(bin);
                let share = (left * weight / total.max(1.0)) as usize + 1;
                // No narrower than the last decimal.
                let most = ((upper - lower) / power_of_ten(range.min_decimal)).max(1.0);
                let intervals = if most < share as f64 { most as usize } else { share };
                all.extend((1..=intervals).map(|i| lower + (upper - lower) * i as f64 / intervals as f64));
            }
            all.dedup();
            all
        });
        Self::new(range.magnitudes.is_above_noise(BINS), bins, range.min_decimal)
    }

    /// Statistics with these edges; `None` when they are hidden.
    fn new(has_nan: bool, bins: Option<Vec<f64>>, min_decimal: i32) -> Self {
        let null = has_nan.then_some(NULL_TOKEN);
        let ends = bins.is_some().then_some([MIN_TOKEN, MAX_TOKEN]);
        let codes = number_tokens(
            [UNKNOWN_TOKEN]
                .into_iter()
                .chain(null)
                .chain(ends.into_iter().flatten()),
        );
        let (bins, min_decimal) = bins.map_or((vec![0.0], 0), |bins| (bins, min_decimal));
        Self {
            cardinalities: Cardinalities::from([(BIN.to_owned(), codes.len() + bins.len() - 1)]),
            codes,
            min_decimal,
            bins,
            within: None,
        }
    }

    /// Whether value protection lets any value be seen.
    pub(crate) fn shows_values(&self) -> bool {
        self.codes.contains_key(MIN_TOKEN)
    }

    /// The code of a number: of the end of the range that it equals, or else of the interval that it lies in.
    fn code(&self, value: f64, least: Option<u32>, greatest: Option<u32>) -> u32 {
        let last = self.bins.len() - 1;
        match (least, greatest) {
            (_, Some(code)) if value == self.bins[last] => code,
            (Some(code), _) if value == self.bins[0] => code,
            // One edge makes no interval; such values share the code before the first.
            _ if last == 0 => self.codes.len() as u32 - 1,
            _ => {
                let edges_below = self.bins[1..last].partition_point(|&edge| edge <= value);
                (self.codes.len() + edges_below) as u32
            }
        }
    }
}

impl ColumnEncoding for BinnedStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::NUMERIC_BINNED
    }

    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let rising = self.bins.is_sorted_by(|a, b| a < b) && !self.bins.is_empty();
        if !rising {
            return Err(("bins", "the edges must be there and rise".to_owned()));
        }
        let codes = self.codes.len() + self.bins.len() - 1;
        if self.codes.is_empty()
            || self.cardinalities.len() != 1
            || self.cardinalities.get(BIN) != Some(&codes)
        {
            return Err((
                "cardinalities",
                format!("{BIN:?} must be there, alone, and {codes}"),
            ));
        }
        self.within
            .as_ref()
            .map_or(Ok(()), |within| within.check(&self.bins))
    }

    fn tokens(&self) -> Option<&Codes> {
        Some(&self.codes)
    }

    fn written_digits(&self) -> WrittenDigits {
        WrittenDigits {
            last_place: Some(self.min_decimal),
            largest: self.bins.iter().fold(0.0, |m: f64, v| m.max(v.abs())),
            milliseconds: false,
        }
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError> {
        let numbers = Numbers::read(column, site.compat, site.first_row)?;
        let null = code_of(&self.codes, NULL_TOKEN).unwrap_or(0);
        let (least, greatest) = (code_of(&self.codes, MIN_TOKEN), code_of(&self.codes, MAX_TOKEN));
        let by_row = (0..numbers.len()).map(|row| match numbers.get(row) {
            None => null,
            Some(number) => self.code(number.as_f64(), least, greatest),
        });
        let bounds = self.bins.first().copied().zip(self.bins.last().copied());
        Ok(Encoded {
            codes: vec![CodeColumn::from_codes(self.cardinalities[BIN], by_row)],
            unknown: numbers.beyond(bounds),
        })
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, site: DecodeSite) -> Decoded {
        let tokens = self.codes.len();
        let (least, greatest) = (code_of(&self.codes, MIN_TOKEN), code_of(&self.codes, MAX_TOKEN));
        let precision = Precision::new(self.min_decimal);
        let position = site.offsets.of_column(site.column);
        let draws: Vec<BinDraw> = self
            .within
            .iter()
            .flat_map(|within| within.draws(&self.bins))
            .collect();
        let value = |row: usize| {
            let code = codes[0].get(row);
            if let Some(interval) = (code as usize).checked_sub(tokens) {
                let (from, to) = (self.bins[interval], self.bins[interval + 1]);
                let drawn = draws
                    .get(interval)
                    .map_or(Err(position(row)), |draw| draw.at(position(row)));
                let value = drawn.unwrap_or_else(|plain| precision.floor(from + plain * (to - from)));
                return Some(Number::Float(value));
            }
            let end = if Some(code) == least {
                self.bins.first()
            } else if Some(code) == greatest {
                self.bins.last()
            } else {
                None
            };
            end.map(|&edge| Number::Float(edge))
        };
        // Unsigned numbers of 64 bits may be beyond the signed ones.
        let whole = self.min_decimal >= 0 && self.bins.iter().all(|&edge| fits_int(edge));
        finish(rows, whole, value)
    }

    fn never_drawn(&self, _replacement: RareReplacement) -> Option<(usize, u32)> {
        Some((0, 0))
    }
}

/// The last decimal place of a column.
struct Precision {
    scale: f64,
}

impl Precision {
    fn new(min_decimal: i32) -> Self {
        Self {
            scale: power_of_ten(-min_decimal),
        }
    }

    /// Rounds down to the last place.
    fn floor(&self, value: f64) -> f64 {
        (value * self.scale).floor() / self.scale
    }
}
