//! Inference on the command line: seed data, imputation, probabilities, scores.

use crate::argn::{SHORT, TestDir, table};

const ARGUMENTS: i32 = 2;
const TABLE: i32 = 3;
const WORKSPACE: i32 = 4;

/// A folder with the table `t.csv` and its model `ws`.
fn fitted(more: &[&str]) -> TestDir {
    let dir = TestDir::with_table();
    dir.done(&[&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..], more].concat());
    dir
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn lines(bytes: Vec<u8>) -> Vec<String> {
    text(bytes).lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_says(dir: &TestDir, arguments: &[&str], code: i32, sentence: &str) {
    let ended = dir.run(arguments);
    assert_eq!(ended.err, format!("error: {sentence}\n"), "{arguments:?}");
    assert_eq!(ended.code, code);
    assert!(!dir.exists("o.csv"));
}

/// A table in which every third cell or so is missing, written in odd ways.
fn holes() -> String {
    let mut text = "id;city;age;height;since;smoker;note\r\n".to_owned();
    for (row, line) in table(60).lines().skip(1).enumerate() {
        let fields = line
            .split(',')
            .enumerate()
            .map(|(at, field)| match (row + at * row) % 3 {
                0 if row > 0 => String::new(),
                1 if at == 0 => format!("\"{field}\""),
                _ if at == 1 => format!("  {field}"),
                _ => field.to_owned(),
            });
        text += &format!(
            "\"{row}\";{};\"x \"\"{row}\"\"\"\r\n",
            fields.collect::<Vec<_>>().join(";")
        );
    }
    text
}

#[test]
fn imputation_keeps_every_byte_of_observed_cells() {
    let dir = fitted(&[]);
    dir.write("h.csv", holes());
    let flags = ["impute", "h.csv", "-w", "ws", "-q", "--seed", "1", "-o"];
    dir.done(&[&flags[..], &["o.csv"]].concat());
    let (old, new) = (holes(), text(dir.read("o.csv")));
    assert_eq!(old.lines().count(), new.lines().count());
    assert!(new.ends_with("\r\n"));
    for (old, new) in old.lines().zip(new.lines()) {
        let (old, new): (Vec<_>, Vec<_>) = (old.split(';').collect(), new.split(';').collect());
        assert_eq!(old.len(), new.len());
        for (old, new) in old.iter().zip(&new) {
            assert!(
                if old.is_empty() {
                    !new.is_empty()
                } else {
                    old == new
                },
                "{old:?} {new:?}"
            );
        }
    }
    dir.done(&[&flags[..], &["p.csv"]].concat());
    assert_eq!(dir.read("o.csv"), dir.read("p.csv"));
    let piped = dir.done(&[&flags[..], &["-"]].concat());
    assert_eq!(piped.out, dir.read("o.csv"));
    dir.done(&[&flags[..], &["o.csv.gz"]].concat());
    dir.done(&["impute", "o.csv.gz", "-w", "ws", "-q", "-o", "q.csv"]);
    assert_eq!(
        dir.read("o.csv"),
        dir.read("q.csv"),
        "nothing is missing any more"
    );
}

#[test]
fn imputation_of_named_columns_and_lists() {
    let dir = fitted(&[]);
    dir.write("h.csv", "city,age\nWien,\n,30\nGraz,40\n");
    let flags = [
        "impute",
        "h.csv",
        "-w",
        "ws",
        "-q",
        "--seed",
        "1",
        "-o",
        "-",
        "--columns",
        "age",
    ];
    let out = lines(dir.done(&flags).out);
    assert_eq!(out[2..], [",30", "Graz,40"]);
    let list = lines(
        dir.done(&[&flags[..], &["--draws", "3", "--aggregate", "list"]].concat())
            .out,
    );
    assert!(
        list[1].starts_with("Wien,\"[") && list[1].matches(',').count() == 3,
        "{list:?}"
    );
    let mean = lines(
        dir.done(&[&flags[..], &["--draws", "3", "--aggregate", "mean"]].concat())
            .out,
    );
    assert!(
        mean[1].trim_start_matches("Wien,").parse::<i64>().is_ok(),
        "{mean:?}"
    );
    let refused = dir.run(&["impute", "h.csv", "-w", "ws", "-o", "-", "--draws", "0"]);
    assert!(
        refused.err.contains("give a whole number, at least 1"),
        "{}",
        refused.err
    );
    assert_eq!(refused.code, ARGUMENTS);
    assert_says(
        &dir,
        &[
            "impute",
            "h.csv",
            "-w",
            "ws",
            "-o",
            "o.csv",
            "--draws",
            "2",
            "--aggregate",
            "mean",
        ],
        ARGUMENTS,
        "column \"city\" holds no numbers or dates and has no mean; use the mode, or leave the column out",
    );
}

#[test]
fn probabilities_have_a_row_for_each_row() {
    let dir = fitted(&[]);
    let flags = ["proba", "t.csv", "-w", "ws", "-o", "-", "--target"];
    let ended = dir.done(&[&flags[..], &["city"]].concat());
    assert!(
        ended
            .err
            .contains("warning: the target is in the table too and is ignored there"),
        "{}",
        ended.err
    );
    let out = lines(ended.out);
    assert_eq!((out[0].as_str(), out.len()), ("_RARE_,Graz,Linz,Wien", 601));
    for line in &out[1..] {
        let sum: f64 = line.split(',').map(|p| p.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{line}");
    }
    let both = lines(
        dir.done(&[&flags[..], &["city", "--target", "smoker", "-q", "--orders", "2"]].concat())
            .out,
    );
    assert!(both[0].contains("Graz|"), "{}", both[0]);
    assert_eq!(both.len(), 601);
}

#[test]
fn predictions_and_likelihoods_have_a_row_for_each_row() {
    let dir = fitted(&[]);
    let flags = ["predict", "t.csv", "-w", "ws", "-q", "-o", "-", "--target"];
    let out = lines(dir.done(&[&flags[..], &["age", "--target", "city"]].concat()).out);
    assert_eq!((out[0].as_str(), out.len()), ("age,city", 601));
    let drawn = lines(
        dir.done(&[&flags[..], &["age", "--draws", "2", "--seed", "1"]].concat())
            .out,
    );
    assert!(drawn[1].starts_with("\"["), "{}", drawn[1]);
    let flags = ["log-prob", "t.csv", "-w", "ws", "-q", "-o", "-"];
    let out = dir.done(&flags).out;
    assert_eq!(out, dir.done(&flags).out);
    let out = lines(out);
    assert_eq!(out.len(), 601);
    assert!(
        out[0].starts_with("log_prob,log_prob|city,log_prob|age"),
        "{}",
        out[0]
    );
    assert!(
        out[1..]
            .iter()
            .all(|l| l.split(',').next().unwrap().parse::<f64>().unwrap() < 0.0)
    );
}

#[test]
fn seed_data_stay_and_rebalancing_is_exact() {
    let dir = fitted(&[]);
    dir.write("s.csv", "smoker,city,extra\nyes,Wien,1\nno,Paris,2\n,Graz,3\n");
    let ended = dir.done(&[
        "sample",
        "-w",
        "ws",
        "--seed-data",
        "s.csv",
        "-o",
        "o.csv",
        "--seed",
        "1",
    ]);
    assert!(
        ended
            .err
            .contains("warning: columns that the model does not have are ignored: extra"),
        "{}",
        ended.err
    );
    let out = lines(dir.read("o.csv"));
    let fields: Vec<Vec<&str>> = out.iter().map(|l| l.split(',').collect()).collect();
    assert_eq!(fields[0], ["city", "age", "height", "since", "smoker"]);
    let of = |at: usize| fields[1..].iter().map(|f| f[at]).collect::<Vec<_>>();
    assert_eq!(
        (of(0), of(4)),
        (vec!["Wien", "Paris", "Graz"], vec!["yes", "no", ""])
    );
    let sample = ["sample", "-w", "ws", "-n", "1000", "-q", "-o", "-", "--seed", "1"];
    let exact = [
        "--rebalance",
        "city:Wien=0.6",
        "--rebalance",
        "city:Linz=0.25",
        "--exact",
    ];
    let out = lines(dir.done(&[&sample[..], &exact].concat()).out);
    let count = |city: &str| out.iter().filter(|l| l.starts_with(city)).count();
    assert_eq!((count("Wien"), count("Linz"), count("Graz")), (600, 250, 150));
    let fair = dir.done(&[&sample[..], &["--fairness", "smoker:city"]].concat());
    assert_eq!(lines(fair.out).len(), 1001);
}

#[test]
fn evaluation_shows_the_model_beside_the_baseline() {
    let dir = fitted(&[]);
    let flags = ["evaluate", "-w", "ws", "--test", "t.csv", "--target"];
    let out = text(dir.done(&[&flags[..], &["city"]].concat()).out);
    for score in [
        "accuracy",
        "AUC",
        "log-loss",
        "calibration error",
        "log-likelihood",
        "marginal",
    ] {
        assert!(out.contains(score), "{out}");
    }
    let out = dir.done(&[&flags[..], &["age", "--json"]].concat()).out;
    let scores: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert!(scores["numbers"]["model"]["rmse"].as_f64().unwrap() > 0.0);
    assert_eq!(scores["columns"].as_array().unwrap().len(), 5);
}

#[test]
fn bad_requests() {
    let dir = fitted(&[]);
    dir.write("n.csv", "foo,bar\n1,2\n");
    dir.write("b.csv", "age,city\nold,Wien\n");
    let known = "the columns of the model are city, age, height, since, smoker";
    assert_says(
        &dir,
        &["proba", "n.csv", "-w", "ws", "-o", "o.csv", "--target", "city"],
        TABLE,
        &format!("n.csv: none of its columns is one of the model; {known}"),
    );
    assert_says(
        &dir,
        &["sample", "-w", "ws", "--seed-data", "n.csv", "-o", "o.csv"],
        TABLE,
        &format!("the seed data: none of its columns is one of the model; {known}"),
    );
    assert_says(
        &dir,
        &["log-prob", "b.csv", "-w", "ws", "-o", "o.csv"],
        TABLE,
        "b.csv, row 1, column \"age\": \"old\" is text, and the model has learnt whole numbers (Int64); write it so, or empty it",
    );
    assert_says(
        &dir,
        &["predict", "t.csv", "-w", "ws", "-o", "o.csv", "--target", "town"],
        ARGUMENTS,
        "the model: there is no column \"town\"; the columns are city, age, height, since, smoker",
    );
    let sample = |flag: &'static str, value: &'static str| {
        ["sample", "-w", "ws", "-n", "9", "-o", "o.csv", flag, value]
    };
    assert_says(
        &dir,
        &sample("--rebalance", "age:30=0.5"),
        ARGUMENTS,
        "rebalancing: column \"age\" is not categorical; only categorical columns can be rebalanced",
    );
    assert_says(
        &dir,
        &sample("--rebalance", "city:Rom=0.5"),
        ARGUMENTS,
        "rebalancing: column \"city\" has no value \"Rom\"; its values are _RARE_, Graz, Linz, Wien",
    );
    assert_says(
        &dir,
        &[
            &sample("--rebalance", "city:Wien=0.7")[..],
            &["--rebalance", "city:Graz=0.7"],
        ]
        .concat(),
        ARGUMENTS,
        "rebalancing: the sum of the probabilities of column \"city\" is 1.4; give probabilities that sum to at most 1",
    );
    assert_says(
        &dir,
        &[
            &sample("--rebalance", "city:Wien=0.7")[..],
            &["--rebalance", "smoker:maybe=0.7"],
        ]
        .concat(),
        ARGUMENTS,
        "rebalancing: column \"smoker\" has no value \"maybe\"; its values are _RARE_, <<NULL>>, no, yes",
    );
    assert_says(
        &dir,
        &sample("--fairness", "age:city"),
        ARGUMENTS,
        "fairness: column \"age\" is not categorical; only categorical columns can be balanced",
    );
    assert_says(
        &dir,
        &sample("--seed-data", "t.csv"),
        ARGUMENTS,
        "a number of rows and seed data exclude each other: as many rows are drawn as the seed data have; leave the number out",
    );
    for flags in [
        &["--rebalance", "city:Rom=0.5"][..],
        &["--rebalance", "age:30=0.5"],
        &["--seed-data", "n.csv"],
    ] {
        let ended = dir.done(&[&["sample", "-w", "ws", "-n", "9", "-o", "-", "--lenient"], flags].concat());
        assert!(ended.err.contains("warning: "), "{}", ended.err);
    }
}

#[test]
fn empty_tables_give_empty_results() {
    let dir = fitted(&[]);
    dir.write("e.csv", "city,age,height,since,smoker\n");
    dir.write("z.csv", "");
    for file in ["e.csv", "z.csv"] {
        let ask = |command: &[&str]| lines(dir.done(&[command, &["-w", "ws", "-q", "-o", "-"]].concat()).out);
        assert_eq!(
            ask(&["proba", file, "--target", "city"]),
            ["_RARE_,Graz,Linz,Wien"]
        );
        assert_eq!(ask(&["predict", file, "--target", "city"]), ["city"]);
        assert_eq!(ask(&["impute", file]), ["city,age,height,since,smoker"]);
        assert_eq!(
            ask(&["sample", "--seed-data", file]),
            ["city,age,height,since,smoker"]
        );
        assert_eq!(ask(&["log-prob", file]).len(), 1);
    }
}

#[test]
fn models_that_cannot_be_used() {
    let dir = fitted(&["--fixed-order"]);
    dir.write("s.csv", "smoker\nyes\n");
    assert_says(
        &dir,
        &["sample", "-w", "ws", "--seed-data", "s.csv", "-o", "o.csv"],
        ARGUMENTS,
        "the column order does not match that of the training: this model was trained with a fixed order and cannot take seed \
         data but for its first columns; train again without --fixed-order",
    );
    dir.done(&["split", "t.csv", "-w", "new", "-q"]);
    dir.done(&["analyze", "-w", "new", "-q"]);
    let ended = dir.run(&["proba", "t.csv", "-w", "new", "-o", "o.csv", "--target", "city"]);
    assert!(ended.err.contains("run `argn train` first"), "{}", ended.err);
    assert_eq!(ended.code, WORKSPACE);
}
