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
fn a_training_can_be_watched_and_stopped() {
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
