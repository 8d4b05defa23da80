//! Tables with canaries, rare values that must stay secret: after `analyze` none of them, nor anything that reveals them, is in
//! the model store, and no random codes decode to them.

use std::fmt::Write;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use engine_api::data::{ReadOptions, TableSource};
use engine_api::{
    AnalyzeOptions, EncodingType, EncodingTypes, EngineError, SplitOptions, StatsBudget, Workspace, silent,
    stages,
};
use engine_core::encode::{
    self, BinOffsets, ColumnStats, Compat, EncodingStats, Protection, SplitPart, TableKeys, TableStats,
    decode,
};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{
    CodeColumn, CodeTable, Column, DecodedValues, Offsets, Table, TextValues, TimeUnit, Values,
};

const SEEDS: u64 = 200;
const ROWS: usize = 1_200;
/// Rows of random codes that are decoded for each seed.
const DECODED: usize = 10_000;
/// Texts that are in no file of a model store: canaries, and parts of canaries that reveal enough.
const SECRETS: [&str; 10] = [
    "Quagmire",
    "Zebulon",
    "987654321",
    "9876543",
    "123456789",
    "42424242",
    "3456789",
    "1799-",
    "2199-",
    "6543.21",
];

const HEADER: &str = "name,salary,pay,grade,level,score,born,seen,gap,text\n";

/// A number below `bound` for a row and a column of a table.
fn random_numbers(seed: u64) -> impl Fn(usize, u32, u64) -> u64 {
    let stream = Stream::new(seed, Purpose::Test, 0);
    move |row, column, bound| stream.below(bound, row as u64, column)
}

/// A table as CSV. Every column has values that at most four rows share; where these rows are depends on the
/// seed.
fn table(seed: u64) -> String {
    let random = random_numbers(seed);
    let first = random(0, 99, (ROWS - 8) as u64) as usize;
    let mut csv = HEADER.to_owned();
    for row in 0..ROWS {
        // 0 to 3 in the rows that hold secrets.
        let canary = row.checked_sub(first).filter(|&place| place < 4);
        let usual = |column, bound| random(row, column, bound);
        let name = match canary {
            Some(0) => "Zebulon Quagmire".to_owned(),
            Some(1..) => "Ada Quagmire".to_owned(),
            None => format!("name{}", usual(0, 30)),
        };
        let number = match canary {
            Some(0) => "987654321".to_owned(),
            Some(1) => "-123456789".to_owned(),
            Some(_) => "9876543".to_owned(),
            None => (20_000 + 10 * usual(1, 8_000)).to_string(),
        };
        let grade = canary.map_or_else(|| (1 + usual(2, 12)).to_string(), |_| "42424242".to_owned());
        let score = match canary {
            Some(_) => "12.3456789".to_owned(),
            None => format!("{}.{}", usual(3, 1_000), usual(4, 10)),
        };
        let born = match canary {
            Some(0..2) => "1799-03-14".to_owned(),
            Some(_) => "2199-11-30".to_owned(),
            None => format!(
                "{}-{:02}-{:02}",
                1950 + usual(5, 50),
                4 + usual(6, 6),
                1 + usual(7, 20)
            ),
        };
        let seen = match canary {
            Some(_) => "2020-06-01 10:20:37.737".to_owned(),
            None => format!(
                "2020-0{}-1{} 1{}:30:00",
                1 + usual(8, 9),
                usual(9, 9),
                usual(10, 9)
            ),
        };
        let gap = canary.map_or_else(|| usual(11, 500).to_string(), |_| String::new());
        let text = canary.map_or_else(|| ["x", "y"][usual(12, 2) as usize].to_owned(), |_| String::new());
        writeln!(
            csv,
            "{name},{number},{number},{grade},{grade},{score},{born},{seen},{gap},{text}"
        )
        .unwrap();
    }
    csv
}

fn encodings() -> EncodingTypes {
    let types = [
        ("salary", EncodingType::NUMERIC_BINNED),
        ("pay", EncodingType::NUMERIC_DIGIT),
        ("grade", EncodingType::NUMERIC_DISCRETE),
    ];
    types
        .map(|(name, encoding)| (name.to_owned(), encoding))
        .into_iter()
        .collect()
}

