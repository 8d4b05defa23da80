mod plans;

use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::argn::{FlatModel, Model};
use crate::backend::Run;
use crate::encode::{
    BinnedStats, CategoricalStats, ColumnStats, Compat, DigitStats, DiscreteStats, EncodingStats,
    EncodingType, ModelPlace, RareReplacement, SequenceLengths, TableKeys, TableStats,
};
use crate::fixtures::{mixed_model, model, pair_model, random_params, random_table};
use crate::interpreter::InterpreterBackend;
use crate::ir::ops::sampling::FoldedModel;
use crate::ir::ops::sampling::{
    Cell, Contribution, FixedProbability, RequestedOutputs, SampleInputs, SamplingRules,
};
use crate::ir::ops::softmax::Softmax;
use crate::ir::{
    Builder, FoldError, Interpreter, InterpreterBuffer, SampleSpec, Tensor, fold, fold_tables, lay_out,
    sample_program,
};
use crate::schema::{CodeTable, ColumnOrderKind};

fn codes_of(table: &CodeTable) -> Vec<f64> {
    let cell = |row| (0..table.columns().len()).map(move |s| f64::from(table.get(row, s)));
    (0..table.rows()).flat_map(cell).collect()
}

fn as_f64(params: &[f32]) -> Vec<f64> {
    params.iter().map(|p| f64::from(*p)).collect()
}

/// Probabilities of the forward pass, teacher-forced, in double precision.
fn forward_probs(model: &FlatModel, params: &[f32], table: &CodeTable, order: &[usize]) -> Tensor {
    let forward = model.forward().unwrap();
    let logits = forward.output("logits").unwrap();
    let groups = forward.shape(logits).groups.clone();
    let mut builder = Builder::extend(&forward, "probabilities");
    let probs = builder.push_one(Softmax { groups }, &[logits]).unwrap();
    builder.output("probs", probs).unwrap();
    let program = builder.finish();
    let mut ranks = vec![0.0; order.len()];
    for (rank, column) in order.iter().enumerate() {
        ranks[*column] = rank as f64;
    }
    let inputs = [
        Tensor::from_data(table.rows(), table.columns().len(), codes_of(table)),
        Tensor::from_data(1, order.len(), ranks),
    ];
    let mut resources = [InterpreterBuffer::from_f64(as_f64(params))];
    let mut interpreter = Interpreter::new(&program);
    let run = Run::evaluate(table.rows() as u32);
    interpreter.run(&run, &mut resources, &inputs).unwrap();
    interpreter.output("probs").unwrap().clone()
}

/// Probabilities of the folded model with all codes teacher-forced.
fn folded_probs(folded: &Arc<FoldedModel>, arena: Vec<f64>, table: &CodeTable, order: &[usize]) -> Tensor {
    let mut resources = [InterpreterBuffer::from_f64(arena)];
    let given = [Tensor::from_data(
        table.rows(),
        table.columns().len(),
        codes_of(table),
    )];
    let spec = SampleSpec {
        draws: folded.sub_columns_of(order),
        inputs: SampleInputs {
            cells: true,
            uniforms: false,
        },
        requested: RequestedOutputs::all(table.columns().len()),
        ..SampleSpec::default()
    };
    let program = sample_program(folded, spec).unwrap();
    let mut interpreter = Interpreter::new(&program);
    let run = Run::evaluate(table.rows() as u32);
    interpreter.run(&run, &mut resources, &given).unwrap();
    assert_eq!(
        interpreter.output("codes").unwrap().data,
        given[0].data,
        "given codes stay"
    );
    let (probs, logs) = (
        interpreter.output("probs").unwrap(),
        interpreter.output("log_probs").unwrap(),
    );
    let cards = &folded.cardinalities;
    for row in 0..table.rows() {
        for s in 0..cards.len() {
            let p = probs.at(row, cards.offset(s) + table.get(row, s) as usize);
            let log = logs.at(row, s);
            assert!(
                (log.exp() - p).abs() <= 1e-6 * p,
                "row {row}, sub-column {s}: {p} and {log}"
            );
        }
    }
    probs.clone()
}

