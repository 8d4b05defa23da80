//! Statistics of a table do not depend on how it was cut into parts, nor on the order of the parts.

use proptest::prelude::*;

use super::*;
use crate::encode::encodings::character::Character;
use crate::encode::encodings::datetime::DatetimeRelative;
use crate::encode::encodings::encoding::{CountSite, Counting, Encoding, Partial};
use crate::encode::encodings::lat_long::LatLong;

/// Rows by part, in their order.
fn parts_of<T: Clone>(rows: &[T], part_of: impl Fn(usize) -> usize) -> Vec<Vec<T>> {
    let of_part = |part: usize| {
        (0..rows.len())
            .filter(|&row| part_of(row) == part)
            .map(|row| rows[row].clone())
            .collect()
    };
    (0..4).map(of_part).collect()
}

/// Statistics of texts, cut up by the number beside each: as they are, and from the last part to the first.
fn of_texts(
    rows: &[(Option<String>, usize)],
    encoding: EncodingType,
    protection: Protection,
) -> [TableStats; 3] {
    let owned = |rows: &[(Option<String>, usize)]| {
        texts(&rows.iter().map(|(text, _)| text.as_deref()).collect::<Vec<_>>())
    };
    let mut parts: Vec<Owned> = parts_of(rows, |row| rows[row].1)
        .iter()
        .map(|rows| owned(rows))
        .collect();
    let whole = analyze_parts(&[owned(rows)], encoding, protection);
    let forwards = analyze_parts(&parts, encoding, protection);
    parts.reverse();
    [whole, forwards, analyze_parts(&parts, encoding, protection)]
}

/// Statistics of dates of subjects, the parts being made of whole subjects.
fn of_subjects(
    rows: &[(Option<i64>, u32)],
    part_of: impl Fn(u32) -> usize,
    protection: Protection,
) -> TableStats {
    let types = types(EncodingType::DATETIME_RELATIVE);
    let parts = parts_of(rows, |row| part_of(rows[row].1));
    let partials: Vec<PartialStats> = parts
        .iter()
        .map(|rows| {
            let dates = owned(&rows.iter().map(|row| row.0).collect::<Vec<_>>(), Data::Micros);
            let subjects: Vec<u32> = rows.iter().map(|row| row.1).collect();
            let table = dates.table().with_subjects(&subjects).unwrap();
            analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap()
        })
        .collect();
    let mut stats = reduce(
        &partials,
        &types,
        protection,
        Compat::Native,
        TableKeys::default(),
        1,
    )
    .unwrap();
    let values = values_of(&mut stats);
    let mut dates = values.get::<RelativeStats>().unwrap().clone();
    // Each part writes its instants as short as it can; what counts is which instants they are.
    for bound in [&mut dates.min, &mut dates.max] {
        *bound = bound.as_deref().map(|text| micros(text).to_string());
    }
    *values = dates.into();
    stats
}

fn protection() -> impl Strategy<Value = Protection> {
    prop_oneof![
        Just(Protection::Off),
        Just(Protection::On),
        Just(Protection::Fixed(0)),
        Just(Protection::Fixed(2))
    ]
}

/// Mostly one of few places, so that some squares are shared by many rows.
fn place() -> impl Strategy<Value = String> {
    let place = |latitude: i32, longitude: i32| {
        format!(
            "{:.5}, {:.5}",
            f64::from(latitude) / 1e5,
            f64::from(longitude) / 1e5
        )
    };
    prop_oneof![
        9 => (0..7i32).prop_map(move |i| place(4_800_000 - i * 700_000, i * 1_000_000)),
        1 => (-9_000_000..=9_000_000i32, -18_000_000..=18_000_000i32).prop_map(move |(y, x)| place(y, x)),
    ]
}

fn cut_up<T: std::fmt::Debug>(
    value: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = Vec<(Option<T>, usize)>> {
    proptest::collection::vec((proptest::option::weighted(0.9, value), 0..4usize), 1..most)
}

proptest! {
    #[test]
    fn of_characters(rows in cut_up("[a-c]{0,3}|\\PC{0,4}", 80), protection in protection()) {
        let [whole, forwards, backwards] = of_texts(&rows, EncodingType::CHARACTER, protection);
        prop_assert_eq!(&forwards, &whole);
        prop_assert_eq!(backwards, whole);
    }

    #[test]
    fn of_places(rows in cut_up(place(), 400), protection in protection()) {
        let [whole, forwards, backwards] = of_texts(&rows, EncodingType::LAT_LONG, protection);
        prop_assert_eq!(&forwards, &whole);
        prop_assert_eq!(backwards, whole);
    }

    #[test]
    fn of_dates_of_subjects(
        rows in proptest::collection::vec((proptest::option::weighted(0.9, instant()), 0..12u32), 1..80),
        protection in protection(),
    ) {
        let whole = of_subjects(&rows, |_| 0, protection);
        prop_assert_eq!(&of_subjects(&rows, |subject| subject as usize % 4, protection), &whole);
        prop_assert_eq!(&of_subjects(&rows, |subject| 3 - subject as usize % 4, protection), &whole);
    }
}

/// What an encoding counts of a part.
fn counted<E: Encoding>(encoding: &E, part: &Owned, subjects: Option<&[u32]>) -> E::Partial {
    let site = CountSite {
        first_row: 0,
        subjects,
        counting: subjects.map_or(Counting::Rows, |_| Counting::Subjects),
        compat: Compat::Native,
    };
    encoding.count(&part.column(), site).unwrap()
}

/// `(a + b) + c` and `a + (b + c)`.
macro_rules! merged {
    ($parts:expr) => {{
        let [a, b, c] = $parts;
        let (mut left, mut right) = (a.clone(), b.clone());
        left.merge(b);
        left.merge(c.clone());
        right.merge(c);
        let mut all = a;
        all.merge(right);
        (left, all)
    }};
}

proptest! {
    #[test]
    fn merging_is_associative(
        parts in proptest::array::uniform3(proptest::collection::vec(proptest::option::weighted(0.9, place()), 0..30)),
        dates in proptest::array::uniform3(proptest::collection::vec((proptest::option::weighted(0.9, instant()), 0..5u32), 0..30)),
    ) {
        let places = parts.each_ref().map(|rows| texts(&rows.iter().map(Option::as_deref).collect::<Vec<_>>()));
        let (left, right) = merged!(places.each_ref().map(|rows| counted(&Character, rows, None)));
        prop_assert_eq!(left, right);
        let (left, right) = merged!(places.each_ref().map(|rows| counted(&LatLong, rows, None)));
        prop_assert_eq!(left, right);
        let (left, right) = merged!(dates.map(|rows| {
            let column = owned(&rows.iter().map(|row| row.0).collect::<Vec<_>>(), Data::Micros);
            let subjects: Vec<u32> = rows.iter().map(|row| row.1).collect();
            counted(&DatetimeRelative, &column, Some(&subjects))
        }));
        prop_assert_eq!(left, right);
    }
}

/// Instants of any precision, in microseconds; some are midnights.
fn instant() -> impl Strategy<Value = i64> {
    const DAY: i64 = 86_400_000_000;
    prop_oneof![
        (-30_000..30_000i64).prop_map(|day| day * DAY),
        -30_000 * DAY..30_000 * DAY,
    ]
}
