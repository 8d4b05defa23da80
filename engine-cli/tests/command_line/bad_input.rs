//! Bad input: one clear sentence, the documented exit code, no panic, nothing half-written.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::argn::{Ended, SHORT, TestDir};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BinaryArray, Float64Array, Int32Array, ListArray, RecordBatch};
use parquet::arrow::ArrowWriter;

const FAILED: i32 = 1;
const ARGUMENTS: i32 = 2;
const TABLE: i32 = 3;
const WORKSPACE: i32 = 4;

/// The program ended with this code after this sentence, and said nothing else.
#[track_caller]
fn assert_says(ended: &Ended, code: i32, sentence: &str) {
    assert_eq!(ended.err, format!("error: {sentence}\n"));
    assert_eq!(ended.code, code);
}

/// As [`assert_says`], for a sentence whose end is the words of another library.
#[track_caller]
fn assert_begins(ended: &Ended, code: i32, sentence: &str) {
    assert!(
        ended.err.starts_with(&format!("error: {sentence}")),
        "{}",
        ended.err
    );
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert_eq!(ended.code, code, "{}", ended.err);
}

/// As [`assert_says`], for an argument that makes no sense by itself.
#[track_caller]
fn assert_argument(ended: &Ended, sentence: &str) {
    assert_eq!(
        ended.err,
        format!("error: {sentence}\n\nFor more information, try '--help'.\n")
    );
    assert_eq!(ended.code, ARGUMENTS);
}

fn fit(dir: &TestDir, more: &[&str]) -> Ended {
    dir.run(&[&["fit", "-w", "ws", "-q"], &SHORT[..], more].concat())
}

/// A table cannot be used: the code and sentence are these, there is no workspace, and no synthetic table.
#[track_caller]
fn assert_unusable(name: &str, content: impl AsRef<[u8]>, sentence: &str) {
    let dir = TestDir::new();
    dir.write(name, content);
    assert_says(&fit(&dir, &[name]), TABLE, sentence);
    let flags = ["synthesize", name, "-o", "o.csv", "-q", "--max-epochs", "1"];
    assert_says(&dir.run(&flags), TABLE, sentence);
    let left: Vec<_> = fs::read_dir(dir.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, [name], "something is left behind");
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn numbers() -> ArrayRef {
    Arc::new(Float64Array::from(vec![1.5, 2.5, 3.5]))
}

#[test]
fn an_empty_file() {
    let rest = "the file is empty; give a table with a header and at least one row";
    assert_unusable("t.csv", "", &format!("t.csv: {rest}"));
    assert_unusable("t.parquet", "", &format!("t.parquet: {rest}"));
}

#[test]
fn only_a_header() {
    let rest = "there is a header but no row below it; give a table with at least one row";
    assert_unusable("t.csv", "a,b\n", &format!("t.csv: {rest}"));
}

#[test]
fn duplicate_and_empty_column_names() {
    let twice = "t.csv: columns 1 and 3 are both called \"a\"; rename one of the two";
    assert_unusable("t.csv", "a,b,a\n1,2,3\n4,5,6\n", twice);
    assert_unusable(
        "t.csv",
        "a,,c\n1,2,3\n4,5,6\n",
        "t.csv: column 2 has no name; name it in the header",
    );
}

#[test]
fn rows_with_too_few_and_too_many_fields() {
    let hint = "correct the line (is a quote or the delimiter ',' missing or superfluous?)";
    let few = format!("t.csv, line 3: the row has 2 fields, the header has 3; {hint}");
    assert_unusable("t.csv", "a,b,c\n1,2,3\n4,5\n7,8,9\n", &few);
    let many = format!("t.csv, line 4: the row has 4 fields, the header has 3; {hint}");
    assert_unusable("t.csv", "a,b,c\n1,2,3\n4,5,6\n7,8,9,10\n", &many);
}

#[test]
fn bytes_that_are_not_utf_8() {
    let sentence =
        "t.csv, line 3, column \"b\": the bytes are not UTF-8 text; save the file in the encoding UTF-8";
    assert_unusable("t.csv", b"a,b\n1,x\n2,caf\xe9\n3,y\n", sentence);
}

#[test]
fn a_parquet_file_that_is_cut_or_garbage() {
    let whole = parquet(vec![("n", numbers())]);
    for content in [
        &whole[..whole.len() / 2],
        &b"this is something else altogether"[..],
    ] {
        let dir = TestDir::new();
        dir.write("t.parquet", content);
        let sentence =
            "t.parquet: this is no Parquet file, or it is cut short or damaged; make or fetch it anew (";
        assert_begins(&fit(&dir, &["t.parquet"]), TABLE, sentence);
        assert!(!dir.exists("ws"));
    }
}

#[test]
fn a_column_of_a_type_that_has_no_encoding() {
    let nested = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)]), None, Some(vec![])]);
    let bytes = BinaryArray::from_vec(vec![b"a", b"b", b"c"]);
    let hint = "are not supported; exclude the column or make it text, a number, a date or a boolean";
    let columns: [(&str, ArrayRef); 2] = [("List(Int32)", Arc::new(nested)), ("Binary", Arc::new(bytes))];
    for (name, column) in columns {
        let content = parquet(vec![("n", numbers()), ("odd", column)]);
        let sentence = format!("t.parquet, column \"odd\": columns of the type {name} {hint}");
        assert_unusable("t.parquet", content, &sentence);
    }
}

