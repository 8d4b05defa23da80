//! Characters: one sub-column per position of a text. Rare characters vanish.

use std::str::Chars;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::column::{ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats};
use super::encoding::{ColumnKind, CountSite, Coverage, Encoding, Partial, ValueKind, read_stats};
use super::null_fill::{NullFill, null_flags, validity};
use super::tokens::{Cardinalities, Codes};
use crate::encode::protection::{ColumnProtection, Histogram, SubjectCount};
use crate::encode::values::strings::{FastMap, Interned, NULL_INDEX, intern};
use crate::encode::values::unknown::UnknownValues;
use crate::encode::{EncodeError, EncodingType};
use crate::schema::names::{self, NULL_FLAG};
use crate::schema::{CodeColumn, Column, DecodedValues};

impl EncodingType {
    /// One sub-column per character.
    pub const CHARACTER: Self = Self::named("TABULAR_CHARACTER");
}

/// Stands for no character, a rare one or an unknown one; its code is 0.
const NONE: char = '\0';
/// Characters of a text that are looked at.
const MAX_LENGTH: usize = 50;

/// Statistics of a column of characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharacterStats {
    /// Whether there are nulls.
    pub has_nan: bool,
    /// Number of positions, up to 50.
    pub max_string_length: usize,
    /// Characters by code for each position `P0`, `P1` and so on: U+0000, then the others by code point.
    pub codes: IndexMap<String, Codes>,
    /// `nan` if there are nulls, then the positions.
    pub cardinalities: Cardinalities,
}

/// Statistics of a column of characters in a part of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CharacterPartial {
    nulls: SubjectCount,
    /// Subject counts of the lengths of texts, up to 50.
    lengths: Histogram,
    /// Subject count of each character, by position; texts that have ended are not counted.
    characters: Vec<IndexMap<char, SubjectCount>>,
}

/// The texts character by character; those that have ended give [`NONE`].
struct Positions<'a> {
    rest: Vec<Chars<'a>>,
}

impl<'a> Positions<'a> {
    fn new(interned: &'a Interned<'_>) -> Self {
        Self {
            rest: interned.texts.iter().map(|text| text.chars()).collect(),
        }
    }

    /// The next character of each distinct text.
    fn next(&mut self) -> impl Iterator<Item = char> {
        self.rest.iter_mut().map(|rest| rest.next().unwrap_or(NONE))
    }
}

impl Partial for CharacterPartial {
    fn merge(&mut self, later: Self) {
        self.nulls += &later.nulls;
        self.lengths.merge(&later.lengths);
        if self.characters.len() < later.characters.len() {
            self.characters.resize_with(later.characters.len(), IndexMap::new);
        }
        for (all, counts) in self.characters.iter_mut().zip(later.characters) {
            for (character, holders) in counts {
                *all.entry(character).or_default() += &holders;
            }
            all.sort_unstable_keys();
        }
    }
}

/// The encoding by characters.
pub(crate) struct Character;

impl Encoding for Character {
    type Partial = CharacterPartial;

    fn encoding_type(&self) -> EncodingType {
        EncodingType::CHARACTER
    }

    fn decodes_to(&self) -> ValueKind {
        ValueKind::Texts
    }

    fn suits(&self, column: ColumnKind) -> bool {
        column == ColumnKind::Texts
    }

    fn records_protection(&self) -> bool {
        false
    }

    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<CharacterPartial, EncodeError> {
        let interned = intern(column);
        let mut holders = vec![SubjectCount::default(); interned.texts.len()];
        let mut partial = CharacterPartial::default();
        for (row, &index) in interned.indices.iter().enumerate() {
            let holders = holders.get_mut(index as usize).unwrap_or(&mut partial.nulls);
            holders.add(site.subjects.map(|subjects| subjects[row]));
        }
        let mut longest = 0;
        for (text, holders) in interned.texts.iter().zip(&holders) {
            let length = text.chars().take(MAX_LENGTH).count();
            longest = longest.max(length);
            partial.lengths.add(length, holders);
        }
        let mut positions = Positions::new(&interned);
        let characters = (0..longest).map(|_| {
            let mut counts: IndexMap<char, SubjectCount> = IndexMap::new();
            for (character, holders) in positions.next().zip(&holders) {
                if character != NONE {
                    *counts.entry(character).or_default() += holders;
                }
            }
            counts.sort_unstable_keys();
            counts
        });
        partial.characters = characters.collect();
        Ok(partial)
    }

    /// At each position only characters that enough subjects share are kept, and only as many positions as enough subjects have.
    fn reduce(
        &self,
        _column: &str,
        partials: &[&CharacterPartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        let mut all = CharacterPartial::default();
        partials.iter().for_each(|&partial| all.merge(partial.clone()));
        let longest = protection
            .range("length", &all.lengths)
            .map_or(0, |(_, longest)| longest);
        let codes = all.characters.into_iter().take(longest).enumerate();
        let codes = codes.map(|(position, counts)| {
            let name = names::position(position);
            let threshold = protection.of_part(&name).rare_threshold();
            let kept = counts
                .into_iter()
                .filter(|(_, holders)| holders.count() >= threshold);
            let characters = [NONE].into_iter().chain(kept.map(|(character, _)| character));
            (name, characters.map(String::from).zip(0..).collect())
        });
        let mut stats = CharacterStats {
            has_nan: protection.flag(NULL_FLAG, &all.nulls),
            max_string_length: longest,
            codes: codes.collect(),
            cardinalities: Cardinalities::new(),
        };
        stats.cardinalities = stats.expected_cardinalities();
        stats.into()
    }

    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<CharacterStats>(keys)
    }

