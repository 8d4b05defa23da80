use std::ops::ControlFlow;
use std::sync::Arc;

use super::*;
use crate::argn::{FlatModel, Model};
use crate::backend::{HostData, Run};
use crate::device_buffers::{Compiled, DeviceBuffers};
use crate::fixtures::{mixed_model, model, pair_model, random_table, related_table};
use crate::interpreter::InterpreterBackend;
use crate::ir::{Program, initialise};
use crate::schema::{CodeTable, ColumnOrderKind};

/// A checkpoint store in memory.
#[derive(Default)]
struct Memory {
    best: Option<Vec<f32>>,
    state: Option<TrainState>,
    messages: Vec<ProgressMessage>,
    calls: Vec<&'static str>,
    /// Number of states after which storing fails, as a kill would have it.
    die_after: Option<usize>,
}

impl Memory {
    fn dying_after(states: usize) -> Self {
        Self {
            die_after: Some(states),
            ..Self::default()
        }
    }

    fn states(&self) -> usize {
        self.calls.iter().filter(|c| **c == "state").count()
    }
}

impl CheckpointSink for Memory {
    fn save_best(&mut self, params: &[f32]) -> Result<(), SinkError> {
        self.calls.push("best");
        self.best = Some(params.to_vec());
        Ok(())
    }

    fn save_state(&mut self, state: &TrainState) -> Result<(), SinkError> {
        if self.die_after == Some(self.states()) {
            return Err("killed".into());
        }
        self.calls.push("state");
        self.state = Some(through_json(state));
        Ok(())
    }

    fn save_progress(&mut self, messages: &[ProgressMessage]) -> Result<(), SinkError> {
        self.calls.push("progress");
        self.messages = messages.to_vec();
        Ok(())
    }
}

/// What a state is after it went to disk and back.
fn through_json(state: &TrainState) -> TrainState {
    let text = serde_json::to_string(&state.counters).unwrap();
    let counters = serde_json::from_str(&text).unwrap();
    let tensors = state.tensors().map(|(name, values)| (name, values.to_vec()));
    let find = |name| tensors.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone());
    let back = TrainState::from_parts(counters, find).unwrap();
    let bits = |state: &TrainState| {
        let values = state
            .tensors()
            .map(|(_, v)| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        (values, state.counters.clone())
    };
    assert!(bits(&back) == bits(state), "a state comes back as it was");
    back
}

fn plan(rows: usize, batch: usize, micro_batches: usize) -> TrainPlan {
    let size = TableSize {
        training_rows: rows,
        validation_rows: 30,
        parameters: 100,
        codes_per_sample: 2,
    };
    TrainPlan::choose(size, Some(batch), Some(micro_batches))
}

fn pair_training(model: &FlatModel, micro_batches: usize, max_epochs: f64) -> Training<'static> {
    let plan = plan(100, 8, micro_batches);
    Training {
        backend: &InterpreterBackend,
        programs: model.train_programs(plan.micro_batches_per_epoch()).unwrap(),
        training: data(model, &related_table(100, 1)),
        validation: data(model, &related_table(30, 2)),
        options: TrainOptions {
            max_epochs,
            ..TrainOptions::new(42, plan)
        },
    }
}

fn data(model: &FlatModel, table: &Arc<CodeTable>) -> TrainData {
    model.train_data("training", table).unwrap()
}