/// Splits and analyses a table in a folder.
fn analyzed(folder: &Path, seed: u64, stats_budget: Option<StatsBudget>) -> TableStats {
    let file = folder.join("table.csv");
    fs::write(&file, table(seed)).unwrap();
    let source = TableSource::open(&file, &ReadOptions::default()).unwrap();
    let workspace = Workspace::create(&folder.join("ws")).unwrap();
    let split = SplitOptions {
        seed: Some(seed),
        encodings: encodings(),
        ..SplitOptions::default()
    };
    stages::split(&workspace, &source, &split, &mut silent).unwrap();
    let options = AnalyzeOptions {
        stats_budget,
        ..AnalyzeOptions::default()
    };
    stages::analyze(&workspace, &options, &mut silent).unwrap()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all
}

fn assert_no_secret(folder: &Path, seed: u64) {
    let files = files(&folder.join("ws/ModelStore"));
    assert!(files.len() >= 4);
    for (path, bytes) in files {
        let text = String::from_utf8_lossy(&bytes);
        for secret in SECRETS {
            assert!(!text.contains(secret), "seed {seed}: {secret} is in {path}");
        }
    }
}

/// Random valid codes, decoded.
fn decoded(stats: &TableStats, seed: u64) -> Vec<engine_core::schema::DecodedColumn> {
    let stream = Stream::new(seed, Purpose::Test, 1);
    let columns = stats.sub_columns().into_iter().zip(0..).map(|(sub, column)| {
        let codes = (0..DECODED as u64).map(|row| stream.below(sub.cardinality as u64, row, column) as u32);
        CodeColumn::from_codes(sub.cardinality, codes)
    });
    let codes = CodeTable::new(columns.collect(), DECODED).unwrap();
    decode(&codes, stats, BinOffsets::Random { seed, first_row: 0 }).unwrap()
}

fn stats_of<'a>(stats: &'a TableStats, name: &str) -> &'a EncodingStats {
    match &stats.columns[name] {
        ColumnStats::Modelled { values, .. } => values,
        ColumnStats::Empty(_) => panic!("{name} has values"),
    }
}

fn micros(year: i64) -> i64 {
    // Close enough: a year of 365.2425 days.
    ((year - 1970) as f64 * 365.242_5 * 86_400e6) as i64
}

/// What decoded values may be, nulls apart.
struct Allowed {
    salary: (f64, f64),
    level: (f64, f64),
    score: (f64, f64),
    decimals: i32,
    born: (i64, i64),
    seen: (i64, i64),
}

fn assert_all_allowed(stats: &TableStats, seed: u64, allowed: &Allowed) {
    for column in decoded(stats, seed) {
        let name = column.name.as_str();
        let (low, high) = match name {
            "salary" | "pay" => allowed.salary,
            "grade" => (1.0, 12.0),
            "level" => allowed.level,
            "gap" => (0.0, allowed.score.1.max(499.0)),
            _ => allowed.score,
        };
        let (first, last) = if name == "born" {
            allowed.born
        } else {
            allowed.seen
        };
        let valid = |row: usize| column.validity.as_ref().is_none_or(|valid| valid[row]);
        for row in (0..DECODED).filter(|&row| valid(row)) {
            let fits = match &column.values {
                DecodedValues::Int(v) => (low..=high).contains(&(v[row] as f64)),
                DecodedValues::Float(v) => {
                    let scaled = v[row] * 10f64.powi(allowed.decimals);
                    (low..=high).contains(&v[row]) && (scaled - scaled.round()).abs() < 1e-6
                }
                DecodedValues::Timestamp(v) => (first..=last).contains(&v[row]),
                DecodedValues::Labels { indices, labels } => {
                    let label = labels[indices[row] as usize].as_deref();
                    label.is_none_or(|l| l.starts_with("name") || ["x", "y", "_RARE_"].contains(&l))
                }
                _ => false,
            };
            assert!(fits, "seed {seed}: {name} decodes to a canary in row {row}");
        }
    }
}

