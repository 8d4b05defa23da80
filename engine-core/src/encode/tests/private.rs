//! Statistics under a privacy budget.

use super::*;
use crate::privacy::{Mechanism, NoRandomness, PrivacyLedger, RandomWords, SystemRandom};
use crate::random::{Purpose, Stream};

fn budget(epsilon: f64, delta: f64) -> StatsBudget {
    StatsBudget {
        epsilon,
        delta,
        ..StatsBudget::default()
    }
}

fn released(column: &Owned, encoding: EncodingType, budget: &StatsBudget) -> (TableStats, PrivacyLedger) {
    let types = types(encoding);
    let partial = analyze_private(&column.table(), &types, SplitPart::Training, 0, Compat::Native).unwrap();
    let mut random = SystemRandom::default();
    reduce_private(&[partial], &types, budget, TableKeys::default(), &mut random).unwrap()
}

fn refused(column: &Owned, encoding: EncodingType, budget: &StatsBudget) -> String {
    let types = types(encoding);
    let partial = analyze_private(&column.table(), &types, SplitPart::Training, 0, Compat::Native).unwrap();
    let mut random = SystemRandom::default();
    let result = reduce_private(&[partial], &types, budget, TableKeys::default(), &mut random);
    result.unwrap_err().to_string()
}

