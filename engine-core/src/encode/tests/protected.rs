//! Protection beyond mostlyai-engine's: flags, digits, parts of dates, decimals, edges of bins; subjects
//! instead of rows.

use super::*;

fn protected(column: &Owned, encoding: EncodingType, compat: Compat, subjects: Option<&[u32]>) -> TableStats {
    let types = types(encoding);
    let table = match subjects {
        None => column.table(),
        Some(subjects) => column.table().with_subjects(subjects).unwrap(),
    };
    let partial = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
    reduce(
        &[partial],
        &types,
        Protection::Fixed(0),
        compat,
        TableKeys::default(),
        1,
    )
    .unwrap()
}

fn native(column: &Owned, encoding: EncodingType) -> serde_json::Value {
    entry(&protected(column, encoding, Compat::Native, None))
}

fn reference(column: &Owned, encoding: EncodingType) -> serde_json::Value {
    entry(&protected(column, encoding, Compat::MostlyAi, None))
}

#[test]
fn rare_nulls_and_rare_texts_leave_no_trace() {
    let mut values = repeated(&[("a", 50), ("b", 4)]);
    values.extend([None; 4]);
    let column = texts(&values);
    let (ours, theirs) = (
        native(&column, EncodingType::CATEGORICAL),
        reference(&column, EncodingType::CATEGORICAL),
    );
    assert_eq!(ours["codes"].to_string(), r#"{"_RARE_":0,"a":1}"#);
    assert_eq!(ours["no_of_rare_categories"], 0);
    assert_eq!(theirs["codes"].to_string(), r#"{"_RARE_":0,"<<NULL>>":1,"a":2}"#);
    assert_eq!(theirs["no_of_rare_categories"], 1);
    // Five rows may show.
    values.extend([None, Some("c")]);
    let ours = native(&texts(&values), EncodingType::CATEGORICAL);
    assert_eq!(ours["codes"].to_string(), r#"{"_RARE_":0,"<<NULL>>":1,"a":2}"#);
    assert_eq!(ours["no_of_rare_categories"], 2);
}

#[test]
fn rare_digits_leave_no_trace() {
    let mut values: Vec<Option<f64>> = (0..60).map(|i| Some(f64::from(i % 40) / 2.0)).collect();
    values.extend([Some(-7.123_456_789_01), Some(98_765.0), None]);
    let column = floats(&values);
    let (ours, theirs) = (
        native(&column, EncodingType::NUMERIC_DIGIT),
        reference(&column, EncodingType::NUMERIC_DIGIT),
    );
    assert_eq!(ours["cardinalities"].to_string(), r#"{"E1":2,"E0":10,"E-1":6}"#);
    assert_eq!(
        (&ours["has_nan"], &ours["has_neg"]),
        (&false.into(), &false.into())
    );
    assert_eq!(ours["min_decimal"], -1);
    // The places that were looked at reveal nothing either.
    assert_eq!(
        ours["max_digits"]
            .as_object()
            .unwrap()
            .keys()
            .next_back()
            .unwrap(),
        "E-8"
    );
    assert_eq!(
        theirs["max_digits"]
            .as_object()
            .unwrap()
            .keys()
            .next_back()
            .unwrap(),
        "E-11"
    );
    assert_eq!(theirs["min_decimal"], -11);
    assert_eq!(
        (&theirs["has_nan"], &theirs["has_neg"]),
        (&true.into(), &true.into())
    );
}

#[test]
fn the_ends_of_a_range_have_no_rare_digits() {
    // With thresholds of 5 the sixth value is the end.
    let mut values: Vec<Option<f64>> = (0..60).map(|i| Some(f64::from(i - 5) / 10.0)).collect();
    values[5] = Some(0.012_345);
    values[54] = Some(4.987_654);
    let ours = native(&floats(&values), EncodingType::NUMERIC_DIGIT);
    assert_eq!((&ours["min"], &ours["max"]), (&0.1.into(), &4.9.into()));
    let theirs = reference(&floats(&values), EncodingType::NUMERIC_DIGIT);
    assert_eq!(
        (&theirs["min"], &theirs["max"]),
        (&0.012_345.into(), &4.987_654.into())
    );
}

#[test]
fn rare_parts_of_dates_leave_no_trace() {
    let dates: Vec<String> = (0..60)
        .map(|i| format!("20{:02}-0{}-1{}", 10 + i % 10, 3 + i % 4, i % 8))
        .collect();
    let mut values: Vec<Option<&str>> = dates.iter().map(|date| Some(date.as_str())).collect();
    values.extend([Some("1901-12-31 23:59:58.123456"), None]);
    let column = instants(&values);
    let (ours, theirs) = (
        native(&column, EncodingType::DATETIME),
        reference(&column, EncodingType::DATETIME),
    );
    assert_eq!(
        ours["cardinalities"].to_string(),
        r#"{"year":10,"month":4,"day":8}"#
    );
    assert_eq!(
        (ours["min"].as_str(), ours["max"].as_str()),
        (Some("2010-05-12"), Some("2019-04-11"))
    );
    assert_eq!(
        (&ours["has_time"], &theirs["has_time"]),
        (&false.into(), &true.into())
    );
    assert_eq!(theirs["max_values"]["second"], 58);
    assert_eq!(ours["max_values"]["second"], 0);
    // Hidden columns show no year.
    let few = native(&instants(&values[..19]), EncodingType::DATETIME);
    assert_eq!(
        (&few["min"], few["min_values"]["year"].as_i64()),
        (&serde_json::Value::Null, Some(2022))
    );
}

#[test]
fn edges_of_bins_are_nobodys_values() {
    // All different, with two decimals; rounded to what seven rows share.
    let values: Vec<Option<f64>> = (0..2_000)
        .map(|i| Some((f64::from(i) * 12.37 * 100.0).round() / 100.0))
        .collect();
    let column = floats(&values);
    let edges = |entry: &serde_json::Value| -> Vec<f64> {
        entry["bins"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| edge.as_f64().unwrap())
            .collect()
    };
    let (ours, theirs) = (
        edges(&native(&column, EncodingType::NUMERIC_BINNED)),
        edges(&reference(&column, EncodingType::NUMERIC_BINNED)),
    );
    let is_value = |edge: &f64| values.contains(&Some(*edge));
    assert!(theirs.iter().all(is_value));
    // Only the ends of the range are: they are protected as extremes.
    assert!(
        !ours[1..ours.len() - 1]
            .iter()
            .any(|edge| is_value(edge) && edge % 100.0 != 0.0),
        "{ours:?}"
    );
    assert!(ours.len() > 90, "{}", ours.len());
    for (ours, theirs) in ours.iter().zip(&theirs).take(40) {
        assert!((ours - theirs).abs() < 150.0, "{ours} {theirs}");
    }
    // Values that enough rows share stay as they are.
    let ties: Vec<Option<i64>> = (0..3_000).map(|i| Some(i % 300 * 7)).collect();
    assert_eq!(
        native(&ints(&ties), EncodingType::NUMERIC_BINNED)["bins"],
        reference(&ints(&ties), EncodingType::NUMERIC_BINNED)["bins"]
    );
}

#[test]
fn the_decimals_of_discrete_numbers_are_those_of_the_kept() {
    let mut values = repeated(&[(1.0, 30), (2.0, 30)]);
    values.extend(repeated(&[(2.125, 4)]));
    let ours = native(&floats(&values), EncodingType::NUMERIC_DISCRETE);
    assert_eq!(ours["codes"].to_string(), r#"{"_RARE_":0,"1":1,"2":2}"#);
    assert_eq!(ours["min_decimal"], 0);
    let kept = native(
        &floats(&[&values[..], &repeated(&[(2.125, 1)])].concat()),
        EncodingType::NUMERIC_DISCRETE,
    );
    assert_eq!(
        (kept["codes"].get("2.125").is_some(), &kept["min_decimal"]),
        (true, &(-3).into())
    );
}

#[test]
fn subjects_count_instead_of_rows() {
    let mut values = repeated(&[("usual", 60)]);
    values.extend(repeated(&[("secret", 1_000)]));
    let subjects: Vec<u32> = (0..1_060).map(|row| if row < 60 { row } else { 77 }).collect();
    let column = texts(&values);
    let by_rows = protected(&column, EncodingType::CATEGORICAL, Compat::Native, None);
    assert!(entry(&by_rows)["codes"].get("secret").is_some());
    let by_subjects = protected(
        &column,
        EncodingType::CATEGORICAL,
        Compat::Native,
        Some(&subjects),
    );
    assert_eq!(
        entry(&by_subjects)["codes"].to_string(),
        r#"{"_RARE_":0,"usual":1}"#
    );
    // Extremes, too, and over several parts.
    let numbers: Vec<Option<i64>> = (0..60)
        .map(Some)
        .chain((0..1_000).map(|i| Some(500 + i)))
        .collect();
    let types = types(EncodingType::NUMERIC_DIGIT);
    let column = ints(&numbers);
    let parts = [0..500, 500..1_060].map(|rows: std::ops::Range<usize>| {
        let part = ints(&numbers[rows.clone()]);
        let table = part.table().with_subjects(&subjects[rows]).unwrap();
        analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap()
    });
    let stats = reduce(
        &parts,
        &types,
        Protection::Fixed(0),
        Compat::Native,
        TableKeys::default(),
        1,
    )
    .unwrap();
    assert_eq!(
        (&entry(&stats)["min"], &entry(&stats)["max"]),
        (&5.0.into(), &55.0.into())
    );
    assert_eq!(
        stats,
        protected(
            &column,
            EncodingType::NUMERIC_DIGIT,
            Compat::Native,
            Some(&subjects)
        )
    );
}
