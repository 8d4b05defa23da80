use std::sync::Arc;

use super::enumerate::JointSupport;
use super::*;
use crate::argn::{FlatModel, Model, ModelUnits, Units, names};
use crate::fixtures::random_params;
use crate::generate::{Cells, GenerateError, LoadedModel};
use crate::interpreter::InterpreterBackend;
use crate::ir::ops::sampling::{Cell, FixedProbability};
use crate::schema::SubColumnName;

/// Four columns of 3, 4, (2, 2, 3) and 2 codes; the first part of the third one is a null flag if it is called `nan`.
fn small_model(flag: &str) -> FlatModel {
    let columns: [&[(&str, usize)]; 4] = [
        &[("cat", 3)],
        &[("cat", 4)],
        &[(flag, 2), ("E1", 2), ("E0", 3)],
        &[("cat", 2)],
    ];
    let mut units = ModelUnits::default();
    let mut sub_columns = Vec::new();
    for (c, subs) in columns.iter().enumerate() {
        for (sub, cardinality) in *subs {
            let name = SubColumnName::target(c, c, sub);
            units.0.insert(names::embedding_width(&name), Units::Width(3));
            units
                .0
                .insert(names::regressor_widths(&name), Units::Widths(vec![6]));
            sub_columns.push((name, *cardinality));
        }
    }
    FlatModel::new(sub_columns, &units, None).unwrap()
}

fn loaded(any_order: bool) -> LoadedModel {
    loaded_with("nan", any_order)
}

fn loaded_with(flag: &str, any_order: bool) -> LoadedModel {
    let model = small_model(flag).with_order(any_order.into());
    let params = random_params(model.layout().len(), 17);
    LoadedModel::new(Arc::new(InterpreterBackend), &model, &params).unwrap()
}

/// Every row that there is, a null counting once: its codes are observed.
fn all_rows(model: &LoadedModel) -> (Vec<Vec<u32>>, Cells) {
    let all = JointSupport::new(model, (0..model.sub_columns()).collect());
    let rows: Vec<Vec<u32>> = (0..all.count())
        .filter(|i| all.is_valid(model, *i))
        .map(|i| all.codes(i).into_iter().map(|(_, code)| code).collect())
        .collect();
    let mut cells = Cells::masked(rows.len(), model.sub_columns());
    for (row, codes) in rows.iter().enumerate() {
        for (s, code) in codes.iter().enumerate() {
            cells.set(row, s, Cell::Observed(*code));
        }
    }
    (rows, cells)
}

fn orders_of_four() -> Vec<Vec<usize>> {
    let mut orders = Vec::new();
    for code in 0..256usize {
        let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
        if (0..4).all(|c| order.contains(&c)) {
            orders.push(order.to_vec());
        }
    }
    orders
}

