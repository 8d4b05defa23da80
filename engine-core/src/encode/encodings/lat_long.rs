//! Places on a map: the world is cut into four again and again, and each cut is a sub-column. Squares that many
//! rows share have a code of their own at some levels, so that the model sees where the crowds are.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::column::{ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats};
use super::encoding::{ColumnKind, CountSite, Coverage, Encoding, Partial, ValueKind, read_stats};
use super::null_fill::{NullFill, null_flags, validity};
use super::tokens::{Cardinalities, Codes, number_tokens};
use crate::encode::error::shorten;
use crate::encode::protection::{ColumnProtection, SubjectCount};
use crate::encode::values::parse_failures::ParseFailures;
use crate::encode::values::strings::{FastMap, NULL_INDEX, intern};
use crate::encode::values::unknown::UnknownValues;
use crate::encode::{EncodeError, EncodingType};
use crate::schema::names::{self, NULL_FLAG, RARE_TOKEN};
use crate::schema::{CodeColumn, Column, DecodedValues};

impl EncodingType {
    /// Places as quad tiles.
    pub const LAT_LONG: Self = Self::named("TABULAR_LAT_LONG");
}

/// Cuts of the world.
const CUTS: usize = 28;
/// Characters of a tile: two signs and one per cut.
const LENGTH: usize = 2 + CUTS;
/// Cuts after which squares have codes of their own.
const LEVELS: [usize; 8] = [12, 14, 16, 18, 20, 22, 24, 26];
const FINEST: usize = LEVELS[LEVELS.len() - 1];
/// Fewest squares that make a level worth a sub-column, and most codes of one.
const MIN_SQUARES: usize = 5;
const MAX_CODES: usize = 10_000;
/// Units of a degree.
const UNITS: i64 = 100_000;

/// A place in units of 1/100,000 degree as two bits per character, first characters highest: signs of latitude
/// and longitude (`+` 0, `-` 1), then for each cut a bit of either (`A` 0, `B` latitude, `C` longitude, `D` both).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile(u64);

impl Tile {
    /// Reads `48.2, 16.37`; what follows a second comma is ignored. `None` when it is no place.
    fn read(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let latitude = units(fields.next()?, 90)?;
        let longitude = units(fields.next()?, 180)?;
        let (y, x) = (latitude.unsigned_abs(), longitude.unsigned_abs());
        let signs = u64::from(latitude < 0) << 2 | u64::from(longitude < 0);
        let cuts = (0..CUTS).rev().map(|cut| (x >> cut & 1) << 1 | (y >> cut & 1));
        Some(Self(cuts.fold(signs, |tile, cut| tile << 2 | cut)))
    }

    /// From its characters, as numbers below 4.
    fn of_characters(characters: impl Iterator<Item = u8>) -> Self {
        Self(characters.fold(0, |tile, character| tile << 2 | u64::from(character)))
    }

    /// The character at a position, as a number below 4.
    fn character(self, position: usize) -> u8 {
        (self.0 >> (2 * (LENGTH - 1 - position)) & 3) as u8
    }

    /// The square around it after so many cuts.
    fn square(self, cuts: usize) -> u64 {
        self.0 >> (2 * (CUTS - cuts))
    }

    /// `48.20000, 16.37000`.
    fn text(self) -> String {
        let along = |bit: u8| {
            let cuts = (2..LENGTH).map(|position| i64::from(self.character(position) >> bit & 1));
            cuts.fold(0, |units, cut| units << 1 | cut)
        };
        let degrees = |units: i64, sign: u8| {
            let minus = if sign == 1 && units > 0 { "-" } else { "" };
            format!("{minus}{}.{:05}", units / UNITS, units % UNITS)
        };
        let (latitude, longitude) = (along(0), along(1));
        let (south, west) = (self.character(0), self.character(1));
        format!("{}, {}", degrees(latitude, south), degrees(longitude, west))
    }
}

/// A number of degrees in units, at most `most` degrees in either direction.
fn units(field: &str, most: i64) -> Option<i64> {
    let degrees: f64 = field
        .trim()
        .parse()
        .ok()
        .filter(|degrees: &f64| degrees.is_finite())?;
    // In single precision like mostlyai-engine: codes of one place must not depend on who made them.
    let units = degrees.clamp(-1_000.0, 1_000.0) as f32 * UNITS as f32;
    Some((units.trunc() as i64).clamp(-most * UNITS, most * UNITS))
}

