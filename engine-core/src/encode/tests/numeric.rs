use serde_json::json;

use super::*;

fn counted(range: std::ops::Range<i64>, times: usize) -> Owned {
    ints(
        &range
            .flat_map(|v| std::iter::repeat_n(Some(v), times))
            .collect::<Vec<_>>(),
    )
}

fn some<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    values.iter().copied().map(Some).collect()
}

#[test]
fn few_numbers_are_discrete() {
    let column = floats(&[Some(1.0), Some(2.0), Some(2.0), Some(3.0), None]);
    let stats = analyze_parts(
        &[floats(&[Some(1.0), Some(2.0), Some(2.0), Some(3.0), None])],
        EncodingType::NUMERIC_AUTO,
        Protection::Off,
    );
    assert_eq!(
        entry(&stats).to_string(),
        json!({
            "encoding_type": "TABULAR_NUMERIC_DISCRETE", "cardinalities": {"cat": 5},
            "codes": {"_RARE_": 0, "<<NULL>>": 1, "1": 2, "2": 3, "3": 4}, "min_decimal": 0
        })
        .to_string()
    );
    assert_eq!(codes_of_one(&column, &stats), [2, 3, 3, 4, 1]);
    assert_eq!(there_and_back(&column, &stats), ["1", "2", "2", "3", "null"]);
    assert_eq!(
        codes_of_one(&floats(&some(&[0.5, 1.5, 2.5, -0.5])), &stats),
        [0, 3, 3, 0]
    );
}

#[test]
fn discrete_numbers_know_their_precision() {
    let tens = analyze(ints(&some(&[10, 20, 20, 30])), EncodingType::NUMERIC_DISCRETE);
    assert_eq!(
        entry(&tens)["codes"].to_string(),
        json!({"_RARE_": 0, "10": 1, "20": 2, "30": 3}).to_string()
    );
    assert_eq!(entry(&tens)["min_decimal"], 1);
    assert_eq!(codes_of_one(&ints(&[Some(10), Some(11), None]), &tens), [1, 0, 0]);

    let quarters = analyze(floats(&some(&[1.5, 2.0, 2.25])), EncodingType::NUMERIC_DISCRETE);
    assert_eq!(
        entry(&quarters)["codes"].to_string(),
        json!({"_RARE_": 0, "1.5": 1, "2.0": 2, "2.25": 3}).to_string()
    );
    assert_eq!(
        there_and_back(&floats(&some(&[2.25, 1.5])), &quarters),
        ["2.25", "1.5"]
    );

    let single = [0.1f32, 1.5, 2.0];
    let column = Column {
        name: "x",
        values: Values::Float32(&single),
        validity: None,
    };
    let table = Table::new(vec![column], 3).unwrap();
    let partial = analyze_partition(
        &table,
        &types(EncodingType::NUMERIC_DISCRETE),
        SplitPart::Training,
        0,
        Compat::MostlyAi,
    )
    .unwrap();
    let stats = reduce(
        &[partial],
        &types(EncodingType::NUMERIC_DISCRETE),
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        1,
    )
    .unwrap();
    assert_eq!(
        entry(&stats)["codes"].to_string(),
        json!({"_RARE_": 0, "0.10000000149011612": 1, "1.5": 2, "2.0": 3}).to_string()
    );
    assert_eq!(entry(&stats)["min_decimal"], -17);
}

#[test]
fn large_floats_keep_their_categories() {
    let column = floats(&some(&[1e16, 1.5e16, 3.0]));
    let stats = analyze(
        floats(&some(&[1e16, 1.5e16, 3.0])),
        EncodingType::NUMERIC_DISCRETE,
    );
    assert_eq!(codes_of_one(&column, &stats), [2, 3, 1]);
    assert_eq!(
        there_and_back(&column, &stats),
        ["10000000000000000", "15000000000000000", "3"]
    );
}

