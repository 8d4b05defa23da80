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

fn decoded(column: &Owned, stats: &TableStats, positions: Positions) -> DecodedColumn {
    let codes = encode(&column.table(), stats, 3, 0).unwrap();
    decode(&codes, stats, positions).unwrap().remove(0)
}

const RANDOM: Positions = Positions::Random {
    seed: 5,
    first_row: 0,
};

proptest! {
    #[test]
    fn texts_come_back(values in options("(_RARE_|<<NULL>>|\u{1}{0,2}[a-z]{0,3}|\\PC{0,4})")) {
        let borrowed: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let stats = analyze(texts(&borrowed), EncodingType::Categorical);
        let back = decoded(&texts(&borrowed), &stats, RANDOM);
        let DecodedValues::Labels { indices, labels } = &back.values else { panic!("no labels") };
        for (row, value) in values.iter().enumerate() {
            prop_assert_eq!(&labels[indices[row] as usize].as_deref(), &value.as_deref());
        }
        prop_assert_eq!(TableStats::from_json(&stats.to_json().unwrap()).unwrap(), stats);
    }

    #[test]
    fn whole_numbers_come_back(values in options(-(1i64 << 53)..1 << 53)) {
        for encoding in [EncodingType::NumericDiscrete, EncodingType::NumericDigit] {
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
        for encoding in [EncodingType::NumericDiscrete, EncodingType::NumericDigit] {
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
        let stats = analyze(floats(&values), EncodingType::NumericBinned);
        prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
        let back = decoded(&floats(&values), &stats, RANDOM);
        let EncodingStats::Binned(binned) = stats.modelled().next().unwrap().2 else { panic!("not binned") };
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
        for encoding in [EncodingType::NumericDigit, EncodingType::NumericBinned] {
            let stats = analyze_parts(&[ints(&column)], encoding, Protection::On);
            let sub_columns = stats.sub_columns();
            let any_code = |(i, s): (u32, &SubColumn)| code.rotate_left(i * 5) % s.cardinality as u32;
            let mut rows = codes(&ints(&column), &stats);
            rows.push((0u32..).zip(&sub_columns).map(any_code).collect());
            let back = decode_rows(&rows, &stats, RANDOM);
            let DecodedValues::Int(ints) = &back.values else { panic!("no whole numbers") };
            let (least, greatest) = (sorted[5], sorted[sorted.len() - 6]);
            let unit = match stats.modelled().next().unwrap().2 {
                EncodingStats::Binned(binned) => 10i64.pow(binned.min_decimal.max(0) as u32) - 1,
                _ => 0,
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
        let stats = analyze_parts(&[owned(&micros, Data::Micros)], EncodingType::Datetime, Protection::Off);
        prop_assert_eq!(&TableStats::from_json(&stats.to_json().unwrap()).unwrap(), &stats);
        let back = decoded(&column, &stats, RANDOM);
        let DecodedValues::Timestamp(instants) = &back.values else { panic!("no instants") };
        for (row, value) in micros.iter().enumerate() {
            prop_assert_eq!((!is_null(&back, row)).then_some(instants[row]), *value);
        }
    }

    #[test]
    fn any_text_is_read_as_a_date_or_not(text in "\\PC{0,12}|[0-9TZ:/. +-]{0,25}") {
        let read = dates::Dates::read([Some(text.as_str())].into_iter()).into_micros();
        prop_assert_eq!(read.len(), 1);
    }

    #[test]
    fn results_do_not_depend_on_threads(values in options(-500i64..500), seed: u64) {
        let encodings = ["numeric_digit", "numeric_binned", "numeric_discrete", "datetime", "categorical"];
        let numbers = ints(&values);
        let column = |&name: &&'static str| Column { name, ..numbers.column() };
        let table = Table::new(encodings.iter().map(column).collect(), values.len()).unwrap();
        let types: EncodingTypes = encodings.iter().map(|&e| (e.to_owned(), e.parse().unwrap())).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let partial = analyze_partition(&table, &types, Part::Training, 0).unwrap();
                let stats = reduce(&[partial], &types, Protection::On, Compat::Native, TableKeys::default(), seed).unwrap();
                let codes = encode(&table, &stats, seed, 7).unwrap();
                let decoded = decode(&codes, &stats, Positions::Random { seed, first_row: 7 }).unwrap();
                (stats, codes, decoded)
            })
        };
        prop_assert_eq!(run(1), run(3));
    }

    #[test]
    fn rows_are_decoded_alike_in_any_batch(values in options(amount()), seed: u64, cut in 0usize..80) {
        let column = floats(&values);
        let stats = analyze(floats(&values), EncodingType::NumericBinned);
        let codes = encode(&column.table(), &stats, seed, 0).unwrap();
        let rows = |from: usize, to: usize| {
            let part = codes.gather(&(from..to).collect::<Vec<_>>());
            let positions = Positions::Random { seed, first_row: from as u64 };
            shown(&decode(&part, &stats, positions).unwrap()[0])
        };
        let cut = cut.min(values.len());
        let batches = [rows(0, cut), rows(cut, values.len())].concat();
        prop_assert_eq!(rows(0, values.len()), batches);
    }
}
