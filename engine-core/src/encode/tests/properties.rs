use proptest::prelude::*;

use super::*;

fn options<T: std::fmt::Debug + Clone>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<Option<T>>> {
    proptest::collection::vec(proptest::option::weighted(0.9, value), 1..80)
}

/// Numbers with few decimals, of any size.
fn amount() -> impl Strategy<Value = f64> {
    (-1_000_000_000i64..1_000_000_000, 0..6).prop_map(|(n, decimals)| n as f64 / 10f64.powi(decimals))
}

fn is_null(decoded: &DecodedColumn, row: usize) -> bool {
    decoded.validity.as_ref().is_some_and(|valid| !valid[row])
}

fn decoded(column: &Owned, stats: &TableStats, offsets: BinOffsets) -> DecodedColumn {
    let codes = encode(&column.table(), stats, 3, 0).unwrap();
    decode(&codes, stats, offsets).unwrap().remove(0)
}

const RANDOM: BinOffsets = BinOffsets::Random {
    seed: 5,
    first_row: 0,
};

proptest! {
    #[test]
    fn texts_come_back(values in options("(_RARE_|<<NULL>>|\u{1}{0,2}[a-z]{0,3}|\\PC{0,4})")) {
        let borrowed: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let stats = analyze(texts(&borrowed), EncodingType::CATEGORICAL);
        let back = decoded(&texts(&borrowed), &stats, RANDOM);
        let DecodedValues::Labels { indices, labels } = &back.values else { panic!("no labels") };
        for (row, value) in values.iter().enumerate() {
            prop_assert_eq!(&labels[indices[row] as usize].as_deref(), &value.as_deref());
        }
        prop_assert_eq!(TableStats::from_json(&stats.to_json().unwrap()).unwrap(), stats);
    }

    #[test]
    fn whole_numbers_come_back(values in options(-(1i64 << 53)..1 << 53)) {
        for encoding in [EncodingType::NUMERIC_DISCRETE, EncodingType::NUMERIC_DIGIT] {
            let stats = analyze(ints(&values), encoding);
            prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
            let back = decoded(&ints(&values), &stats, RANDOM);
            let DecodedValues::Int(ints) = &back.values else { panic!("no whole numbers") };
            for (row, value) in values.iter().enumerate() {
                prop_assert_eq!((!is_null(&back, row)).then_some(ints[row]), *value);
            }
        }
    }

    #[test]
    fn decimal_numbers_come_back(values in options(amount())) {
        for encoding in [EncodingType::NUMERIC_DISCRETE, EncodingType::NUMERIC_DIGIT] {
            let stats = analyze(floats(&values), encoding);
            let back = decoded(&floats(&values), &stats, RANDOM);
            for (row, value) in values.iter().enumerate() {
                let number = match &back.values {
                    DecodedValues::Int(v) => v[row] as f64,
                    DecodedValues::Float(v) => v[row],
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!((!is_null(&back, row)).then_some(number), *value);
            }
        }
    }

    #[test]
    fn binned_numbers_stay_in_their_bin(values in options(amount())) {
        let stats = analyze(floats(&values), EncodingType::NUMERIC_BINNED);
        prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
        let back = decoded(&floats(&values), &stats, RANDOM);
        let binned: &BinnedStats = stats.modelled().next().unwrap().2.get().unwrap();
        // Rounding down to the precision may leave the bin by less than one unit of the last place.
        let unit = 10f64.powi(binned.min_decimal) * (1.0 + 1e-9);
        for (row, value) in values.iter().enumerate() {
            let Some(value) = *value else {
                prop_assert!(is_null(&back, row));
                continue;
            };
            let number = match &back.values {
                DecodedValues::Int(v) => v[row] as f64,
                DecodedValues::Float(v) => v[row],
                other => panic!("{other:?}"),
            };
            let edges_up_to = binned.bins.partition_point(|&edge| edge <= value);
            let (from, to) = (binned.bins[edges_up_to - 1], binned.bins[edges_up_to.min(binned.bins.len() - 1)]);
            prop_assert!(from - unit <= number && number <= to, "{value} became {number}, its bin is {from} to {to}");
        }
    }

    #[test]
    fn protected_numbers_stay_in_the_bounds(
        values in proptest::collection::vec(-100_000i64..100_000, 40..200),
        code in any::<u32>(),
    ) {
        let column: Vec<Option<i64>> = values.iter().copied().map(Some).collect();
        let mut sorted = values.clone();
        sorted.sort_unstable();
        for encoding in [EncodingType::NUMERIC_DIGIT, EncodingType::NUMERIC_BINNED] {
            let stats = analyze_parts(&[ints(&column)], encoding, Protection::On);
            let sub_columns = stats.sub_columns();
            let any_code = |(i, s): (u32, &SubColumn)| code.rotate_left(i * 5) % s.cardinality as u32;
            let mut rows = codes(&ints(&column), &stats);
            rows.push((0u32..).zip(&sub_columns).map(any_code).collect());
            let back = decode_rows(&rows, &stats, RANDOM);
            let DecodedValues::Int(ints) = &back.values else { panic!("no whole numbers") };
            let (least, greatest) = (sorted[5], sorted[sorted.len() - 6]);
            let unit = match stats.modelled().next().unwrap().2.get::<BinnedStats>() {
                Some(binned) => 10i64.pow(binned.min_decimal.max(0) as u32) - 1,
                None => 0,
            };
            for (row, &number) in ints.iter().enumerate() {
                let is_inside = (least - unit..=greatest).contains(&number);
                prop_assert!(is_inside || is_null(&back, row), "{number} is not in {least} to {greatest}");
            }
        }
    }

    #[test]
    fn instants_come_back(millis in options(-62_000_000_000_000i64..250_000_000_000_000)) {
        let micros: Vec<Option<i64>> = millis.iter().map(|m| m.map(|m| m * 1_000)).collect();
        // A time of day anywhere is needed for milliseconds to count.
        prop_assume!(micros.iter().flatten().any(|t| t.rem_euclid(86_400_000_000) >= 1_000_000));
        let column = owned(&micros, Data::Micros);
        let stats = analyze_parts(&[owned(&micros, Data::Micros)], EncodingType::DATETIME, Protection::Off);
        prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
        let back = decoded(&column, &stats, RANDOM);
        let DecodedValues::Timestamp(instants) = &back.values else { panic!("no instants") };
        for (row, value) in micros.iter().enumerate() {
            prop_assert_eq!((!is_null(&back, row)).then_some(instants[row]), *value);
        }
    }

    #[test]
    fn characters_come_back(values in options("[a-z]{0,3}|[^\\p{C}\\p{Z}\\s]{0,60}")) {
        prop_assume!(values.iter().flatten().any(|text| !text.is_empty()));
        let borrowed: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let stats = analyze(texts(&borrowed), EncodingType::CHARACTER);
        prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
        let back = decoded(&texts(&borrowed), &stats, RANDOM);
        let DecodedValues::Text(texts) = &back.values else { panic!("no texts") };
        for (row, value) in values.iter().enumerate() {
            let cut = value.as_ref().map(|text| text.chars().take(50).collect::<String>());
            prop_assert_eq!((!is_null(&back, row)).then_some(&texts[row]), cut.as_ref());
        }
    }

    #[test]
    fn rare_characters_stay_inside(values in proptest::collection::vec("[a-d]{0,4}", 1..80), code: u32) {
        let column: Vec<Option<&str>> = values.iter().map(|text| Some(text.as_str())).collect();
        let stats = analyze_parts(&[texts(&column)], EncodingType::CHARACTER, Protection::On);
        let subs = stats.sub_columns();
        let any_code = |(i, s): (u32, &SubColumn)| code.rotate_left(i * 5) % s.cardinality as u32;
        let back = shown(&decode_rows(&[(0u32..).zip(&subs).map(any_code).collect()], &stats, RANDOM));
        let shared = |c: char| values.iter().filter(|text| text.contains(c)).count() >= 5;
        prop_assert!(back[0] == "null" || back[0].chars().all(shared), "{}", back[0]);
    }

    #[test]
    fn places_come_back_within_meters(
        values in options((-9_000_000i64..=9_000_000, -18_000_000i64..=18_000_000)),
    ) {
        let place = |&(y, x): &(i64, i64)| format!("{},{:.20}", y as f64 / 1e5, x as f64 / 1e5);
        let written: Vec<Option<String>> = values.iter().map(|v| v.as_ref().map(place)).collect();
        let borrowed: Vec<Option<&str>> = written.iter().map(Option::as_deref).collect();
        let stats = analyze(texts(&borrowed), EncodingType::LAT_LONG);
        prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
        let back = shown(&decoded(&texts(&borrowed), &stats, RANDOM));
        for (value, back) in values.iter().zip(back) {
            let Some((y, x)) = value else {
                prop_assert_eq!(back, "null");
                continue;
            };
            let degrees: Vec<f64> = back.split(", ").map(|d| d.parse().unwrap()).collect();
            // A step of single precision at 180 degrees, and the last decimal.
            prop_assert!((degrees[0] - *y as f64 / 1e5).abs() < 4e-5 && (degrees[1] - *x as f64 / 1e5).abs() < 4e-5);
        }
    }

    #[test]
    fn any_tile_is_a_place(code in proptest::collection::vec(any::<u32>(), 39), nulls: bool) {
        let values = ["48.2,16.37", "-33.86785,151.20732", "90,-180", "-0.00001,0.00001"];
        let mut column: Vec<Option<&str>> = values.into_iter().map(Some).collect();
        column.extend(nulls.then_some(None));
        let stats = analyze(texts(&column), EncodingType::LAT_LONG);
        let subs = stats.sub_columns();
        let row = subs.iter().zip(code).map(|(s, code)| code % s.cardinality as u32).collect();
        let back = shown(&decode_rows(&[row], &stats, RANDOM));
        let are_numbers = back[0].split(", ").map(str::parse::<f64>).filter(Result::is_ok).count() == 2;
        prop_assert!(are_numbers || (nulls && back[0] == "null"), "{}", back[0]);
    }

    #[test]
    fn dates_of_subjects_come_back(
        rows in proptest::collection::vec(
            (proptest::option::weighted(0.8, -60_000_000_000i64..250_000_000_000), 0..6u32), 1..80,
        ),
    ) {
        let values: Vec<Option<i64>> = rows.iter().map(|row| row.0.map(|second| second * 1_000_000)).collect();
        let subjects: Vec<u32> = rows.iter().map(|row| row.1).collect();
        let is_start = |row: &usize| !(0..*row).any(|r| subjects[r] == subjects[*row] && values[r].is_some());
        // A subject that starts at a time of day is needed for times to count.
        let mut starts = (0..rows.len()).filter(is_start).filter_map(|row| values[row]);
        prop_assume!(starts.any(|start| start.rem_euclid(86_400_000_000) > 0));
        let types = types(EncodingType::DATETIME_RELATIVE);
        let dates = owned(&values, Data::Micros);
        let table = dates.table().with_subjects(&subjects).unwrap();
        let partial = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
        let stats = reduce(&[partial], &types, Protection::Off, Compat::Native, TableKeys::default(), 1).unwrap();
        prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
        let codes = encode(&table, &stats, 3, 0).unwrap();
        let back = decode_subjects(&codes, &stats, RANDOM, &subjects).unwrap().remove(0);
        let DecodedValues::Timestamp(instants) = &back.values else { panic!("no instants") };
        for (row, value) in values.iter().enumerate() {
            prop_assert_eq!((!is_null(&back, row)).then_some(instants[row]), *value);
        }
    }

    #[test]
    fn any_steps_are_dates(code in proptest::collection::vec(any::<u32>(), 200), subjects in proptest::collection::vec(0..3u32, 15)) {
        let values = ["0001-01-01 10:00", "9999-12-31 23:59:59", "2020-02-29", "1969-12-31 00:00:01"].map(Some);
        let dates = instants(&[&values[..], &[None]].concat());
        let types = types(EncodingType::DATETIME_RELATIVE);
        let table = dates.table().with_subjects(&[1, 1, 1, 2, 2]).unwrap();
        let partial = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
        let stats = reduce(&[partial], &types, Protection::Off, Compat::Native, TableKeys::default(), 1).unwrap();
        let subs = stats.sub_columns();
        let any_code = |(row, s): (usize, usize)| code[row * subs.len() + s] % subs[s].cardinality as u32;
        let column = |s: usize| CodeColumn::from_codes(subs[s].cardinality, (0..15).map(|row| any_code((row, s))));
        let codes = CodeTable::new((0..subs.len()).map(column).collect(), 15).unwrap();
        let back = decode_subjects(&codes, &stats, RANDOM, &subjects).unwrap().remove(0);
        let (first, last) = (micros("0001-01-01"), micros("9999-12-31 23:59:59.999999"));
        let DecodedValues::Timestamp(instants) = &back.values else { panic!("no instants") };
        prop_assert!(instants.iter().all(|instant| (first..=last).contains(instant)));
    }

    #[test]
    fn any_text_is_read_as_a_date_or_not(text in "\\PC{0,12}|[0-9TZ:/. +-]{0,25}") {
        let read = Dates::read([Some(text.as_str())].into_iter()).into_micros();
        prop_assert_eq!(read.len(), 1);
    }

    #[test]
    fn results_do_not_depend_on_threads(values in options(-500i64..500), seed: u64) {
        let encodings = ["numeric_digit", "numeric_binned", "numeric_discrete", "datetime", "categorical", "character"];
        let numbers = ints(&values);
        let column = |&name: &&'static str| Column { name, ..numbers.column() };
        let table = Table::new(encodings.iter().map(column).collect(), values.len()).unwrap();
        let types: EncodingTypes = encodings.iter().map(|&e| (e.to_owned(), e.parse().unwrap())).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let partial = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
                let stats = reduce(&[partial], &types, Protection::On, Compat::Native, TableKeys::default(), seed).unwrap();
                let codes = encode(&table, &stats, seed, 7).unwrap();
                let decoded = decode(&codes, &stats, BinOffsets::Random { seed, first_row: 7 }).unwrap();
                (stats, codes, decoded)
            })
        };
        prop_assert_eq!(run(1), run(3));
    }

    #[test]
    fn rows_are_decoded_alike_in_any_batch(values in options(amount()), seed: u64, cut in 0usize..80) {
        let column = floats(&values);
        let stats = analyze(floats(&values), EncodingType::NUMERIC_BINNED);
        let codes = encode(&column.table(), &stats, seed, 0).unwrap();
        let rows = |from: usize, to: usize| {
            let part = codes.gather(&(from..to).collect::<Vec<_>>());
            let offsets = BinOffsets::Random { seed, first_row: from as u64 };
            shown(&decode(&part, &stats, offsets).unwrap()[0])
        };
        let cut = cut.min(values.len());
        let batches = [rows(0, cut), rows(cut, values.len())].concat();
        prop_assert_eq!(rows(0, values.len()), batches);
    }
}
