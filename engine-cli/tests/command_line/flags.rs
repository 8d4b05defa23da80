//! Each flag: what holds without it, what it does, and what it does not go with.

use std::collections::HashSet;

use crate::argn::{Ended, SHORT, TestDir};
use serde_json::Value;

const ARGUMENTS: i32 = 2;
const WEIGHTS: &str = "ws/ModelStore/model-data/model-weights.safetensors";

/// Fits `t.csv` without learning anything, which is all that most flags need.
fn fit(dir: &TestDir, more: &[&str]) -> Ended {
    // The last of several values of a flag would be an error, so the limit stands only where no other does.
    let limit = if more.contains(&"--max-epochs") {
        &[][..]
    } else {
        &["--max-epochs", "0"]
    };
    let flags = ["fit", "t.csv", "-w", "ws", "-q", "--force", "--seed", "7"];
    dir.run(&[&flags[..], limit, more].concat())
}

/// What is known of the model that [`fit`] makes.
#[track_caller]
fn fitted(dir: &TestDir, more: &[&str]) -> Value {
    let ended = fit(dir, more);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{more:?}");
    info(dir)
}

#[track_caller]
fn info(dir: &TestDir) -> Value {
    json(&dir.done(&["info", "-w", "ws", "--json"]))
}

#[track_caller]
fn json(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.out).unwrap()
}

/// What is known of a column.
#[track_caller]
fn column<'a>(info: &'a Value, name: &str) -> &'a Value {
    let columns = info["columns"].as_array().unwrap();
    columns.iter().find(|c| c["name"] == name).unwrap()
}

fn columns(info: &Value) -> usize {
    info["columns"].as_array().unwrap().len()
}

/// The program refuses these arguments and says this.
#[track_caller]
fn assert_refused(dir: &TestDir, arguments: &[&str], part: &str) {
    let ended = dir.run(arguments);
    assert_eq!(ended.code, ARGUMENTS, "{arguments:?}: {}", ended.err);
    assert!(
        ended.err.starts_with("error: ") && ended.err.contains(part),
        "{}",
        ended.err
    );
    assert!(ended.out.is_empty());
}

/// The program refuses two flags that exclude each other.
#[track_caller]
fn assert_conflict(dir: &TestDir, arguments: &[&str]) {
    assert_refused(dir, arguments, "cannot be used with");
}

/// Synthetic rows of the workspace, with their header.
#[track_caller]
fn rows(dir: &TestDir, more: &[&str]) -> String {
    let flags = ["sample", "-w", "ws", "-n", "300", "-o", "-", "-q", "--seed", "1"];
    String::from_utf8(dir.done(&[&flags[..], more].concat()).out).unwrap()
}

#[test]
fn seed_is_drawn_printed_and_stored_unless_given() {
    let dir = TestDir::with_table();
    let flags = ["fit", "t.csv", "-w", "ws", "--max-epochs", "1", "--force"];
    let drawn = dir.done(&flags);
    let seed = info(&dir)["seed"].to_string();
    let said = format!("seed {seed} (drawn; give --seed {seed} to repeat this)\n");
    assert!(drawn.err.contains(&said), "{}", drawn.err);
    let weights = dir.read(WEIGHTS);
    let given = dir.done(&[&flags[..], &["--seed", &seed]].concat());
    assert!(!given.err.contains("drawn"), "{}", given.err);
    assert!(weights == dir.read(WEIGHTS), "the weights differ");
    let sample = |more: &[&str]| {
        let flags = ["sample", "-w", "ws", "-n", "100", "-o", "-"];
        dir.done(&[&flags[..], more].concat())
    };
    let first = sample(&[]);
    let seed = first.err.split(' ').nth(1).unwrap();
    assert!(first.err.starts_with("seed "), "{}", first.err);
    assert!(first.out == sample(&["--seed", seed]).out, "the rows differ");
    assert!(
        first.out != sample(&[]).out,
        "each sample draws a seed of its own"
    );
    assert_refused(&dir, &["info", "-w", "ws", "--seed", "x"], "'--seed <SEED>'");
}