/// The characters that may stand at a position.
fn alphabet(position: usize) -> &'static str {
    if position < 2 { "+-" } else { "ABCD" }
}

/// A square as text, `+-AAAAACBD...`.
fn square_text(square: u64, cuts: usize) -> String {
    let tile = Tile(square << (2 * (CUTS - cuts)));
    let character =
        |position: usize| char::from(alphabet(position).as_bytes()[usize::from(tile.character(position))]);
    (0..2 + cuts).map(character).collect()
}

/// A square from its text.
fn read_square(text: &str, cuts: usize) -> Option<u64> {
    let is_long_enough = text.chars().count() == 2 + cuts;
    let characters = text.chars().enumerate();
    let mut square = characters.map(|(position, c)| alphabet(position).find(c).map(|at| at as u64));
    let square = square.try_fold(0, |square, character| Some(square << 2 | character?));
    square.filter(|_| is_long_enough)
}

/// The places of a column by row, `None` where null or no place.
fn read(column: &Column<'_>, first_row: u64) -> (Vec<Option<Tile>>, ParseFailures) {
    let interned = intern(column);
    let tiles: Vec<Option<Tile>> = interned.texts.iter().map(|text| Tile::read(text)).collect();
    let mut parse_failures = ParseFailures::default();
    let by_row = (first_row..).zip(&interned.indices).map(|(row, &index)| {
        if index == NULL_INDEX {
            return None;
        }
        let tile = tiles[index as usize];
        parse_failures.present += 1;
        if tile.is_none() {
            parse_failures.add(row, || shorten(&interned.texts[index as usize]));
        }
        tile
    });
    (by_row.collect(), parse_failures)
}

/// Statistics of a column of places in a part of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LatLongPartial {
    nulls: SubjectCount,
    /// Subject count of each smallest square, rising. Larger squares are sums of smaller ones.
    squares: Vec<(u64, SubjectCount)>,
    /// Subject count of each character of the alphabet, by position.
    characters: Vec<[SubjectCount; 4]>,
    parse_failures: Option<ParseFailures>,
}

/// Merges who holds one square.
fn sum_up(squares: &mut Vec<(u64, SubjectCount)>) {
    squares.sort_by_key(|(square, _)| *square);
    squares.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0;
        if is_same {
            kept.1 += &later.1;
        }
        is_same
    });
}

impl LatLongPartial {
    /// Of no rows.
    fn nothing() -> Self {
        Self {
            nulls: SubjectCount::default(),
            squares: Vec::new(),
            characters: vec![Default::default(); LENGTH],
            parse_failures: None,
        }
    }

    /// Subject count of each square after so many cuts, rising.
    fn at_level(&self, cuts: usize) -> Vec<(u64, SubjectCount)> {
        let larger = self
            .squares
            .iter()
            .map(|(square, holders)| (square >> (2 * (FINEST - cuts)), holders.clone()));
        let mut squares = larger.collect();
        sum_up(&mut squares);
        squares
    }
}

impl Partial for LatLongPartial {
    fn merge(&mut self, later: Self) {
        self.nulls += &later.nulls;
        self.squares.extend(later.squares);
        sum_up(&mut self.squares);
        let characters = self.characters.iter_mut().flatten();
        for (all, more) in characters.zip(later.characters.iter().flatten()) {
            *all += more;
        }
        ParseFailures::merge_into(&mut self.parse_failures, later.parse_failures);
    }

    fn parse_failures(&self) -> Option<&ParseFailures> {
        self.parse_failures.as_ref()
    }
}

/// The encoding of places.
pub(crate) struct LatLong;

impl Encoding for LatLong {
    type Partial = LatLongPartial;

    fn encoding_type(&self) -> EncodingType {
        EncodingType::LAT_LONG
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

    fn reads(&self) -> &'static str {
        "pair of latitude and longitude"
    }

    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<LatLongPartial, EncodeError> {
        let (tiles, parse_failures) = read(column, site.first_row);
        let mut partial = LatLongPartial::nothing();
        let mut squares: FastMap<u64, SubjectCount> = FastMap::default();
        for (row, tile) in tiles.iter().enumerate() {
            let subject = site.subjects.map(|subjects| subjects[row]);
            let Some(tile) = tile else {
                partial.nulls.add(subject);
                continue;
            };
            squares.entry(tile.square(FINEST)).or_default().add(subject);
            for (position, seen) in partial.characters.iter_mut().enumerate() {
                seen[usize::from(tile.character(position))].add(subject);
            }
        }
        partial.squares = squares.into_iter().collect();
        partial.squares.sort_by_key(|(square, _)| *square);
        partial.parse_failures = Some(parse_failures);
        Ok(partial)
    }

