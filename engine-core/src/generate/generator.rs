//! The generator: draws any number of rows in one column order, from nothing or around known cells.

use std::sync::Arc;

use super::batching::batch_sizes;
use super::loaded::LoadedModel;
use super::order::GenerationOrder;
use super::plan::{DrawSite, Plan};
use super::{Cells, GenerateError};
use crate::argn::Model;
use crate::backend::Backend;
use crate::ir::ops::sampling::{FixedProbability, Parity, Reports, SamplingRules};
use crate::schema::CodeTable;

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
    /// Makes the probabilities of one sub-column alike in all groups of rows, see [`super::estimate_parity`].
    pub parity: Option<Arc<Parity>>,
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
            parity: None,
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
            parity: self.parity.clone(),
        })
    }
}

/// A folded model on a device with a plan for whole rows.
#[derive(Debug)]
pub struct Generator {
    model: LoadedModel,
    plan: Plan,
    order: Vec<usize>,
    seed: u64,
    batch_rows: usize,
}

impl Generator {
    /// Folds the model and plans the draw.
    ///
    /// # Errors
    /// [`GenerateError`] says which option or parameter is wrong, or why the device fails.
    pub fn new(
        backend: Arc<dyn Backend>,
        model: &dyn Model,
        params: &[f32],
        options: &GenerateOptions,
    ) -> Result<Self, GenerateError> {
        let rules = options.rules()?;
        let batch_rows = options.batch_rows;
        if batch_rows == 0 || u32::try_from(batch_rows).is_err() {
            return Err(GenerateError::BatchRows { rows: batch_rows });
        }
        let (columns, flexible) = (model.columns().len(), options.flexible);
        let order = options.order.resolve(columns, flexible, options.seed)?;
        let model = LoadedModel::laid_out(backend, model, params, flexible, &order)?;
        Ok(Self {
            plan: model.plan(&order, rules, Reports::default())?,
            model,
            order,
            seed: options.seed,
            batch_rows,
        })
    }

    /// The columns in the order of their draws: indices of the model's columns.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The model, which answers other questions too.
    pub fn model(&self) -> &LoadedModel {
        &self.model
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

    /// Draws what is not known of rows `first_row ..` of the whole result: known cells stay, all others are drawn given all that
    /// is known of their row, in one order for all rows.
    ///
    /// # Errors
    /// [`GenerateError::Gap`] when the model knows one order only and a known column follows an unknown one.
    pub fn complete(&self, cells: &Cells, first_row: u64) -> Result<CodeTable, GenerateError> {
        let site = DrawSite {
            seed: self.seed,
            first_row,
        };
        let drawn = self.model.run(&self.plan, cells, site)?;
        self.model.table(&drawn.codes, cells.rows())
    }

    fn batch(&self, first_row: u64, rows: u64) -> Result<CodeTable, GenerateError> {
        let site = DrawSite {
            seed: self.seed,
            first_row,
        };
        let drawn = self.model.run_free(&self.plan, rows as usize, site)?;
        self.model.table(&drawn.codes, rows as usize)
    }
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