fn check_fold(
    model: &FlatModel,
    seed: u64,
    (layout, order): (&[usize], &[usize]),
    budget: usize,
) -> Arc<FoldedModel> {
    let params = random_params(model.layout().len(), seed);
    let table = random_table(model, 11, seed);
    let source = model.fold_source();
    let folded = Arc::new(lay_out(&source, layout, budget).unwrap());
    let arena = fold_tables(&source, &folded, &params, |x| x).unwrap();
    let want = forward_probs(model, &params, &table, order);
    let got = folded_probs(&folded, arena, &table, order);
    assert_eq!(got.data.len(), want.data.len());
    for (i, (got, want)) in got.data.iter().zip(&want.data).enumerate() {
        // Sampling works in single precision; two double precision sums round to neighbours at most.
        let bound = f64::from(f32::EPSILON) * want;
        assert!(
            (got - want).abs() <= bound,
            "order {order:?}, budget {budget}, probability {i}: {got} instead of {want}"
        );
    }
    folded
}

#[test]
fn a_folded_model_has_the_probabilities_of_the_forward_pass() {
    let model = mixed_model();
    for order in [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0], [1, 0, 3, 2]] {
        for seed in [1, 2] {
            for layout in [&[0, 1, 2, 3], &[2, 0, 3, 1]] {
                check_fold(&model, seed, (layout, &order), usize::MAX);
            }
            let full = check_fold(&model, seed, (&order, &order), usize::MAX);
            let factored = check_fold(&model, seed, (&order, &order), 0);
            let is_table = |c: &Contribution| matches!(c, Contribution::Table { .. });
            let subs = |folded: &FoldedModel| folded.sub_columns.clone();
            assert!(subs(&full).iter().all(|d| is_table(&d.contribution)));
            let tables = subs(&factored)
                .iter()
                .filter(|d| is_table(&d.contribution))
                .count();
            let draws = factored.sub_columns.len();
            assert!(
                0 < tables && tables < draws,
                "{tables} of {draws} draws have a full table"
            );
        }
    }
}

#[test]
fn folding_holds_for_one_column_and_for_no_compressors() {
    use crate::fixtures::Sub;
    check_fold(&model(&[(&[Sub(7, 3, &[4])], None)]), 3, (&[0], &[0]), 0);
    check_fold(
        &model(&[(&[Sub(7, 3, &[4, 2]), Sub(9, 2, &[4, 2])], None)]),
        3,
        (&[0], &[0]),
        0,
    );
    check_fold(&pair_model(), 4, (&[0, 1], &[1, 0]), 0);
    let two_layers = model(&[
        (&[Sub(30, 2, &[3, 4]), Sub(3, 3, &[3, 2])], None),
        (&[Sub(20, 2, &[5, 1])], None),
    ]);
    for order in [[0, 1], [1, 0]] {
        check_fold(&two_layers, 5, (&order, &order), 0);
        check_fold(&two_layers, 6, (&[0, 1], &order), usize::MAX);
    }
}

#[test]
fn tables_that_do_not_fit_are_refused_with_their_bytes() {
    let model = mixed_model();
    let params = random_params(model.layout().len(), 8);
    let fold = |allowed| fold(&model.fold_source(), &params, &[0, 1, 2, 3], allowed);
    let whole = fold(None).unwrap();
    let needed = 4 * whole.arena.len() as u64;
    assert_eq!(fold(Some(needed)).unwrap().arena, whole.arena);
    let allowed = needed - 1;
    assert_eq!(
        fold(Some(allowed)).unwrap_err(),
        FoldError::TooLarge { needed, allowed }
    );
}

#[test]
fn folding_needs_the_parameters_of_the_model_and_each_column_once() {
    let model = mixed_model();
    let params = random_params(model.layout().len(), 8);
    let (source, needed) = (model.fold_source(), params.len());
    let got = needed - 1;
    assert_eq!(
        fold(&source, &params[..got], &[0, 1, 2, 3], None).unwrap_err(),
        FoldError::Parameters { needed, got }
    );
    for order in [&[0, 1, 2][..], &[0, 1, 2, 2], &[0, 1, 2, 4]] {
        assert_eq!(
            fold(&source, &params, order, None).unwrap_err(),
            FoldError::Order { columns: 4 }
        );
    }
}