fn go_on(_: &Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn run(training: &Training<'_>, start: Start) -> (Memory, TrainReport) {
    let mut memory = Memory::default();
    let report = training.run(start, &mut memory, &mut go_on).unwrap();
    (memory, report)
}

fn resume(state: &TrainState) -> Start {
    Start::Resume {
        state: Box::new(state.clone()),
    }
}

/// Messages without what depends on the clock.
fn timeless(messages: &[ProgressMessage]) -> Vec<ProgressMessage> {
    let timeless = |m: &ProgressMessage| ProgressMessage {
        total_time: 0.0,
        ..m.clone()
    };
    messages.iter().map(timeless).collect()
}

#[test]
fn a_deterministic_relation_is_learnt() {
    let model = pair_model();
    let mut training = pair_training(&model, 1, 40.0);
    training.options.plan.learning_rate = 0.01;
    let (memory, report) = run(&training, Start::Fresh);
    let losses: Vec<f64> = report.messages.iter().filter_map(|m| m.val_loss).collect();
    // Independent columns have 2 ln 4 nats, the relation ln 4.
    let (first, best) = (losses[0], report.best_val_loss.unwrap());
    assert!(first > 2.4, "starts at {first} nats");
    assert!(
        best < 1.6,
        "ends at {best} nats, the least possible is {}",
        4f64.ln()
    );
    let early: f64 = losses[..3].iter().sum();
    let late: f64 = losses[10..13].iter().sum();
    assert!(late < early, "{losses:?}");
    assert!(memory.best.is_some());
}

#[test]
fn the_stored_model_is_that_of_the_least_validation_loss() {
    let model = pair_model();
    let mut training = pair_training(&model, 1, 100.0);
    training.options.plan.learning_rate = 0.05;
    training.validation = data(&model, &random_table(&model, 30, 5));
    let (memory, report) = run(&training, Start::Fresh);
    assert_eq!(report.reason, StopReason::EarlyStopping);
    let mut marked = report.messages.iter().filter(|m| m.is_checkpoint == 1);
    let last = marked.next_back().unwrap();
    let least = report
        .messages
        .iter()
        .filter_map(|m| m.val_loss)
        .fold(f64::INFINITY, f64::min);
    assert_eq!(last.val_loss, Some(least));
    assert_eq!(report.messages.last().unwrap().epoch, last.epoch + 5.0);
    let state = memory.state.unwrap();
    assert_ne!(memory.best.as_ref(), Some(&state.params));
    assert_eq!(state.counters.finished, Some(StopReason::EarlyStopping));
    // Epochs after the best one: halved after the third, stopped after the fifth.
    let rates: Vec<f64> = report
        .messages
        .iter()
        .rev()
        .take(5)
        .map(|m| m.learn_rate)
        .collect();
    assert_eq!(rates[0] * 2.0, rates[2]);
}

/// Programs run one after another by hand, from initial weights; gives the parameters.
fn by_hand(training: &Training<'_>, runs: &[(Program, Run)]) -> Vec<f32> {
    let params = initialise(&training.programs.layout, training.options.seed);
    let mut buffers = DeviceBuffers::default();
    let zeros = || HostData::F32(vec![0.0; params.len()]);
    for (name, data) in [
        ("table", training.training.resources[0].1.clone()),
        ("params.grads", zeros()),
        ("first_moments", zeros()),
        ("second_moments", zeros()),
        ("trace", HostData::F32(vec![0.0; 100])),
        ("params", HostData::F32(params)),
    ] {
        buffers.upload(&InterpreterBackend, name, data).unwrap();
    }
    for (program, run) in runs {
        let mut compiled = Compiled::new(&InterpreterBackend, program, 100).unwrap();
        compiled.run(run, &mut buffers, &[]).unwrap();
    }
    buffers.read_f32("params").unwrap()
}

#[test]
fn steps_are_counted_over_the_whole_training() {
    let model = pair_model();
    for micro_batches in [1, 3] {
        let training = pair_training(&model, micro_batches, 2.0);
        let per_epoch = training.options.plan.steps_per_epoch as u32;
        let micro = micro_batches as u32;
        let programs = model.train_programs(per_epoch * micro).unwrap();
        let run = |first_step, steps| Run {
            seed: 42,
            first_step,
            steps,
            learning_rate: training.options.plan.learning_rate as f32,
            ..Run::evaluate(8)
        };
        let runs: Vec<(Program, Run)> = if micro == 1 {
            vec![(programs.training_step().unwrap(), run(0, 2 * per_epoch))]
        } else {
            let (gradient, update) = (programs.gradient(micro).unwrap(), programs.update().unwrap());
            let step = |t| {
                [
                    (gradient.clone(), run(t * micro, micro)),
                    (update.clone(), run(t, 1)),
                ]
            };
            (0..2 * per_epoch).flat_map(step).collect()
        };
        let (memory, _) = self::run(&training, Start::Fresh);
        assert_eq!(memory.state.unwrap().params, by_hand(&training, &runs));
    }
}

#[test]
fn messages_follow_the_epochs() {
    let model = pair_model();
    let (memory, report) = run(&pair_training(&model, 1, 3.0), Start::Fresh);
    assert_eq!(
        (report.reason, report.steps, report.samples),
        (StopReason::MaxEpochs, 36, 288)
    );
    assert_eq!(memory.messages, report.messages);
    let steps: Vec<(u64, f64, u64)> = report
        .messages
        .iter()
        .map(|m| (m.steps, m.epoch, m.samples))
        .collect();
    assert_eq!(
        steps,
        [(1, 0.08, 8), (12, 1.0, 96), (24, 2.0, 192), (36, 3.0, 288)]
    );
    assert_eq!(report.messages[0].val_loss, None);
    assert!(
        report
            .messages
            .iter()
            .all(|m| m.trn_loss.is_some() && m.learn_rate == 0.0005)
    );
    assert!(report.messages[1..].iter().all(|m| m.val_loss.is_some()));
    let csv = to_csv(&memory.messages);
    assert!(csv.starts_with(
        "epoch,is_checkpoint,steps,samples,trn_loss,total_time,learn_rate,val_loss\n0.08,0,1,8,"
    ));
    assert_eq!(
        memory.calls,
        [
            "progress", "best", "progress", "state", "best", "progress", "state", "best", "progress", "state"
        ]
    );
}

#[test]
fn a_run_killed_at_any_epoch_and_resumed_ends_with_the_same_bits() {
    for micro_batches in [1, 3] {
        let model = pair_model();
        let training = pair_training(&model, micro_batches, 4.0);
        let (whole, report) = run(&training, Start::Fresh);
        for epochs in 0..4 {
            let mut memory = Memory::dying_after(epochs);
            let error = training.run(Start::Fresh, &mut memory, &mut go_on).unwrap_err();
            assert_eq!(error.to_string(), "a checkpoint could not be stored: killed");
            memory.die_after = None;
            let start = memory.state.as_ref().map_or(Start::Fresh, resume);
            let resumed = training.run(start, &mut memory, &mut go_on).unwrap();
            assert_eq!(memory.best, whole.best, "killed after {epochs} epochs");
            let (state, expected) = (memory.state.unwrap(), whole.state.as_ref().unwrap());
            assert_eq!(state.tensors(), expected.tensors());
            assert_eq!(state.counters.stopping, expected.counters.stopping);
            assert_eq!(timeless(&memory.messages), timeless(&report.messages));
            assert_eq!((resumed.steps, resumed.samples), (report.steps, report.samples));
        }
    }
}

#[test]
fn a_cancelled_run_goes_on_where_it_stopped() {
    let model = pair_model();
    let training = pair_training(&model, 1, 3.0);
    let (whole, _) = run(&training, Start::Fresh);
    let mut memory = Memory::default();
    let mut cancel = |progress: &Progress<'_>| {
        if progress.loss.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut report = training.run(Start::Fresh, &mut memory, &mut cancel).unwrap();
    assert_eq!((report.reason, report.steps), (StopReason::Cancelled, 1));
    assert_eq!(
        report.messages.len(),
        2,
        "the first step and the model of this moment"
    );
    assert_eq!(report.messages[1].is_checkpoint, 1);
    assert_eq!(memory.best.as_ref(), memory.state.as_ref().map(|s| &s.params));
    let mut stops = 1;
    while report.reason == StopReason::Cancelled {
        let start = resume(memory.state.as_ref().unwrap());
        report = training.run(start, &mut memory, &mut cancel).unwrap();
        stops += 1;
    }
    assert!(stops > 10, "stopped {stops} times");
    assert_eq!(report.reason, StopReason::MaxEpochs);
    assert_eq!(memory.best, whole.best);
    assert_eq!(memory.state.unwrap().tensors(), whole.state.unwrap().tensors());
}

#[test]
fn resuming_with_more_epochs_equals_a_longer_run() {
    let model = pair_model();
    let (whole, _) = run(&pair_training(&model, 1, 3.0), Start::Fresh);
    for first in [0.0, 0.5, 1.0, 1.5] {
        let (part, report) = run(&pair_training(&model, 1, first), Start::Fresh);
        assert_eq!((report.reason, report.epoch), (StopReason::MaxEpochs, first));
        let (rest, _) = run(
            &pair_training(&model, 1, 3.0),
            resume(part.state.as_ref().unwrap()),
        );
        assert_eq!(rest.best, whole.best, "after {first} epochs");
        assert_eq!(rest.state.unwrap().params, whole.state.as_ref().unwrap().params);
    }
}

#[test]
fn resuming_a_finished_run_changes_nothing() {
    let model = pair_model();
    let training = pair_training(&model, 1, 2.0);
    let (memory, first) = run(&training, Start::Fresh);
    let state = memory.state.unwrap();
    let (untouched, report) = run(&training, resume(&state));
    assert!(untouched.calls.is_empty());
    assert!(report.was_over && !first.was_over);
    assert_eq!(
        (report.messages, report.reason),
        (first.messages, StopReason::MaxEpochs)
    );
    let mut stopped = state;
    stopped.counters.finished = Some(StopReason::EarlyStopping);
    let longer = pair_training(&model, 1, 9.0);
    let (untouched, report) = run(&longer, resume(&stopped));
    assert!(untouched.calls.is_empty() && report.reason == StopReason::EarlyStopping);
}

#[test]
fn zero_epochs_store_the_initial_weights() {
    let model = pair_model();
    let (memory, report) = run(&pair_training(&model, 1, 0.0), Start::Fresh);
    assert_eq!(memory.best.unwrap(), initialise(model.layout(), 42));
    assert_eq!((report.steps, report.messages.len()), (0, 1));
    let message = &report.messages[0];
    assert_eq!(
        (message.epoch, message.is_checkpoint, message.trn_loss),
        (0.0, 1, None)
    );
    assert!(message.val_loss.is_some());
    assert_eq!(memory.calls, ["best", "progress", "state"]);
}

#[test]
fn no_time_stores_the_initial_weights_unvalidated() {
    let model = pair_model();
    let mut training = pair_training(&model, 1, 5.0);
    training.options.max_minutes = 0.0;
    let (memory, report) = run(&training, Start::Fresh);
    assert_eq!((report.reason, report.steps), (StopReason::MaxMinutes, 0));
    assert_eq!(report.messages[0].val_loss, None);
    assert_eq!(memory.best.unwrap(), initialise(model.layout(), 42));
}

#[test]
fn reuse_starts_from_given_parameters_with_fresh_moments() {
    let model = pair_model();
    let (memory, _) = run(&pair_training(&model, 1, 2.0), Start::Fresh);
    let params = memory.best.unwrap();
    let zero = pair_training(&model, 1, 0.0);
    let start = Start::Reuse {
        params: params.clone(),
    };
    let (again, report) = run(&zero, start);
    assert_eq!(again.best.as_ref(), Some(&params));
    assert_eq!(again.state.unwrap().first_moments, vec![0.0; params.len()]);
    assert_eq!(report.steps, 0);
    let start = Start::Reuse { params: vec![0.0; 3] };
    let error = zero.run(start, &mut Memory::default(), &mut go_on).unwrap_err();
    let expected = params.len();
    assert_eq!(
        error.to_string(),
        format!(
            "the model has {expected} parameters, 3 were given to start from; train again with state reset"
        )
    );
}

#[test]
fn events_begin_at_zero_and_end_at_all_steps() {
    let model = pair_model();
    let training = pair_training(&model, 1, 2.0);
    let mut seen = Vec::new();
    let mut on_progress = |progress: &Progress<'_>| {
        seen.push((
            progress.steps,
            progress.total_steps,
            progress.is_last,
            progress.share(),
        ));
        ControlFlow::Continue(())
    };
    training
        .run(Start::Fresh, &mut Memory::default(), &mut on_progress)
        .unwrap();
    assert_eq!(seen.first(), Some(&(0, 24, false, 0.0)));
    assert_eq!(seen.last(), Some(&(24, 24, true, 1.0)));
    assert!(seen.windows(2).all(|w| w[0].0 <= w[1].0));
    assert!(
        seen.iter().any(|(steps, ..)| *steps == 12),
        "epochs end at an event"
    );
}

