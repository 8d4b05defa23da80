//! Values that the statistics do not know are counted.

use super::*;

fn unknown(column: &Owned, stats: &TableStats) -> (u64, u64) {
    let (_, found) = encode_present(&column.table(), stats, 0, 0).unwrap();
    let of_x = found.iter().find(|(name, _)| name == "x");
    of_x.map_or((0, 0), |(_, unknown)| (unknown.unseen, unknown.outside))
}

#[test]
fn what_has_no_code_is_unseen_and_what_is_beyond_the_ends_is_outside() {
    let words = analyze(
        texts(&[Some("a"), Some("_RARE_"), None]),
        EncodingType::CATEGORICAL,
    );
    let asked = texts(&[Some("a"), Some("_RARE_"), Some("b"), Some(" a"), None]);
    assert_eq!(unknown(&asked, &words), (2, 0));

    let few = ints(&[Some(10), Some(20), Some(30)]);
    let asked = ints(&[Some(10), Some(15), Some(9), Some(31), None]);
    assert_eq!(
        unknown(&asked, &analyze(few, EncodingType::NUMERIC_DISCRETE)),
        (1, 2)
    );

    let many: Vec<Option<f64>> = (0..200).map(|i| Some(f64::from(i) / 2.0)).collect();
    let asked = floats(&[Some(0.0), Some(99.5), Some(50.25), Some(-0.5), Some(100.0), None]);
    for encoding in [EncodingType::NUMERIC_DIGIT, EncodingType::NUMERIC_BINNED] {
        assert_eq!(unknown(&asked, &analyze(floats(&many), encoding)), (0, 2));
    }

    let days = instants(&[Some("2020-01-01"), Some("2021-01-01")]);
    let asked = instants(&[Some("2020-01-01"), Some("2019-12-31"), Some("2022-01-01"), None]);
    assert_eq!(unknown(&asked, &analyze(days, EncodingType::DATETIME)), (0, 2));

    let codes = analyze(texts(&[Some("AB"), Some("AC")]), EncodingType::CHARACTER);
    let asked = texts(&[Some("AC"), Some("A"), Some("AZ"), Some("ABB"), None]);
    // The end of a text has a code at every position.
    assert_eq!(unknown(&asked, &codes).0, 2);
}

#[test]
fn columns_that_are_known_or_absent_are_not_listed() {
    let stats = analyze(texts(&[Some("a"), Some("b")]), EncodingType::CATEGORICAL);
    let known = texts(&[Some("b"), None]);
    for table in [known.table(), Table::new(vec![], 2).unwrap()] {
        let (_, unknown) = encode_present(&table, &stats, 0, 0).unwrap();
        assert!(unknown.is_empty());
    }
}
