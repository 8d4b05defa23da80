//! Statistics of parts: merged early or late, in few parts or in many.

use proptest::prelude::*;

use super::*;
use crate::calendar::DAY;
use crate::encode::values::numbers::Numbers;

fn rows<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<Vec<Option<T>>>> {
    let part = proptest::collection::vec(proptest::option::weighted(0.9, value), 1..60);
    proptest::collection::vec(part, 1..6)
}

fn partials(parts: &[Owned], encoding: EncodingType) -> Vec<PartialStats> {
    let types = types(encoding);
    let mut first_row = 0;
    let mut all = Vec::new();
    for part in parts {
        all.push(
            analyze_partition(
                &part.table(),
                &types,
                SplitPart::Training,
                first_row,
                Compat::Native,
            )
            .unwrap(),
        );
        first_row += part.rows as u64;
    }
    all
}

fn reduced(partials: &[PartialStats], encoding: EncodingType, protection: Protection) -> TableStats {
    reduce(
        partials,
        &types(encoding),
        protection,
        Compat::Native,
        TableKeys::default(),
        1,
    )
    .unwrap()
}

fn merged(partials: impl IntoIterator<Item = PartialStats>) -> PartialStats {
    let mut partials = partials.into_iter();
    let mut all = partials.next().unwrap();
    partials.for_each(|later| all.merge(later).unwrap());
    all
}

/// Merging changes nothing that is made of the parts, and the first two or the last two can be merged first.
fn check_merge(parts: &[Owned], encoding: EncodingType) -> Result<(), TestCaseError> {
    let all = partials(parts, encoding);
    let one = merged(all.clone());
    for protection in [Protection::Off, Protection::Fixed(1)] {
        prop_assert_eq!(
            reduced(&all, encoding, protection),
            reduced(std::slice::from_ref(&one), encoding, protection)
        );
    }
    let (first, rest) = all.split_at(1);
    let later = (!rest.is_empty()).then(|| merged(rest.to_vec()));
    prop_assert_eq!(merged(first.iter().cloned().chain(later)), one);
    Ok(())
}

/// Counts, extremes, ranges of digits and parts do not depend on where the rows are cut.
fn check_cut(parts: &[Owned], whole: Owned, encoding: EncodingType) -> Result<(), TestCaseError> {
    for protection in [Protection::Off, Protection::Fixed(0)] {
        let cut = reduced(&partials(parts, encoding), encoding, protection);
        let whole = reduced(
            &partials(std::slice::from_ref(&whole), encoding),
            encoding,
            protection,
        );
        prop_assert_eq!(cut, whole);
    }
    Ok(())
}

proptest! {
    #[test]
    fn merged_numbers_are_as_those_apart(parts in rows(-300i64..300)) {
        let parts: Vec<Owned> = parts.iter().map(|part| ints(part)).collect();
        for encoding in [
            EncodingType::NUMERIC_AUTO,
            EncodingType::NUMERIC_BINNED,
            EncodingType::NUMERIC_DIGIT,
            EncodingType::NUMERIC_DISCRETE,
        ] {
            check_merge(&parts, encoding)?;
        }
    }

    #[test]
    fn merged_decimals_are_as_those_apart(parts in rows((-3_000i32..3_000).prop_map(|n| f64::from(n) / 8.0))) {
        let parts: Vec<Owned> = parts.iter().map(|part| floats(part)).collect();
        for encoding in [EncodingType::NUMERIC_AUTO, EncodingType::NUMERIC_BINNED, EncodingType::NUMERIC_DIGIT] {
            check_merge(&parts, encoding)?;
        }
    }

    #[test]
    fn merged_texts_and_dates_are_as_those_apart(
        words in rows("[a-d]{0,2}"),
        millis in rows(-62_000_000_000_000i64..250_000_000_000_000),
    ) {
        let borrowed: Vec<Vec<Option<&str>>> =
            words.iter().map(|part| part.iter().map(Option::as_deref).collect()).collect();
        check_merge(&borrowed.iter().map(|part| texts(part)).collect::<Vec<_>>(), EncodingType::CATEGORICAL)?;
        let instants = |part: &Vec<Option<i64>>| {
            let micros: Vec<Option<i64>> = part.iter().map(|m| m.map(|m| m * 1_000)).collect();
            owned(&micros, Data::Micros)
        };
        check_merge(&millis.iter().map(instants).collect::<Vec<_>>(), EncodingType::DATETIME)?;
    }

    #[test]
    fn statistics_do_not_depend_on_the_parts(numbers in rows(-9_000i64..9_000), words in rows("[a-d]{0,2}")) {
        let whole: Vec<Option<i64>> = numbers.concat();
        let parts = || numbers.iter().map(|part| ints(part)).collect::<Vec<Owned>>();
        // Discrete numbers are numbered as the parts show them, and bins are made of the quantiles of each part.
        check_cut(&parts(), ints(&whole), EncodingType::NUMERIC_DIGIT)?;
        let days = |part: &[Option<i64>]| {
            let micros: Vec<Option<i64>> = part.iter().map(|d| d.map(|d| d * DAY)).collect();
            owned(&micros, Data::Micros)
        };
        let parts: Vec<Owned> = numbers.iter().map(|part| days(part)).collect();
        check_cut(&parts, days(&whole), EncodingType::DATETIME)?;
        let borrowed: Vec<Vec<Option<&str>>> =
            words.iter().map(|part| part.iter().map(Option::as_deref).collect()).collect();
        let parts: Vec<Owned> = borrowed.iter().map(|part| texts(part)).collect();
        check_cut(&parts, texts(&borrowed.concat()), EncodingType::CATEGORICAL)?;
    }

    #[test]
    fn any_text_is_read_as_a_number_or_not(text in "\\PC{0,12}|[-0-9.eE+,$ ]{0,25}") {
        let column = texts(&[Some(text.as_str())]);
        match Numbers::read(&column.column(), Compat::Native, 0) {
            Ok(numbers) => prop_assert_eq!(numbers.len(), 1),
            Err(error) => {
                let is_infinite = matches!(error, EncodeError::Infinite { .. });
                prop_assert!(is_infinite);
            }
        }
    }
}

