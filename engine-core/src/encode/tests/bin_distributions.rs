//! Values inside bins: frequent ones and their decimals.

use super::*;

fn native(column: &Owned, protection: Protection, subjects: Option<&[u32]>) -> TableStats {
    let mut table = column.table();
    if let Some(subjects) = subjects {
        table = table.with_subjects(subjects).unwrap();
    }
    let types = types(EncodingType::NUMERIC_BINNED);
    let partial = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
    reduce(
        &[partial],
        &types,
        protection,
        Compat::Native,
        TableKeys::default(),
        1,
    )
    .unwrap()
}

/// Encodes a column and decodes it at random positions.
fn redrawn(column: &Owned, stats: &TableStats) -> Vec<f64> {
    let codes = encode(&column.table(), stats, 1, 0).unwrap();
    let offsets = BinOffsets::Random {
        seed: 5,
        first_row: 0,
    };
    match decode(&codes, stats, offsets).unwrap().remove(0).values {
        DecodedValues::Int(values) => values.into_iter().map(|v| v as f64).collect(),
        DecodedValues::Float(values) => values,
        values => panic!("{values:?}"),
    }
}

fn share(values: &[f64], is: impl Fn(f64) -> bool) -> f64 {
    values.iter().filter(|&&v| is(v)).count() as f64 / values.len() as f64
}

fn decimals(value: f64) -> usize {
    format!("{value}")
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len())
}

/// Debts and savings: most rows are zero, in the middle of the range.
fn zero_inflated() -> Owned {
    let value = |i: i64| match i % 10 {
        0 => -1.0 - (i * 7919 % 10_000) as f64 / 7.0,
        1 => 1.0 + (i * 7907 % 10_000) as f64 / 7.0,
        _ => 0.0,
    };
    floats(&(0..20_000).map(|i| Some(value(i))).collect::<Vec<_>>())
}

#[test]
fn zeros_in_the_middle_stay_zeros() {
    let column = zero_inflated();
    let original = redrawn(&column, &analyze(zero_inflated(), EncodingType::NUMERIC_BINNED));
    let drawn = redrawn(&column, &native(&column, Protection::On, None));
    assert!(share(&original, |v| v == 0.0) < 0.1, "the plain bins smear");
    assert!((share(&drawn, |v| v == 0.0) - 0.8).abs() < 0.01);
    assert!((share(&drawn, |v| v < 0.0) - 0.1).abs() < 0.01);
}

#[test]
fn decimals_are_those_of_the_column() {
    // Cheap things have cents, dear ones are whole hundreds.
    let value = |i: i64| {
        if i % 2 == 0 {
            (i / 2 * 7919 % 10_000) as f64 / 100.0
        } else {
            (100 + (i * 7907) % 900) as f64 * 100.0
        }
    };
    let column = floats(&(0..40_000).map(|i| Some(value(i))).collect::<Vec<_>>());
    let drawn = redrawn(&column, &native(&column, Protection::On, None));
    let cheap: Vec<f64> = drawn.iter().copied().filter(|&v| v < 100.0).collect();
    let dear: Vec<f64> = drawn.iter().copied().filter(|&v| v >= 10_000.0).collect();
    assert!((cheap.len() as f64 / drawn.len() as f64 - 0.5).abs() < 0.02);
    assert!((share(&cheap, |v| decimals(v) == 2) - 0.9).abs() < 0.02);
    assert!((share(&cheap, |v| decimals(v) == 1) - 0.09).abs() < 0.02);
    assert!(share(&dear, |v| v % 100.0 == 0.0) > 0.99);
}

#[test]
fn every_value_stays_in_its_bin() {
    let column = zero_inflated();
    let stats = native(&column, Protection::On, None);
    let drawn = redrawn(&column, &stats);
    let values: Vec<Option<f64>> = drawn.iter().copied().map(Some).collect();
    let again = encode(&floats(&values).table(), &stats, 1, 0).unwrap();
    assert_eq!(again, encode(&column.table(), &stats, 1, 0).unwrap());
}

#[test]
fn a_value_of_one_subject_is_not_frequent() {
    // 300 rows of one subject hold 777.25, everybody else a number of their own.
    let value = |i: i64| {
        if i < 300 {
            777.25
        } else {
            ((i * 7919) % 15_000) as f64 / 10.0
        }
    };
    let column = floats(&(0..9_000).map(|i| Some(value(i))).collect::<Vec<_>>());
    let subjects: Vec<u32> = (0..9_000).map(|i: u32| i.saturating_sub(299)).collect();
    let holds = |stats: &TableStats| entry(stats)["frequent_values"].to_string().contains("777.25");
    assert!(
        holds(&native(&column, Protection::On, None)),
        "300 subjects hold it"
    );
    let protected = native(&column, Protection::On, Some(&subjects));
    assert!(!holds(&protected));
    assert!(redrawn(&column, &protected).iter().all(|&v| v != 777.25));
}

#[test]
fn mostlyai_engine_knows_edges_only() {
    let stats = analyze(zero_inflated(), EncodingType::NUMERIC_BINNED);
    assert!(entry(&stats).get("frequent_values").is_none() && entry(&stats).get("last_places").is_none());
}

#[test]
fn stats_come_back_from_their_text() {
    let stats = native(&zero_inflated(), Protection::On, None);
    assert_eq!(TableStats::from_json(&stats.to_json().unwrap()).unwrap(), stats);
    let broken = stats
        .to_json()
        .unwrap()
        .replace("\"last_places\"", "\"other_places\"");
    assert!(
        TableStats::from_json(&broken).is_ok(),
        "without both keys the bins are plain"
    );
}

#[test]
fn parts_agree_with_the_whole() {
    let rows: Vec<Option<f64>> = (0..20_000)
        .map(|i| {
            Some(if i % 4 == 0 {
                12.5
            } else {
                (i * 7919 % 10_007) as f64
            })
        })
        .collect();
    let types = types(EncodingType::NUMERIC_BINNED);
    let part = |rows: &[Option<f64>]| {
        analyze_partition(
            &floats(rows).table(),
            &types,
            SplitPart::Training,
            0,
            Compat::Native,
        )
        .unwrap()
    };
    let all = |partials: &[PartialStats]| {
        reduce(
            partials,
            &types,
            Protection::On,
            Compat::Native,
            TableKeys::default(),
            1,
        )
        .unwrap()
    };
    let (whole, parts) = (
        all(&[part(&rows)]),
        all(&[part(&rows[..7_000]), part(&rows[7_000..])]),
    );
    let drawn = |stats: &TableStats| share(&redrawn(&floats(&rows), stats), |v| v == 12.5);
    assert!((drawn(&whole) - 0.25).abs() < 0.01, "{}", drawn(&whole));
    assert!((drawn(&parts) - 0.25).abs() < 0.01, "{}", drawn(&parts));
}