#[test]
fn parts_that_write_numbers_differently_agree() {
    let parts = [
        texts(&[Some("1"), Some("2"), Some("2")]),
        texts(&[Some("1.0"), Some("3"), None]),
    ];
    let stats = analyze_parts(&parts, EncodingType::NUMERIC_DISCRETE, Protection::Off);
    assert_eq!(
        entry(&stats)["codes"].to_string(),
        json!({"_RARE_": 0, "<<NULL>>": 1, "1": 2, "2": 3, "3": 4}).to_string()
    );
    assert_eq!(
        codes_of_one(&texts(&[Some("1"), Some("3.0"), Some("x")]), &stats),
        [2, 4, 1]
    );
}

#[test]
fn zeros_of_either_sign_are_one_value() {
    let stats = analyze(floats(&some(&[-0.0, 0.0, 1.5])), EncodingType::NUMERIC_DISCRETE);
    assert_eq!(
        entry(&stats)["codes"].to_string(),
        json!({"_RARE_": 0, "-0.0": 1, "1.5": 2}).to_string()
    );
    assert_eq!(codes_of_one(&floats(&some(&[-0.0, 0.0, 1.5])), &stats), [1, 1, 2]);
}

#[test]
fn rare_numbers_decode_to_null_or_to_another_number() {
    let hidden = analyze_parts(
        &[ints(&some(&[1, 2, 3]))],
        EncodingType::NUMERIC_DISCRETE,
        Protection::On,
    );
    assert_eq!(
        entry(&hidden)["codes"].to_string(),
        json!({"_RARE_": 0}).to_string()
    );
    assert_eq!(
        there_and_back(&ints(&some(&[1, 2, 3])), &hidden),
        ["null", "null", "null"]
    );

    let stats = analyze(ints(&some(&[1, 2, 3])), EncodingType::NUMERIC_DISCRETE);
    let rows = vec![vec![0]; 3];
    assert_eq!(
        shown(&decode_rows(&rows, &stats, BinOffsets::Constant(0.0))),
        ["1", "1", "1"]
    );
    assert_eq!(
        shown(&decode_rows(&rows, &stats, BinOffsets::Constant(0.999_999))),
        ["3", "3", "3"]
    );
    let random = BinOffsets::Random {
        seed: 1,
        first_row: 0,
    };
    let drawn = shown(&decode_rows(&vec![vec![0]; 100], &stats, random));
    assert!(
        ["1", "2", "3"]
            .iter()
            .all(|n| drawn.iter().filter(|d| d == n).count() > 15),
        "{drawn:?}"
    );
}