    /// Only squares that many subjects share are kept, protected or not.
    fn reduce(
        &self,
        _column: &str,
        partials: &[&LatLongPartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        let mut all = LatLongPartial::nothing();
        partials.iter().for_each(|&partial| all.merge(partial.clone()));
        let mut quad_codes = IndexMap::new();
        for cuts in LEVELS {
            let name = names::quad_level(cuts);
            let threshold = protection.of_part(&name).square_threshold();
            let mut squares = all.at_level(cuts);
            squares.retain(|(_, holders)| holders.count() >= threshold);
            if squares.len() < MIN_SQUARES {
                continue;
            }
            // When there are too many, those with most rows stay.
            squares.sort_by_key(|(_, holders)| std::cmp::Reverse(holders.rows()));
            squares.truncate(MAX_CODES - 1);
            squares.sort_by_key(|(square, _)| *square);
            let texts: Vec<String> = squares
                .iter()
                .map(|(square, _)| square_text(*square, cuts))
                .collect();
            let tokens = [RARE_TOKEN].into_iter().chain(texts.iter().map(String::as_str));
            quad_codes.insert(name, number_tokens(tokens));
        }
        let codes = (0..LENGTH).map(|position| {
            let name = names::position(position);
            let shown = |(bit, _): &(usize, char)| {
                protection.flag(&format!("{name}-{bit}"), &all.characters[position][*bit])
            };
            let mut characters: Vec<_> = alphabet(position).char_indices().filter(shown).collect();
            // Without any place there is one character for all.
            if characters.is_empty() {
                characters.extend(alphabet(position).char_indices().next());
            }
            let characters = characters.into_iter();
            let codes = characters.map(|(_, c)| c.to_string()).zip(0..).collect();
            (name, codes)
        });
        let mut stats = LatLongStats {
            has_nan: protection.flag(NULL_FLAG, &all.nulls),
            cardinalities: Cardinalities::new(),
            quad_codes,
            quadtile_characters: TileCharacters {
                max_string_length: LENGTH,
                has_nan: false,
                codes: codes.collect(),
            },
        };
        stats.cardinalities = stats.expected_cardinalities();
        stats.into()
    }

    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<LatLongStats>(keys)
    }

    /// Hidden are the rows that lie in no large square that is shown.
    fn coverage(&self, partial: &LatLongPartial, stats: &EncodingStats) -> Option<Coverage> {
        let stats: &LatLongStats = stats.get()?;
        let rows = partial.squares.iter().map(|(_, holders)| holders.rows()).sum();
        let shown = stats.levels().next().map_or(0, |(cuts, _, squares)| {
            let at_level = partial.at_level(cuts);
            let shown = at_level.iter().filter(|(square, _)| squares.contains_key(square));
            shown.map(|(_, holders)| holders.rows()).sum()
        });
        Some(Coverage {
            rows,
            protected: rows - shown,
            distinct: None,
        })
    }
}

/// Statistics of a column of places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatLongStats {
    /// Whether there are nulls.
    pub has_nan: bool,
    /// Levels of squares (`QUAD12` and so on), positions `P0` to `P29`, `nan` if there are nulls.
    pub cardinalities: Cardinalities,
    /// Squares by code for each level that is in use: `_RARE_`, then those that many rows share.
    pub quad_codes: IndexMap<String, Codes>,
    /// Characters of the tiles.
    pub quadtile_characters: TileCharacters,
}

/// Characters that tiles are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TileCharacters {
    /// Characters of a tile, 30.
    pub max_string_length: usize,
    /// Always false.
    pub has_nan: bool,
    /// Characters by code for each position `P0` to `P29`, in the order `+`, `-` and `A` to `D`.
    pub codes: IndexMap<String, Codes>,
}

impl LatLongStats {
    fn expected_cardinalities(&self) -> Cardinalities {
        let codes = self.quad_codes.iter().chain(&self.quadtile_characters.codes);
        let cardinalities = codes.map(|(name, codes)| (name.clone(), codes.len()));
        cardinalities
            .chain(self.has_nan.then(|| (NULL_FLAG.to_owned(), 2)))
            .collect()
    }

