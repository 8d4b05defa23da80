//! Statistics under a privacy budget: all of them are computed from noisy counts, or depend on no row at all.

use indexmap::IndexMap;

use super::partial::{PartialStats, SplitPart};
use super::reduce::{counted, parts_of_column, places, texts_of};
use super::stats::{ColumnStats, SequenceLengths, TableKeys, TableStats};
use crate::encode::encodings::encoding::{Counting, PublicFacts};
use crate::encode::protection::ColumnMechanism;
use crate::encode::registry::list;
use crate::encode::{Compat, EncodeError, EncodingType, EncodingTypes};
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
                Some(encoding) if !encoding.has_domain() => "its encoding looks for no single values",
                Some(_) => continue,
            };
            let column = column.clone();
            let allowed = list(EncodingType::all().filter(|encoding| encoding.has_domain()), "or");
            return Err(EncodeError::NeedlessDomain { column, why, allowed });
        }
        Ok(())
    }
}

/// Reduces the statistics of all parts under a budget, and says what was spent on what: the ledger's sum
/// is the budget. An equal share of epsilon goes to every column and to the numbers of rows, an equal share
/// of delta to every column whose values have to be looked for.
///
/// The parts must come from [`analyze_private`](crate::encode::analyze_private). The promise, for tables of which one
/// has a row that the other lacks, holds when `random` is secret and cryptographically secure
/// ([`SystemRandom`](crate::privacy::SystemRandom)); names, types and order of the columns are taken as
/// public.
///
/// # Errors
/// As [`reduce`](crate::encode::reduce); [`EncodeError::PartsWithoutBudget`]; [`EncodeError::Budget`],
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
    let needs_delta =
        |name: &str, encoding: EncodingType| encoding.has_domain() && !budget.domains.contains_key(name);
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
    let rows = [rows(SplitPart::Training), rows(SplitPart::Validation)];
    let mut mechanism = ColumnMechanism::new(None, (share, 0.0), random, &mut ledger);
    let noisy_rows = mechanism.histogram("numbers of rows", &rows, share)?;
    let [training, validation] = [0, 1].map(|place| noisy_rows.counts[place].max(0.0));
    let mut columns = IndexMap::new();
    for ((name, &encoding), place) in types.iter().zip(places(types)) {
        let delta = if needs_delta(name, encoding) {
            budget.delta / unknown as f64
        } else {
            0.0
        };
        let mut mechanism = ColumnMechanism::new(Some(name), (share, delta), random, &mut ledger);
        let public = PublicFacts {
            domain: budget.domains.get(name).map(Vec::as_slice),
            rows: training + validation,
        };
        let parts = parts_of_column(partials, name, encoding)?;
        let counted = counted(&parts);
        let reducer = encoding.of_column(name)?;
        let stats = ColumnStats::Modelled {
            value_protection: reducer.records_protection().then_some(true),
            texts: texts_of(encoding, &counted, Compat::Native),
            values: reducer.reduce_private(&counted, public, &mut mechanism)?,
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