#[test]
fn an_unknown_encoding_or_column() {
    let dir = TestDir::with_table();
    assert_argument(
        &fit(&dir, &["t.csv", "--encoding", "city=nonsense"]),
        "invalid value 'city=nonsense' for '--encoding <COL=TYPE>': unknown encoding \"nonsense\"; the encodings are \
         categorical, numeric-auto, numeric-discrete, numeric-binned, numeric-digit, character, datetime, \
         datetime-relative and lat-long",
    );
    let sentence = "t.csv: there is no column \"ghost\"; the columns are city, age, height, since, smoker";
    for flags in [
        ["--encoding", "ghost=categorical"],
        ["--exclude", "ghost"],
        ["--primary-key", "ghost"],
    ] {
        assert_says(&fit(&dir, &["t.csv", flags[0], flags[1]]), ARGUMENTS, sentence);
    }
    assert!(!dir.exists("ws"));
}

#[test]
fn an_encoding_that_this_table_cannot_have() {
    let dir = TestDir::with_table();
    let text = "t.csv: column \"city\": the encoding language-text needs the language model, which this version lacks: use \
                categorical for texts that repeat, character for short codes, or leave the column out";
    assert_says(
        &fit(&dir, &["t.csv", "--encoding", "city=language_text"]),
        ARGUMENTS,
        text,
    );
    let relative = "t.csv: column \"since\": the encoding datetime-relative counts from one row of a subject to the \
                    next, but the rows of this table name no subject; use datetime";
    let flags = ["t.csv", "--encoding", "since=datetime_relative"];
    assert_says(&fit(&dir, &flags), ARGUMENTS, relative);
    assert!(!dir.exists("ws"));
}

#[test]
fn an_encoding_that_does_not_fit_the_values() {
    let dir = TestDir::new();
    dir.write("t.csv", "a,b\n1,x\nWien,y\n,z\nGraz,x\n");
    let ended = fit(&dir, &["t.csv", "--encoding", "a=numeric_binned"]);
    let sentence = "t.csv: column \"a\", row 2: \"Wien\" is not a number, like 2 of 3 values of the column; the encoding \
                    numeric-binned does not fit, use categorical";
    assert_says(&ended, TABLE, sentence);
    assert!(
        !dir.exists("ws"),
        "rows of a table that cannot be used stay nowhere"
    );

    dir.done(&["split", "t.csv", "-w", "ws"]);
    assert_says(
        &fit(&dir, &["t.csv", "--encoding", "a=numeric_binned"]),
        TABLE,
        sentence,
    );
    assert!(dir.exists("ws"), "a workspace that was there is kept");
}

