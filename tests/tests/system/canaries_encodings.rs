//! Secrets in columns of characters, places and dates of subjects: neither the statistics nor what random codes decode to
//! reveals anything of a value that few subjects have.

use engine_core::encode::{
    self, BinOffsets, ColumnStats, Compat, EncodingStats, EncodingType, EncodingTypes, Protection, SplitPart,
    TableKeys, TableStats, decode_subjects,
};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{
    Bitmap, CodeColumn, CodeTable, Column, DecodedValues, Offsets, Table, TextValues, TimeUnit, Values,
};

const SEEDS: u64 = 200;
/// Rows of random codes that are decoded for each seed.
const DECODED: usize = 10_000;
const DAY: i64 = 86_400_000_000;

/// A column with the subject of each row; null where there is none.
struct Rows {
    texts: Vec<Option<String>>,
    micros: Vec<Option<i64>>,
    subjects: Vec<u32>,
}

fn bits(valid: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (row, valid) in valid.enumerate() {
        bytes.resize(row / 8 + 1, 0);
        bytes[row / 8] |= u8::from(valid) << (row % 8);
    }
    bytes
}

impl Rows {
    /// 60 subjects with 20 rows each, made by `usual`, and one with a thousand rows that `secret` makes; rows of the two
    /// take turns. Half of the secret rows are null.
    fn with_canaries(
        usual: impl Fn(usize) -> (String, i64),
        secret: impl Fn(usize) -> (String, i64),
    ) -> Self {
        let mut rows = Self {
            texts: Vec::new(),
            micros: Vec::new(),
            subjects: Vec::new(),
        };
        for row in 0..2_200 {
            let is_secret = row % 11 < 5;
            let (text, micros) = if is_secret { secret(row) } else { usual(row) };
            let is_null = is_secret && row % 2 == 0;
            rows.texts.push((!is_null).then_some(text));
            rows.micros.push((!is_null).then_some(micros));
            rows.subjects
                .push(if is_secret { 7 } else { 100 + (row % 60) as u32 });
        }
        rows
    }

    fn statistics(&self, encoding: EncodingType) -> TableStats {
        let rows = self.subjects.len();
        let (mut text, mut offsets) = (String::new(), vec![0]);
        for value in &self.texts {
            text.push_str(value.as_deref().unwrap_or(""));
            offsets.push(text.len() as i32);
        }
        let micros: Vec<i64> = self.micros.iter().map(|m| m.unwrap_or(0)).collect();
        let valid = bits(self.texts.iter().map(Option::is_some));
        let column = Column {
            name: "x",
            values: match encoding {
                EncodingType::DATETIME_RELATIVE => Values::Timestamp {
                    ticks: &micros,
                    unit: TimeUnit::Microsecond,
                    zoned: false,
                },
                _ => Values::Text(TextValues::new(Offsets::Small(&offsets), &text)),
            },
            validity: Bitmap::new(&valid, 0, rows),
        };
        let table = Table::new(vec![column], rows).unwrap();
        let table = table.with_subjects(&self.subjects).unwrap();
        let types: EncodingTypes = [("x".to_owned(), encoding)].into_iter().collect();
        let part = encode::analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
        let keys = TableKeys::default();
        encode::reduce(&[part], &types, Protection::On, Compat::Native, keys, 3).unwrap()
    }
}

fn random_numbers(seed: u64) -> impl Fn(usize, u32, u64) -> u64 {
    let stream = Stream::new(seed, Purpose::Test, 0);
    move |row, column, bound| stream.below(bound, row as u64, column)
}

/// Random valid codes, decoded; each row is of a subject of its own, or of one of a hundred.
fn decoded(stats: &TableStats, seed: u64, subjects: u32) -> DecodedValues {
    let stream = Stream::new(seed, Purpose::Test, 1);
    let columns = stats.sub_columns().into_iter().zip(0..).map(|(sub, column)| {
        let codes = (0..DECODED as u64).map(|row| stream.below(sub.cardinality as u64, row, column) as u32);
        CodeColumn::from_codes(sub.cardinality, codes)
    });
    let codes = CodeTable::new(columns.collect(), DECODED).unwrap();
    let subjects: Vec<u32> = (0..DECODED as u32).map(|row| row % subjects).collect();
    let positions = BinOffsets::Random { seed, first_row: 0 };
    decode_subjects(&codes, stats, positions, &subjects)
        .unwrap()
        .remove(0)
        .values
}

