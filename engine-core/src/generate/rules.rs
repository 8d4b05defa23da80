//! The rules of the draw, and which codes they leave out.

use std::collections::BTreeMap;

use super::GenerateError;
use crate::encode::{self, CategoricalStats, RareReplacement, TableStats};
use crate::ir::ops::sampling::{FixedProbability, SamplingRules};
use crate::schema::names::{NULL_FLAG, NULL_TOKEN, RARE_TOKEN};

/// The rules of a draw: `temperature` divides log-probabilities (at least 0; 1 changes nothing, 0 is nearly greedy), `top_p` is the share
/// of the mass that the most probable codes must exceed (in 0..=1; 1 keeps every code), `fixed` holds fixed probabilities by sub-column.
///
/// # Errors
/// [`GenerateError::Temperature`], [`GenerateError::TopP`].
pub fn sampling_rules(
    temperature: f64,
    top_p: f64,
    fixed: Vec<Vec<FixedProbability>>,
) -> Result<SamplingRules, GenerateError> {
    if !temperature.is_finite() || temperature < 0.0 {
        return Err(GenerateError::Temperature { temperature });
    }
    if !(0.0..=1.0).contains(&top_p) {
        return Err(GenerateError::TopP { top_p });
    }
    Ok(SamplingRules {
        temperature: (temperature != 1.0).then_some(temperature as f32),
        top_p: (top_p != 1.0).then_some(top_p as f32),
        fixed,
        parity: None,
    })
}

/// Forbidden codes of each sub-column in model order: the code of rare and of unknown values, as [`encode::rare_codes`] lists
/// them.
pub fn rare_codes(stats: &TableStats, replacement: RareReplacement) -> Vec<Vec<FixedProbability>> {
    let mut fixed = vec![Vec::new(); stats.sub_columns().len()];
    for (sub_column, code) in encode::rare_codes(stats, replacement) {
        fixed[sub_column].push(FixedProbability {
            code,
            probability: 0.0,
        });
    }
    fixed
}

/// Codes that imputation leaves out in the columns called `names`: null and, where they have one beside it, the code of rare
/// categories. Names that the model does not know are ignored.
pub fn imputed_codes(stats: &TableStats, names: &[&str]) -> Vec<Vec<FixedProbability>> {
    let mut fixed = vec![Vec::new(); stats.sub_columns().len()];
    let values = stats.modelled().map(|(_, _, values, _)| values);
    for (column, values) in stats.model_columns().into_iter().zip(values) {
        if !names.contains(&column.name.as_str()) {
            continue;
        }
        let start = column.sub_columns.start;
        let mut forbid = |sub: usize, code: usize| {
            fixed[start + sub].push(FixedProbability {
                code: code as u32,
                probability: 0.0,
            });
        };
        if let Some(flag) = values.cardinalities().get_index_of(NULL_FLAG) {
            forbid(flag, 1);
        }
        // The code of rare numbers is never drawn anyway.
        let rare = values.rare_categories().map(|_| RARE_TOKEN);
        for token in rare.into_iter().chain([NULL_TOKEN]) {
            let code = values.tokens().and_then(|tokens| tokens.get_index_of(token));
            code.into_iter().for_each(|code| forbid(0, code));
        }
    }
    fixed
}

/// Set probabilities of the categories of column `name`, as they are stored. Categories that the model does not know leave their
/// share to it; probabilities below 0 count as 0, and where those of known categories sum to more than 1 they are divided by their
/// sum. Nothing is set when the column does not exist or is not categorical.
pub fn rebalanced_codes(
    stats: &TableStats,
    name: &str,
    probabilities: &[(&str, f64)],
) -> Vec<Vec<FixedProbability>> {
    let mut fixed = vec![Vec::new(); stats.sub_columns().len()];
    let values = stats.modelled().map(|(_, _, values, _)| values);
    let mut columns = stats.model_columns().into_iter().zip(values);
    let found = columns.find(|(c, _)| c.name == name);
    if let Some((column, values)) = found.and_then(|(c, v)| Some((c, v.get::<CategoricalStats>()?))) {
        let known = probabilities.iter().filter_map(|(category, p)| {
            let code = values.codes.get_index_of(*category)?;
            Some((code as u32, p.max(0.0)))
        });
        let known: Vec<(u32, f64)> = known.collect();
        let sum: f64 = known.iter().map(|(_, p)| p).sum();
        let scale = sum.max(1.0);
        fixed[column.sub_columns.start] = known
            .into_iter()
            .map(|(code, p)| FixedProbability {
                code,
                probability: (p / scale) as f32,
            })
            .collect();
    }
    fixed
}

/// Merges rules: of those for the same code the last counts. Codes are returned in ascending order.
pub fn merge_rules(rules: &[Vec<Vec<FixedProbability>>]) -> Vec<Vec<FixedProbability>> {
    let sub_columns = rules.iter().map(Vec::len).max().unwrap_or(0);
    let of_sub_column = |s: usize| {
        let mut by_code = BTreeMap::new();
        for fixed in rules.iter().filter_map(|r| r.get(s)).flatten() {
            by_code.insert(fixed.code, *fixed);
        }
        by_code.into_values().collect()
    };
    (0..sub_columns).map(of_sub_column).collect()
}