#[test]
fn rare_values_are_nowhere_in_the_model_store() {
    for seed in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let stats = analyzed(folder.path(), seed, None);
        assert_no_secret(folder.path(), seed);
        for name in ["gap", "text"] {
            let values = stats_of(&stats, name);
            let has_null = match values.tokens() {
                Some(tokens) => tokens.contains_key("<<NULL>>"),
                None => values.cardinalities().contains_key("nan"),
            };
            assert!(!has_null, "seed {seed}: four nulls of {name} show");
        }
        let Some(pay) = stats_of(&stats, "pay").get::<encode::DigitStats>() else {
            panic!("digits were requested")
        };
        assert!(
            !pay.has_neg && pay.max_decimal == 4 && pay.min_decimal == 1,
            "seed {seed}: {pay:?}"
        );
        assert!(
            (5..=18).all(|place| pay.max_digits.get(place) == 0),
            "seed {seed}: {pay:?}"
        );
        assert_eq!(pay.max_digits.get(0), 0, "seed {seed}");
        let Some(seen) = stats_of(&stats, "seen").get::<encode::DatetimeStats>() else {
            panic!("dates were found")
        };
        assert!(
            seen.has_time && !seen.has_ms && seen.max_values.second == 0,
            "seed {seed}: {seen:?}"
        );
        let Some(born) = stats_of(&stats, "born").get::<encode::DatetimeStats>() else {
            panic!("dates were found")
        };
        // Nobody but the canaries was born before April or after September.
        assert!(
            born.min_values.month == 4 && born.max_values.month == 9,
            "seed {seed}: {born:?}"
        );
        let allowed = Allowed {
            salary: (20_000.0, 99_990.0),
            level: (1.0, 12.0),
            score: (0.0, 999.9),
            decimals: 1,
            born: (micros(1950), micros(2000)),
            seen: (micros(2020), micros(2021)),
        };
        assert_all_allowed(&stats, seed, &allowed);
    }
}

#[test]
fn a_privacy_budget_hides_rare_values_too() {
    for seed in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let budget = StatsBudget {
            epsilon: 20.0,
            delta: 1e-9,
            ..StatsBudget::default()
        };
        let stats = analyzed(folder.path(), seed, Some(budget));
        assert_no_secret(folder.path(), seed);
        let workspace = Workspace::open(&folder.path().join("ws")).unwrap();
        let ledger = workspace.privacy_ledger().unwrap().unwrap();
        assert!((ledger.epsilon_spent - 20.0).abs() < 1e-12 && (ledger.delta_spent - 1e-9).abs() < 1e-21);
        // Ranges end at powers of two.
        let allowed = Allowed {
            salary: (0.0, 131_072.0),
            level: (0.0, 16.0),
            score: (0.0, 1_024.0),
            decimals: 1,
            born: (micros(1934), micros(2006)),
            seen: (micros(2005), micros(2042)),
        };
        assert_all_allowed(&stats, seed, &allowed);
    }
}

/// Columns of a table whose rows name subjects.
struct Sequences {
    text: (String, Vec<i32>),
    number: Vec<f64>,
    micros: Vec<i64>,
    valid: Vec<u8>,
    subjects: Vec<u32>,
}

/// 60 subjects with 20 rows each, and one with a thousand rows of a single secret.
fn sequences(seed: u64) -> Sequences {
    let random = random_numbers(seed);
    let mut all = Sequences {
        text: (String::new(), vec![0]),
        number: Vec::new(),
        micros: Vec::new(),
        valid: vec![0; 2_200 / 8 + 1],
        subjects: Vec::new(),
    };
    for row in 0..2_200 {
        let is_secret = row % 11 < 5;
        let text = if is_secret {
            "Quagmire".to_owned()
        } else {
            format!("name{}", random(row, 0, 6))
        };
        all.text.0.push_str(&text);
        all.text.1.push(all.text.0.len() as i32);
        let usual = -200.0 - 5.0 * random(row, 1, 10_000) as f64;
        // In the middle of the others, so that no range hides it.
        all.number.push(if is_secret { -26_543.21 } else { usual });
        let day = (18_000 + random(row, 2, 300)) as i64 * 86_400_000_000;
        all.micros.push(day + if is_secret { 45_296_737_000 } else { 0 });
        all.subjects
            .push(if is_secret { 7 } else { 100 + (row % 60) as u32 });
        if !(is_secret && row % 2 == 0) {
            all.valid[row / 8] |= 1 << (row % 8);
        }
    }
    all
}

