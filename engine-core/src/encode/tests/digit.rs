use serde_json::json;

use super::*;

fn decoded(rows: &[Vec<u32>], stats: &TableStats) -> Vec<String> {
    shown(&decode_rows(rows, stats, BinOffsets::Constant(0.5)))
}

#[test]
fn multiples_of_a_hundred_have_no_lower_digits() {
    let column = ints(&[Some(100), Some(200), Some(1500), None]);
    let stats = analyze_parts(
        &[ints(&[Some(100), Some(200), Some(1500), None])],
        EncodingType::NUMERIC_DIGIT,
        Protection::Off,
    );
    let entry = entry(&stats);
    assert_eq!(entry["cardinalities"].to_string(), r#"{"nan":2,"E3":2,"E2":5}"#);
    assert_eq!(
        (&entry["min_digits"]["E2"], &entry["max_digits"]["E3"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&entry["max_decimal"], &entry["min_decimal"]),
        (&json!(3), &json!(2))
    );
    assert_eq!((&entry["min"], &entry["max"]), (&json!(100.0), &json!(1500.0)));
    let all = codes(&column, &stats);
    assert_eq!(all[..3], [[0, 0, 0], [0, 0, 1], [0, 1, 4]]);
    assert_eq!(all[3][0], 1);
    assert!(all[..3].iter().any(|row| row[1..] == all[3][1..]), "{all:?}");
    assert_eq!(there_and_back(&column, &stats), ["100", "200", "1500", "null"]);
    let others = ints(&[Some(149), Some(151), Some(99_999), Some(-5)]);
    assert_eq!(there_and_back(&others, &stats), ["100", "100", "1500", "100"]);
}

#[test]
fn negative_numbers_have_a_sign() {
    let column = floats(&[Some(-12.5), Some(3.25), Some(0.0), Some(7.0)]);
    let stats = analyze_parts(
        &[floats(&[Some(-12.5), Some(3.25), Some(0.0), Some(7.0)])],
        EncodingType::NUMERIC_DIGIT,
        Protection::Off,
    );
    assert_eq!(
        entry(&stats)["cardinalities"].to_string(),
        r#"{"neg":2,"E1":2,"E0":8,"E-1":6,"E-2":6}"#
    );
    assert_eq!(
        codes(&column, &stats),
        [[1, 1, 2, 5, 0], [0, 0, 3, 2, 5], [0, 0, 0, 0, 0], [0, 0, 7, 0, 0]]
    );
    assert_eq!(there_and_back(&column, &stats), ["-12.5", "3.25", "0.0", "7.0"]);
    let others = floats(&[Some(-99.0), Some(3.256), Some(0.1)]);
    assert_eq!(
        codes(&others, &stats),
        [[1, 1, 2, 5, 0], [0, 0, 3, 2, 5], [0, 0, 0, 1, 0]]
    );
    assert_eq!(there_and_back(&others, &stats), ["-12.5", "3.25", "0.1"]);
}

#[test]
fn hidden_digits_decode_to_null() {
    let hidden = analyze_parts(
        &[ints(&[Some(11), Some(22), Some(33), None])],
        EncodingType::NUMERIC_DIGIT,
        Protection::On,
    );
    assert_eq!(entry(&hidden)["cardinalities"].to_string(), r#"{"nan":2,"E0":3}"#);
    assert_eq!(entry(&hidden)["min"], json!(null));
    assert_eq!(decoded(&[vec![0, 1], vec![1, 0]], &hidden), ["null", "null"]);
    let without_null = analyze_parts(
        &[ints(&[Some(11), Some(22), Some(33)])],
        EncodingType::NUMERIC_DIGIT,
        Protection::On,
    );
    assert_eq!(decoded(&[vec![0], vec![2]], &without_null), ["null", "null"]);
}

#[test]
fn large_and_tiny_numbers_have_digits_too() {
    let large = [Some(1e18), Some(5.0), Some(9.2e18)];
    let stats = analyze(floats(&large), EncodingType::NUMERIC_DIGIT);
    assert_eq!(entry(&stats)["cardinalities"]["E18"], 10);
    assert_eq!(entry(&stats)["cardinalities"]["E17"], 3);
    assert_eq!(
        there_and_back(&floats(&large), &stats),
        ["1000000000000000000", "5", "9200000000000000000"]
    );

    let noise = [Some(0.1 + 0.2), Some(1.1)];
    let stats = analyze(floats(&noise), EncodingType::NUMERIC_DIGIT);
    assert_eq!(entry(&stats)["min_decimal"], -17);
    assert_eq!(
        there_and_back(&floats(&noise), &stats),
        ["0.3000000000000001", "1.1"]
    );

    let tiny = [Some(1.5e-12), Some(0.25)];
    let stats = analyze(floats(&tiny), EncodingType::NUMERIC_DIGIT);
    assert_eq!(entry(&stats)["min_decimal"], -13);
    assert_eq!(there_and_back(&floats(&tiny), &stats), ["1.5e-12", "0.25"]);

    let vanishing = analyze(floats(&[Some(1e-22), Some(2e-22)]), EncodingType::NUMERIC_DIGIT);
    assert_eq!(entry(&vanishing)["cardinalities"].to_string(), r#"{"E0":1}"#);
}

#[test]
fn unsigned_numbers_beyond_the_range_saturate() {
    let values = [(1u64 << 63) + 5, 7];
    let column = Column {
        name: "x",
        values: Values::UInt64(&values),
        validity: None,
    };
    let table = Table::new(vec![column], 2).unwrap();
    let types = types(EncodingType::NUMERIC_DIGIT);
    let partial = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::MostlyAi).unwrap();
    let stats = reduce(
        &[partial],
        &types,
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        1,
    )
    .unwrap();
    let codes = encode(&table, &stats, 1, 0).unwrap();
    let decoded = decode(&codes, &stats, BinOffsets::Constant(0.5)).unwrap();
    assert_eq!(shown(&decoded[0]), ["9223372036854775807", "7"]);
}

#[test]
fn a_column_of_nulls_has_a_flag_only() {
    let stats = analyze(floats(&[None, None]), EncodingType::NUMERIC_DIGIT);
    assert_eq!(entry(&stats)["cardinalities"].to_string(), r#"{"nan":2,"E0":1}"#);
    assert_eq!(codes(&floats(&[None]), &stats), [[1, 0]]);
    assert_eq!(there_and_back(&floats(&[None]), &stats), ["null"]);
}

#[test]
fn nulls_are_imputed_from_the_part() {
    let stats = analyze(
        floats(&[Some(15.5), Some(16.5), None]),
        EncodingType::NUMERIC_DIGIT,
    );
    assert_eq!(
        entry(&stats)["cardinalities"].to_string(),
        r#"{"nan":2,"E1":1,"E0":2,"E-1":1}"#
    );
    assert_eq!(
        codes(&floats(&[None, None]), &stats),
        [[1, 0, 0, 0], [1, 0, 0, 0]]
    );
    let mut values = vec![None; 200];
    values.extend([Some(15.5), Some(16.5)]);
    let ones = codes(&floats(&values), &stats)
        .iter()
        .filter(|row| row[2] == 1)
        .count();
    assert!((70..=132).contains(&ones), "{ones} of 202");
}

#[test]
fn values_stay_inside_the_bounds() {
    let values: Vec<Option<i64>> = (0..40).map(Some).collect();
    let stats = analyze_parts(
        &[ints(&values)],
        EncodingType::NUMERIC_DIGIT,
        Protection::Fixed(0),
    );
    assert_eq!(
        (&entry(&stats)["min"], &entry(&stats)["max"]),
        (&json!(5.0), &json!(34.0))
    );
    assert_eq!(decoded(&[vec![0, 0], vec![3, 9]], &stats), ["5", "34"]);
}

#[test]
fn parts_without_numbers_say_nothing_about_digits() {
    let parts = [floats(&[Some(15.5), Some(16.5)]), floats(&[None, None])];
    let stats = analyze_parts(&parts, EncodingType::NUMERIC_DIGIT, Protection::Off);
    assert_eq!(entry(&stats)["min_digits"]["E1"], 1);
    assert_eq!(entry(&stats)["has_nan"], true);
}
