//! What plans allow, what is observed of rows, and shares that are met.

use super::*;

fn modelled(values: EncodingStats) -> ColumnStats {
    ColumnStats::Modelled {
        value_protection: Some(true),
        texts: Compat::MostlyAi,
        values,
        place: ModelPlace {
            processor: "tgt".to_owned(),
            table: "t0".to_owned(),
            column: "c0".to_owned(),
        },
    }
}

fn table_stats(columns: Vec<(&str, ColumnStats)>) -> TableStats {
    TableStats {
        columns: columns
            .into_iter()
            .map(|(name, c)| (name.to_owned(), c))
            .collect(),
        no_of_training_records: 9,
        no_of_validation_records: 1,
        seq_len: SequenceLengths::flat(true),
        is_sequential: false,
        keys: TableKeys::default(),
        value_protection_epsilon_spent: None,
    }
}

#[test]
fn rare_codes_are_forbidden_by_encoding_and_replacement() {
    let cardinalities = |names: &[&str]| names.iter().map(|n| ((*n).to_owned(), 9)).collect();
    let categorical = |no_of_rare_categories| {
        modelled(EncodingStats::from(CategoricalStats {
            no_of_rare_categories,
            codes: Default::default(),
            cardinalities: cardinalities(&["cat"]),
        }))
    };
    let binned = EncodingStats::from(BinnedStats {
        cardinalities: cardinalities(&["bin"]),
        codes: Default::default(),
        min_decimal: 0,
        bins: vec![0.0],
        within: None,
    });
    let discrete = EncodingStats::from(DiscreteStats {
        cardinalities: cardinalities(&["cat"]),
        codes: Default::default(),
        min_decimal: 0,
    });
    let places = r#"{"E1": 1, "E0": 0}"#;
    let digits = format!(
        r#"{{"cardinalities": {{"E1": 9, "E0": 9}}, "has_nan": false, "has_neg": false, "min_digits": {places},
            "max_digits": {places}, "max_decimal": 1, "min_decimal": 0, "min": null, "max": null}}"#
    );
    let digits = EncodingStats::from(serde_json::from_str::<DigitStats>(&digits).unwrap());
    let stats = table_stats(vec![
        ("plain", categorical(0)),
        ("with rare ones", categorical(3)),
        ("empty", ColumnStats::Empty(EncodingType::CATEGORICAL)),
        ("binned", modelled(binned)),
        ("discrete", modelled(discrete)),
        ("digits", modelled(digits)),
    ]);
    let forbidden =
        |replacement| -> Vec<usize> { rare_codes(&stats, replacement).iter().map(Vec::len).collect() };
    assert_eq!(forbidden(RareReplacement::Constant), [1, 0, 1, 1, 0, 0]);
    assert_eq!(forbidden(RareReplacement::Sample), [1, 1, 1, 1, 0, 0]);
    let codes = rare_codes(&stats, RareReplacement::Sample);
    assert!(
        codes
            .iter()
            .flatten()
            .all(|f| f.code == 0 && f.probability == 0.0)
    );
}

#[test]
fn observed_cells_act_as_if_their_columns_came_first() {
    let model = mixed_model();
    let params = random_params(model.layout().len(), 31);
    let loaded = LoadedModel::new(Arc::new(InterpreterBackend), &model, &params).unwrap();
    let table = random_table(&model, 16, 5);
    let order = [2, 0, 3, 1];
    let plan = loaded
        .plan(&order, SamplingRules::default(), RequestedOutputs::all(7))
        .unwrap();
    // Every pattern of observed columns; all others are teacher-forced.
    let mut cells = Cells::sampled(16, 7);
    for row in 0..16 {
        for (c, column) in loaded.columns().iter().enumerate() {
            for s in column.clone() {
                let code = table.get(row, s);
                let known = row >> c & 1 == 1;
                cells.set(
                    row,
                    s,
                    if known {
                        Cell::Observed(code)
                    } else {
                        Cell::TeacherForced(code)
                    },
                );
            }
        }
    }
    let drawn = loaded.run(&plan, &cells, DrawSite::default()).unwrap();
    let cards: Vec<usize> = model.sub_columns().iter().map(|(_, v)| *v).collect();
    let total: usize = cards.iter().sum();
    for row in 0..16 {
        let is_observed = |c: &usize| row >> c & 1 == 1;
        let known = (0..4).filter(|c| is_observed(c));
        let known_first: Vec<usize> = known
            .chain(order.into_iter().filter(|c| !is_observed(c)))
            .collect();
        let want = forward_probs(&model, &params, &table.gather(&[row]), &known_first);
        let mut offset = 0;
        for (s, v) in cards.iter().enumerate() {
            let column = loaded.columns().iter().position(|c| c.contains(&s)).unwrap();
            let range = offset..offset + v;
            offset += v;
            if is_observed(&column) {
                assert_eq!(drawn.log_probs[row * 7 + s], 0.0);
                continue;
            }
            for (got, want) in drawn.probs[row * total..][range.clone()]
                .iter()
                .zip(&want.data[range])
            {
                assert!(
                    (f64::from(*got) - want).abs() <= 1e-6 * want,
                    "row {row}, sub-column {s}"
                );
            }
        }
    }
    assert_eq!(
        drawn.codes,
        codes_of(&table).iter().map(|c| *c as u32).collect::<Vec<_>>()
    );
}