    /// The levels in use: cuts, and code by square.
    fn levels(&self) -> impl Iterator<Item = (usize, &Codes, FastMap<u64, u32>)> {
        let levels = LEVELS
            .into_iter()
            .filter_map(|cuts| Some((cuts, self.quad_codes.get(&names::quad_level(cuts))?)));
        levels.map(|(cuts, codes)| {
            let squares = codes.keys().zip(0..);
            let squares = squares.filter_map(|(text, code)| Some((read_square(text, cuts)?, code)));
            (cuts, codes, squares.collect())
        })
    }

    /// The characters of each position in the order of their codes, as numbers below 4.
    fn characters(&self) -> Vec<Vec<u8>> {
        let codes = self.quadtile_characters.codes.values().enumerate();
        let characters = codes.map(|(position, codes)| {
            let characters = codes.keys().filter(|token| token.len() == 1);
            let characters = characters.filter_map(|token| alphabet(position).find(token.as_str()));
            characters.map(|at| at as u8).collect()
        });
        characters.collect()
    }
}

impl ColumnEncoding for LatLongStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::LAT_LONG
    }

    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let levels = self.levels().map(|(cuts, ..)| names::quad_level(cuts));
        if self.quad_codes.keys().cloned().ne(levels) {
            return Err((
                "quad_codes",
                "they must be of QUAD12 to QUAD26, in this order".to_owned(),
            ));
        }
        if let Some((cuts, ..)) = self
            .levels()
            .find(|(_, codes, squares)| squares.len() + 1 != codes.len())
        {
            let problem = format!(
                "those of {} must be {RARE_TOKEN} and squares",
                names::quad_level(cuts)
            );
            return Err(("quad_codes", problem));
        }
        let codes = &self.quadtile_characters.codes;
        let is_named = codes.keys().cloned().eq((0..LENGTH).map(names::position));
        let lengths = codes.values().map(|codes| codes.len());
        let is_known = self.characters().iter().map(Vec::len).eq(lengths);
        if !is_named || !is_known || codes.values().any(Codes::is_empty) {
            return Err((
                "quadtile_characters",
                "they must be + and - at P0 and P1, A to D at P2 to P29".to_owned(),
            ));
        }
        if self.cardinalities.iter().ne(self.expected_cardinalities().iter()) {
            return Err(("cardinalities", "they do not fit the codes".to_owned()));
        }
        Ok(())
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError> {
        let (tiles, _) = read(column, site.first_row);
        let valid: Vec<bool> = tiles.iter().map(Option::is_some).collect();
        let fill = NullFill::new(Some(&valid), site);
        let sources: Vec<Option<Tile>> = (0..tiles.len())
            .map(|row| fill.source(row).and_then(|source| tiles[source]))
            .collect();
        let mut columns = Vec::with_capacity(self.cardinalities.len());
        for (cuts, codes, squares) in self.levels() {
            let code = |tile: Tile| squares.get(&tile.square(cuts)).copied();
            let by_row = sources.iter().map(|tile| tile.and_then(code).unwrap_or(0));
            columns.push(CodeColumn::from_codes(codes.len(), by_row));
        }
        for (position, characters) in self.characters().into_iter().enumerate() {
            let mut code_of = [0; 4];
            characters
                .iter()
                .zip(0..)
                .for_each(|(&character, code)| code_of[usize::from(character)] = code);
            let code =
                |tile: &Option<Tile>| tile.map_or(0, |tile| code_of[usize::from(tile.character(position))]);
            columns.push(CodeColumn::from_codes(characters.len(), sources.iter().map(code)));
        }
        if self.has_nan {
            columns.push(null_flags(valid.iter().copied()));
        }
        Ok(Encoded {
            codes: columns,
            unknown: UnknownValues::default(),
        })
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, _site: DecodeSite) -> Decoded {
        let (positions, nulls) = codes[self.quad_codes.len()..].split_at(LENGTH);
        let alphabets = self.characters();
        let text = |row: usize| {
            let characters = positions.iter().zip(&alphabets);
            Tile::of_characters(characters.map(|(codes, alphabet)| alphabet[codes.get(row) as usize])).text()
        };
        let values = DecodedValues::Text((0..rows).map(text).collect());
        (values, validity(nulls.first(), rows))
    }
}
