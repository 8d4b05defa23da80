use serde_json::json;

use super::*;

fn some(values: &[&str]) -> Owned {
    texts(&values.iter().copied().map(Some).collect::<Vec<_>>())
}

#[test]
fn every_position_has_its_characters() {
    let values = || texts(&[Some("ab"), Some("b"), Some("abc"), None]);
    let stats = analyze(values(), EncodingType::CHARACTER);
    assert_eq!(
        entry(&stats).to_string(),
        concat!(
            r#"{"encoding_type":"TABULAR_CHARACTER","has_nan":true,"max_string_length":3,"codes":"#,
            r#"{"P0":{"\u0000":0,"a":1,"b":2},"P1":{"\u0000":0,"b":1},"P2":{"\u0000":0,"c":1}},"#,
            r#""cardinalities":{"nan":2,"P0":3,"P1":2,"P2":2}}"#
        )
    );
    let all = codes(&values(), &stats);
    assert_eq!(all[..3], [[0, 1, 1, 0], [0, 2, 0, 0], [0, 1, 1, 1]]);
    assert_eq!(all[3][0], 1);
    assert_eq!(there_and_back(&values(), &stats), ["ab", "b", "abc", "null"]);
    let unknown = some(&["zzzz", "a c", ""]);
    assert_eq!(
        codes(&unknown, &stats),
        [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    );
    assert_eq!(there_and_back(&unknown, &stats), ["", "ac", ""]);
}

#[test]
fn characters_are_those_of_unicode() {
    let values = some(&["é ", "日本", "a😀"]);
    let stats = analyze(some(&["é ", "日本", "a😀"]), EncodingType::CHARACTER);
    assert_eq!(codes(&values, &stats), [[2, 1], [3, 2], [1, 3]]);
    assert_eq!(there_and_back(&values, &stats), ["é", "日本", "a😀"]);
}

#[test]
fn texts_without_characters_have_no_positions() {
    let stats = analyze(some(&["", ""]), EncodingType::CHARACTER);
    assert!(stats.sub_columns().is_empty());
    assert_eq!(there_and_back(&some(&["", ""]), &stats), ["null", "null"]);
    let stats = analyze(texts(&[None, None]), EncodingType::CHARACTER);
    assert_eq!(entry(&stats)["cardinalities"], json!({"nan": 2}));
    assert_eq!(there_and_back(&texts(&[None]), &stats), ["null"]);
}

#[test]
fn rare_characters_vanish() {
    let values = [&["ab"; 10][..], &["c"; 2]].concat();
    let stats = analyze_parts(&[some(&values)], EncodingType::CHARACTER, Protection::On);
    let positions = &entry(&stats)["codes"];
    assert_eq!(
        positions,
        &json!({"P0": {"\0": 0, "a": 1}, "P1": {"\0": 0, "b": 1}})
    );
    let values = some(&["ab", "c", "ac"]);
    assert_eq!(codes(&values, &stats), [[1, 1], [0, 0], [1, 0]]);
    assert_eq!(there_and_back(&values, &stats), ["ab", "", "a"]);
}

#[test]
fn positions_draw_thresholds_of_their_own() {
    // Six rows: kept at two of three thresholds.
    let value = "x".repeat(50);
    let stats = analyze_parts(
        &[some(&[value.as_str(); 6])],
        EncodingType::CHARACTER,
        Protection::On,
    );
    let kept = stats.sub_columns().iter().filter(|s| s.cardinality == 2).count();
    assert!((20..47).contains(&kept), "{kept}");
}

#[test]
fn texts_are_cut_after_fifty_characters() {
    let long = "ä".repeat(60);
    let stats = analyze(some(&[&long]), EncodingType::CHARACTER);
    assert_eq!(stats.sub_columns().len(), 50);
    assert_eq!(there_and_back(&some(&[&long]), &stats), ["ä".repeat(50)]);
}

#[test]
fn numbers_are_written_out() {
    let stats = analyze(ints(&[Some(17), Some(-4), None]), EncodingType::CHARACTER);
    assert_eq!(
        there_and_back(&ints(&[Some(17), Some(-4), None]), &stats),
        ["17", "-4", "null"]
    );
}

#[test]
fn statistics_must_be_consistent() {
    let stats = analyze(some(&["ab"]), EncodingType::CHARACTER).to_json().unwrap();
    let error = |from: &str, to: &str| {
        assert!(stats.contains(from), "{from}");
        TableStats::from_json(&stats.replace(from, to))
            .unwrap_err()
            .to_string()
    };
    for (from, to, key) in [
        ("\"b\": 1", "\"bc\": 1", "codes"),
        (
            "\"\\u0000\": 0,\n                    \"b\": 1",
            "\"b\": 0",
            "codes",
        ),
        ("\"P1\": 2", "\"P1\": 3", "cardinalities"),
        ("\"max_string_length\": 2", "\"max_string_length\": 3", "codes"),
    ] {
        assert!(error(from, to).contains(&format!("columns.x.{key}: ")), "{from}");
    }
}
