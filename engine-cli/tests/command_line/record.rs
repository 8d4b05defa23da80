//! A record of results: hashes of weights and of sampled, imputed and predicted rows for three tables and three sizes of the model. A change
//! that is not meant to change results changes none of them.
//!
//! Results differ between instruction sets, since some fuse a product with a sum. The portable set is there on every machine and always checked; of the others
//! the best that this processor has. `ENGINE_WRITE_RECORD` writes the record of all that it has.

#![expect(clippy::print_stdout, reason = "what is skipped is said")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::argn::TestDir;
use flate2::read::GzDecoder;

const SIZES: [&str; 3] = ["small", "medium", "large"];
const INSTRUCTION_SETS: [&str; 3] = ["portable", "avx2", "avx512"];
const WEIGHTS: &str = "ws/ModelStore/model-data/model-weights.safetensors";
/// Rows that are learnt, and rows that are asked about.
const LEARNT: usize = 1_500;
const ASKED: usize = 60;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/record")
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Header and first rows of a packed table.
fn first_rows(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .take(LEARNT + 1)
        .fold(String::new(), |all, line| all + line + "\n")
}

/// 80 columns that depend on their neighbours: numbers, categories and holes.
fn wide() -> String {
    let columns = 80;
    let names: Vec<String> = (0..columns).map(|c| format!("c{c}")).collect();
    let mut text = names.join(",") + "\n";
    let mut state = 2024u64;
    for _ in 0..300 {
        let mut last = 0;
        let fields = (0..columns).map(|c| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            last = (last + (state >> 33)) / 2 % 1_000;
            match c % 4 {
                0 => format!("{}", last % 9),
                1 => ["red", "green", "blue", "grey", ""][(last % 5) as usize].to_owned(),
                2 => format!("{}.{}", last / 10, last % 10),
                _ => format!("{last}"),
            }
        });
        text += &(fields.collect::<Vec<_>>().join(",") + "\n");
    }
    text
}

/// The first rows once more, every third cell missing.
fn holes(table: &str) -> String {
    let mut lines = table.lines();
    let mut text = lines.next().unwrap().to_owned() + "\n";
    for (row, line) in lines.take(ASKED).enumerate() {
        let fields = line.split(',').enumerate();
        let fields = fields.map(|(at, field)| if (row + at) % 3 == 0 { "" } else { field });
        text += &(fields.collect::<Vec<_>>().join(",") + "\n");
    }
    text
}

/// What is recorded of a table, a size and an instruction set.
fn results(dir: &TestDir, table: &str, size: &str, set: &str) -> String {
    let device = format!("cpu:{set}");
    let run = |arguments: &[&str]| {
        dir.done(&[arguments, &["--device", &device, "-q"]].concat());
    };
    let input = format!("{table}.csv");
    let asked = format!("{table}-holes.csv");
    let header = String::from_utf8(dir.read(&input)).unwrap();
    let target = header
        .lines()
        .next()
        .unwrap()
        .rsplit(',')
        .next()
        .unwrap()
        .to_owned();
    run(&[
        "fit",
        &input,
        "-w",
        "ws",
        "--model",
        size,
        "--max-epochs",
        "1",
        "--batch-size",
        "128",
        "--seed",
        "7",
        "--state",
        "reset",
    ]);
    run(&[
        "sample",
        "-w",
        "ws",
        "-n",
        "500",
        "--seed",
        "11",
        "-o",
        "sampled.csv",
    ]);
    run(&["impute", &asked, "-w", "ws", "--seed", "11", "-o", "imputed.csv"]);
    run(&[
        "predict",
        &asked,
        "-w",
        "ws",
        "--target",
        &target,
        "-o",
        "predicted.csv",
    ]);
    let files = [WEIGHTS, "sampled.csv", "imputed.csv", "predicted.csv"];
    let hashes = files.map(|file| format!("{:016x}", hash(&dir.read(file))));
    fs::remove_dir_all(dir.path("ws")).unwrap();
    hashes.join(" ")
}

/// The record: hashes by instruction set, table and size.
fn recorded() -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join("hashes.txt")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let key: Vec<&str> = words.by_ref().take(3).collect();
        let hashes: Vec<&str> = words.collect();
        (key.len() == 3).then(|| (key.join(" "), hashes.join(" ")))
    });
    lines.collect()
}

/// Whether this processor has the set: the program says so.
fn has(dir: &TestDir, set: &str) -> bool {
    let device = format!("cpu:{set}");
    let ended = dir.run(&[
        "fit",
        "online_shoppers.csv",
        "-w",
        "probe",
        "--max-epochs",
        "0",
        "--device",
        &device,
        "-q",
    ]);
    let _ = fs::remove_dir_all(dir.path("probe"));
    ended.code == 0
}

#[test]
fn results_are_those_of_the_record() {
    let dir = TestDir::new();
    let census = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/census.csv.gz");
    let tables = [
        ("census", first_rows(&census)),
        (
            "online_shoppers",
            first_rows(&folder().join("online_shoppers.csv.gz")),
        ),
        ("wide", wide()),
    ];
    for (name, text) in &tables {
        dir.write(&format!("{name}.csv"), text);
        dir.write(&format!("{name}-holes.csv"), holes(text));
    }
    let record = recorded();
    let write = std::env::var_os("ENGINE_WRITE_RECORD");
    let (mut found, mut differing) = (String::new(), String::new());
    let available: Vec<&str> = INSTRUCTION_SETS
        .into_iter()
        .filter(|set| has(&dir, set))
        .collect();
    for set in INSTRUCTION_SETS {
        let is_checked = set == "portable" || available.last() == Some(&set);
        let is_recorded = record.keys().any(|key| key.starts_with(set));
        if !available.contains(&set) {
            println!("skipped: this processor has no {set}");
            continue;
        } else if write.is_none() && !is_checked {
            println!("skipped: {set}, since this processor has a better set");
            continue;
        } else if write.is_none() && !is_recorded && set != "portable" {
            println!("skipped: there is no record of {set}");
            continue;
        }
        for (table, _) in &tables {
            for size in SIZES {
                let key = format!("{set} {table} {size}");
                let got = results(&dir, table, size, set);
                writeln!(found, "{key} {got}").unwrap();
                if record.get(&key) != Some(&got) {
                    let expected = record.get(&key).map_or("nothing", String::as_str);
                    writeln!(differing, "{key}: recorded {expected}, got {got}").unwrap();
                }
            }
        }
    }
    if let Some(path) = write {
        fs::write(path, found).unwrap();
    } else {
        assert!(
            differing.is_empty(),
            "weights, sampled, imputed, predicted:\n{differing}"
        );
    }
}