#[test]
fn every_column_excluded() {
    let dir = TestDir::with_table();
    let ended = fit(&dir, &["t.csv", "--exclude", "city,age,height,since,smoker"]);
    assert_says(
        &ended,
        ARGUMENTS,
        "t.csv: every column is excluded; keep at least one",
    );
    assert!(!dir.exists("ws"));
}

#[test]
fn an_infinite_value() {
    let text = "t.csv, line 3, column \"a\": \"inf\" is not a finite number; correct or empty the value, or exclude the \
                column";
    assert_unusable("t.csv", "a,b\n1.5,x\ninf,y\n3,z\n", text);
    let column = Float64Array::from(vec![1.0, 2.0, f64::INFINITY]);
    let content = parquet(vec![("n", Arc::new(column))]);
    let row = "t.parquet, row 3, column \"n\": \"inf\" is not a finite number; correct or empty the value, or exclude the \
               column";
    assert_unusable("t.parquet", content, row);
}

#[test]
fn nan_is_null_and_counted_in_the_log() {
    let dir = TestDir::new();
    let column = Float64Array::from(vec![1.0, 2.0, f64::NAN, 4.0, f64::NAN]);
    let other = Int32Array::from(vec![1, 2, 3, 4, 5]);
    dir.write(
        "t.parquet",
        parquet(vec![("n", Arc::new(column)), ("m", Arc::new(other))]),
    );
    let ended = dir.done(&["fit", "t.parquet", "-w", "ws", "--max-epochs", "0", "-v"]);
    assert!(
        ended.err.contains("NaN read as null (column \"n\", count 2)"),
        "{}",
        ended.err
    );
}

#[test]
fn fewer_than_two_rows() {
    let sentence = "t.csv: the table has 1 row; give at least two, one to train on and one to validate on";
    assert_unusable("t.csv", "a,b\n1,x\n", sentence);
}

#[test]
fn a_key_that_names_two_rows() {
    let dir = TestDir::new();
    dir.write("t.csv", "id,b\n1,x\n2,y\n1,z\n");
    let sentence = "t.csv: rows 1 and 3 have the same value in the primary key column \"id\"; choose a column whose values \
                    are all different, or exclude this one";
    assert_says(&fit(&dir, &["t.csv", "--primary-key", "id"]), TABLE, sentence);
    assert!(!dir.exists("ws"));
}

#[test]
fn a_workspace_that_is_missing_or_something_else() {
    let dir = TestDir::with_table();
    let missing = "ws: there is no workspace; make one with `argn fit TABLE -w ws`";
    for command in [
        &["sample", "-n", "5", "-o", "o.csv"][..],
        &["info"],
        &["train"],
        &["export", "-o", "o.csv"],
    ] {
        assert_says(&dir.run(&[command, &["-w", "ws"]].concat()), WORKSPACE, missing);
    }
    fs::create_dir(dir.path("ws")).unwrap();
    dir.write("ws/letter.txt", "dear");
    let other = "ws: this folder is not empty and is no workspace; choose an empty or a new folder";
    assert_says(&fit(&dir, &["t.csv"]), WORKSPACE, other);
    assert_eq!(dir.files("ws").len(), 1);
    let sample = dir.run(&["sample", "-w", "t.csv", "-n", "5", "-o", "o.csv"]);
    assert_begins(
        &sample,
        WORKSPACE,
        "t.csv: this is no packed model, or it is damaged (",
    );
    assert!(!dir.exists("o.csv"));
}