fn stats_of(stats: &TableStats) -> &EncodingStats {
    match &stats.columns["x"] {
        ColumnStats::Modelled { values, .. } => values,
        ColumnStats::Empty(_) => panic!("there are values"),
    }
}

#[test]
fn characters_of_one_subject_are_rare() {
    for seed in 0..SEEDS {
        let random = random_numbers(seed);
        let usual = |row| (format!("AB-{}", random(row, 0, 10)), 0);
        let rows = Rows::with_canaries(usual, |_| ("Zq-7~Quagmire".to_owned(), 0));
        let stats = rows.statistics(EncodingType::CHARACTER);
        let Some(characters) = stats_of(&stats).get::<encode::CharacterStats>() else {
            panic!("characters were requested")
        };
        assert!(
            !characters.has_nan && characters.max_string_length == 4,
            "{characters:?}"
        );
        for (position, expected) in ["A", "B", "-", "0123456789"].into_iter().enumerate() {
            let mut codes = characters.codes[&format!("P{position}")].keys();
            assert!(
                codes.all(|c| c == "\0" || expected.contains(c.as_str())),
                "seed {seed}: {characters:?}"
            );
        }
        let DecodedValues::Text(texts) = decoded(&stats, seed, u32::MAX) else {
            panic!("texts are decoded")
        };
        assert!(
            texts
                .iter()
                .all(|text| text.chars().all(|c| "AB-0123456789".contains(c)))
        );
    }
}

#[test]
fn places_of_one_subject_are_rare() {
    for seed in 0..SEEDS {
        let random = random_numbers(seed);
        let usual = |row| {
            (
                format!(
                    "48.{:05}, 16.{:05}",
                    random(row, 0, 90_000),
                    random(row, 1, 90_000)
                ),
                0,
            )
        };
        let rows = Rows::with_canaries(usual, |_| ("-33.86785, 151.20732".to_owned(), 0));
        let stats = rows.statistics(EncodingType::LAT_LONG);
        let Some(places) = stats_of(&stats).get::<encode::LatLongStats>() else {
            panic!("places were requested")
        };
        let mut squares = places.quad_codes.values().flat_map(|codes| codes.keys());
        assert!(!places.has_nan && squares.all(|s| s == "_RARE_" || s.starts_with("++AA")));
        let signs = &places.quadtile_characters.codes;
        assert!(
            ["P0", "P1"].iter().all(|p| signs[*p].keys().eq(["+"])),
            "seed {seed}: {signs:?}"
        );
        let DecodedValues::Text(texts) = decoded(&stats, seed, u32::MAX) else {
            panic!("places are decoded")
        };
        assert!(
            texts
                .iter()
                .all(|place| !place.contains('-') && !place.contains("151."))
        );
    }
}

#[test]
fn dates_of_one_subject_are_rare() {
    for seed in 0..SEEDS {
        let random = random_numbers(seed);
        let usual = |row: usize| {
            let start = 18_000 + random(row % 60, 0, 300) as i64;
            (
                String::new(),
                (start + 3 * (row / 60) as i64 + random(row, 1, 3) as i64) * DAY,
            )
        };
        // Back and forth over a century, with times of day.
        let secret = |row: usize| {
            (
                String::new(),
                (if row.is_multiple_of(3) { 30_000 } else { -30_000 }) * DAY + 45_296_000_000,
            )
        };
        let stats = Rows::with_canaries(usual, secret).statistics(EncodingType::DATETIME_RELATIVE);
        let Some(dates) = stats_of(&stats).get::<encode::RelativeStats>() else {
            panic!("dates of subjects were requested")
        };
        assert!(
            !dates.has_nan && !dates.has_neg && !dates.has_time,
            "seed {seed}: {dates:?}"
        );
        assert!(dates.max_values.itt_week <= 1, "seed {seed}: {dates:?}");
        assert!((2019..=2020).contains(&dates.min_values.start_year) && dates.max_values.start_year <= 2020);
        let text = stats.to_json().unwrap();
        assert!(!text.contains("2052") && !text.contains("1887") && !text.contains("12:34"));
        let DecodedValues::Timestamp(micros) = decoded(&stats, seed, u32::MAX) else {
            panic!("dates are decoded")
        };
        assert!(
            micros
                .iter()
                .all(|t| t % DAY == 0 && (17_500..19_000).contains(&(t / DAY)))
        );
    }
}