fn statistics_of_subjects(all: &Sequences, encoding: EncodingType) -> TableStats {
    let rows = all.subjects.len();
    let values = match encoding {
        EncodingType::CATEGORICAL => Values::Text(TextValues::new(Offsets::Small(&all.text.1), &all.text.0)),
        EncodingType::DATETIME => Values::Timestamp {
            ticks: &all.micros,
            unit: TimeUnit::Microsecond,
            zoned: false,
        },
        _ => Values::Float64(&all.number),
    };
    let validity = engine_core::schema::Bitmap::new(&all.valid, 0, rows);
    let column = Column {
        name: "x",
        values,
        validity,
    };
    let table = Table::new(vec![column], rows)
        .unwrap()
        .with_subjects(&all.subjects)
        .unwrap();
    let types: EncodingTypes = [("x".to_owned(), encoding)].into_iter().collect();
    let part = encode::analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
    encode::reduce(
        &[part],
        &types,
        Protection::On,
        Compat::Native,
        TableKeys::default(),
        3,
    )
    .unwrap()
}

#[test]
fn a_thousand_rows_of_one_subject_are_rare() {
    for seed in 0..SEEDS {
        let all = sequences(seed);
        for encoding in [
            EncodingType::CATEGORICAL,
            EncodingType::NUMERIC_AUTO,
            EncodingType::NUMERIC_BINNED,
            EncodingType::NUMERIC_DIGIT,
            EncodingType::NUMERIC_DISCRETE,
            EncodingType::DATETIME,
        ] {
            let stats = statistics_of_subjects(&all, encoding);
            let json = stats.to_json().unwrap();
            for secret in ["Quagmire", "6543.21", "NULL", "nan\": 2", "12:34", "second\": 56"] {
                assert!(
                    !json.contains(secret),
                    "seed {seed}: {secret} in {encoding}: {json}"
                );
            }
            for column in decoded(&stats, seed) {
                match column.values {
                    DecodedValues::Labels { labels, .. } => {
                        assert!(
                            labels
                                .iter()
                                .flatten()
                                .all(|l| &**l == "_RARE_" || l.starts_with("name"))
                        );
                    }
                    DecodedValues::Int(v) => {
                        assert!(v.iter().all(|v| (-50_195..=-200).contains(v) || *v == 0))
                    }
                    DecodedValues::Timestamp(v) => assert!(v.iter().all(|t| t % 86_400_000_000 == 0)),
                    other => panic!("seed {seed}: {encoding} decodes to {other:?}"),
                }
            }
        }
    }
}

#[test]
fn an_analysis_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.csv");
    fs::write(&file, table(1)).unwrap();
    let source = TableSource::open(&file, &ReadOptions::default()).unwrap();
    let workspace = Workspace::create(&folder.path().join("ws")).unwrap();
    // Letters are no numbers, which shows when all is counted.
    let wrong = ("text".to_owned(), EncodingType::NUMERIC_BINNED);
    let split = SplitOptions {
        seed: Some(1),
        encodings: [wrong].into_iter().collect(),
        ..SplitOptions::default()
    };
    stages::split(&workspace, &source, &split, &mut silent).unwrap();
    let before = files(&folder.path().join("ws"));
    let failed = stages::analyze(&workspace, &AnalyzeOptions::default(), &mut silent);
    assert!(matches!(failed, Err(EngineError::Encode { .. })));
    assert_eq!(files(&folder.path().join("ws")), before);
    let stopped = stages::analyze(&workspace, &AnalyzeOptions::default(), &mut |_| {
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(EngineError::Cancelled { .. })));
    assert_eq!(files(&folder.path().join("ws")), before);
}
