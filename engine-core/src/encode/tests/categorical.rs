use serde_json::json;

use super::*;

#[test]
fn texts_are_numbered_in_code_point_order() {
    let values = [
        Some("b"),
        Some("a"),
        Some("b"),
        None,
        Some("Z"),
        Some("é"),
        Some("_RARE_"),
        Some("a"),
    ];
    let stats = analyze(texts(&values), EncodingType::CATEGORICAL);
    assert_eq!(
        entry(&stats).to_string(),
        json!({
            "value_protection": false, "encoding_type": "TABULAR_CATEGORICAL", "no_of_rare_categories": 0,
            "codes": {"_RARE_": 0, "<<NULL>>": 1, "\u{1}_RARE_": 2, "Z": 3, "a": 4, "b": 5, "é": 6},
            "cardinalities": {"cat": 7}
        })
        .to_string()
    );
    assert_eq!(codes_of_one(&texts(&values), &stats), [5, 4, 5, 1, 3, 6, 2, 4]);
    assert_eq!(
        there_and_back(&texts(&values), &stats),
        ["b", "a", "b", "null", "Z", "é", "_RARE_", "a"]
    );
    assert_eq!(
        codes_of_one(&texts(&[Some("new"), None, Some("<<NULL>>")]), &stats),
        [0, 1, 0]
    );
}

#[test]
fn texts_like_tokens_come_back() {
    let values: Vec<Option<&str>> = [
        "",
        "1",
        "_RARE_",
        "<<NULL>>",
        "\u{1}123",
        "\u{1}",
        "\u{1}_RARE_",
        "\u{1}\u{1}<<NULL>>",
    ]
    .into_iter()
    .map(Some)
    .collect();
    let stats = analyze(texts(&values), EncodingType::CATEGORICAL);
    let tokens: Vec<String> = serde_json::from_value(json!(
        entry(&stats)["codes"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>()
    ))
    .unwrap();
    for token in [
        "\u{1}_RARE_",
        "\u{1}<<NULL>>",
        "\u{1}\u{1}123",
        "\u{1}\u{1}",
        "\u{1}\u{1}_RARE_",
        "\u{1}\u{1}\u{1}<<NULL>>",
    ] {
        assert!(
            tokens.iter().any(|t| t == token),
            "{token:?} is not in {tokens:?}"
        );
    }
    assert_eq!(
        there_and_back(&texts(&values), &stats),
        values.into_iter().flatten().collect::<Vec<_>>()
    );
}

#[test]
fn without_nulls_a_null_is_rare() {
    let stats = analyze(texts(&[Some("a"), Some("b")]), EncodingType::CATEGORICAL);
    assert_eq!(codes_of_one(&texts(&[None, Some("a")]), &stats), [0, 1]);
}

#[test]
fn rare_texts_are_dropped() {
    let mut values = repeated(&[("a", 8), ("b", 4), ("c", 7)]);
    values.push(None);
    let stats = analyze_parts(&[texts(&values)], EncodingType::CATEGORICAL, Protection::On);
    assert_eq!(
        entry(&stats)["codes"].to_string(),
        json!({"_RARE_": 0, "<<NULL>>": 1, "a": 2, "c": 3}).to_string()
    );
    assert_eq!(entry(&stats)["no_of_rare_categories"], 1);
    assert_eq!(entry(&stats)["value_protection"], true);
}

#[test]
fn parts_are_added_up() {
    let parts = [
        texts(&repeated(&[("secret1", 1), ("male", 100)])),
        texts(&repeated(&[("secret2", 1), ("male", 100), ("female", 100)])),
    ];
    let protected = analyze_parts(&parts, EncodingType::CATEGORICAL, Protection::On);
    assert_eq!(
        entry(&protected)["codes"].to_string(),
        json!({"_RARE_": 0, "female": 1, "male": 2}).to_string()
    );
    assert_eq!(entry(&protected)["no_of_rare_categories"], 2);
    let open = analyze_parts(&parts, EncodingType::CATEGORICAL, Protection::Off);
    assert_eq!(
        entry(&open)["codes"].to_string(),
        json!({"_RARE_": 0, "female": 1, "male": 2, "secret1": 3, "secret2": 4}).to_string()
    );
}

#[test]
fn rare_is_drawn_only_where_something_was_rare() {
    let open = analyze(texts(&[Some("a")]), EncodingType::CATEGORICAL);
    assert_eq!(rare_codes(&open, RareReplacement::Constant), [(0, 0)]);
    let protected = analyze_parts(
        &[texts(&repeated(&[("a", 9), ("b", 1)]))],
        EncodingType::CATEGORICAL,
        Protection::On,
    );
    assert_eq!(rare_codes(&protected, RareReplacement::Constant), []);
    assert_eq!(rare_codes(&protected, RareReplacement::Sample), [(0, 0)]);
}