    /// Hidden are the rows with a hidden character at the position where most have one.
    fn coverage(&self, partial: &CharacterPartial, stats: &EncodingStats) -> Option<Coverage> {
        let stats: &CharacterStats = stats.get()?;
        let hidden = partial.characters.iter().enumerate().map(|(position, counts)| {
            let codes = stats.codes.get(&names::position(position));
            let is_shown =
                |c: &char| codes.is_some_and(|codes| codes.contains_key(c.encode_utf8(&mut [0; 4]) as &str));
            let hidden = counts.iter().filter(|(character, _)| !is_shown(character));
            hidden.map(|(_, holders)| holders.rows()).sum::<u64>()
        });
        Some(Coverage {
            rows: partial.lengths.rows().sum(),
            protected: hidden.max().unwrap_or(0),
            distinct: None,
        })
    }
}

/// The characters of a position in the order of their codes.
fn characters(codes: &Codes) -> impl Iterator<Item = char> {
    codes.keys().filter_map(|token| token.chars().next())
}

/// The text of characters: without U+0000 and without blanks at its end, as mostlyai-engine has it.
fn text_of(characters: impl Iterator<Item = char>) -> String {
    let mut text: String = characters.filter(|&character| character != NONE).collect();
    let is_blank = |c: char| c.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&c);
    text.truncate(text.trim_end_matches(is_blank).len());
    text
}

impl CharacterStats {
    fn expected_cardinalities(&self) -> Cardinalities {
        let nan = self.has_nan.then(|| (NULL_FLAG.to_owned(), 2));
        let positions = self.codes.iter().map(|(name, codes)| (name.clone(), codes.len()));
        nan.into_iter().chain(positions).collect()
    }
}

impl ColumnEncoding for CharacterStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::CHARACTER
    }

    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let names = (0..self.max_string_length).map(names::position);
        if self.max_string_length > MAX_LENGTH || self.codes.keys().cloned().ne(names) {
            return Err((
                "codes",
                format!(
                    "they must be of P0 up to the longest text, which has at most {MAX_LENGTH} characters"
                ),
            ));
        }
        let is_character = |token: &String| token.chars().count() == 1;
        let starts_with_none = |codes: &Codes| codes.get_index_of("\0") == Some(0);
        if let Some((name, _)) = self
            .codes
            .iter()
            .find(|(_, codes)| !starts_with_none(codes) || !codes.keys().all(is_character))
        {
            return Err((
                "codes",
                format!("those of {name} must be single characters, U+0000 first"),
            ));
        }
        if self.cardinalities.iter().ne(self.expected_cardinalities().iter()) {
            return Err(("cardinalities", "they do not fit the codes".to_owned()));
        }
        Ok(())
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError> {
        let interned = intern(column);
        let valid: Vec<bool> = interned
            .indices
            .iter()
            .map(|&index| index != NULL_INDEX)
            .collect();
        let nulls = self.has_nan.then(|| null_flags(valid.iter().copied()));
        let fill = NullFill::new(Some(&valid), site);
        // Which text each row takes its characters from.
        let text_of_row = |row: usize| fill.source(row).map(|source| interned.indices[source] as usize);
        let text_of_row: Vec<Option<usize>> = (0..valid.len()).map(text_of_row).collect();
        let mut positions = Positions::new(&interned);
        let mut known = vec![true; interned.texts.len()];
        let mut encoded: Vec<CodeColumn> = nulls.into_iter().collect();
        encoded.extend(self.codes.values().map(|codes| {
            let code_of: FastMap<char, u32> = characters(codes).zip(0..).collect();
            let texts = positions.next().zip(&mut known);
            let code = |(character, known): (char, &mut bool)| {
                let code = code_of.get(&character).copied();
                *known &= code.is_some();
                code.unwrap_or(0)
            };
            let of_text: Vec<u32> = texts.map(code).collect();
            let by_row = text_of_row
                .iter()
                .map(|text| text.map_or(0, |text| of_text[text]));
            CodeColumn::from_codes(codes.len(), by_row)
        }));
        let is_longer = positions.next().map(|character| character != NONE);
        let is_unknown: Vec<bool> = is_longer
            .zip(known)
            .map(|(longer, known)| longer || !known)
            .collect();
        Ok(Encoded {
            codes: encoded,
            unknown: UnknownValues {
                unseen: interned.count(|text| is_unknown[text]),
                outside: 0,
            },
        })
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, _site: DecodeSite) -> Decoded {
        if self.max_string_length == 0 {
            return (
                DecodedValues::Text(vec![String::new(); rows]),
                Some(vec![false; rows]),
            );
        }
        let (nulls, positions) = codes.split_at(usize::from(self.has_nan));
        let alphabets: Vec<Vec<char>> = self
            .codes
            .values()
            .map(|codes| characters(codes).collect())
            .collect();
        let text = |row: usize| {
            let characters = positions.iter().zip(&alphabets);
            text_of(characters.map(|(codes, alphabet)| alphabet[codes.get(row) as usize]))
        };
        let values = DecodedValues::Text((0..rows).map(text).collect());
        (values, validity(nulls.first(), rows))
    }
}
