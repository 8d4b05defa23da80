//! Categorical: one code per distinct text. Rare texts share the code of `_RARE_`.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::column::{ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats};
use super::encoding::{
    ColumnKind, CountSite, Coverage, Encoding, Partial, PublicFacts, ValueKind, read_stats,
};
use super::tokens::{Cardinalities, Codes, check_codes, code_of, number_tokens};
use crate::encode::protection::{ColumnMechanism, ColumnProtection, SubjectCount};
use crate::encode::values::strings::{FastMap, NULL_INDEX, intern};
use crate::encode::values::unknown::UnknownValues;
use crate::encode::{EncodeError, EncodingType, RareReplacement};
use crate::schema::names::{CATEGORY, ESCAPE, NULL_FLAG, NULL_TOKEN, RARE_TOKEN, unescaped};
use crate::schema::{CodeColumn, Column, DecodedValues};

impl EncodingType {
    /// One code per distinct text.
    pub const CATEGORICAL: Self = Self::named("TABULAR_CATEGORICAL");
}

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
    pub(crate) nulls: SubjectCount,
    /// Subject count of each escaped text.
    pub(crate) cnt_values: IndexMap<String, SubjectCount>,
}

impl Partial for CategoricalPartial {
    fn merge(&mut self, later: Self) {
        self.nulls += &later.nulls;
        for (text, holders) in later.cnt_values {
            *self.cnt_values.entry(text).or_default() += &holders;
        }
    }
}

/// A text as a token.
fn escaped(text: &str) -> Cow<'_, str> {
    if text.starts_with(ESCAPE) || text == RARE_TOKEN || text == NULL_TOKEN {
        format!("{ESCAPE}{text}").into()
    } else {
        text.into()
    }
}

/// The encoding by categories.
pub(crate) struct Categorical;

impl Encoding for Categorical {
    type Partial = CategoricalPartial;

    fn encoding_type(&self) -> EncodingType {
        EncodingType::CATEGORICAL
    }

    fn decodes_to(&self) -> ValueKind {
        ValueKind::Categories
    }

    fn suits(&self, _column: ColumnKind) -> bool {
        true
    }

    fn has_domain(&self) -> bool {
        true
    }

    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<CategoricalPartial, EncodeError> {
        let interned = intern(column);
        let mut counts = vec![SubjectCount::default(); interned.texts.len()];
        let mut nulls = SubjectCount::default();
        for (row, &index) in interned.indices.iter().enumerate() {
            let holders = counts.get_mut(index as usize).unwrap_or(&mut nulls);
            holders.add(site.subjects.map(|subjects| subjects[row]));
        }
        let mut values: Vec<_> = interned
            .texts
            .iter()
            .map(|t| escaped(t).into_owned())
            .zip(counts)
            .collect();
        values.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(CategoricalPartial {
            nulls,
            cnt_values: values.into_iter().collect(),
        })
    }

    /// Only texts that enough subjects share are kept.
    fn reduce(
        &self,
        _column: &str,
        partials: &[&CategoricalPartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        let mut counts: FastMap<&str, SubjectCount> = FastMap::default();
        let mut nulls = SubjectCount::default();
        for partial in partials {
            nulls += &partial.nulls;
            for (text, holders) in &partial.cnt_values {
                *counts.entry(text).or_default() += holders;
            }
        }
        let threshold = protection.rare_threshold();
        let (mut kept, mut rare) = (Vec::new(), 0);
        let mut holders_of_rare = SubjectCount::default();
        for (text, holders) in counts {
            if holders.count() >= threshold {
                kept.push(text);
            } else {
                holders_of_rare += &holders;
                rare += 1;
            }
        }
        kept.sort_unstable();
        let null = protection.flag(NULL_FLAG, &nulls);
        let shown = protection.flag("rare", &holders_of_rare);
        CategoricalStats::new(null, kept.into_iter(), if shown { rare } else { 0 }).into()
    }

    /// The public texts, or those that enough rows share whatever one row adds.
    fn reduce_private(
        &self,
        partials: &[&CategoricalPartial],
        public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        let nulls = partials.iter().map(|p| p.nulls.rows()).sum();
        let (mut kept, has_nan) = match public.domain {
            Some(values) => {
                let has_nan = mechanism.nulls_of_domain(nulls)?;
                let tokens = values.iter().map(|value| escaped(value).into_owned());
                (tokens.collect(), has_nan)
            }
            None => noisy_categories(partials, nulls, mechanism)?,
        };
        // The order of the table would reveal something of its rows.
        kept.sort_unstable();
        kept.dedup();
        // Whether any text is rare is not looked for, so there may be some.
        Ok(CategoricalStats::new(has_nan, kept.iter().map(String::as_str), 1).into())
    }

    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<CategoricalStats>(keys)
    }