/// A loaded model with a plan for whole rows.
struct RowPlan {
    model: LoadedModel,
    plan: SamplePlan,
    seed: u64,
}

impl RowPlan {
    fn new(
        model: &FlatModel,
        params: &[f32],
        (order, rules): (GenerationOrder, SamplingRules),
        seed: u64,
    ) -> Self {
        let model = LoadedModel::new(Arc::new(InterpreterBackend), model, params).unwrap();
        let order = order.of(&model, seed).unwrap();
        let plan = model.plan(&order, rules, RequestedOutputs::default()).unwrap();
        Self { model, plan, seed }
    }

    /// A model of four columns and seven sub-columns.
    fn mixed(order: GenerationOrder, rules: SamplingRules, seed: u64) -> Self {
        let model = mixed_model();
        let params = random_params(model.layout().len(), 8);
        Self::new(&model, &params, (order, rules), seed)
    }

    fn sample(&self, cells: &Cells, first_row: u64) -> CodeTable {
        let seed = self.seed;
        self.model
            .sample(&self.plan, cells, DrawSite { seed, first_row })
            .unwrap()
    }

    /// Rows of which nothing is observed, batch by batch.
    fn draw(&self, rows: u64, batch_rows: u64) -> CodeTable {
        let mut first_row = 0;
        let batches = batch_sizes(rows, batch_rows).map(|size| {
            let batch = self.sample(
                &Cells::sampled(size as usize, self.model.sub_columns()),
                first_row,
            );
            first_row += size;
            batch
        });
        let table = batches.reduce(|mut table, batch| {
            assert!(table.append(&batch));
            table
        });
        table.unwrap()
    }
}

#[test]
fn rows_do_not_depend_on_the_size_of_batches() {
    let in_order = |seed| RowPlan::mixed(GenerationOrder::Random, SamplingRules::default(), seed);
    let plan = in_order(77);
    let whole = plan.draw(101, 1_000);
    assert_eq!((whole.rows(), whole.columns().len()), (101, 7));
    for batch_rows in [1, 7, 100, 101] {
        assert_eq!(plan.draw(101, batch_rows), whole, "batches of {batch_rows}");
        assert_eq!(plan.draw(101, batch_rows), whole, "a second time");
    }
    assert_ne!(in_order(78).draw(101, 1_000), whole);
}

#[test]
fn first_rows_stay_the_same_when_more_are_asked_for() {
    let plan = RowPlan::mixed(GenerationOrder::Trained, SamplingRules::default(), 5);
    let few = plan.draw(20, 10_000);
    let many = plan.draw(50, 10_000);
    assert_eq!(many.gather(&(0..20).collect::<Vec<_>>()), few);
}

#[test]
fn rows_without_observed_cells_are_those_of_sampled_cells() {
    let plan = RowPlan::mixed(GenerationOrder::Random, SamplingRules::default(), 6);
    let mut cells = Cells::sampled(40, 7);
    (0..7).for_each(|s| cells.set(3, s, Cell::Sampled));
    assert!(!cells.are_all_sampled() && Cells::sampled(40, 7).are_all_sampled());
    assert_eq!(plan.sample(&cells, 9), plan.sample(&Cells::sampled(40, 7), 9));
}

#[test]
fn frequencies_of_draws_are_the_products_of_conditional_probabilities() {
    let model = pair_model();
    let params = random_params(model.layout().len(), 21);
    let order = (GenerationOrder::Given(vec![1, 0]), SamplingRules::default());
    let rows = 20_000;
    let table = RowPlan::new(&model, &params, order, 3).draw(rows, 10_000);
    let mut counts: HashMap<(u32, u32), f64> = HashMap::new();
    for row in 0..table.rows() {
        *counts.entry((table.get(row, 0), table.get(row, 1))).or_default() += 1.0;
    }
    for a in 0..4u32 {
        for b in 0..4u32 {
            let columns = [a, b].map(|c| crate::schema::CodeColumn::from_codes(4, [c].into_iter()));
            let row = CodeTable::new(columns.to_vec(), 1).unwrap();
            let probs = forward_probs(&model, &params, &row, &[1, 0]);
            let p = probs.data[a as usize] * probs.data[4 + b as usize];
            let share = counts.get(&(a, b)).copied().unwrap_or(0.0) / rows as f64;
            let spread = (p * (1.0 - p) / rows as f64).sqrt();
            assert!(
                (share - p).abs() < 5.0 * spread,
                "({a}, {b}): share {share}, probability {p}"
            );
        }
    }
}

