//! Discrete numbers: one code per distinct number.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decoded::{finish, fits_int};
use super::encoding::NumericEncoding;
use super::partial::NumericPartial;
use super::private::{categories, domain};
use super::summary::{Summary, category, last_place};
use crate::encode::encodings::column::{
    ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats, WrittenDigits,
};
use crate::encode::encodings::encoding::{Counting, Coverage, PublicFacts, read_stats};
use crate::encode::encodings::tokens::{Cardinalities, Codes, check_codes, code_of, number_tokens};
use crate::encode::protection::{ColumnMechanism, ColumnProtection};
use crate::encode::values::numbers::{Number, Numbers};
use crate::encode::values::strings::FastMap;
use crate::encode::values::unknown::UnknownValues;
use crate::encode::{EncodeError, EncodingType, RareReplacement};
use crate::schema::names::{CATEGORY, NULL_TOKEN, RARE_TOKEN};
use crate::schema::{CodeColumn, Column};

impl EncodingType {
    /// One code per distinct number.
    pub const NUMERIC_DISCRETE: Self = Self::named("TABULAR_NUMERIC_DISCRETE");
}

/// The encoding of few distinct numbers.
pub(crate) struct Discrete;

impl NumericEncoding for Discrete {
    const TYPE: EncodingType = EncodingType::NUMERIC_DISCRETE;
    const QUANTILES: bool = false;
    const HAS_DOMAIN: bool = true;

    fn counts_values(_distinct: usize, _counting: Counting) -> bool {
        true
    }

    fn reduce(
        _column: &str,
        summary: Summary,
        _partials: &[&NumericPartial],
        _protection: &ColumnProtection,
    ) -> EncodingStats {
        let (numbers, place) = (&summary.categories, summary.min_decimal_of_categories);
        DiscreteStats::new(numbers, summary.has_nan, place).into()
    }

    /// The whole share goes to the values, or to whether there are nulls where the values are public.
    fn reduce_private(
        partials: &[&NumericPartial],
        public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        let (numbers, has_nan) = match public.domain {
            Some(values) => domain(values, partials, mechanism)?,
            None => {
                let (numbers, has_nan) = categories(partials, mechanism.epsilon, mechanism)?;
                (numbers.into_iter().map(|(number, _)| number).collect(), has_nan)
            }
        };
        Ok(DiscreteStats::of_public(numbers, has_nan).into())
    }

    fn read(keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<DiscreteStats>(keys)
    }

    fn coverage(partial: &NumericPartial, stats: &EncodingStats) -> Option<Coverage> {
        stats.get::<DiscreteStats>().map(|stats| stats.coverage(partial))
    }
}

/// Statistics of a column of few distinct numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscreteStats {
    /// `cat`.
    pub cardinalities: Cardinalities,
    /// Numbers as text by code: `_RARE_`, `<<NULL>>` if there are nulls, then the numbers.
    pub codes: Codes,
    /// Power of ten of the last digit that is ever other than 0; whole numbers if at least 0.
    pub min_decimal: i32,
}

impl DiscreteStats {
    /// Statistics of these numbers, the last digit of which stands at the place `min_decimal`.
    fn new(numbers: &[Number], has_nan: bool, min_decimal: i32) -> Self {
        let null = has_nan.then_some(NULL_TOKEN);
        let texts: Vec<String> = numbers
            .iter()
            .map(|&number| category(number, min_decimal))
            .collect();
        let categories = texts.iter().map(String::as_str);
        let codes = number_tokens([RARE_TOKEN].into_iter().chain(null).chain(categories));
        Self {
            cardinalities: Cardinalities::from([(CATEGORY.to_owned(), codes.len())]),
            codes,
            min_decimal,
        }
    }

    /// Statistics of numbers that may be known, in rising order: that of the table would reveal something of its rows.
    pub(crate) fn of_public(mut numbers: Vec<Number>, has_nan: bool) -> Self {
        numbers.sort_by(|a, b| a.as_f64().total_cmp(&b.as_f64()));
        numbers.dedup_by_key(|number| number.key());
        Self::new(&numbers, has_nan, last_place(&numbers))
    }

