//! Categories under a privacy budget.

use super::Release;
use crate::encode::EncodeError;
use crate::encode::categorical::{CategoricalPartial, CategoricalStats, NULL, RARE, escape, number_tokens};
use crate::encode::stats::Cardinalities;
use crate::encode::strings::FastMap;

/// Statistics of a categorical column: the public values, or those that enough rows share whatever one row adds.
pub(super) fn reduce_private(
    partials: &[&CategoricalPartial],
    domain: Option<&[String]>,
    release: &mut Release<'_>,
) -> Result<CategoricalStats, EncodeError> {
    let nulls = partials.iter().map(|p| p.nulls.rows()).sum();
    let (mut kept, has_nan): (Vec<String>, bool) = match domain {
        Some(values) => {
            let has_nan = release.nulls_of_domain(nulls)?;
            (
                values.iter().map(|value| escape(value).into_owned()).collect(),
                has_nan,
            )
        }
        None => {
            let mut counts: FastMap<&str, u64> = FastMap::default();
            for (text, holders) in partials.iter().flat_map(|p| &p.cnt_values) {
                *counts.entry(text).or_default() += holders.rows();
            }
            let (texts, counts): (Vec<&str>, Vec<u64>) = counts.into_iter().unzip();
            let (kept, has_nan) = release.categories(&counts, nulls, release.epsilon)?;
            (
                kept.into_iter()
                    .map(|(place, _)| texts[place].to_owned())
                    .collect(),
                has_nan,
            )
        }
    };
    // The order of the table would tell something of its rows.
    kept.sort_unstable();
    kept.dedup();
    let null = has_nan.then_some(NULL);
    let tokens = [RARE]
        .into_iter()
        .chain(null)
        .chain(kept.iter().map(String::as_str));
    let codes = number_tokens(tokens);
    Ok(CategoricalStats {
        // Whether any text is rare is not found out, so there may be some.
        no_of_rare_categories: 1,
        cardinalities: Cardinalities::from([("cat".to_owned(), codes.len())]),
        codes,
    })
}