#[test]
fn a_loss_that_is_not_finite_ends_the_training() {
    let model = pair_model();
    let training = pair_training(&model, 1, 5.0);
    let params = vec![f32::NAN; model.layout().len()];
    let mut memory = Memory::default();
    let error = training
        .run(Start::Reuse { params }, &mut memory, &mut go_on)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "after 12 steps the loss is no longer a finite number, at a learning rate of 0.0005; no model was stored, \
         train again with a smaller batch size"
    );
    assert!(memory.best.is_none() && memory.state.is_none());

    let (memory, _) = run(&pair_training(&model, 1, 1.0), Start::Fresh);
    let (best, mut state) = (memory.best, memory.state.unwrap());
    state.params[0] = f32::NAN;
    let mut rest = Memory::default();
    let report = training.run(resume(&state), &mut rest, &mut go_on).unwrap();
    assert_eq!((report.reason, report.epoch), (StopReason::Diverged, 2.0));
    assert!(
        rest.best.is_none() && best.is_some(),
        "the model of epoch 1 stays"
    );
    let (_, again) = run(&training, resume(&rest.state.unwrap()));
    assert!(again.was_over && again.reason == StopReason::Diverged);
}

#[test]
fn the_last_validation_batch_may_be_smaller() {
    let model = pair_model();
    let fixed = model
        .clone()
        .with_order(ColumnOrderKind::Fixed)
        .train_programs(12)
        .unwrap();
    let loss = |batch| {
        let mut training = pair_training(&model, 1, 0.0);
        training.programs = fixed.clone();
        training.options.plan.validation_batch_size = batch;
        run(&training, Start::Fresh).1.messages[0].val_loss.unwrap()
    };
    let whole = loss(30);
    assert!([1, 7, 8, 29].into_iter().all(|batch| loss(batch) == whole));
}

