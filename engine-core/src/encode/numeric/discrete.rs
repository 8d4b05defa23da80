//! Discrete numbers: one code per distinct number.

use serde::{Deserialize, Serialize};

use super::auto::category;
use super::partial::NumericPartial;
use super::values::{Number, Numbers};
use super::{finish, fits_int};
use crate::encode::categorical::{NULL, RARE, check_codes, code_of, number_tokens};
use crate::encode::column::{ColumnEncoding, DecodeSite, Decoded, EncodeSite};
use crate::encode::explain::Coverage;
use crate::encode::stats::{Cardinalities, Codes};
use crate::encode::strings::FastMap;
use crate::encode::{EncodeError, RareReplacement};
use crate::schema::{CodeColumn, Column};

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
    pub(super) fn new(numbers: &[Number], has_nan: bool, min_decimal: i32) -> Self {
        let null = has_nan.then_some(NULL);
        let texts: Vec<String> = numbers
            .iter()
            .map(|&number| category(number, min_decimal))
            .collect();
        let categories = texts.iter().map(String::as_str);
        let codes = number_tokens([RARE].into_iter().chain(null).chain(categories));
        Self {
            cardinalities: Cardinalities::from([("cat".to_owned(), codes.len())]),
            codes,
            min_decimal,
        }
    }

    /// Rows that hold a number, and those whose number has no code of its own.
    pub(crate) fn coverage(&self, partial: &NumericPartial) -> Coverage {
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
            if token == RARE || token == NULL {
                None
            } else {
                Number::parse(token)
            }
        };
        self.codes.keys().map(number).collect()
    }
}

impl ColumnEncoding for DiscreteStats {
    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        check_codes(&self.codes, &self.cardinalities, "cat")?;
        let unread =
            |(token, number): (&String, &Option<Number>)| number.is_none() && token != RARE && token != NULL;
        let numbers = self.numbers();
        match self.codes.keys().zip(&numbers).any(unread) {
            true => Err((
                "codes",
                "a token is neither a number nor _RARE_ nor <<NULL>>".to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Vec<CodeColumn>, EncodeError> {
        let numbers = Numbers::read(column, site.compat, site.first_row)?;
        let null = code_of(&self.codes, NULL).unwrap_or(0);
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
        Ok(vec![CodeColumn::from_codes(self.cardinalities["cat"], by_row)])
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, site: DecodeSite) -> Decoded {
        let numbers = self.numbers();
        let known: Vec<Number> = numbers.iter().flatten().copied().collect();
        let stands_in_for_rare = !self.codes.contains_key(NULL) && !known.is_empty();
        let position = site.positions.of_column(site.column);
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
