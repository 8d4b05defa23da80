//! Statistics under a privacy budget: all of them are computed from noisy counts, or depend on no row at all.

mod categorical;
mod datetime;
mod release;

use indexmap::IndexMap;

pub(crate) use release::{Noisy, Release};

use super::partial::{Counting, Part, PartialStats, PartialValues, check_fit};
use super::stats::{ColumnStats, EncodingStats, SequenceLengths, TableKeys, TableStats};
use super::table::{parts_of_column, places, texts_of};
use super::{Compat, EncodeError, EncodingType, EncodingTypes, numeric};
use crate::privacy::{Mechanism, PrivacyLedger, RandomWords};

/// How much privacy the statistics of a table may cost, all together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StatsBudget {
    /// Epsilon, above 0 and at most 10,000.
    pub epsilon: f64,
    /// Delta, at least 0 and below 1. Columns of unknown categories need one above 0.
    pub delta: f64,
    /// Values that columns can have, where they are public: such columns need no delta, and show nothing but
    /// which of these values there could be. All other values are rare.
    pub domains: IndexMap<String, Vec<String>>,
}

impl StatsBudget {
    fn check(&self, types: &EncodingTypes) -> Result<(), EncodeError> {
        let refuse = |name, value: f64, allowed| {
            let value = value.to_string();
            Err(EncodeError::Budget { name, value, allowed })
        };
        if !(self.epsilon > 0.0 && self.epsilon <= 10_000.0) {
            return refuse("epsilon", self.epsilon, "a number above 0, at most 10000");
        }
        if !(self.delta >= 0.0 && self.delta < 1.0) {
            return refuse(
                "delta",
                self.delta,
                "a number from 0 to below 1, for instance 0.000001",
            );
        }
        for column in self.domains.keys() {
            let why = match types.get(column) {
                None => "the model has no such column",
                Some(encoding) if !may_be_found_out(*encoding) => "its encoding looks for no single values",
                Some(_) => continue,
            };
            let column = column.clone();
            return Err(EncodeError::NeedlessDomain { column, why });
        }
        Ok(())
    }
}

/// Whether the values of a column are found out one by one.
fn may_be_found_out(encoding: EncodingType) -> bool {
    use EncodingType::{Categorical, NumericAuto, NumericDiscrete};
    matches!(encoding, Categorical | NumericAuto | NumericDiscrete)
}

/// Puts the statistics of all parts together for a budget, and says what was spent on what: the ledger's sum
/// is the budget. An equal share of epsilon goes to every column and to the numbers of rows, an equal share
/// of delta to every column whose values have to be found out.
///
/// The parts must come from [`analyze_private`](super::analyze_private). The promise, for tables of which one
/// has a row that the other lacks, holds when `random` is secret and cryptographically secure
/// ([`SystemRandom`](crate::privacy::SystemRandom)); names, types and order of the columns are taken as
/// public.
///
/// # Errors
/// As [`reduce`](super::reduce); [`EncodeError::PartsWithoutBudget`]; [`EncodeError::Budget`],
/// [`EncodeError::BudgetLacksDelta`], [`EncodeError::NeedlessDomain`] and [`EncodeError::DomainValue`] for an
/// unsuitable budget; [`EncodeError::EncodingWithoutBudget`]; [`EncodeError::NoRandomness`].
pub fn reduce_private(
    partials: &[PartialStats],
    types: &EncodingTypes,
    budget: &StatsBudget,
    keys: TableKeys,
    random: &mut dyn RandomWords,
) -> Result<(TableStats, PrivacyLedger), EncodeError> {
    budget.check(types)?;
    if partials.iter().any(|part| part.counting != Counting::Budget) {
        return Err(EncodeError::PartsWithoutBudget);
    }
    let mut ledger = PrivacyLedger::new(budget.epsilon, budget.delta);
    let share = budget.epsilon / (types.len() + 1) as f64;
    let needs_delta = |name: &str, encoding| may_be_found_out(encoding) && !budget.domains.contains_key(name);
    let unknown = types
        .iter()
        .filter(|&(name, &encoding)| needs_delta(name, encoding))
        .count();
    let rows = |part| {
        partials
            .iter()
            .filter(|p| p.part == part)
            .map(|p| p.rows)
            .sum::<u64>()
    };
    let rows = [rows(Part::Training), rows(Part::Validation)];
    let mut release = Release::new(None, (share, 0.0), random, &mut ledger);
    let noisy_rows = release.histogram("numbers of rows", &rows, share)?;
    let [training, validation] = [0, 1].map(|place| noisy_rows.counts[place].max(0.0));
    let mut columns = IndexMap::new();
    for ((name, &encoding), place) in types.iter().zip(places(types)) {
        let delta = if needs_delta(name, encoding) {
            budget.delta / unknown as f64
        } else {
            0.0
        };
        let mut release = Release::new(Some(name), (share, delta), random, &mut ledger);
        let domain = budget.domains.get(name).map(Vec::as_slice);
        let parts = parts_of_column(partials, name, encoding)?;
        let texts = texts_of(&parts, Compat::Native);
        let parts: Vec<&PartialValues> = parts.into_iter().map(|part| &part.values).collect();
        let values = release_column(&parts, encoding, domain, training + validation, &mut release)?;
        let stats = ColumnStats::Modelled {
            value_protection: encoding.records_protection().then_some(true),
            texts,
            values,
            place,
        };
        columns.insert(name.clone(), stats);
    }
    if unknown == 0 && budget.delta > 0.0 {
        ledger.enter(None, "nothing", Mechanism::Unused, (0.0, budget.delta));
    }
    let stats = TableStats {
        columns,
        no_of_training_records: training as u64,
        no_of_validation_records: validation as u64,
        seq_len: SequenceLengths::flat(true),
        is_sequential: false,
        keys,
        value_protection_epsilon_spent: Some(budget.epsilon),
    };
    Ok((stats, ledger))
}

/// The statistics of a column; parts without rows count nothing.
fn release_column(
    parts: &[&PartialValues],
    encoding: EncodingType,
    domain: Option<&[String]>,
    rows: f64,
    release: &mut Release<'_>,
) -> Result<EncodingStats, EncodeError> {
    let (mut texts, mut numbers, mut dates) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part {
            PartialValues::Empty => {}
            PartialValues::Categorical(values) => texts.push(values),
            PartialValues::Numeric(values) => numbers.push(values),
            PartialValues::Datetime(values) => dates.push(values),
            // They are refused below.
            PartialValues::Character(_) | PartialValues::DatetimeRelative(_) | PartialValues::LatLong(_) => {}
        }
    }
    let column = release.column().to_owned();
    if encoding.is_numeric() {
        let misfits = numbers.iter().filter_map(|p| p.misfits.as_ref());
        check_fit(&column, encoding, "number", misfits)?;
        numeric::reduce_private(&numbers, encoding, domain, rows, release)
    } else if encoding == EncodingType::Datetime {
        check_fit(
            &column,
            encoding,
            "date",
            dates.iter().filter_map(|p| p.misfits.as_ref()),
        )?;
        datetime::reduce_private(&dates, release).map(EncodingStats::Datetime)
    } else if encoding == EncodingType::Categorical {
        categorical::reduce_private(&texts, domain, release).map(EncodingStats::Categorical)
    } else {
        Err(EncodeError::EncodingWithoutBudget { column, encoding })
    }
}
