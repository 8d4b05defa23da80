//! The generator: folds a model once, then draws any number of rows.

use super::GenerateError;
use super::batching::batch_sizes;
use super::order::GenerationOrder;
use crate::argn::FlatModel;
use crate::backend::{Backend, BackendError, HostData, Run};
use crate::ir::ops::sampling::{FixedProbability, SampleInputs, SamplingRules};
use crate::ir::{Folded, fold_inference};
use crate::resident::{Compiled, Resident};
use crate::schema::{CodeColumn, CodeTable};

/// How rows are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Seed of all draws.
    pub seed: u64,
    /// Divides log-probabilities, at least 0; 1 changes nothing, 0 is nearly greedy.
    pub temperature: f64,
    /// Share of the mass that the most probable codes must exceed, in 0..=1; 1 keeps every code.
    pub top_p: f64,
    /// Fixed probabilities by sub-column, see [`super::rare_codes`].
    pub fixed: Vec<Vec<FixedProbability>>,
    /// Order of the columns.
    pub order: GenerationOrder,
    /// Whether the model was trained for any column order.
    pub flexible: bool,
    /// Rows of a batch at most, at least 1. It changes the memory that is needed, never the rows.
    pub batch_rows: usize,
}

impl GenerateOptions {
    /// Unchanged probabilities in the trained order, 10,000 rows at a time.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            temperature: 1.0,
            top_p: 1.0,
            fixed: Vec::new(),
            order: GenerationOrder::Trained,
            flexible: true,
            batch_rows: 10_000,
        }
    }

    /// The rules of the draw.
    ///
    /// # Errors
    /// [`GenerateError::Temperature`], [`GenerateError::TopP`].
    pub fn rules(&self) -> Result<SamplingRules, GenerateError> {
        let Self {
            temperature, top_p, ..
        } = *self;
        if !temperature.is_finite() || temperature < 0.0 {
            return Err(GenerateError::Temperature { temperature });
        }
        if !(0.0..=1.0).contains(&top_p) {
            return Err(GenerateError::TopP { top_p });
        }
        Ok(SamplingRules {
            temperature: (temperature != 1.0).then_some(temperature as f32),
            top_p: (top_p != 1.0).then_some(top_p as f32),
            fixed: self.fixed.clone(),
        })
    }
}

/// A folded model on a device.
#[derive(Debug)]
pub struct Generator {
    sample: Compiled,
    resident: Resident,
    cardinalities: Vec<usize>,
    order: Vec<usize>,
    seed: u64,
    batch_rows: usize,
}

/// Folds a model on a device: runs the preparation, keeps only its result there.
pub(super) fn fold_on(
    backend: &dyn Backend,
    folded: &Folded,
    params: &[f32],
) -> Result<Resident, GenerateError> {
    let mut resident = Resident::default();
    resident.upload(backend, "params", HostData::F32(params.to_vec()))?;
    resident.upload(backend, "folded", HostData::F32(vec![0.0; folded.model.len]))?;
    Compiled::new(backend, &folded.prepare, 1)?.run(&Run::evaluate(1), &mut resident, &[])?;
    resident.drop_buffer("params");
    Ok(resident)
}

pub(super) fn check_params(model: &FlatModel, params: &[f32]) -> Result<(), GenerateError> {
    let (expected, got) = (model.layout().len(), params.len());
    if expected == got {
        Ok(())
    } else {
        Err(GenerateError::ParameterCount { expected, got })
    }
}

impl Generator {
    /// Folds the model for one column order and compiles the draw.
    ///
    /// # Errors
    /// [`GenerateError`] says which option or parameter is wrong, or why the device fails.
    pub fn new(
        backend: &dyn Backend,
        model: &FlatModel,
        params: &[f32],
        options: &GenerateOptions,
    ) -> Result<Self, GenerateError> {
        let rules = options.rules()?;
        check_params(model, params)?;
        let batch_rows = options.batch_rows;
        if batch_rows == 0 || u32::try_from(batch_rows).is_err() {
            return Err(GenerateError::BatchRows { rows: batch_rows });
        }
        let (columns, flexible) = (model.columns().len(), options.flexible);
        let order = options.order.resolve(columns, flexible, options.seed)?;
        let folded = fold_inference(&model.forward()?, &order, rules, SampleInputs::default(), false)?;
        let resident = fold_on(backend, &folded, params)?;
        Ok(Self {
            sample: Compiled::new(backend, &folded.sample, batch_rows)?,
            resident,
            cardinalities: model.sub_columns().iter().map(|(_, v)| *v).collect(),
            order,
            seed: options.seed,
            batch_rows,
        })
    }

    /// The columns in the order of their draws: indices of the model's columns.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Draws `rows` rows, batch by batch. Row number i depends on the seed and i only, so every call gives the same rows.
    ///
    /// # Errors
    /// [`GenerateError::Rows`] when there are none.
    pub fn generate(&mut self, rows: i64) -> Result<Chunks<'_>, GenerateError> {
        let count = u64::try_from(rows).ok().filter(|n| *n > 0);
        let count = count.ok_or(GenerateError::Rows { rows })?;
        let sizes = Box::new(batch_sizes(count, self.batch_rows as u64));
        Ok(Chunks {
            generator: self,
            sizes,
            first_row: 0,
        })
    }

    fn batch(&mut self, first_row: u64, rows: u64) -> Result<CodeTable, GenerateError> {
        let run = Run {
            seed: self.seed,
            first_row,
            ..Run::evaluate(rows as u32)
        };
        self.sample.run(&run, &mut self.resident, &[])?;
        let codes = self.sample.codes("codes")?;
        Ok(to_table(&codes, &self.cardinalities, rows as usize)?)
    }
}

/// Codes `[rows, sub-columns]`, row-major, as a table.
pub(super) fn to_table(
    codes: &[u32],
    cardinalities: &[usize],
    rows: usize,
) -> Result<CodeTable, BackendError> {
    let width = cardinalities.len();
    let column = |(s, cardinality): (usize, &usize)| {
        CodeColumn::from_codes(*cardinality, codes.iter().skip(s).step_by(width).copied())
    };
    let columns = cardinalities.iter().enumerate().map(column).collect();
    CodeTable::new(columns, rows).ok_or_else(|| BackendError::BufferMismatch {
        program: "sample".to_owned(),
        binding: "codes".to_owned(),
        expected: format!("{} codes", rows * width),
        got: format!("{} codes", codes.len()),
    })
}

/// Batches of rows, one after another.
pub struct Chunks<'g> {
    generator: &'g mut Generator,
    sizes: Box<dyn Iterator<Item = u64> + Send>,
    first_row: u64,
}

impl std::fmt::Debug for Chunks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks")
            .field("first_row", &self.first_row)
            .finish_non_exhaustive()
    }
}

impl Chunks<'_> {
    /// Number of the first row of the next batch.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<CodeTable, GenerateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.sizes.next()?;
        let table = self.generator.batch(self.first_row, rows);
        self.first_row += rows;
        Some(table)
    }
}