#[test]
fn forbidden_codes_are_never_drawn() {
    let fixed = |codes: &[u32]| {
        let zero = |code: &u32| FixedProbability {
            code: *code,
            probability: 0.0,
        };
        codes.iter().map(zero).collect::<Vec<_>>()
    };
    let fixed = vec![Vec::new(), fixed(&[1]), fixed(&[0, 2])];
    let rules = sampling_rules(0.5, 0.9, fixed).unwrap();
    let table = RowPlan::mixed(GenerationOrder::Trained, rules, 9).draw(300, 10_000);
    assert_eq!(table.columns()[1].max(), Some(0));
    let counts = table.columns()[2].counts(4);
    assert_eq!((counts[0], counts[2]), (0, 0));
    assert_eq!(counts[1] + counts[3], 300);
}

#[test]
fn replaying_takes_given_codes_and_uniforms() {
    let model = pair_model();
    let params = random_params(model.layout().len(), 13);
    let mut cells = Cells::sampled(2, 2);
    cells.set(0, 0, Cell::TeacherForced(3));
    cells.set(1, 1, Cell::Observed(0));
    let uniforms = [0.9, 0.0, 0.999_999, 0.5];
    let inputs = ReplayInputs {
        rows: 2,
        cells: Some(&cells),
        uniforms: Some(&uniforms),
        ..ReplayInputs::default()
    };
    let rules = SamplingRules::default;
    let backend = || Arc::new(InterpreterBackend);
    let result = replay(backend(), (&model, &params), &[0, 1], rules(), inputs).unwrap();
    assert_eq!(result.probs, result.weights);
    let cell = |row, s| result.codes.get(row, s);
    assert_eq!((cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1)), (3, 0, 3, 0));
    let error = ReplayInputs { rows: 3, ..inputs };
    assert_eq!(
        replay(backend(), (&model, &params), &[0, 1], rules(), error)
            .unwrap_err()
            .to_string(),
        "given codes: 6 numbers are needed (rows times sub-columns), 4 were given"
    );
}

#[test]
fn bad_requests_get_one_sentence() {
    let fails = |temperature, top_p| {
        sampling_rules(temperature, top_p, Vec::new())
            .unwrap_err()
            .to_string()
    };
    for temperature in [-0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(
            fails(temperature, 1.0),
            format!(
                "the temperature is {temperature}; give a number of at least 0 (1 leaves the model's probabilities as they \
                 are)"
            )
        );
    }
    for top_p in [-0.5, 1.5, f64::NAN] {
        assert_eq!(
            fails(1.0, top_p),
            format!(
                "top-p is {top_p}; give a number from 0 to 1 (1 leaves the model's probabilities as they are)"
            )
        );
    }
    assert_eq!(
        check_rows(1, 0).unwrap_err().to_string(),
        "a batch of 0 rows is requested; give a number from 1 to 4294967295"
    );
    for rows in [0, -3] {
        assert_eq!(
            check_rows(rows, 1).unwrap_err().to_string(),
            format!("{rows} rows cannot be generated; request at least one")
        );
    }
    let model = pair_model();
    let params = random_params(model.layout().len(), 1);
    let error = LoadedModel::new(Arc::new(InterpreterBackend), &model, &params[1..]).unwrap_err();
    let (expected, got) = (params.len(), params.len() - 1);
    assert_eq!(
        error.to_string(),
        format!("the model has {expected} parameters, {got} were given; the weights belong to another model")
    );
}

#[test]
fn a_model_without_columns_gives_rows_without_cells() {
    let plain = (GenerationOrder::Trained, SamplingRules::default());
    let table = RowPlan::new(&model(&[]), &[], plain, 0).draw(7, 10_000);
    assert_eq!((table.rows(), table.columns().len()), (7, 0));
}
