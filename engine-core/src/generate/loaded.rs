//! A model loaded for inference: folded once, for every order of the columns and any pattern of observed cells.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::plan::{DrawSite, Drawn, SamplePlan};
use super::workers::Workers;
use super::{Cells, GenerateError};
use crate::argn::Model;
use crate::backend::{Backend, BackendError, Buffer, HostData, Run};
use crate::device_buffers::Compiled;
use crate::ir::ops::sampling::{Cell, FoldedModel, RequestedOutputs, SampleInputs, SamplingRules};
use crate::ir::{FoldError, Folded, ParamView, fold, sample_program};
use crate::schema::{CodeColumn, CodeTable, ColumnOrderKind};

/// Numbers that the values of a batch may take up (64 MiB in single precision).
const BATCH_NUMBERS: usize = 16 << 20;
/// Rows of the smallest and of the largest batch.
const BATCH_ROWS: Range<usize> = 32..16_384;
/// Rows whose nulls one task canonicalises at least.
const ROWS_OF_A_TASK: usize = 1_024;
/// Plans that are cached for repeated calls.
const KEPT_PLANS: usize = 64;

/// A model on a device, folded once. Several threads can use it at once.
#[derive(Debug)]
pub struct LoadedModel {
    backend: Arc<dyn Backend>,
    folded: Arc<FoldedModel>,
    columns: Vec<Range<usize>>,
    null_flags: Vec<Option<usize>>,
    null_fills: Vec<u32>,
    order: ColumnOrderKind,
    /// Plans that were made, the last one last. An equal request gets the same plan, which is compiled already.
    plans: Mutex<Vec<SamplePlan>>,
    workers: Workers,
}

impl LoadedModel {
    /// Folds a model, for every column order that it was trained for.
    ///
    /// # Errors
    /// [`GenerateError::ParameterCount`] when the parameters are another model's; otherwise the device fails.
    pub fn new(backend: Arc<dyn Backend>, model: &dyn Model, params: &[f32]) -> Result<Self, GenerateError> {
        let (expected, got) = (model.layout().len(), params.len());
        if expected != got {
            return Err(GenerateError::ParameterCount { expected, got });
        }
        let trained: Vec<usize> = (0..model.columns().len()).collect();
        let allowed = backend.device().buffer_limit();
        let Folded { model: folded, arena } = fold(&model.fold_source(), params, &trained, allowed)?;
        Ok(Self {
            columns: columns_of(&folded),
            null_flags: null_flags(model, &folded),
            null_fills: null_fills(model, params),
            workers: Workers::new(Arc::clone(&backend), arena)?,
            backend,
            folded,
            order: model.order(),
            plans: Mutex::default(),
        })
    }

    /// Sub-columns of each column.
    pub fn columns(&self) -> &[Range<usize>] {
        &self.columns
    }

    /// Number of sub-columns.
    pub fn sub_columns(&self) -> usize {
        self.folded.sub_columns.len()
    }

    /// Number of codes of a sub-column; panics when there is none.
    pub fn cardinality(&self, sub_column: usize) -> usize {
        self.folded.sub_columns[sub_column].cardinality
    }

    /// Whether the model was trained for any column order.
    pub fn is_any_order(&self) -> bool {
        self.order.is_any()
    }

    /// The column of a sub-column; panics when there is none.
    pub(super) fn column_of(&self, sub_column: usize) -> usize {
        self.folded.sub_columns[sub_column].column
    }

    /// The sub-column that says, by code 1, that a column is null; its other sub-columns then mean nothing.
    pub(super) fn null_flag(&self, column: usize) -> Option<usize> {
        self.null_flags[column]
    }

    /// The code that stands in a sub-column of a null.
    pub(super) fn null_fill(&self, sub_column: usize) -> u32 {
        self.null_fills[sub_column]
    }

    /// A plan that draws `order` (columns, each at most once).
    ///
    /// # Errors
    /// [`GenerateError::ColumnOrder`] when the model has one order only and this is another;
    /// [`GenerateError::Fold`] when a column does not exist or is named twice.
    pub fn plan(
        &self,
        order: &[usize],
        rules: SamplingRules,
        requested: RequestedOutputs,
    ) -> Result<SamplePlan, GenerateError> {
        if !self.is_any_order() && !order.is_sorted() {
            return Err(GenerateError::ColumnOrder);
        }
        let columns = self.columns.len();
        if order.iter().any(|c| *c >= columns) {
            return Err(FoldError::Order { columns }.into());
        }
        self.plan_parts(self.folded.sub_columns_of(order), rules, requested)
    }