/// Cells of mixed patterns over `rows` rows: observed where `row + column` is odd.
fn patterns(model: &FlatModel, columns: &[std::ops::Range<usize>], rows: usize) -> Cells {
    let table = random_table(model, rows, 6);
    let mut cells = Cells::sampled(rows, table.columns().len());
    for (c, column) in columns.iter().enumerate() {
        cells.observe(column.clone(), &table, 0, |row| (row / 3 + c * row) % 2 == 1);
    }
    cells
}

#[test]
fn completed_rows_keep_observed_cells_and_depend_on_nothing_else() {
    let model = mixed_model();
    let order = GenerationOrder::Given(vec![2, 3, 0, 1]);
    let plan = RowPlan::mixed(order, SamplingRules::default(), 12);
    let cells = patterns(&model, plan.model.columns(), 50);
    let whole = plan.sample(&cells, 1_000);
    for row in 0..50 {
        for s in 0..7 {
            if let Cell::Observed(code) = cells.get(row, s) {
                assert_eq!(whole.get(row, s), code);
            }
        }
        let mut alone = Cells::sampled(1, 7);
        (0..7).for_each(|s| alone.set(0, s, cells.get(row, s)));
        let alone = plan.sample(&alone, 1_000 + row as u64);
        assert_eq!(
            alone,
            whole.gather(&[row]),
            "row {row} does not depend on the others"
        );
    }
}

#[test]
fn fixed_order_models_refuse_gaps() {
    let model = mixed_model().with_order(ColumnOrderKind::Fixed);
    let params = random_params(model.layout().len(), 8);
    let loaded = LoadedModel::new(Arc::new(InterpreterBackend), &model, &params).unwrap();
    let plan = |order: &[usize]| loaded.plan(order, SamplingRules::default(), RequestedOutputs::default());
    let sample = |cells: &Cells| loaded.sample(&plan(&[0, 1, 2, 3]).unwrap(), cells, DrawSite::default());
    let table = random_table(&model, 2, 6);
    let mut cells = Cells::sampled(2, 7);
    assert!(sample(&cells).is_ok(), "nothing need be known");
    cells.observe(0..1, &table, 0, |_| true);
    cells.observe(1..4, &table, 0, |_| true);
    assert!(sample(&cells).is_ok(), "the first columns may be known");
    cells.observe(5..7, &table, 0, |row| row == 1);
    assert_eq!(
        sample(&cells).unwrap_err().to_string(),
        "row 1: this model was trained with a fixed order of the columns and cannot leave out a column before column number 3; give \
         the columns before it as well, marginalise those that are missing, or train again without a fixed order"
    );
    assert!(matches!(plan(&[1, 0]), Err(GenerateError::ColumnOrder)));
    let last = plan(&[2, 3]).unwrap();
    let free = loaded.sample(&last, &Cells::sampled(5, 7), DrawSite::default());
    assert!(matches!(free, Err(GenerateError::Gap { row: 0, column: 0 })));
}

#[test]
fn plans_are_checked_when_they_are_made() {
    let model = mixed_model();
    let params = random_params(model.layout().len(), 8);
    let loaded = LoadedModel::new(Arc::new(InterpreterBackend), &model, &params).unwrap();
    let fails = |order: &[usize], requested| {
        let plan = loaded.plan(order, SamplingRules::default(), requested);
        matches!(plan, Err(GenerateError::Fold(_)))
    };
    assert!(fails(&[0, 4], RequestedOutputs::default()));
    assert!(fails(&[1, 0, 1], RequestedOutputs::default()));
    assert!(fails(&[1, 0], RequestedOutputs::all(8)));
    assert!(!fails(&[1, 0], RequestedOutputs::all(7)));
}

#[test]
fn the_same_request_gets_the_same_plan() {
    let model = mixed_model();
    let params = random_params(model.layout().len(), 8);
    let loaded = LoadedModel::new(Arc::new(InterpreterBackend), &model, &params).unwrap();
    let forbidden = |code| {
        let fixed = FixedProbability {
            code,
            probability: 0.0,
        };
        sampling_rules(1.0, 1.0, vec![vec![fixed]]).unwrap()
    };
    let plan = |order: &[usize], code, requested| loaded.plan(order, forbidden(code), requested).unwrap().id;
    let first = plan(&[1, 0], 0, RequestedOutputs::default());
    let others = [
        plan(&[0, 1], 0, RequestedOutputs::default()),
        plan(&[1, 0], 1, RequestedOutputs::default()),
        plan(&[1, 0], 0, RequestedOutputs::all(7)),
    ];
    assert!(!others.contains(&first));
    assert_eq!(plan(&[1, 0], 0, RequestedOutputs::default()), first);
}