#[test]
fn bad_inputs_get_one_sentence() {
    let model = pair_model();
    let usual = || pair_training(&model, 1, 1.0);
    let message = |training: &Training<'_>, start| {
        let result = training.run(start, &mut Memory::default(), &mut go_on);
        result.unwrap_err().to_string()
    };
    let mut training = usual();
    training.options.max_epochs = f64::NAN;
    assert_eq!(
        message(&training, Start::Fresh),
        "max_epochs is NaN; give a number of at least 0"
    );
    let mut training = usual();
    training.validation = data(&model, &related_table(0, 1));
    assert_eq!(
        message(&training, Start::Fresh),
        "the validation table has no rows; training needs at least one row to train on and one to validate on"
    );
    let refused = |table: &Arc<CodeTable>| model.train_data("training", table).unwrap_err().to_string();
    assert_eq!(
        refused(&random_table(&mixed_model(), 5, 1)),
        "the training table has 7 sub-columns, the model 2; encode the table with the model's statistics"
    );
    let columns = [9, 1].map(|code| crate::schema::CodeColumn::from_codes(10, [code].into_iter()));
    assert_eq!(
        refused(&Arc::new(CodeTable::new(columns.to_vec(), 1).unwrap())),
        "the training table holds code 9 in sub-column tgt:t0/c0__s0, whose cardinality is 4; encode the table with the \
         model's statistics"
    );
    let (memory, _) = run(&usual(), Start::Fresh);
    let state = memory.state.unwrap();
    let mut training = usual();
    training.training = data(&model, &related_table(99, 1));
    assert_eq!(
        message(&training, resume(&state)),
        "the training state was made with 100 training and 30 validation rows, now there are 99 and 30; train again with \
         state reset or reuse"
    );
    let mut training = usual();
    training.options.plan.steps_per_epoch = 11;
    assert_eq!(
        message(&training, Start::Fresh),
        "the programs make 12 micro-batches an epoch, the training makes 11; build them for its plan"
    );
    let mut training = usual();
    training.programs.order = ColumnOrderKind::Fixed;
    assert_eq!(
        message(&training, resume(&state)),
        "the training state belongs to a model that is trained for other orders of the columns; train again with state reset"
    );
    let mut short = state;
    short.second_moments.pop();
    let (expected, got) = (model.layout().len(), model.layout().len() - 1);
    assert_eq!(
        message(&usual(), resume(&short)),
        format!(
            "the training state holds {got} numbers in \"second_moments\", the model has {expected} parameters; it belongs \
             to another model, train again with state reset"
        )
    );
}

#[test]
fn a_model_without_columns_can_be_trained() {
    let model = model(&[]);
    let table = |rows| Arc::new(CodeTable::new(Vec::new(), rows).unwrap());
    let training = Training {
        programs: model.train_programs(12).unwrap(),
        training: data(&model, &table(100)),
        validation: data(&model, &table(30)),
        ..pair_training(&pair_model(), 1, 2.0)
    };
    let (memory, report) = run(&training, Start::Fresh);
    assert_eq!(memory.best, Some(Vec::new()));
    assert_eq!(report.best_val_loss, Some(0.0));
}

#[test]
fn states_hold_the_kind_of_order_as_a_boolean() {
    let model = pair_model();
    for (order, any) in [(ColumnOrderKind::Any, true), (ColumnOrderKind::Fixed, false)] {
        let mut training = pair_training(&model, 1, 0.0);
        training.programs = model.clone().with_order(order).train_programs(12).unwrap();
        let state = run(&training, Start::Fresh).0.state.unwrap();
        let counters = serde_json::to_value(&state.counters).unwrap();
        assert_eq!(counters["flexible"], any);
        assert_eq!(state.counters.order, order);
    }
}