#[test]
fn a_workspace_that_lacks_what_a_command_needs() {
    let dir = TestDir::with_table();
    dir.done(&["split", "t.csv", "-w", "ws", "-q"]);
    let sample = ["sample", "-w", "ws", "-n", "5", "-o", "o.csv"];
    let no_statistics =
        "ws: there is no file of statistics (ModelStore/tgt-stats/stats.json); run `argn analyze` first";
    for command in [&sample[..], &["encode", "-w", "ws"], &["train", "-w", "ws"]] {
        assert_says(&dir.run(command), WORKSPACE, no_statistics);
    }
    dir.done(&["analyze", "-w", "ws", "-q"]);
    let no_codes = "ws: there is no encoded table (OriginalData/encoded-data); run `argn encode` first";
    assert_says(&dir.run(&["train", "-w", "ws"]), WORKSPACE, no_codes);
    let model = "ModelStore/model-data/model-";
    for (command, file) in [
        (&sample[..], "configs.json"),
        (&["export", "-w", "ws", "-o", "o.csv"], "weights.safetensors"),
    ] {
        let no_model = format!("ws: there is no model ({model}{file}); run `argn train` first");
        assert_says(&dir.run(command), WORKSPACE, &no_model);
    }
    assert!(!dir.exists("o.csv"));
}

#[test]
fn a_workspace_of_a_newer_version() {
    let dir = TestDir::with_table();
    dir.done(&["split", "t.csv", "-w", "ws", "-q"]);
    let mark = String::from_utf8(dir.read("ws/ModelStore/argn.json")).unwrap();
    dir.write(
        "ws/ModelStore/argn.json",
        mark.replace("\"workspace_version\": 1", "\"workspace_version\": 99"),
    );
    let before = dir.files("ws");
    let sentence = "ws: the workspace has version 99, this program reads up to 1; use a newer version of it";
    for command in [
        &["sample", "-n", "5", "-o", "o.csv"][..],
        &["info"],
        &["fit", "t.csv"],
        &["analyze"],
    ] {
        assert_says(&dir.run(&[command, &["-w", "ws"]].concat()), WORKSPACE, sentence);
    }
    assert_eq!(dir.files("ws"), before);
}

#[test]
fn weights_that_do_not_fit_the_statistics() {
    let dir = TestDir::with_table();
    dir.write("u.csv", "x,y\n1.5,a\n2.5,b\n3.5,c\n");
    for (table, folder) in [("t.csv", "ws"), ("u.csv", "other")] {
        dir.done(&[
            "fit",
            table,
            "-w",
            folder,
            "-q",
            "--max-epochs",
            "0",
            "--no-value-protection",
        ]);
    }
    let weights = "ModelStore/model-data/model-weights.safetensors";
    let file = format!("ws/{weights}");
    let sample = ["sample", "-w", "ws", "-n", "5", "-o", "o.csv"];
    let whole = dir.read(&file);
    dir.write(&file, dir.read(&format!("other/{weights}")));
    let ended = dir.run(&sample);
    assert_begins(&ended, WORKSPACE, &format!("{file}: tensor \"embedders."));
    let hint = "; the weights do not belong to these statistics; run `argn train` again\n";
    assert!(ended.err.ends_with(hint), "{}", ended.err);
    dir.write(&file, &whole[..whole.len() / 2]);
    assert_begins(
        &dir.run(&sample),
        WORKSPACE,
        &format!("{file}: the weights are cut short or damaged ("),
    );
    assert!(!dir.exists("o.csv"));
}

#[test]
fn weights_of_another_shape() {
    let dir = TestDir::new();
    dir.write("t.csv", "x\n".to_owned() + &"a\nb\nc\n".repeat(20));
    dir.write("u.csv", "x\n".to_owned() + &"a\nb\nc\nd\n".repeat(20));
    for (table, folder) in [("t.csv", "ws"), ("u.csv", "other")] {
        dir.done(&[
            "fit",
            table,
            "-w",
            folder,
            "-q",
            "--max-epochs",
            "0",
            "--no-value-protection",
        ]);
    }
    let file = "ws/ModelStore/model-data/model-weights.safetensors";
    dir.write(file, dir.read(&file.replace("ws/", "other/")));
    let ended = dir.run(&["sample", "-w", "ws", "-n", "5", "-o", "o.csv"]);
    assert_begins(&ended, WORKSPACE, &format!("{file}: tensor \""));
    assert!(ended.err.contains("shape"), "{}", ended.err);
    assert!(!dir.exists("o.csv"));
}