#[test]
fn the_automatic_choice_looks_at_values() {
    let choice = |column: Owned| {
        let stats = analyze_parts(&[column], EncodingType::NUMERIC_AUTO, Protection::On);
        (
            stats.columns["x"].encoding_type(),
            entry(&stats)["cardinalities"].to_string(),
        )
    };
    assert_eq!(
        choice(counted(0..99, 10)),
        (EncodingType::NUMERIC_DISCRETE, r#"{"cat":100}"#.to_owned())
    );
    assert_eq!(
        choice(counted(0..100, 10)),
        (EncodingType::NUMERIC_DIGIT, r#"{"E1":10,"E0":10}"#.to_owned())
    );
    assert_eq!(choice(counted(0..1_000, 1)).0, EncodingType::NUMERIC_DIGIT);
    assert_eq!(choice(counted(0..5_000, 1)).0, EncodingType::NUMERIC_BINNED);
    assert_eq!(
        choice(ints(&repeated(&[(1, 999), (2, 1)]))).0,
        EncodingType::NUMERIC_DIGIT
    );
    assert_eq!(
        choice(ints(&repeated(&[(1, 1_000), (2, 1)]))),
        (EncodingType::NUMERIC_DISCRETE, r#"{"cat":2}"#.to_owned())
    );
    let hundredths = |n: i64| floats(&(0..n).map(|i| Some(i as f64 / 100.0)).collect::<Vec<_>>());
    assert_eq!(
        choice(hundredths(1_000)),
        (
            EncodingType::NUMERIC_DIGIT,
            r#"{"E0":10,"E-1":10,"E-2":10}"#.to_owned()
        )
    );
    assert_eq!(
        choice(hundredths(10_000)),
        (EncodingType::NUMERIC_BINNED, r#"{"bin":103}"#.to_owned())
    );
    let thousands = ints(&(1..900).map(|i| Some(i * 1_000)).collect::<Vec<_>>());
    assert_eq!(
        choice(thousands),
        (
            EncodingType::NUMERIC_DIGIT,
            r#"{"E5":9,"E4":10,"E3":10}"#.to_owned()
        )
    );
}

#[test]
fn few_values_are_bins_of_their_own() {
    let column = floats(&[Some(1.0), Some(2.0), Some(3.0), Some(4.0), Some(5.0), None]);
    let stats = analyze_parts(
        &[floats(&[
            Some(1.0),
            Some(2.0),
            Some(3.0),
            Some(4.0),
            Some(5.0),
            None,
        ])],
        EncodingType::NUMERIC_BINNED,
        Protection::Off,
    );
    assert_eq!(
        entry(&stats).to_string(),
        json!({
            "value_protection": false, "encoding_type": "TABULAR_NUMERIC_BINNED", "cardinalities": {"bin": 8},
            "codes": {"<<UNK>>": 0, "<<NULL>>": 1, "<<MIN>>": 2, "<<MAX>>": 3}, "min_decimal": 0,
            "bins": [1.0, 2.0, 3.0, 4.0, 5.0]
        })
        .to_string()
    );
    assert_eq!(codes_of_one(&column, &stats), [2, 5, 6, 7, 3, 1]);
    assert_eq!(there_and_back(&column, &stats), ["1", "2", "3", "4", "5", "null"]);
    let others = floats(&[Some(0.0), Some(1.5), Some(5.0), Some(9.0), None]);
    assert_eq!(codes_of_one(&others, &stats), [4, 4, 3, 7, 1]);
    assert_eq!(rare_codes(&stats, RareReplacement::Constant), [(0, 0)]);
}

#[test]
fn a_constant_is_the_greatest_value() {
    let stats = analyze(ints(&some(&[7, 7, 7])), EncodingType::NUMERIC_BINNED);
    assert_eq!(entry(&stats)["bins"].to_string(), "[7.0]");
    assert_eq!(codes_of_one(&ints(&some(&[7, 6, 8])), &stats), [2, 2, 2]);
    assert_eq!(there_and_back(&ints(&some(&[7])), &stats), ["7"]);
}

#[test]
fn hidden_bins_hold_nothing() {
    let hidden =
        |values: &[Option<i64>]| analyze_parts(&[ints(values)], EncodingType::NUMERIC_BINNED, Protection::On);
    let with_null = hidden(&[Some(1), Some(2), Some(3), None]);
    assert_eq!(entry(&with_null)["bins"].to_string(), "[0]");
    assert_eq!(codes_of_one(&ints(&[Some(1), None]), &with_null), [1, 1]);
    let without = hidden(&some(&[1, 2, 3]));
    assert_eq!(
        entry(&without)["codes"].to_string(),
        json!({"<<UNK>>": 0}).to_string()
    );
    assert_eq!(there_and_back(&ints(&some(&[1, 2])), &without), ["null", "null"]);
    let nineteen = hidden(&(0..19).map(Some).collect::<Vec<_>>());
    assert_eq!(entry(&nineteen)["cardinalities"].to_string(), r#"{"bin":1}"#);
}

#[test]
fn many_values_share_a_hundred_bins() {
    let stats = analyze(
        ints(&(1..=300).map(Some).collect::<Vec<_>>()),
        EncodingType::NUMERIC_BINNED,
    );
    let binned: &BinnedStats = stats.modelled().next().unwrap().2.get().unwrap();
    assert_eq!(binned.bins.len(), 101);
    assert_eq!(binned.bins[..6], [1.0, 3.0, 6.0, 9.0, 12.0, 15.0]);
    assert_eq!(binned.bins[97..], [291.0, 294.0, 297.0, 300.0]);
    let values = some(&[1, 2, 3, 4, 5, 299, 300, 301, 0]);
    assert_eq!(
        codes_of_one(&ints(&values), &stats),
        [1, 3, 4, 4, 4, 102, 2, 102, 3]
    );
}

#[test]
fn decoding_rounds_down_to_the_precision() {
    let mut stats = analyze(
        floats(&[Some(1.25), Some(2.0), Some(9.0), None]),
        EncodingType::NUMERIC_BINNED,
    );
    let values = values_of(&mut stats);
    let mut binned = values.get::<BinnedStats>().unwrap().clone();
    binned.min_decimal = 2;
    binned.bins = vec![-300.0, -100.0, 0.0, 50.0, 1300.0];
    binned.cardinalities["bin"] = 8;
    *values = binned.into();
    let rows: Vec<Vec<u32>> = (0..8).map(|code| vec![code]).collect();
    for (position, want) in [
        (0.0, ["null", "null", "-300", "1300", "-300", "-100", "0", "0"]),
        (0.25, ["null", "null", "-300", "1300", "-300", "-100", "0", "300"]),
        (0.5, ["null", "null", "-300", "1300", "-200", "-100", "0", "600"]),
        (
            0.999_999,
            ["null", "null", "-300", "1300", "-200", "-100", "0", "1200"],
        ),
    ] {
        assert_eq!(
            shown(&decode_rows(&rows, &stats, BinOffsets::Constant(position))),
            want
        );
    }
}

#[test]
fn values_that_hold_no_number_are_refused() {
    let words = texts(&[Some("ten"), Some("eleven"), Some("12"), None, Some("thirteen")]);
    let types = types(EncodingType::NUMERIC_DIGIT);
    let partial =
        analyze_partition(&words.table(), &types, SplitPart::Training, 100, Compat::MostlyAi).unwrap();
    let error = reduce(
        &[partial],
        &types,
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        1,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"x\", row 101: \"ten\" is not a number, like 3 of 4 values of the column; the encoding \
         numeric-digit does not fit, use categorical"
    );
    // Half is enough.
    let stats = analyze(texts(&[Some("ten"), Some("12 kg")]), EncodingType::NUMERIC_AUTO);
    assert_eq!(
        there_and_back(&texts(&[Some("12"), Some("?")]), &stats),
        ["12", "null"]
    );
}

#[test]
fn a_number_in_a_text_counts_by_the_rules_of_mostlyai_engine_only() {
    let prices = texts(&some(&["$5", "7", " 8.5 ", "7", "9 EUR", "6", "1,234"]));
    let by = |compat| {
        analyze_by(
            compat,
            std::slice::from_ref(&prices),
            EncodingType::NUMERIC_DISCRETE,
            Protection::Off,
        )
    };
    let (native, reference) = (by(Compat::Native), by(Compat::MostlyAi));
    assert_eq!(
        there_and_back(&prices, &native),
        ["null", "7.0", "8.5", "7.0", "null", "6.0", "null"]
    );
    assert_eq!(
        there_and_back(&prices, &reference),
        ["5.0", "7.0", "8.5", "7.0", "9.0", "6.0", "1.0"]
    );
    // The file says which rules hold; one of others says nothing.
    assert_eq!(entry(&native)["texts"], "native");
    assert!(entry(&reference).get("texts").is_none());
    for stats in [native, reference] {
        let again = TableStats::from_json(&stats.to_json().unwrap()).unwrap();
        assert_eq!(again, stats);
        assert_eq!(there_and_back(&prices, &again), there_and_back(&prices, &stats));
    }
    // Over half of the values are no numbers.
    let table = texts(&some(&["$5", "$7", "8"]));
    let types = types(EncodingType::NUMERIC_DIGIT);
    let partial = analyze_partition(&table.table(), &types, SplitPart::Training, 0, Compat::Native).unwrap();
    let (keys, none) = (TableKeys::default(), Protection::Off);
    let error = reduce(&[partial], &types, none, Compat::Native, keys, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"x\", row 1: \"$5\" is not a number, like 2 of 3 values of the column; the encoding \
         numeric-digit does not fit, use categorical"
    );
    // Columns that are numbers already need no rule.
    let numbers = analyze_by(
        Compat::Native,
        &[ints(&some(&[1, 2]))],
        EncodingType::NUMERIC_DISCRETE,
        Protection::Off,
    );
    assert!(entry(&numbers).get("texts").is_none());
}