#[test]
fn the_probabilities_of_all_rows_sum_to_one_in_every_order() {
    let model = loaded(true);
    let (rows, cells) = all_rows(&model);
    assert_eq!(rows.len(), 3 * 4 * 7 * 2);
    let options = ProbabilityOptions::default();
    let orders = orders_of_four();
    assert_eq!(orders.len(), 24);
    for orders in orders.iter().map(|o| vec![o.clone()]).chain([orders.clone()]) {
        let query = LogProbQuery::in_orders(&model, &orders, &options).unwrap();
        let answer = query.run(&model, &cells).unwrap();
        assert!(answer.rows.iter().all(|l| l.is_finite() && *l <= 0.0));
        let sum: f64 = answer.rows.iter().map(|l| l.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "order {orders:?}: {sum}");
        if orders.len() == 1 {
            for (row, columns) in answer.rows.iter().zip(answer.columns.chunks_exact(4)) {
                assert!((row - columns.iter().sum::<f64>()).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn likelihood_does_not_depend_on_what_stands_beside_a_null() {
    let model = loaded(true);
    let mut cells = Cells::masked(2, model.sub_columns());
    for (row, fill) in [(0, [0, 0]), (1, [1, 2])] {
        for (s, code) in [1, 2, 1, fill[0], fill[1], 1].into_iter().enumerate() {
            cells.set(row, s, Cell::Observed(code));
        }
    }
    let options = ProbabilityOptions {
        orders: 3,
        ..ProbabilityOptions::default()
    };
    let answer = LogProbQuery::new(&model, &options)
        .unwrap()
        .run(&model, &cells)
        .unwrap();
    assert_eq!(answer.rows[0], answer.rows[1]);
}

/// Likelihood of every row in the trained order.
fn likelihoods(model: &LoadedModel, cells: &Cells) -> Vec<f64> {
    let query = LogProbQuery::new(model, &ProbabilityOptions::default()).unwrap();
    query
        .run(model, cells)
        .unwrap()
        .rows
        .iter()
        .map(|l| l.exp())
        .collect()
}

/// Rows that know some columns of `row`.
fn observing(model: &LoadedModel, row: &[u32], columns: &[usize]) -> Cells {
    let mut cells = Cells::masked(1, model.sub_columns());
    for s in columns.iter().flat_map(|c| model.columns()[*c].clone()) {
        cells.set(0, s, Cell::Observed(row[s]));
    }
    cells
}

/// The joint distribution by sums over all rows.
fn by_enumeration(
    model: &LoadedModel,
    (rows, likelihoods): (&[Vec<u32>], &[f64]),
    row: &[u32],
    known: &[usize],
    joint: &Joint,
) -> Vec<f64> {
    let targets = JointSupport::new(model, joint.sub_columns.clone());
    let mut sums = vec![0.0; targets.count()];
    for (other, p) in rows.iter().zip(likelihoods) {
        let agrees = |c: &usize| model.columns()[*c].clone().all(|s| other[s] == row[s]);
        if known.iter().all(agrees) {
            let codes: Vec<u32> = joint.sub_columns.iter().map(|s| other[*s]).collect();
            sums[targets.number(&codes)] += p;
        }
    }
    let total: f64 = sums.iter().sum();
    sums.iter_mut().for_each(|p| *p /= total);
    sums
}

const QUERIES: [(&[usize], &[usize]); 8] = [
    (&[0], &[3]),
    (&[3], &[0]),
    (&[1, 3], &[2]),
    (&[0, 1], &[2]),
    (&[], &[1]),
    (&[0], &[2, 1]),
    (&[1], &[3, 0]),
    (&[0, 1, 2], &[3]),
];

/// Draws fill the parts of nulls as generation does, sums do not: they agree where there are no nulls.
#[test]
fn fixed_order_models_sum_over_what_is_left_out() {
    for (flag, draws) in [("nan", false), ("E2", true)] {
        sums_over_what_is_left_out(&loaded_with(flag, false), draws);
    }
}

fn sums_over_what_is_left_out(model: &LoadedModel, draws: bool) {
    let (rows, cells) = all_rows(model);
    let likelihoods = likelihoods(model, &cells);
    let row = &rows[100];
    for (known, targets) in QUERIES {
        let exact = ProbabilityOptions::default();
        let drawn = ProbabilityOptions {
            max_combinations: 21,
            draws: 4_000,
            ..exact.clone()
        };
        let cells = observing(model, row, known);
        let query = JointQuery::new(model, targets, &exact).unwrap();
        let joint = query.run(model, &cells).unwrap();
        assert_eq!(joint.standard_errors, None);
        let want = by_enumeration(model, (&rows, &likelihoods), row, known, &joint);
        for (got, want) in joint.probs.iter().zip(&want) {
            assert!(
                (got - want).abs() < 1e-5,
                "{targets:?} given {known:?}: {got} instead of {want}"
            );
        }
        if !draws {
            continue;
        }
        let Ok(query) = JointQuery::new(model, targets, &drawn) else {
            continue;
        };
        let joint = query.run(model, &cells).unwrap();
        let Some(errors) = &joint.standard_errors else {
            continue;
        };
        for ((got, want), error) in joint.probs.iter().zip(&want).zip(errors) {
            assert!(
                (got - want).abs() < 5.0 * error + 1e-5,
                "{targets:?} given {known:?}: {got} +- {error} instead of {want}"
            );
            assert!(*error < 0.05);
        }
    }
}

#[test]
fn some_queries_are_estimated_by_sampling() {
    let model = loaded(false);
    let options = ProbabilityOptions {
        max_combinations: 20,
        ..ProbabilityOptions::default()
    };
    let cells = observing(&model, &[0, 1, 0, 1, 2, 1], &[0]);
    let joint = JointQuery::new(&model, &[3], &options)
        .unwrap()
        .run(&model, &cells)
        .unwrap();
    let errors = joint.standard_errors.unwrap();
    assert!(errors.iter().all(|e| *e > 0.0 && *e < 0.1), "{errors:?}");
    assert!((joint.probs.iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn likelihood_of_fixed_order_models_sums_over_gaps() {
    for (flag, draws) in [("nan", false), ("E2", true)] {
        likelihood_over_gaps(&loaded_with(flag, false), draws);
    }
}

fn likelihood_over_gaps(model: &LoadedModel, draws: bool) {
    let (rows, cells) = all_rows(model);
    let all = likelihoods(model, &cells);
    for known in [&[0, 3][..], &[2], &[1, 2], &[0, 1], &[]] {
        let cells = observing(model, &rows[57], known);
        let agrees = |other: &Vec<u32>| {
            let mut subs = known.iter().flat_map(|c| model.columns()[*c].clone());
            subs.all(|s| other[s] == rows[57][s])
        };
        let want: f64 = rows
            .iter()
            .zip(&all)
            .filter(|(r, _)| agrees(r))
            .map(|(_, p)| p)
            .sum();
        let ask = |max_combinations| {
            let options = ProbabilityOptions {
                max_combinations,
                draws: 4_000,
                ..ProbabilityOptions::default()
            };
            LogProbQuery::new(model, &options)
                .unwrap()
                .run(model, &cells)
                .unwrap()
        };
        let exact = ask(10_000);
        assert!((exact.rows[0] - want.ln()).abs() < 1e-5, "{known:?}");
        assert_eq!(exact.standard_errors, None);
        if !draws {
            continue;
        }
        let drawn = ask(1);
        let error = drawn.standard_errors.map_or(0.0, |e| e[0]);
        assert!(
            (drawn.rows[0] - want.ln()).abs() < 5.0 * error + 1e-5,
            "{known:?}"
        );
    }
}

#[test]
fn any_order_models_condition_on_observed_cells() {
    let model = loaded(true);
    let (rows, cells) = all_rows(&model);
    let row = &rows[100];
    let options = ProbabilityOptions::default();
    for (known, targets) in QUERIES {
        // The chain over observed columns, then targets, then the others: their likelihoods sum out.
        let mut order = [known, targets].concat();
        order.extend((0..4).filter(|c| !known.contains(c) && !targets.contains(c)));
        let query = LogProbQuery::in_orders(&model, &[order], &options).unwrap();
        let likelihoods: Vec<f64> = query
            .run(&model, &cells)
            .unwrap()
            .rows
            .iter()
            .map(|l| l.exp())
            .collect();
        let query = JointQuery::new(&model, targets, &options).unwrap();
        let joint = query.run(&model, &observing(&model, row, known)).unwrap();
        let want = by_enumeration(&model, (&rows, &likelihoods), row, known, &joint);
        for (got, want) in joint.probs.iter().zip(&want) {
            assert!(
                (got - want).abs() < 1e-5,
                "{targets:?} given {known:?}: {got} instead of {want}"
            );
        }
    }
}

#[test]
fn averages_over_orders_are_distributions_and_repeat() {
    let model = loaded(true);
    let options = ProbabilityOptions {
        orders: 5,
        fixed: vec![vec![FixedProbability {
            code: 0,
            probability: 0.0,
        }]],
        ..ProbabilityOptions::default()
    };
    let mut cells = observing(&model, &[1, 1, 0, 1, 2, 1], &[1, 3]);
    cells.set(0, 5, Cell::Masked);
    let query = JointQuery::new(&model, &[0, 2], &options).unwrap();
    let joint = query.run(&model, &cells).unwrap();
    assert!((joint.probs.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    assert!(
        joint.probs[..12].iter().all(|p| *p == 0.0),
        "forbidden codes have none"
    );
    assert_eq!(query.run(&model, &cells).unwrap(), joint);
    let single = ProbabilityOptions { orders: 1, ..options };
    let single = JointQuery::new(&model, &[0, 2], &single)
        .unwrap()
        .run(&model, &cells)
        .unwrap();
    assert_ne!(single.probs, joint.probs);
}

#[test]
fn values_are_the_joint_distribution_but_for_what_is_dropped() {
    let model = loaded(true);
    let cells = observing(&model, &[2, 3, 0, 1, 2, 1], &[0, 3]);
    for (orders, tolerance, most_values) in [(1, 0.0, 100), (1, 0.1, 100), (1, 0.0, 3), (4, 0.0, 100)] {
        let exact = ProbabilityOptions {
            orders,
            ..ProbabilityOptions::default()
        };
        let joint = JointQuery::new(&model, &[2], &exact)
            .unwrap()
            .run(&model, &cells)
            .unwrap();
        let targets = JointSupport::new(&model, joint.sub_columns.clone());
        let options = ProbabilityOptions {
            tolerance,
            most_values,
            ..exact.clone()
        };
        let values = ValueQuery::new(&model, 2, &options)
            .unwrap()
            .run(&model, &cells)
            .unwrap();
        let atoms = &values[0];
        let mut missing = 1.0;
        for (codes, p) in atoms.codes.chunks_exact(3).zip(&atoms.probs) {
            assert!((joint.probs[targets.number(codes)] - p).abs() < 1e-6);
            missing -= p;
        }
        assert!((missing - atoms.dropped).abs() < 1e-6);
        assert!(atoms.probs.len() <= most_values);
        assert!(most_values < 100 || atoms.dropped <= tolerance);
    }
}

#[test]
fn values_of_fixed_order_models_are_sums_or_draws() {
    let model = loaded_with("E2", false);
    let row = [2, 3, 0, 1, 2, 1];
    for known in [&[0, 1][..], &[3], &[0, 3], &[]] {
        let cells = observing(&model, &row, known);
        let exact = ProbabilityOptions::default();
        let joint = JointQuery::new(&model, &[2], &exact)
            .unwrap()
            .run(&model, &cells)
            .unwrap();
        let targets = JointSupport::new(&model, joint.sub_columns.clone());
        for max_combinations in [10_000, 1] {
            let options = ProbabilityOptions {
                tolerance: 0.0,
                max_combinations,
                draws: 5_000,
                ..exact.clone()
            };
            let values = ValueQuery::new(&model, 2, &options)
                .unwrap()
                .run(&model, &cells)
                .unwrap();
            let atoms = &values[0];
            let is_drawn = max_combinations == 1 && known != [0, 1];
            assert_eq!(atoms.draws.is_some(), is_drawn, "{known:?}");
            for (codes, p) in atoms.codes.chunks_exact(3).zip(&atoms.probs) {
                let want = joint.probs[targets.number(codes)];
                let error = atoms.draws.map_or(0.0, |n| (want * (1.0 - want) / n).sqrt());
                assert!(
                    (want - p).abs() < 5.0 * error + 1e-6,
                    "{known:?}: {p} instead of {want}"
                );
            }
            assert!((atoms.probs.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }
    }
}

#[test]
fn bad_queries_get_one_sentence() {
    let model = loaded(true);
    let options = ProbabilityOptions::default();
    for targets in [&[][..], &[1, 1], &[4]] {
        assert!(matches!(
            JointQuery::new(&model, targets, &options),
            Err(GenerateError::Targets)
        ));
    }
    let few = ProbabilityOptions {
        max_combinations: 10,
        ..options.clone()
    };
    let error = JointQuery::new(&model, &[0, 1], &few).unwrap_err().to_string();
    assert_eq!(
        error,
        "12 combinations of codes are requested, at most 10 are possible; request fewer targets or fewer rows at once"
    );
    for (orders, draws, message) in [
        (0, 2, "orders is 0; give at least 1"),
        (1, 1, "draws is 1; give at least 2"),
    ] {
        let options = ProbabilityOptions {
            orders,
            draws,
            ..options.clone()
        };
        assert_eq!(
            LogProbQuery::new(&model, &options).unwrap_err().to_string(),
            message
        );
    }
}
