//! Categorical: one code per distinct text. Rare texts share the code of `_RARE_`.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::column::{ColumnEncoding, DecodeSite, Decoded, EncodeSite};
use super::protection::ColumnProtection;
use super::stats::{Cardinalities, Codes};
use super::strings::{FastMap, NULL_INDEX, intern};
use super::support::Support;
use super::{EncodeError, RareReplacement};
use crate::schema::{CodeColumn, Column, DecodedValues};

/// Token of values that are rare or unknown.
pub(crate) const RARE: &str = "_RARE_";
/// Token of null.
pub(crate) const NULL: &str = "<<NULL>>";
/// Stands before texts that could be taken for a token or start with it themselves.
const ESCAPE: char = '\u{1}';

/// Statistics of a categorical column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoricalStats {
    /// Distinct texts that value protection dropped; 0 when too few subjects hold any of them.
    #[serde(default)]
    pub no_of_rare_categories: u64,
    /// Escaped texts by code: `_RARE_`, `<<NULL>>` if there are nulls, then the texts in code-point order.
    pub codes: Codes,
    /// `cat`.
    pub cardinalities: Cardinalities,
}

/// Statistics of a categorical column in a part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CategoricalPartial {
    pub(crate) nulls: Support,
    /// Who holds each escaped text.
    pub(crate) cnt_values: IndexMap<String, Support>,
}

/// A text as a token.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.starts_with(ESCAPE) || text == RARE || text == NULL {
        format!("{ESCAPE}{text}").into()
    } else {
        text.into()
    }
}

/// The text of a token.
fn unescape(token: &str) -> &str {
    token.strip_prefix(ESCAPE).unwrap_or(token)
}

/// Counts a column. `subjects` are those of the rows, if rows name any.
pub(crate) fn analyze(column: &Column<'_>, subjects: Option<&[u32]>) -> CategoricalPartial {
    let interned = intern(column);
    let mut counts = vec![Support::default(); interned.texts.len()];
    let mut nulls = Support::default();
    for (row, &index) in interned.indices.iter().enumerate() {
        let holders = counts.get_mut(index as usize).unwrap_or(&mut nulls);
        holders.add(subjects.map(|subjects| subjects[row]));
    }
    let mut values: Vec<_> = interned
        .texts
        .iter()
        .map(|t| escape(t).into_owned())
        .zip(counts)
        .collect();
    values.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    CategoricalPartial {
        nulls,
        cnt_values: values.into_iter().collect(),
    }
}

/// Puts partial statistics together. Only texts that enough subjects share are kept.
pub(crate) fn reduce(partials: &[&CategoricalPartial], protection: &ColumnProtection) -> CategoricalStats {
    let mut counts: FastMap<&str, Support> = FastMap::default();
    let mut nulls = Support::default();
    for partial in partials {
        nulls += &partial.nulls;
        for (text, holders) in &partial.cnt_values {
            *counts.entry(text).or_default() += holders;
        }
    }
    let threshold = protection.rare_threshold();
    let (mut kept, mut rare) = (Vec::new(), 0);
    let mut holders_of_rare = Support::default();
    for (text, holders) in counts {
        if holders.count() >= threshold {
            kept.push(text);
        } else {
            holders_of_rare += &holders;
            rare += 1;
        }
    }
    kept.sort_unstable();
    let null = protection.flag("nan", &nulls).then_some(NULL);
    let codes = number_tokens([RARE].into_iter().chain(null).chain(kept));
    CategoricalStats {
        no_of_rare_categories: if protection.flag("rare", &holders_of_rare) {
            rare
        } else {
            0
        },
        cardinalities: Cardinalities::from([("cat".to_owned(), codes.len())]),
        codes,
    }
}

/// Tokens with their positions.
pub(crate) fn number_tokens<'a>(tokens: impl Iterator<Item = &'a str>) -> Codes {
    tokens
        .zip(0..)
        .map(|(token, code)| (token.to_owned(), code))
        .collect()
}

/// What is wrong with the codes of a column that has a single sub-column called `sub`.
pub(crate) fn check_codes(
    codes: &Codes,
    cardinalities: &Cardinalities,
    sub: &str,
) -> Result<(), (&'static str, String)> {
    match cardinalities.get(sub) {
        Some(&n) if n >= codes.len() && n > 0 && cardinalities.len() == 1 => Ok(()),
        _ => Err((
            "cardinalities",
            format!(
                "{sub:?} must be there, alone, and at least the number of codes, {}",
                codes.len()
            ),
        )),
    }
}

/// The code of a token, which is its position.
pub(crate) fn code_of(codes: &Codes, token: &str) -> Option<u32> {
    codes.get_index_of(token).map(|position| position as u32)
}

impl ColumnEncoding for CategoricalStats {
    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        check_codes(&self.codes, &self.cardinalities, "cat")
    }

    fn encode(&self, column: &Column<'_>, _site: EncodeSite) -> Result<Vec<CodeColumn>, EncodeError> {
        let null = code_of(&self.codes, NULL).unwrap_or(0);
        let interned = intern(column);
        let code = |text: &Cow<'_, str>| code_of(&self.codes, &escape(text)).unwrap_or(0);
        let codes: Vec<u32> = interned.texts.iter().map(code).collect();
        let by_row = interned.indices.iter().map(|&index| match index {
            NULL_INDEX => null,
            index => codes[index as usize],
        });
        Ok(vec![CodeColumn::from_codes(self.cardinalities["cat"], by_row)])
    }

    fn decode(&self, codes: &[CodeColumn], _rows: usize, _site: DecodeSite) -> Decoded {
        let label = |token: &String| (token != NULL).then(|| unescape(token).into());
        let mut labels: Vec<Option<Box<str>>> = self.codes.keys().map(label).collect();
        // A peer's cardinality may exceed its tokens; such codes hold nothing.
        labels.resize(self.cardinalities["cat"], None);
        let values = DecodedValues::Labels {
            indices: codes[0].to_vec(),
            labels: labels.into(),
        };
        (values, None)
    }

    fn never_drawn(&self, replacement: RareReplacement) -> Option<(usize, u32)> {
        (self.no_of_rare_categories == 0 || replacement == RareReplacement::Sample).then_some((0, 0))
    }
}
