//! Whole programs of the flat model, as training, validation and generation run them: all sizes, flexible and fixed column orders,
//! with and without compressed columns, after one step and after three.

use std::sync::Arc;

use super::case::{Case, CaseError, Rule, rows};
use super::cases::batch::table;
use super::models::{Model, small};
use super::random_data::RandomData;
use crate::argn::Model as _;
use crate::backend::{HostData, Run};
use crate::ir::ops::sampling::{OrderedSample, RequestedOutputs};
use crate::ir::{Folded, LossWeight, Program, ResourceKind, SampleSpec, differentiate, fold, sample_program};
use crate::privacy::clip;
use crate::schema::ColumnOrderKind;
use crate::train::TrainPrograms;

/// Rows of the table that the programs read.
const TABLE_ROWS: usize = 150;

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(111);
    let mut cases = Vec::new();
    for model in small()? {
        for order in [ColumnOrderKind::Any, ColumnOrderKind::Fixed] {
            let data = ModelData::new(random, model.clone(), order);
            data.push_forward(random, &mut cases)?;
            data.push_training(&mut cases)?;
            data.push_clipped(&mut cases)?;
            data.push_update(random, &mut cases)?;
        }
        ModelData::new(random, model, ColumnOrderKind::Any).push_generation(random, &mut cases)?;
    }
    Ok(cases)
}

/// A model with a table and initial weights.
struct ModelData {
    model: Model,
    table: HostData,
    params: Vec<f32>,
    seed: u64,
}

impl ModelData {
    fn new(random: &mut RandomData, mut model: Model, order: ColumnOrderKind) -> Self {
        model.flat = model.flat.with_order(order);
        let table = table(random, TABLE_ROWS, &model.cardinalities);
        Self {
            params: model.params(random.seed),
            table: HostData::Codes(Arc::new(table)),
            model,
            seed: random.seed,
        }
    }

    /// Rows of a batch: fewer for the largest models, which the interpreter takes long for.
    fn rows(&self, rows: usize) -> Run {
        let heavy = self.params.len() > 500_000;
        super::case::rows(if heavy { 7 } else { rows })
    }

    fn label(&self, what: &str) -> String {
        let order = match self.model.flat.order() {
            ColumnOrderKind::Any => "flexible",
            ColumnOrderKind::Fixed => "fixed",
        };
        format!("{}, {order} order, {what}, seed {}", self.model.label, self.seed)
    }

    fn programs(&self) -> Result<TrainPrograms, CaseError> {
        Ok(self.model.flat.train_programs(4)?)
    }

    /// Binds the resources by their names; what is not given starts at zero.
    fn case(&self, op: &'static str, program: Program, run: Run, what: &str) -> Case {
        let resources = program.resources().iter();
        let bind = |name: &str, kind: &ResourceKind| match (name, kind) {
            ("params", _) => HostData::F32(self.params.clone()),
            (_, ResourceKind::Codes { .. }) => self.table.clone(),
            (_, ResourceKind::Arena(layout)) => HostData::F32(vec![0.0; layout.len()]),
            (_, ResourceKind::F32) => HostData::F32(vec![0.0; run.steps as usize]),
            (_, ResourceKind::U32) => HostData::U32(Vec::new()),
        };
        Case {
            op,
            name: self.label(&format!("{what}, {} rows, {} steps", run.rows, run.steps)),
            run,
            max_rows: run.rows.max(1) as usize,
            resources: resources.map(|r| bind(&r.name, &r.kind)).collect(),
            inputs: Vec::new(),
            rule: Rule::Norms,
            program,
        }
    }

    fn push_forward(&self, random: &mut RandomData, cases: &mut Vec<Case>) -> Result<(), CaseError> {
        let run = self.rows(33);
        let mut forward = self.case("forward", self.model.flat.forward()?, run, "given codes");
        let count = self.model.flat.columns().len();
        let ranks = if self.model.flat.order().is_any() {
            random.permutation(count)
        } else {
            (0..count as u32).collect()
        };
        let codes = random.codes(run.rows as usize, &self.model.cardinalities);
        forward.inputs = vec![HostData::U32(codes), HostData::U32(ranks)];
        cases.push(forward);
        let run = Run {
            steps: 2,
            first_row: 60,
            ..self.rows(31)
        };
        let program = self.programs()?.validation()?;
        cases.push(self.case("validation", program, run, "sequential"));
        Ok(())
    }

    fn push_training(&self, cases: &mut Vec<Case>) -> Result<(), CaseError> {
        for (micro_batches, steps) in [(1, 1), (3, 3)] {
            let program = self.programs()?.gradient(micro_batches)?;
            let run = Run {
                steps,
                first_step: 2,
                ..self.rows(33)
            };
            let what = format!("{micro_batches} micro-batches");
            cases.push(self.case("gradient", program, run, &what));
        }
        for steps in [1, 3] {
            let program = self.programs()?.training_step()?;
            let run = Run {
                steps,
                learning_rate: 1e-3,
                ..self.rows(32)
            };
            cases.push(self.case("training_step", program, run, "one micro-batch"));
        }
        Ok(())
    }

    /// Clipped with dropout, as training runs it, and without.
    fn push_clipped(&self, cases: &mut Vec<Case>) -> Result<(), CaseError> {
        let with_dropout = clip(&self.programs()?.gradient(1)?, 0.02)?;
        let validation = self.programs()?.validation()?;
        let without = clip(&differentiate(&validation, "loss", LossWeight::Sum)?, 1.0)?;
        cases.push(self.case("clipped_gradient", with_dropout, self.rows(31), "dropout on"));
        cases.push(self.case("clipped_gradient", without, self.rows(33), "dropout off"));
        Ok(())
    }

    fn push_update(&self, random: &mut RandomData, cases: &mut Vec<Case>) -> Result<(), CaseError> {
        let run = Run {
            first_step: 5,
            learning_rate: 1e-3,
            ..rows(1)
        };
        let mut update = self.case("update", self.programs()?.update()?, run, "AdamW alone");
        let len = self.params.len();
        update.resources[1] = HostData::F32(random.uniform(len, 1.0));
        update.resources[2] = HostData::F32(random.uniform(len, 0.1));
        update.resources[3] = HostData::F32(random.uniform(len, 0.1).iter().map(|v| v * v).collect());
        cases.push(update);
        Ok(())
    }

    /// Draws from the folded model.
    fn push_generation(&self, random: &mut RandomData, cases: &mut Vec<Case>) -> Result<(), CaseError> {
        let order = self.model.order(random);
        let Folded { model, arena } = fold(&self.model.flat.fold_source(), &self.params, &order, None)?;
        let spec = SampleSpec {
            draws: model.sub_columns_of(&order),
            requested: RequestedOutputs::all(model.sub_columns.len()),
            ..SampleSpec::default()
        };
        let sample = sample_program(&model, spec)?;
        let Some(op) = sample
            .nodes()
            .iter()
            .find_map(|node| node.op.as_any().downcast_ref::<OrderedSample>())
            .cloned()
        else {
            return Ok(());
        };
        let mut draw = self.case("sample", sample, rows(100), "a random column order");
        draw.resources[0] = HostData::F32(arena);
        draw.rule = Rule::Draws(op);
        cases.push(draw);
        Ok(())
    }
}