#[test]
fn threads_change_no_byte() {
    let dir = TestDir::with_table();
    let result = |threads: &[&str]| {
        let flags = [&["fit", "t.csv", "-w", "ws", "-q", "--force"], &SHORT[..]].concat();
        dir.done(&[&flags[..], threads].concat());
        (dir.read(WEIGHTS), rows(&dir, threads))
    };
    let default = result(&[]);
    assert!(default == result(&["--threads", "1"]), "one thread");
    assert!(default == result(&["--threads", "3"]), "three threads");
    let hint = "give a whole number of threads, at least 1";
    assert_refused(&dir, &["devices", "--threads", "0"], hint);
}

#[test]
fn what_a_device_never_has_is_refused() {
    let dir = TestDir::with_table();
    for (flag, reason) in [
        ("--tensor-cores", "only cuda multiplies on tensor cores"),
        ("--half-tables", "only wgpu keeps tables in half precision"),
    ] {
        let ended = dir.run(&["fit", "t.csv", "-w", "ws", flag]);
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert!(
            ended
                .err
                .contains(&format!("the device cpu cannot be used: {reason}")),
            "{}",
            ended.err
        );
        assert!(!dir.exists("ws"), "{flag}");
    }
}

#[test]
fn device_is_the_processor_unless_given() {
    let dir = TestDir::with_table();
    for device in ["cpu", "auto", "CPU"] {
        dir.done(&["devices", "--device", device]);
    }
    let devices = json(&dir.done(&["devices", "--json"]));
    let last = devices.as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], &last["backend"]), (&"cpu".into(), &"cpu".into()));
    for command in [
        &["devices"][..],
        &["sample", "-w", "ws", "-n", "1", "-o", "-"],
        &["fit", "t.csv", "-w", "ws"],
    ] {
        for unknown in ["gpu", "cpu:0", "wgpu:"] {
            let hint = format!("there is no device {unknown:?}; use auto or ");
            assert_refused(&dir, &[command, &["--device", unknown]].concat(), &hint);
        }
    }
    assert!(!dir.exists("ws"));
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn a_device_that_is_not_built_in_is_refused() {
    let dir = TestDir::with_table();
    for device in ["wgpu", "wgpu:1"] {
        let arguments = ["fit", "t.csv", "-w", "ws", "--device", device];
        assert_refused(&dir, &arguments, "build it with the feature `wgpu`\n");
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn cuda_that_is_not_built_in_is_refused() {
    let dir = TestDir::with_table();
    for device in ["cuda", "cuda:1"] {
        let arguments = ["fit", "t.csv", "-w", "ws", "--device", device];
        assert_refused(&dir, &arguments, "build it with the feature `cuda`\n");
    }
}

/// Without the driver, its compiler or so many devices, the program says which in one sentence, and that nothing was begun.
#[cfg(feature = "cuda")]
#[test]
fn a_missing_gpu_gets_one_sentence() {
    let dir = TestDir::with_table();
    let ended = dir.run(&[
        "fit",
        "t.csv",
        "-w",
        "ws",
        "-q",
        "--max-epochs",
        "0",
        "--device",
        "cuda:999",
    ]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(
        ended
            .err
            .starts_with("error: the device cuda:999 cannot be used: "),
        "{}",
        ended.err
    );
    assert!(ended.err.ends_with("use --device cpu\n"), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(!dir.exists("ws"), "nothing was begun");
    dir.done(&[
        "fit",
        "t.csv",
        "-w",
        "ws",
        "-q",
        "--max-epochs",
        "0",
        "--force",
        "--device",
        "auto",
    ]);
}

#[test]
fn quiet_says_nothing_and_verbose_more() {
    let dir = TestDir::with_table();
    let fit = |more: &[&str]| {
        let flags = [&["fit", "t.csv", "-w", "ws", "--force"], &SHORT[..]].concat();
        dir.done(&[&flags[..], more].concat())
    };
    let (normal, quiet, verbose) = (fit(&[]), fit(&["--quiet"]), fit(&["--verbose"]));
    assert_eq!((quiet.err.as_str(), quiet.out.len()), ("", 0));
    assert!(normal.err.contains("nats per row"), "{}", normal.err);
    assert!(!normal.err.contains("note: epoch"), "{}", normal.err);
    assert!(verbose.err.contains("note: epoch"), "{}", verbose.err);
    assert!(
        normal.out.is_empty() && !normal.err.contains('\u{1b}'),
        "no bar outside a terminal"
    );
    assert_conflict(&dir, &["devices", "-q", "-v"]);
}

#[test]
fn the_log_follows_its_variable() {
    let dir = TestDir::with_table();
    let arguments = [&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..]].concat();
    let mut command = dir.command(&arguments);
    let ended = Ended::from(command.env("ARGN_LOG", "engine_core=info").output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("note: training ended"), "{}", ended.err);
}

#[test]
fn primary_key_is_not_learnt() {
    let dir = TestDir::new();
    let row = |i: u32| format!("{},{}\n", 1000 + i, ["a", "b"][(i % 2) as usize]);
    dir.write(
        "t.csv",
        "id,kind\n".to_owned() + &(0..100).map(row).collect::<String>(),
    );
    assert_eq!(column(&fitted(&dir, &[]), "id")["role"], "model");
    let keyed = fitted(&dir, &["--primary-key", "id"]);
    let id = column(&keyed, "id");
    assert_eq!(id["role"], "primary_key");
    assert!(id["encoding"].is_null());
    let rows = rows(&dir, &[]);
    let keys: HashSet<&str> = rows
        .lines()
        .skip(1)
        .filter_map(|row| row.split(',').next())
        .collect();
    assert_eq!(keys.len(), 300, "keys are all different");
    let ended = fit(&dir, &["--primary-key", "id", "--encoding", "id=categorical"]);
    let sentence = "error: column \"id\" is the primary key and no part of the model; leave out its encoding, or the primary \
                    key\n";
    assert_eq!((ended.code, ended.err.as_str()), (ARGUMENTS, sentence));
}

#[test]
fn exclude_takes_several_columns() {
    let dir = TestDir::with_table();
    let header = || rows(&dir, &[]).lines().next().unwrap().to_owned();
    fitted(&dir, &[]);
    assert_eq!(header(), "city,age,height,since,smoker");
    let both = fitted(&dir, &["--exclude", "age,since"]);
    assert_eq!(column(&both, "age")["role"], "excluded");
    assert_eq!(header(), "city,height,smoker");
    fitted(&dir, &["--exclude", "age", "--exclude", "since"]);
    assert_eq!(header(), "city,height,smoker");
    dir.write("t.csv", "id,kind\n1,a\n2,b\n");
    let ended = fit(&dir, &["--primary-key", "id", "--exclude", "kind"]);
    let sentence = "error: t.csv: no column is left for the model; give a table with a column that is neither a key nor \
                    excluded\n";
    assert_eq!((ended.code, ended.err.as_str()), (3, sentence));
}

#[test]
fn encoding_replaces_the_one_of_the_type() {
    let dir = TestDir::with_table();
    let default = fitted(&dir, &[]);
    let encoding = column(&default, "age")["encoding"].as_str().unwrap();
    assert!(encoding.starts_with("TABULAR_NUMERIC_"), "{encoding}");
    let asked = [
        "--encoding",
        "age=categorical",
        "--encoding",
        "height=Numeric-Digit",
    ];
    let given = fitted(&dir, &asked);
    assert_eq!(column(&given, "age")["encoding"], "TABULAR_CATEGORICAL");
    assert_eq!(column(&given, "height")["encoding"], "TABULAR_NUMERIC_DIGIT");
    assert!(rows(&dir, &[]).starts_with("city,age,height,since,smoker\n"));
    let malformed = ["fit", "t.csv", "-w", "ws", "--encoding", "age"];
    let hint = "give a column and a type, for instance zip=categorical";
    assert_refused(&dir, &malformed, hint);
}

#[test]
fn characters_and_places_are_decoded_again() {
    let dir = TestDir::new();
    let row = |i: u32| {
        let (letter, number) = (char::from(b'A' + (i % 3) as u8), 100 + i * 7 % 900);
        let (y, x) = (
            f64::from(i % 5).mul_add(0.5, 46.0),
            f64::from(i % 5).mul_add(-3.0, 20.0),
        );
        format!("{letter}-{number},\"{y:.3}, {x:.3}\"\n")
    };
    dir.write(
        "t.csv",
        "plate,place\n".to_owned() + &(0..300).map(row).collect::<String>(),
    );
    let flags = [
        "--encoding",
        "plate=character",
        "--encoding",
        "place=lat-long",
        "--max-epochs",
        "2",
    ];
    let info = fitted(&dir, &flags);
    assert_eq!(column(&info, "plate")["encoding"], "TABULAR_CHARACTER");
    assert_eq!(column(&info, "plate")["sub_columns"].as_array().unwrap().len(), 5);
    assert_eq!(column(&info, "place")["encoding"], "TABULAR_LAT_LONG");
    let rows = rows(&dir, &[]);
    let is_whole = |row: &&str| {
        let (plate, place) = row.split_once(',').unwrap();
        let (letter, number) = plate.split_at(1);
        let is_plate = "ABC".contains(letter) && number.len() == 4 && number[1..].parse::<u32>().is_ok();
        let place = place.trim_matches('"').split(", ").map(str::parse::<f64>);
        is_plate && place.filter(Result::is_ok).count() == 2
    };
    let whole = rows.lines().skip(1).filter(is_whole).count();
    assert!(whole > 270, "{whole} of 300 rows are whole:\n{rows}");
}

#[test]
fn null_texts_stand_for_missing_values() {
    let dir = TestDir::new();
    dir.write(
        "t.csv",
        "a,b\n".to_owned() + &"1,x\nmissing,y\n(none),x\n2,y\n".repeat(30),
    );
    assert_eq!(column(&fitted(&dir, &[]), "a")["data_type"], "Utf8");
    let given = fitted(&dir, &["--null", "missing", "--null", "(none)"]);
    assert_eq!(column(&given, "a")["data_type"], "Int64");
}

#[test]
fn delimiter_is_found_unless_given() {
    let dir = TestDir::new();
    dir.write("t.csv", "a;b\n".to_owned() + &"1;x\n2;y\n".repeat(20));
    assert_eq!(columns(&fitted(&dir, &[])), 2);
    dir.write("t.csv", "a^b\n".to_owned() + &"1^x\n2^y\n".repeat(20));
    assert_eq!(columns(&fitted(&dir, &[])), 1);
    assert_eq!(columns(&fitted(&dir, &["--delimiter", "^"])), 2);
    assert!(rows(&dir, &[]).starts_with("a^b\n"));
    dir.write("t.csv", "a\tb,c\n".to_owned() + &"1\tx,z\n2\ty,z\n".repeat(20));
    let given = fitted(&dir, &["--delimiter", "\\t"]);
    assert_eq!(column(&given, "b,c")["data_type"], "Utf8");
    let two = ["fit", "t.csv", "-w", "ws", "--delimiter", "::"];
    let hint = "give one ASCII character that is not a quote or a line end, \\t for tab";
    assert_refused(&dir, &two, hint);
}

#[test]
fn value_protection_is_on_unless_warned_of() {
    let dir = TestDir::new();
    let rows = "kind\n".to_owned() + &"a\nb\n".repeat(200) + "the-only-one\n";
    dir.write("t.csv", rows);
    let stats = "ws/ModelStore/tgt-stats/stats.json";
    let holds = || {
        String::from_utf8(dir.read(stats))
            .unwrap()
            .contains("the-only-one")
    };
    let fit = ["fit", "t.csv", "-w", "ws", "--max-epochs", "0", "--force"];
    let on = dir.done(&fit);
    assert!(!holds() && !on.err.contains("warning"), "{}", on.err);
    let off = dir.done(&[&fit[..], &["--no-value-protection"]].concat());
    assert!(holds(), "rare values are kept");
    assert!(
        off.err.starts_with("warning: value protection is off: "),
        "{}",
        off.err
    );
    dir.done(&["analyze", "-w", "ws", "-q", "--force"]);
    assert!(!holds(), "analyze protects as fit does");
}

#[test]
fn discard_data_leaves_no_row_behind() {
    let dir = TestDir::with_table();
    fitted(&dir, &[]);
    for folder in ["tgt-data", "encoded-data"] {
        assert!(dir.exists(&format!("ws/OriginalData/{folder}")));
    }
    fitted(&dir, &["--discard-data"]);
    assert!(!dir.exists("ws/OriginalData"));
    assert_eq!(rows(&dir, &[]).lines().count(), 301);
    fitted(&dir, &[]);
    dir.done(&[
        "train",
        "-w",
        "ws",
        "-q",
        "--max-epochs",
        "0",
        "--discard-data",
        "--force",
    ]);
    assert!(!dir.exists("ws/OriginalData"));
}

#[test]
fn a_finished_model_is_kept_unless_force_or_state_say_otherwise() {
    let dir = TestDir::with_table();
    let fit = |more: &[&str]| {
        let flags = [&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..]].concat();
        dir.run(&[&flags[..], more].concat())
    };
    let weights = || dir.read(WEIGHTS);
    assert_eq!(fit(&[]).code, 0);
    let first = weights();
    let refused = fit(&[]);
    let sentence = "error: ws: there is a trained model already; replace it with --force, or let `argn fit` train it further \
                    with --state reuse, or continue with --state resume\n";
    assert_eq!((refused.code, refused.err.as_str()), (4, sentence));
    assert!(first == weights());
    assert_eq!(fit(&["--state", "resume"]).code, 0);
    assert!(first == weights(), "a training that is over stays as it is");
    assert_eq!(fit(&["--state", "reuse"]).code, 0);
    assert!(first != weights(), "reuse trains on");
    for again in [&["--state", "reset"][..], &["--force"]] {
        assert_eq!(fit(again).code, 0);
        assert!(first == weights(), "{again:?} trains anew");
    }
    assert_conflict(&dir, &["fit", "t.csv", "-w", "ws", "--force", "--state", "reset"]);
    let possible = "[possible values: reset, reuse, resume]";
    assert_refused(&dir, &["train", "-w", "ws", "--state", "again"], possible);
    assert_eq!(dir.run(&["split", "t.csv", "-w", "ws"]).code, 4);
    dir.done(&["split", "t.csv", "-w", "ws", "-q", "--force"]);
}

#[test]
fn max_epochs_may_be_zero_or_a_fraction() {
    let dir = TestDir::with_table();
    let epochs = |more: &[&str]| fitted(&dir, more)["epochs"].as_f64().unwrap_or(0.0);
    assert_eq!(epochs(&["--max-epochs", "0"]), 0.0);
    let half = epochs(&["--max-epochs", "0.5", "--batch-size", "16"]);
    assert!((0.4..=0.6).contains(&half), "{half}");
    assert_eq!(epochs(&["--max-epochs", "2"]), 2.0);
    for wrong in ["-1", "nan", "inf", "many"] {
        let arguments = ["fit", "t.csv", "-w", "ws", "--max-epochs", wrong];
        assert_refused(&dir, &arguments, "give a number of epochs, at least 0");
    }
}

#[test]
fn max_minutes_ends_a_training_early() {
    let dir = TestDir::with_table();
    let none = ["--max-epochs", "50", "--max-minutes", "0"];
    let epochs = fitted(&dir, &none)["epochs"].as_f64().unwrap_or(0.0);
    assert!(epochs < 2.0, "{epochs}");
    let wrong = ["fit", "t.csv", "-w", "ws", "--max-minutes", "-1"];
    assert_refused(&dir, &wrong, "give a number of minutes, at least 0");
}

#[test]
fn batch_size_follows_from_the_table_unless_given() {
    let dir = TestDir::with_table();
    let chosen = fitted(&dir, &[])["batch_size"].as_u64().unwrap();
    assert!(chosen > 0 && chosen != 48, "{chosen}");
    assert_eq!(fitted(&dir, &["--batch-size", "48"])["batch_size"], 48);
    let wrong = ["fit", "t.csv", "-w", "ws", "--batch-size", "0"];
    assert_refused(&dir, &wrong, "give a whole number of rows, at least 1");
}

#[test]
fn model_has_three_sizes() {
    let dir = TestDir::with_table();
    let size = |more: &[&str]| {
        let found = fitted(&dir, more);
        let name = found["model"].as_str().unwrap().to_owned();
        (name, found["parameters"].as_u64().unwrap())
    };
    let default = size(&[]);
    assert_eq!(default.0, "MOSTLY_AI/Medium");
    assert_eq!(size(&["--model", "medium"]), default);
    let (small, large) = (size(&["--model", "small"]), size(&["--model", "large"]));
    assert_eq!(
        (small.0.as_str(), large.0.as_str()),
        ("MOSTLY_AI/Small", "MOSTLY_AI/Large")
    );
    assert!(small.1 < default.1 && default.1 < large.1);
    let wrong = ["fit", "t.csv", "-w", "ws", "--model", "huge"];
    assert_refused(&dir, &wrong, "[possible values: small, medium, large]");
}

#[test]
fn a_fixed_order_draws_in_no_other() {
    let dir = TestDir::with_table();
    assert_eq!(fitted(&dir, &["--max-epochs", "1"])["flexible"], true);
    assert_ne!(rows(&dir, &[]), rows(&dir, &["--random-order"]));
    assert_eq!(fitted(&dir, &["--fixed-order"])["flexible"], false);
    assert_eq!(rows(&dir, &[]).lines().count(), 301);
    let random = ["sample", "-w", "ws", "-n", "5", "-o", "o.csv", "--random-order"];
    assert_refused(&dir, &random, "this model was trained with a fixed order");
    assert!(!dir.exists("o.csv"));
}

#[test]
fn temperature_and_top_p_narrow_the_rows() {
    let dir = TestDir::with_table();
    fitted(&dir, &["--max-epochs", "1"]);
    let distinct_ages = |more: &[&str]| {
        let text = rows(&dir, more);
        let ages = text.lines().skip(1).filter_map(|row| row.split(',').nth(1));
        ages.collect::<HashSet<_>>().len()
    };
    let ones = ["--temperature", "1", "--top-p", "1"];
    assert_eq!(rows(&dir, &[]), rows(&dir, &ones));
    let default = distinct_ages(&[]);
    for narrow in [["--temperature", "0"], ["--top-p", "0.1"]] {
        let found = distinct_ages(&narrow);
        assert!(found < default, "{narrow:?}: {found}, {default} without");
    }
}

#[test]
fn rare_categories_have_a_placeholder() {
    let dir = TestDir::new();
    let rare: String = (0..150).map(|i| format!("only-{i}\n")).collect();
    dir.write("t.csv", "kind\n".to_owned() + &"a\nb\n".repeat(75) + &rare);
    fitted(&dir, &["--max-epochs", "5"]);
    let count = |more: &[&str]| rows(&dir, more).matches("_RARE_").count();
    assert!(count(&[]) > 0);
    assert_eq!(rows(&dir, &[]), rows(&dir, &["--rare", "constant"]));
    assert_eq!(count(&["--rare", "sample"]), 0);
    let wrong = ["sample", "-w", "ws", "-n", "5", "-o", "-", "--rare", "drop"];
    assert_refused(&dir, &wrong, "[possible values: constant, sample]");
}

#[test]
fn json_is_all_that_standard_output_holds() {
    let dir = TestDir::with_table();
    let fit = dir.done(&[&["fit", "t.csv", "-w", "ws", "--json"], &SHORT[..]].concat());
    let known = json(&fit);
    assert_eq!(known["training_rows"], 480);
    assert_eq!(known["seed"], 7);
    assert_eq!(known, info(&dir));
    let resume = ["train", "-w", "ws", "--state", "resume", "--max-epochs", "6"];
    let train = dir.done(&[&resume[..], &["--json"]].concat());
    assert_eq!(json(&train), known);
    let graph = dir.done(&["info", "-w", "ws", "--graph"]);
    assert!(graph.out.starts_with(b"program forward {"));
    assert_conflict(&dir, &["info", "-w", "ws", "--json", "--graph"]);
}

#[test]
fn outputs_rows_and_workspaces_are_needed() {
    let dir = TestDir::with_table();
    for (arguments, lacks) in [
        (&["fit", "t.csv"][..], "--workspace <WS>"),
        (&["fit", "-w", "ws"], "<TABLE>"),
        (&["synthesize", "t.csv"], "--output <OUT>"),
        (&["sample", "-w", "ws", "-o", "o.csv"], "--rows <ROWS>"),
        (&["sample", "-w", "ws", "-n", "5"], "--output <OUT>"),
        (&["export", "-w", "ws"], "--output <FILE>"),
        (&["completions"], "<SHELL>"),
    ] {
        assert_refused(&dir, arguments, lacks);
    }
    assert_refused(&dir, &["sampel"], "a similar subcommand exists: 'sample'");
    assert_eq!(dir.run(&[]).code, ARGUMENTS);
    dir.done(&["synthesize", "t.csv", "-o", "o.csv", "--max-epochs", "0", "-q"]);
    let lines = dir.read("o.csv").iter().filter(|b| **b == b'\n').count();
    assert_eq!(lines, 601, "as many rows as the table has");
}

#[test]
fn generate_writes_into_the_workspace_by_default() {
    let dir = TestDir::with_table();
    fitted(&dir, &[]);
    let ended = dir.done(&["generate", "-w", "ws"]);
    assert!(
        ended.err.contains("600 rows in ws/SyntheticData"),
        "{}",
        ended.err
    );
    assert!(dir.exists("ws/SyntheticData/part.000000.000000.parquet"));
    for (command, output) in [("generate", "o.csv"), ("sample", "p.csv")] {
        dir.done(&[command, "-w", "ws", "-n", "7", "-o", output, "--seed", "1", "-q"]);
    }
    assert!(dir.read("o.csv") == dir.read("p.csv"));
}

#[test]
fn completions_know_every_command() {
    let dir = TestDir::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = String::from_utf8(dir.done(&["completions", shell]).out).unwrap();
        for command in [
            "synthesize",
            "fit",
            "sample",
            "split",
            "analyze",
            "encode",
            "train",
            "generate",
            "info",
        ] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn help_and_manual_name_every_exit_code_and_flag() {
    let dir = TestDir::new();
    let help = |arguments: &[&str]| String::from_utf8(dir.done(arguments).out).unwrap();
    let manual = include_str!("../../../docs/cli.md");
    for code in ["0", "1", "2", "3", "4", "130"] {
        assert!(manual.contains(&format!("| {code} |")), "{code}");
        assert!(help(&["--help"]).contains(&format!("  {code}  ")), "{code}");
    }
    assert!(help(&["--help"]).contains("argn synthesize customers.csv -o synthetic.csv"));
    let mut seen = 0;
    for command in [
        "synthesize",
        "fit",
        "sample",
        "split",
        "train",
        "generate",
        "info",
    ] {
        let help = help(&[command, "--help"]);
        for flag in help.split_whitespace().filter(|word| word.starts_with("--")) {
            let flag = flag.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if !["--help", "--version"].contains(&flag) {
                // The manual calls these by their letters.
                let name = match flag {
                    "--output" => " -o ",
                    "--rows" => " -n ",
                    "--workspace" => " -w ",
                    other => other,
                };
                assert!(manual.contains(name), "{flag} of {command} is not in docs/cli.md");
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen} flags");
}