#[test]
fn the_ledger_adds_up_to_the_budget() {
    let encodings = [
        EncodingType::CATEGORICAL,
        EncodingType::NUMERIC_AUTO,
        EncodingType::NUMERIC_BINNED,
        EncodingType::NUMERIC_DIGIT,
        EncodingType::NUMERIC_DISCRETE,
        EncodingType::DATETIME,
    ];
    let column = ints(
        &(0..200)
            .map(|i| (i % 7 > 0).then_some(i % 20))
            .collect::<Vec<_>>(),
    );
    for case in 0..300 {
        let stream = Stream::new(case, Purpose::Test, 2);
        let names: Vec<String> = (0..=stream.below(9, 0, 0)).map(|i| format!("c{i}")).collect();
        let named = names.iter().map(|name| Column {
            name,
            ..column.column()
        });
        let table = Table::new(named.collect(), 200).unwrap();
        let mut types = EncodingTypes::new();
        let mut budget = budget(
            10f64.powf(stream.uniform(1, 0) * 4.0 - 2.0),
            10f64.powf(-9.0 * stream.uniform(2, 0) - 0.1),
        );
        for (place, name) in (0..).zip(&names) {
            let encoding = encodings[stream.below(6, place, 1) as usize];
            types.insert(name.clone(), encoding);
            let has_domain = matches!(
                encoding,
                EncodingType::CATEGORICAL | EncodingType::NUMERIC_AUTO | EncodingType::NUMERIC_DISCRETE
            );
            if has_domain && stream.below(2, place, 2) == 0 {
                budget
                    .domains
                    .insert(name.clone(), vec!["1".to_owned(), "2".to_owned()]);
            }
        }
        let partial = analyze_private(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
        let mut random = SystemRandom::default();
        let (stats, ledger) =
            reduce_private(&[partial], &types, &budget, TableKeys::default(), &mut random).unwrap();
        let sum =
            |share: fn(&crate::privacy::LedgerEntry) -> f64| ledger.mechanisms.iter().map(share).sum::<f64>();
        for (spent, entered, allowed) in [
            (ledger.epsilon_spent, sum(|m| m.epsilon), budget.epsilon),
            (ledger.delta_spent, sum(|m| m.delta), budget.delta),
        ] {
            assert!(
                (spent - allowed).abs() <= 1e-12 * allowed,
                "case {case}: {spent} of {allowed}"
            );
            assert!(
                (entered - allowed).abs() <= 1e-12 * allowed,
                "case {case}: {entered} of {allowed}"
            );
        }
        assert_eq!(stats.value_protection_epsilon_spent, Some(budget.epsilon));
        // Every column has its entries, and whatever was released can be encoded and decoded.
        assert!(
            names
                .iter()
                .all(|name| ledger.mechanisms.iter().any(|m| m.column.as_ref() == Some(name)))
        );
        let codes = encode(&table, &stats, 1, 0).unwrap();
        assert_eq!(
            decode(&codes, &stats, BinOffsets::Constant(0.5)).unwrap().len(),
            names.len()
        );
        assert_eq!(TableStats::from_json(&stats.to_json().unwrap()).unwrap(), stats);
    }
}

#[test]
fn frequent_categories_are_found_and_rare_ones_never() {
    let column = texts(&repeated(&[("b", 4_000), ("a", 3_000), ("rare", 3)]));
    let (stats, ledger) = released(&column, EncodingType::CATEGORICAL, &budget(2.0, 1e-9));
    assert_eq!(entry(&stats)["codes"].to_string(), r#"{"_RARE_":0,"a":1,"b":2}"#);
    let mechanisms: Vec<Mechanism> = ledger.mechanisms.iter().map(|m| m.mechanism).collect();
    assert_eq!(
        mechanisms,
        [
            Mechanism::DiscreteLaplaceHistogram,
            Mechanism::DiscreteLaplaceThreshold
        ]
    );
    assert!(stats.no_of_training_records.abs_diff(7_003) < 60);
}

#[test]
fn public_values_need_no_delta() {
    let mut budget = budget(2.0, 0.0);
    let column = texts(&repeated(&[("b", 4_000), ("secret", 3_000)]));
    assert!(refused(&column, EncodingType::CATEGORICAL, &budget).contains("needs a delta above 0"));
    budget.domains.insert(
        "x".to_owned(),
        ["b", "c", "_RARE_", "b"].map(str::to_owned).to_vec(),
    );
    let (stats, ledger) = released(&column, EncodingType::CATEGORICAL, &budget);
    assert_eq!(
        entry(&stats)["codes"].to_string(),
        r#"{"_RARE_":0,"\u0001_RARE_":1,"b":2,"c":3}"#
    );
    assert_eq!((ledger.delta_spent, ledger.epsilon_spent), (0.0, 2.0));
    let numbers = ints(&repeated(&[(3, 500), (40, 500)]));
    budget
        .domains
        .insert("x".to_owned(), ["40", "3", "0.5"].map(str::to_owned).to_vec());
    let (stats, _) = released(&numbers, EncodingType::NUMERIC_AUTO, &budget);
    assert_eq!(
        entry(&stats)["codes"].to_string(),
        r#"{"_RARE_":0,"0.5":1,"3.0":2,"40.0":3}"#
    );
    budget.domains.insert("x".to_owned(), vec!["many".to_owned()]);
    assert!(refused(&numbers, EncodingType::NUMERIC_AUTO, &budget).contains("which is no number"));
    assert!(refused(&numbers, EncodingType::NUMERIC_DIGIT, &budget).contains("looks for no single values"));
}

#[test]
fn unusable_budgets_are_refused() {
    let column = ints(&[Some(1)]);
    for (epsilon, delta) in [
        (0.0, 0.0),
        (-1.0, 0.0),
        (f64::NAN, 0.0),
        (1.0, 1.0),
        (1.0, -0.1),
        (1.0, f64::NAN),
    ] {
        assert!(
            refused(&column, EncodingType::NUMERIC_DIGIT, &budget(epsilon, delta))
                .contains("of the statistics is")
        );
    }
    let types = types(EncodingType::NUMERIC_DIGIT);
    let partial = analyze_partition(&column.table(), &types, SplitPart::Training, 0, Compat::Native).unwrap();
    let mut random = SystemRandom::default();
    let result = reduce_private(
        &[partial],
        &types,
        &budget(1.0, 0.0),
        TableKeys::default(),
        &mut random,
    );
    assert_eq!(result.unwrap_err(), EncodeError::PartsWithoutBudget);
    let table = column.table().with_subjects(&[1]).unwrap();
    let result = analyze_private(&table, &types, SplitPart::Training, 0, Compat::Native);
    assert_eq!(result.unwrap_err(), EncodeError::BudgetOfSubjects);
}

#[test]
fn numbers_and_dates_get_ranges_of_powers_of_two() {
    let budget = budget(20.0, 1e-6);
    let cents = floats(
        &(0..20_000)
            .map(|i| Some(f64::from(i) / 100.0))
            .collect::<Vec<_>>(),
    );
    let (stats, _) = released(&cents, EncodingType::NUMERIC_DIGIT, &budget);
    assert_eq!(
        (&entry(&stats)["min"], &entry(&stats)["max"]),
        (&0.0.into(), &256.0.into())
    );
    assert_eq!(
        entry(&stats)["cardinalities"].to_string(),
        r#"{"E2":3,"E1":10,"E0":10,"E-1":10,"E-2":10}"#
    );
    let (stats, _) = released(&cents, EncodingType::NUMERIC_AUTO, &budget);
    let bins = entry(&stats)["bins"].as_array().unwrap().len();
    assert!((90..=101).contains(&bins), "{bins}");
    let few = ints(&(0..20_000).map(|i| Some(i % 5)).collect::<Vec<_>>());
    let (stats, _) = released(&few, EncodingType::NUMERIC_AUTO, &budget);
    assert_eq!(
        entry(&stats)["codes"].to_string(),
        r#"{"_RARE_":0,"0":1,"1":2,"2":3,"3":4,"4":5}"#
    );
    let dates: Vec<String> = (0..2_000)
        .map(|i| format!("202{}-1{}-0{}", i % 3, i % 2, 1 + i % 9))
        .collect();
    let dates = instants(&dates.iter().map(|date| Some(date.as_str())).collect::<Vec<_>>());
    let (stats, _) = released(&dates, EncodingType::DATETIME, &budget);
    let entry = entry(&stats);
    assert_eq!(
        (entry["min"].as_str(), entry["max"].as_str()),
        (Some("2005-09-05"), Some("2041-05-10"))
    );
    assert_eq!(
        entry["cardinalities"].to_string(),
        r#"{"year":37,"month":12,"day":31}"#
    );
}

/// The randomness runs out.
struct Empty;

impl RandomWords for Empty {
    fn word(&mut self) -> Result<u64, NoRandomness> {
        Err(NoRandomness {
            reason: "none".to_owned(),
        })
    }
}

#[test]
fn without_randomness_nothing_is_released() {
    let types = types(EncodingType::NUMERIC_DIGIT);
    let partial = analyze_private(
        &ints(&[Some(1)]).table(),
        &types,
        SplitPart::Training,
        0,
        Compat::Native,
    )
    .unwrap();
    let result = reduce_private(
        &[partial],
        &types,
        &budget(1.0, 0.0),
        TableKeys::default(),
        &mut Empty,
    );
    assert!(matches!(result.unwrap_err(), EncodeError::NoRandomness(_)));
}