    /// A plan that draws sub-columns.
    pub(super) fn plan_parts(
        &self,
        draws: Vec<usize>,
        rules: SamplingRules,
        requested: RequestedOutputs,
    ) -> Result<SamplePlan, GenerateError> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let found = plans
            .iter()
            .position(|p| p.draws == draws && p.is_by(&rules, &requested));
        let plan = match found {
            Some(found) => plans.remove(found),
            None => {
                let plan = SamplePlan::new(draws, rules, requested);
                // Whatever is wrong with the draws shows here rather than at the first run.
                sample_program(&self.folded, plan.spec(SampleInputs::default()))?;
                plan
            }
        };
        if plans.len() >= KEPT_PLANS {
            plans.remove(0);
        }
        plans.push(plan.clone());
        Ok(plan)
    }

    /// Answers a plan for the rows of `cells`.
    ///
    /// Codes of nulls (a column whose null flag is known to be 1) are replaced by ones that are always the same, so that results
    /// do not depend on the codes that are put in for nulls.
    ///
    /// # Errors
    /// [`GenerateError::Gap`] when the model has one order only and a row leaves out a column before one that is drawn;
    /// [`GenerateError::Backend`] when a code is out of range or the device fails.
    pub fn run(&self, plan: &SamplePlan, cells: &Cells, site: DrawSite) -> Result<Drawn, GenerateError> {
        if !self.is_any_order() {
            self.check_gaps(plan, cells)?;
        }
        self.run_batches(plan, cells, None, site)
    }

    /// [`Self::run`], of which the codes are kept, as a table.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn sample(
        &self,
        plan: &SamplePlan,
        cells: &Cells,
        site: DrawSite,
    ) -> Result<CodeTable, GenerateError> {
        let drawn = self.run(plan, cells, site)?;
        self.table(&drawn.codes, cells.rows())
    }

    /// Rows of the largest batch of a plan.
    pub(super) fn batch_rows(&self, plan: &SamplePlan) -> usize {
        let count = |subs: &[usize]| subs.iter().map(|s| self.cardinality(*s)).sum::<usize>();
        let width = count(&plan.requested.probs) + count(&plan.requested.weights) + 4 * self.sub_columns();
        let rows = BATCH_NUMBERS / width.max(1);
        rows.clamp(BATCH_ROWS.start, BATCH_ROWS.end) / 32 * 32
    }

    /// [`Self::run`] with given uniform numbers `[rows, sub-columns]` in place of drawn ones, without any check.
    pub(super) fn run_batches(
        &self,
        plan: &SamplePlan,
        cells: &Cells,
        uniforms: Option<&[f32]>,
        site: DrawSite,
    ) -> Result<Drawn, GenerateError> {
        let inputs = SampleInputs {
            cells: !cells.are_all_sampled(),
            uniforms: uniforms.is_some(),
        };
        let (rows, max) = (cells.rows(), self.batch_rows(plan));
        let mut drawn = Drawn::default();
        for first in (0..rows).step_by(max) {
            let batch = first..(first + max).min(rows);
            let bound = self.uploaded(cells, uniforms, batch.clone())?;
            let bound: Vec<&dyn Buffer> = bound.iter().map(AsRef::as_ref).collect();
            // Borrowed once the host has done its part, so that no other thread waits for that.
            let mut worker = self.workers.borrow()?;
            let run = Run {
                seed: site.seed,
                first_row: site.first_row + first as u64,
                ..Run::evaluate(batch.len() as u32)
            };
            let compile = || {
                // Powers of two: few programs serve all numbers of rows.
                let rows = batch.len().next_power_of_two().clamp(BATCH_ROWS.start, max);
                let program = sample_program(&self.folded, plan.spec(inputs))?;
                let compiled = Compiled::new(self.backend.as_ref(), &program, rows)?;
                Ok::<_, GenerateError>((compiled, rows))
            };
            let (program, buffers) = worker.program(plan, inputs, batch.len(), compile)?;
            program.run(&run, buffers, &bound)?;
            drawn.append(Drawn::of(program, &plan.requested)?);
        }
        Ok(drawn)
    }

    /// The inputs of a program for a batch of rows: cells where some are observed, uniform numbers where they are given.
    fn uploaded(
        &self,
        cells: &Cells,
        uniforms: Option<&[f32]>,
        batch: Range<usize>,
    ) -> Result<Vec<Box<dyn Buffer>>, GenerateError> {
        let count = self.sub_columns();
        let mut bound = Vec::with_capacity(2);
        if let Some(words) = cells.words(batch.clone()) {
            let mut words = words.to_vec();
            self.canonicalise_nulls(&mut words);
            bound.push(self.backend.upload(HostData::U32(words))?);
        }
        if let Some(uniforms) = uniforms {
            let numbers = uniforms[batch.start * count..batch.end * count].to_vec();
            bound.push(self.backend.upload(HostData::F32(numbers))?);
        }
        Ok(bound)
    }

    /// Whatever is beside an observed or teacher-forced null flag of 1 becomes the null fill.
    fn canonicalise_nulls(&self, words: &mut [u32]) {
        let flags = self.null_flags.iter().zip(&self.columns);
        let flags: Vec<(usize, Range<usize>)> = flags
            .filter_map(|(flag, range)| Some(((*flag)?, range.clone())))
            .collect();
        if flags.is_empty() {
            return;
        }
        let is_null = |word| matches!(Cell::from_bits(word), Cell::Observed(1) | Cell::TeacherForced(1));
        let rows = words.par_chunks_exact_mut(self.sub_columns());
        rows.with_min_len(ROWS_OF_A_TASK).for_each(|row| {
            for (flag, sub_columns) in &flags {
                if !is_null(row[*flag]) {
                    continue;
                }
                for s in sub_columns.clone().filter(|s| s != flag) {
                    row[s] = match Cell::from_bits(row[s]) {
                        Cell::Observed(_) => Cell::Observed(self.null_fills[s]).to_bits(),
                        Cell::TeacherForced(_) => Cell::TeacherForced(self.null_fills[s]).to_bits(),
                        Cell::Sampled | Cell::Masked => row[s],
                    };
                }
            }
        });
    }

    /// A fixed-order model needs all columns before the last one that is drawn.
    fn check_gaps(&self, plan: &SamplePlan, cells: &Cells) -> Result<(), GenerateError> {
        let Some(last) = plan.draws.iter().max().copied() else {
            return Ok(());
        };
        let mut drawn = vec![false; self.sub_columns()];
        plan.draws.iter().for_each(|s| drawn[*s] = true);
        // Rows of which nothing is observed are alike.
        let rows = if cells.are_all_sampled() {
            cells.rows().min(1)
        } else {
            cells.rows()
        };
        for row in 0..rows {
            let mut open = false;
            for (s, is_drawn) in drawn.iter().copied().enumerate().take(last + 1) {
                let cell = cells.get(row, s);
                let is_gap = match cell {
                    Cell::Observed(_) => open,
                    Cell::Masked => true,
                    Cell::Sampled | Cell::TeacherForced(_) => !is_drawn,
                };
                open |= !matches!(cell, Cell::Observed(_));
                if is_gap {
                    let column = self.folded.sub_columns[s].column;
                    return Err(GenerateError::Gap { row, column });
                }
            }
        }
        Ok(())
    }

    /// Codes `[rows, sub-columns]`, row-major, as a table.
    ///
    /// # Errors
    /// [`GenerateError::Backend`] when their number is another.
    pub(super) fn table(&self, codes: &[u32], rows: usize) -> Result<CodeTable, GenerateError> {
        let width = self.sub_columns();
        let column = |s: usize| {
            CodeColumn::from_codes(self.cardinality(s), codes.iter().skip(s).step_by(width).copied())
        };
        let columns = (0..width).map(column).collect();
        CodeTable::new(columns, rows).ok_or_else(|| {
            GenerateError::Backend(BackendError::BufferMismatch {
                program: "sample".to_owned(),
                binding: "codes".to_owned(),
                expected: format!("{} codes", rows * width),
                got: format!("{} codes", codes.len()),
            })
        })
    }
}

fn columns_of(folded: &FoldedModel) -> Vec<Range<usize>> {
    let mut columns: Vec<Range<usize>> = Vec::new();
    for (s, sub) in folded.sub_columns.iter().enumerate() {
        match columns.get_mut(sub.column) {
            Some(range) => range.end = s + 1,
            None => columns.push(s..s + 1),
        }
    }
    columns
}

/// The sub-columns called `nan`, by column.
fn null_flags(model: &dyn Model, folded: &FoldedModel) -> Vec<Option<usize>> {
    let mut flags = vec![None; model.columns().len()];
    for (s, (name, _)) in model.sub_columns().iter().enumerate() {
        if name.is_null_flag() {
            flags[folded.sub_columns[s].column] = Some(s);
        }
    }
    flags
}

/// The most frequent code of each sub-column, by the bias of its predictor.
fn null_fills(model: &dyn Model, params: &[f32]) -> Vec<u32> {
    let null_fill = |bias: ParamView| {
        let values = &params[bias.range()];
        let best = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]).then(b.cmp(a)));
        best.unwrap_or(0) as u32
    };
    model.predictor_biases().into_iter().map(null_fill).collect()
}