#[test]
fn parts_of_other_columns_or_purposes_do_not_merge() {
    let one = |encoding, part| {
        analyze_partition(
            &ints(&[Some(1)]).table(),
            &types(encoding),
            part,
            0,
            Compat::Native,
        )
        .unwrap()
    };
    let mut numbers = one(EncodingType::NUMERIC_DIGIT, SplitPart::Training);
    let unequal = EncodeError::UnequalParts {
        column: "x".to_owned(),
    };
    for other in [
        one(EncodingType::NUMERIC_DIGIT, SplitPart::Validation),
        one(EncodingType::CATEGORICAL, SplitPart::Training),
        one(EncodingType::NUMERIC_BINNED, SplitPart::Training),
    ] {
        assert_eq!(numbers.merge(other), Err(unequal.clone()));
    }
    assert_eq!(numbers.rows, 1);
}

#[test]
fn numbers_beyond_the_digits_are_binned() {
    let huge: Vec<Option<f64>> = (1..300).map(|n| Some(f64::from(n) * 1e300)).collect();
    let by = |compat| {
        let column = [floats(&huge)];
        analyze_by(compat, &column, EncodingType::NUMERIC_AUTO, Protection::Off)
    };
    let stats = by(Compat::Native);
    assert_eq!(entry(&stats)["encoding_type"], "TABULAR_NUMERIC_BINNED");
    // mostlyai-engine has no digits for them and does not notice.
    assert_eq!(
        entry(&by(Compat::MostlyAi))["encoding_type"],
        "TABULAR_NUMERIC_DIGIT"
    );
    let back = there_and_back(&floats(&huge), &stats);
    assert!(
        back.iter()
            .all(|text| text.ends_with("e+302") || text.ends_with("e+300") || text.ends_with("e+301"))
    );
}

#[test]
fn the_automatic_choice_gives_its_reason() {
    let explained = |column: Owned, protection| {
        let types = types(EncodingType::NUMERIC_AUTO);
        let parts = partials(&[column], EncodingType::NUMERIC_AUTO);
        let stats = reduced(&parts, EncodingType::NUMERIC_AUTO, protection);
        explain(&parts, &types, &stats, protection, Compat::Native, 1).remove(0)
    };
    let few = explained(ints(&repeated(&[(1, 50), (2, 50)])), Protection::Off);
    assert_eq!(few.reason, Reason::FewValues { share: 1.0 });
    assert_eq!(
        (few.rows, few.nulls, few.protected, few.distinct),
        (100, 0, 0, Some(2))
    );
    let ages: Vec<Option<i64>> = (0..400).map(|n| (n % 4 > 0).then_some(n % 130)).collect();
    let digits = explained(ints(&ages), Protection::Fixed(0));
    assert_eq!(digits.reason, Reason::FewDigits { digits: 3 });
    assert_eq!((digits.rows, digits.nulls), (300, 100));
    assert!((1..=10).contains(&digits.protected), "{}", digits.protected);
    let amounts: Vec<Option<i64>> = (0..400).map(|n| Some(n * 7_919)).collect();
    let bins = explained(ints(&amounts), Protection::Fixed(0));
    assert_eq!(bins.reason, Reason::ManyDigits { digits: 7 });
    assert_eq!(bins.protected, 10);
    let hidden = explained(ints(&amounts[..10]), Protection::Fixed(0));
    assert_eq!((hidden.rows, hidden.protected), (10, 10));
}