#[test]
fn several_threads_use_one_model() {
    let model = mixed_model();
    let params = random_params(model.layout().len(), 8);
    let loaded = LoadedModel::new(Arc::new(InterpreterBackend), &model, &params).unwrap();
    let plan = loaded
        .plan(
            &[3, 0, 1, 2],
            SamplingRules::default(),
            RequestedOutputs::default(),
        )
        .unwrap();
    let cells = patterns(&model, loaded.columns(), 9);
    let once = loaded.run(&plan, &cells, DrawSite::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(loaded.run(&plan, &cells, DrawSite::default()).unwrap(), once);
                }
            });
        }
    });
}

#[test]
fn rebalanced_shares_are_met_whatever_the_temperature() {
    let share = |fixed: &[(u32, f32)], temperature: f64| {
        let fixed: Vec<_> = fixed
            .iter()
            .map(|(code, probability)| FixedProbability {
                code: *code,
                probability: *probability,
            })
            .collect();
        let fixed = vec![Vec::new(), Vec::new(), Vec::new(), Vec::new(), fixed];
        let rules = sampling_rules(temperature, 1.0, fixed).unwrap();
        let order = GenerationOrder::Given(vec![2, 0, 1, 3]);
        let table = RowPlan::mixed(order, rules, 3).draw(4_000, 10_000);
        let counts = table.columns()[4].counts(3);
        [0, 1, 2].map(|code| counts[code] as f64 / 4_000.0)
    };
    for temperature in [1.0, 0.01] {
        let shares = share(&[(0, 0.2), (2, 0.5)], temperature);
        for (got, want) in shares.iter().zip([0.2, 0.3, 0.5]) {
            assert!((got - want).abs() < 0.03, "temperature {temperature}: {shares:?}");
        }
    }
}

#[test]
fn parity_makes_the_target_independent_of_the_groups() {
    const ROWS: usize = 40_000;
    let model = pair_model();
    let params: Vec<f32> = random_params(model.layout().len(), 21)
        .iter()
        .map(|p| 2.0 * p)
        .collect();
    let gap = |parity: Option<Arc<crate::ir::ops::sampling::Parity>>| {
        let rules = SamplingRules {
            parity,
            ..SamplingRules::default()
        };
        let plan = RowPlan::new(&model, &params, (GenerationOrder::Trained, rules), 4);
        let table = plan.draw(ROWS as u64, 10_000);
        let share = |group: u32, code: u32| {
            let rows: Vec<usize> = (0..ROWS).filter(|r| table.get(*r, 0) == group).collect();
            rows.iter().filter(|r| table.get(**r, 1) == code).count() as f64 / rows.len() as f64
        };
        let of_code = |code| {
            let shares: Vec<f64> = (0..4).map(|group| share(group, code)).collect();
            shares.iter().copied().fold(0.0, f64::max) - shares.iter().copied().fold(1.0, f64::min)
        };
        (0..4).map(of_code).fold(0.0, f64::max)
    };
    let loaded = LoadedModel::new(Arc::new(InterpreterBackend), &model, &params).unwrap();
    let fairness = Fairness {
        target: 1,
        sensitive: vec![0],
        groups: (0..4).map(|code| vec![code]).collect(),
    };
    let parity = estimate_parity(&loaded, &fairness, &[0, 1], &SamplingRules::default(), 4).unwrap();
    // The target follows from the group alone, so that all rows of a group have the same probabilities.
    let requested = RequestedOutputs {
        probs: vec![1],
        ..RequestedOutputs::default()
    };
    let plan = loaded.plan(&[0, 1], SamplingRules::default(), requested).unwrap();
    let nothing = Cells::sampled(ROWS, 2);
    let everyone = loaded.run(&plan, &nothing, DrawSite::default()).unwrap().probs;
    let share = |code: usize| everyone.iter().skip(code).step_by(4).sum::<f32>() / ROWS as f32;
    for group in 0..4 {
        let mut cells = Cells::sampled(1, 2);
        cells.set(0, 0, Cell::Observed(group));
        let mut probs = loaded.run(&plan, &cells, DrawSite::default()).unwrap().probs;
        parity.apply(&mut probs, |_| group);
        for (code, p) in probs.iter().enumerate() {
            let want = share(code);
            assert!(
                (p - want).abs() < 0.015,
                "group {group}, code {code}: {p} instead of {want}"
            );
        }
    }
    let (before, after) = (gap(None), gap(Some(parity)));
    assert!(before > 0.15 && after < 0.08, "{before} before, {after} after");
}