    /// Numbers that got the code of the rare ones: beyond the least and the greatest known number, or between them.
    fn unknown(&self, numbers: &Numbers<'_>, codes: &CodeColumn) -> UnknownValues {
        let is_unknown = |row: &usize| numbers.is_valid(*row) && codes.get(*row) == 0;
        let unknown = (0..numbers.len()).filter(is_unknown).count() as u64;
        if unknown == 0 {
            return UnknownValues::default();
        }
        let known = || self.numbers().into_iter().flatten().map(Number::as_f64);
        let ends = known().min_by(f64::total_cmp).zip(known().max_by(f64::total_cmp));
        let outside = numbers.beyond(ends).outside;
        UnknownValues {
            unseen: unknown.saturating_sub(outside),
            outside,
        }
    }

    /// Rows that hold a number, and those whose number has no code of its own.
    fn coverage(&self, partial: &NumericPartial) -> Coverage {
        let known: FastMap<(bool, u64), ()> = self
            .numbers()
            .into_iter()
            .flatten()
            .map(|n| (n.key(), ()))
            .collect();
        let mut coverage = Coverage {
            distinct: partial.cnt_values.as_ref().map(|values| values.len() as u64),
            ..Coverage::default()
        };
        for (value, holders) in partial.cnt_values.iter().flatten() {
            let shown = Number::parse(value).is_some_and(|number| known.contains_key(&number.key()));
            coverage.rows += holders.rows();
            coverage.protected += if shown { 0 } else { holders.rows() };
        }
        coverage
    }

    /// The number of each code; `None` for tokens that are no number.
    fn numbers(&self) -> Vec<Option<Number>> {
        let number = |token: &String| {
            if token == RARE_TOKEN || token == NULL_TOKEN {
                None
            } else {
                Number::parse(token)
            }
        };
        self.codes.keys().map(number).collect()
    }
}

impl ColumnEncoding for DiscreteStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::NUMERIC_DISCRETE
    }

    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        check_codes(&self.codes, &self.cardinalities, CATEGORY)?;
        let unread = |(token, number): (&String, &Option<Number>)| {
            number.is_none() && token != RARE_TOKEN && token != NULL_TOKEN
        };
        let numbers = self.numbers();
        match self.codes.keys().zip(&numbers).any(unread) {
            true => Err((
                "codes",
                format!("a token is neither a number nor {RARE_TOKEN} nor {NULL_TOKEN}"),
            )),
            false => Ok(()),
        }
    }

    fn tokens(&self) -> Option<&Codes> {
        Some(&self.codes)
    }

    fn written_digits(&self) -> WrittenDigits {
        let numbers = self.codes.keys().filter_map(|token| token.parse::<f64>().ok());
        WrittenDigits {
            last_place: Some(self.min_decimal),
            largest: numbers.fold(0.0, |m: f64, v| m.max(v.abs())),
            milliseconds: false,
        }
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError> {
        let numbers = Numbers::read(column, site.compat, site.first_row)?;
        let null = code_of(&self.codes, NULL_TOKEN).unwrap_or(0);
        let known = self.numbers().into_iter().zip(0u32..);
        let codes: FastMap<(bool, u64), u32> = known
            .filter_map(|(number, code)| Some((number?.key(), code)))
            .collect();
        let whole = self.min_decimal >= 0;
        let by_row = (0..numbers.len()).map(|row| match numbers.get(row) {
            None => null,
            Some(Number::Float(v)) if whole => codes
                .get(&Number::Float(v.round_ties_even()).key())
                .copied()
                .unwrap_or(0),
            Some(number) => codes.get(&number.key()).copied().unwrap_or(0),
        });
        let codes = CodeColumn::from_codes(self.cardinalities[CATEGORY], by_row);
        let unknown = self.unknown(&numbers, &codes);
        Ok(Encoded {
            codes: vec![codes],
            unknown,
        })
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, site: DecodeSite) -> Decoded {
        let numbers = self.numbers();
        let known: Vec<Number> = numbers.iter().flatten().copied().collect();
        let stands_in_for_rare = !self.codes.contains_key(NULL_TOKEN) && !known.is_empty();
        let position = site.offsets.of_column(site.column);
        let value = |row: usize| match codes[0].get(row) {
            0 if stands_in_for_rare => Some(known[(position(row) * known.len() as f64) as usize]),
            code => numbers.get(code as usize).copied().flatten(),
        };
        // Unsigned numbers of 64 bits may be beyond the signed ones.
        let whole = self.min_decimal >= 0 && known.iter().all(|number| fits_int(number.as_f64()));
        finish(rows, whole, value)
    }

    fn never_drawn(&self, _replacement: RareReplacement) -> Option<(usize, u32)> {
        Some((0, 0))
    }
}