    /// Hidden are the rows whose text has no code.
    fn coverage(&self, partial: &CategoricalPartial, stats: &EncodingStats) -> Option<Coverage> {
        let stats: &CategoricalStats = stats.get()?;
        let mut coverage = Coverage::default();
        for (text, holders) in &partial.cnt_values {
            coverage.rows += holders.rows();
            coverage.protected += if stats.codes.contains_key(text) {
                0
            } else {
                holders.rows()
            };
        }
        coverage.distinct = Some(partial.cnt_values.len() as u64);
        Some(coverage)
    }
}

/// The tokens that enough rows share, by noisy counts, and whether there are nulls.
fn noisy_categories(
    partials: &[&CategoricalPartial],
    nulls: u64,
    mechanism: &mut ColumnMechanism<'_>,
) -> Result<(Vec<String>, bool), EncodeError> {
    let mut counts: FastMap<&str, u64> = FastMap::default();
    for (text, holders) in partials.iter().flat_map(|p| &p.cnt_values) {
        *counts.entry(text).or_default() += holders.rows();
    }
    let (texts, counts): (Vec<&str>, Vec<u64>) = counts.into_iter().unzip();
    let (kept, has_nan) = mechanism.categories(&counts, nulls, mechanism.epsilon)?;
    let kept = kept.into_iter().map(|(place, _)| texts[place].to_owned());
    Ok((kept.collect(), has_nan))
}

impl CategoricalStats {
    /// Statistics with these texts, escaped and in code-point order.
    fn new<'a>(has_nan: bool, texts: impl Iterator<Item = &'a str>, no_of_rare_categories: u64) -> Self {
        let null = has_nan.then_some(NULL_TOKEN);
        let codes = number_tokens([RARE_TOKEN].into_iter().chain(null).chain(texts));
        Self {
            no_of_rare_categories,
            cardinalities: Cardinalities::from([(CATEGORY.to_owned(), codes.len())]),
            codes,
        }
    }
}

impl ColumnEncoding for CategoricalStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::CATEGORICAL
    }

    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        check_codes(&self.codes, &self.cardinalities, CATEGORY)
    }

    fn tokens(&self) -> Option<&Codes> {
        Some(&self.codes)
    }

    fn rare_categories(&self) -> Option<u64> {
        Some(self.no_of_rare_categories)
    }

    fn encode(&self, column: &Column<'_>, _site: EncodeSite) -> Result<Encoded, EncodeError> {
        let null = code_of(&self.codes, NULL_TOKEN).unwrap_or(0);
        let interned = intern(column);
        let code = |text: &Cow<'_, str>| code_of(&self.codes, &escaped(text));
        let codes: Vec<Option<u32>> = interned.texts.iter().map(code).collect();
        let unseen = interned.count(|text| codes[text].is_none());
        let by_row = interned.indices.iter().map(|&index| match index {
            NULL_INDEX => null,
            index => codes[index as usize].unwrap_or(0),
        });
        Ok(Encoded {
            codes: vec![CodeColumn::from_codes(self.cardinalities[CATEGORY], by_row)],
            unknown: UnknownValues { unseen, outside: 0 },
        })
    }

    fn decode(&self, codes: &[CodeColumn], _rows: usize, _site: DecodeSite) -> Decoded {
        let label = |token: &String| (token != NULL_TOKEN).then(|| unescaped(token).into());
        let mut labels: Vec<Option<Box<str>>> = self.codes.keys().map(label).collect();
        let mut indices = codes[0].to_vec();
        if self.cardinalities[CATEGORY] > labels.len() {
            // mostlyai-engine's cardinality may exceed its tokens; such codes hold nothing.
            let nothing = labels.len() as u32;
            labels.push(None);
            indices
                .iter_mut()
                .for_each(|index| *index = (*index).min(nothing));
        }
        let values = DecodedValues::Labels {
            indices,
            labels: labels.into(),
        };
        (values, None)
    }

    fn never_drawn(&self, replacement: RareReplacement) -> Option<(usize, u32)> {
        (self.no_of_rare_categories == 0 || replacement == RareReplacement::Sample).then_some((0, 0))
    }
}
