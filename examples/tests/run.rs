//! The programs run and end well.

use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the program starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{program}: {out}{err}");
    out.into_owned()
}

#[test]
fn fit_and_sample_draws_rows_of_the_tables_types() {
    let out = run(env!("CARGO_BIN_EXE_fit_and_sample"), &[]);
    assert!(
        out.contains("1000 rows of 15 columns") && out.contains("age: Int64"),
        "{out}"
    );
}

#[test]
fn a_training_reports_progress_and_can_be_stopped() {
    let out = run(env!("CARGO_BIN_EXE_progress_and_cancel"), &[]);
    assert!(
        out.contains("epoch 1.00: validation loss Some(") && out.contains("100 rows can be drawn"),
        "{out}"
    );
}

#[test]
fn encodings_can_be_chosen() {
    let out = run(env!("CARGO_BIN_EXE_custom_encodings"), &[]);
    assert!(
        out.contains("TABULAR_NUMERIC_DIGIT") && out.contains("fnlwgt           left out"),
        "{out}"
    );
}

#[test]
fn marginals_are_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let svg = folder.path().join("out.svg");
    let census = engine_examples::census();
    let [census, file] = [&census, &svg].map(|p| p.to_str().expect("a path"));
    run(
        env!("CARGO_BIN_EXE_compare_marginals"),
        &[census, census, file, "sex", "income"],
    );
    let text = std::fs::read_to_string(&svg).expect("the picture");
    assert!(
        text.starts_with("<svg") && text.contains("Female") && text.contains("&lt;=50K"),
        "{text}"
    );
}

/// The number at a place in the line that begins with `name`.
fn number(out: &str, name: &str, place: usize) -> f64 {
    let line = out.lines().find(|line| line.trim_start().starts_with(name));
    let line = line.unwrap_or_else(|| panic!("a line {name:?} in {out}"));
    let words: Vec<&str> = line.trim_start()[name.len()..].split_whitespace().collect();
    words[place]
        .trim_end_matches([',', ')'])
        .parse()
        .unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[test]
fn one_model_classifies_and_regresses() {
    let out = run(env!("CARGO_BIN_EXE_classify_and_regress"), &["quick"]);
    let scores = |name| (number(&out, name, 0), number(&out, name, 1));
    assert!(
        scores("income: AUC").0 > 0.88 && scores("income: AUC").1 == 0.5,
        "{out}"
    );
    assert!(
        scores("income: accuracy").0 > scores("income: accuracy").1 + 0.05,
        "{out}"
    );
    assert!(scores("income: calibration").0 < 0.04, "{out}");
    assert!(
        scores("age: RMSE of means").0 < 0.9 * scores("age: RMSE of means").1,
        "{out}"
    );
}

#[test]
fn holes_are_filled() {
    let out = run(env!("CARGO_BIN_EXE_impute"), &["quick"]);
    for column in ["workclass", "education", "marital_status", "sex", "income"] {
        assert!(number(&out, column, 1) > 0.95, "{column}: {out}");
        assert!(
            number(&out, column, 2) > number(&out, column, 3),
            "{column}: {out}"
        );
    }
}

#[test]
fn given_values_move_the_other_columns() {
    let out = run(env!("CARGO_BIN_EXE_what_if"), &["quick"]);
    let shares = ["HS-grad", "Masters"].map(|name| [0, 1, 2].map(|place| number(&out, name, place)));
    for [exact, sampled, real] in shares {
        assert!(
            (exact - sampled).abs() < 0.12 && (exact - real).abs() < 0.2,
            "{out}"
        );
    }
    assert!(shares[1][0] > shares[0][0] + 0.15, "{out}");
}

#[test]
fn a_rare_class_becomes_frequent() {
    let out = run(env!("CARGO_BIN_EXE_rebalance_rare_class"), &["quick"]);
    assert!(number(&out, "share of the class", 0) < 0.01, "{out}");
    assert_eq!(number(&out, "share of the class", 2), 0.25, "{out}");
    // Of all people a third are women. After ten epochs a class of 189 rows is known but in part.
    assert!(
        number(&out, "women", 0) > 0.9 && number(&out, "women", 2) > 0.5,
        "{out}"
    );
    assert_eq!(number(&out, "men", 0), 0.5, "{out}");
}

#[test]
fn income_can_be_made_fair() {
    let out = run(env!("CARGO_BIN_EXE_fairness"), &["quick"]);
    assert!(
        number(&out, "gap", 1) > 0.1 && number(&out, "gap", 2) < 0.02,
        "{out}"
    );
    for column in ["workclass", "education", "hours_per_week", "occupation"] {
        assert!(
            number(&out, column, 1) > number(&out, column, 0) - 0.02,
            "{column}: {out}"
        );
    }
}

#[test]
fn rows_that_do_not_fit_are_found() {
    let out = run(env!("CARGO_BIN_EXE_find_outliers"), &["quick"]);
    assert!(number(&out, "AUC of the log-likelihood:", 0) > 0.8, "{out}");
    assert!(
        number(&out, "among the 50 least likely rows:", 0) >= 10.0,
        "{out}"
    );
}

#[test]
fn single_rows_are_served() {
    let out = run(env!("CARGO_BIN_EXE_serve_rows"), &["quick"]);
    assert!(
        out.contains("in the library: 1000 single rows")
            && out.contains("over TCP, 2 clients at once: 2000 single rows"),
        "{out}"
    );
}