#[test]
fn numbers_out_of_range() {
    let dir = TestDir::new();
    let rows = "give a whole number of rows, at least 1";
    let temperature = "give a number of at least 0 (1 leaves the probabilities as they are)";
    let top_p = "give a number from 0 to 1 (1 leaves the probabilities as they are)";
    for (flag, value, name, hint) in [
        ("--rows", "0", "--rows <ROWS>", rows),
        ("--rows", "-3", "--rows <ROWS>", rows),
        ("--temperature", "-0.5", "--temperature <T>", temperature),
        ("--temperature", "nan", "--temperature <T>", temperature),
        ("--top-p", "1.5", "--top-p <P>", top_p),
        ("--top-p", "-0.1", "--top-p <P>", top_p),
    ] {
        let mut arguments = vec!["sample", "-w", "ws", "-o", "o.csv", flag, value];
        if flag != "--rows" {
            arguments.extend(["-n", "5"]);
        }
        assert_argument(
            &dir.run(&arguments),
            &format!("invalid value '{value}' for '{name}': {hint}"),
        );
    }
    assert!(!dir.exists("o.csv"));
}

/// The program with files of at most so many blocks of 512 bytes or a kilobyte: what a disk that fills up looks like.
fn on_a_small_disk(dir: &TestDir, blocks: u32, arguments: &[&str]) -> Ended {
    let limits = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(limits)
        .arg(env!("CARGO_BIN_EXE_argn"))
        .args(arguments);
    command.current_dir(dir.path("")).arg0("sh");
    Ended::from(command.output().unwrap())
}

#[test]
fn a_disk_that_fills_up() {
    let dir = TestDir::with_table();
    dir.done(&[&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..]].concat());
    for out in ["o.csv", "o.csv.gz", "o.parquet"] {
        let ended = on_a_small_disk(&dir, 8, &["sample", "-w", "ws", "-n", "50000", "-o", out, "-q"]);
        assert_begins(&ended, FAILED, &format!("{out}: cannot write it: "));
    }
    let left: Vec<_> = fs::read_dir(dir.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let ended = on_a_small_disk(
        &dir,
        16,
        &["fit", "t.csv", "-w", "new", "-q", "--max-epochs", "1"],
    );
    assert!(
        ended.err.starts_with("error: ") && ended.err.contains(": cannot write it: "),
        "{}",
        ended.err
    );
    assert_eq!(ended.code, FAILED);
    assert!(
        dir.files("new")
            .keys()
            .all(|f| !f.to_string_lossy().contains("argn-tmp"))
    );
    assert!(!dir.exists("new/ModelStore/model-data/model-weights.safetensors"));
    let mut to_full = dir.command(&["sample", "-w", "ws", "-n", "5000", "-o", "-", "-q"]);
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let ended = Ended::from(
        to_full
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap(),
    );
    let sentence =
        "standard output: the disk is full; free some space or choose another path, then run again";
    assert_says(&ended, FAILED, sentence);
}

#[test]
fn a_folder_that_cannot_be_written() {
    let dir = TestDir::with_table();
    let fit = |folder| dir.run(&["fit", "t.csv", "-w", folder, "-q", "--max-epochs", "0"]);
    for folder in ["t.csv", "t.csv/ws"] {
        let sentence = format!("{folder}: this is a file; give the path of a folder");
        assert_says(&fit(folder), FAILED, &sentence);
    }
    let synthesize = |out| dir.run(&["synthesize", "t.csv", "-o", out, "-q", "--max-epochs", "0"]);
    let missing = "no/o.csv: the folder no does not exist; make it first or choose another path";
    assert_says(&synthesize("no/o.csv"), FAILED, missing);
    let unknown = "o.xlsx: its ending names no known format; use .csv, .csv.gz or .parquet, or - for CSV through a pipe";
    assert_says(&synthesize("o.xlsx"), ARGUMENTS, unknown);
    assert_eq!(dir.files("").len(), 1);
}
