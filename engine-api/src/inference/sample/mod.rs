//! Sampling: rows of a stored model as record batches, one batch after another.

mod builder;
mod draw;
mod keys;
mod options;
mod overlay;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;
use engine_core::encode::{BinOffsets, TableStats, decode};
use engine_core::generate::{GenerateError, batch_sizes};
use engine_core::schema::CodeTable;

use super::fixed_order;
use super::model::InferenceModel;
use crate::data::{TableFormat, TableSink, to_record_batch};
use crate::event::{ProgressCallback, RowCount, Stage};
use crate::model_store::StoredModel;
use crate::seed::draw_seed;
use crate::{Device, EngineError};
pub use builder::SampleOptionsBuilder;
use draw::RowSampler;
use keys::NewKeys;
pub use options::{ColumnOrder, Parity, Rebalance, SampleOptions};
use overlay::Overlay;

/// Batches of codes that are drawn ahead of what is decoded and written.
const AHEAD: usize = 2;

/// Rows of a model, batch by batch. Codes are drawn on a thread of their own while earlier ones are decoded, so memory does
/// not grow with the number of rows.
#[derive(Debug)]
pub struct SampleBatches {
    codes: Receiver<Result<(u64, CodeTable), GenerateError>>,
    drawing: Option<JoinHandle<()>>,
    stats: Arc<TableStats>,
    format: Arc<TableFormat>,
    overlay: Overlay,
    keys: Option<NewKeys>,
    seed: u64,
    rows: u64,
    done: u64,
}

impl SampleBatches {
    /// Begins to draw from a stored model, on a device.
    ///
    /// # Errors
    /// [`EngineError::Generate`] and [`EngineError::Inference`] for unusable options; [`EngineError::Device`];
    /// [`EngineError::KeysExhausted`] when the type of the primary key has too few values.
    pub fn new(model: &StoredModel, device: &Device, options: &SampleOptions) -> Result<Self, EngineError> {
        Self::of(options, || Ok(Arc::new(InferenceModel::new(model, device)?)))
    }

    /// Begins to draw from a model, which is loaded when the options have been looked at.
    pub(crate) fn of(
        options: &SampleOptions,
        model: impl FnOnce() -> Result<Arc<InferenceModel>, EngineError>,
    ) -> Result<Self, EngineError> {
        options.check()?;
        let model = model()?;
        let (stats, format) = (Arc::clone(&model.stats), Arc::clone(&model.format));
        let learnt = stats.no_of_training_records + stats.no_of_validation_records;
        let rows = match (&options.seed_data, options.rows) {
            (Some(seed_data), _) => seed_data.num_rows() as u64,
            (None, Some(rows)) => rows.unsigned_abs(),
            (None, None) => learnt.max(1),
        };
        let seed = options.seed.map_or_else(draw_seed, Ok)?;
        let sampler = RowSampler::new(Arc::clone(&model), options, (seed, rows))?;
        let overlay = Overlay::new(&model, options, sampler.given())?;
        let keys = NewKeys::of(&format, seed, rows)?;
        let (sender, codes) = sync_channel(AHEAD);
        let batch_rows = options.batch_rows as u64;
        let drawing = std::thread::Builder::new()
            .name("engine-api-draw".to_owned())
            .spawn(move || draw(&sampler, (rows, batch_rows), &sender));
        let drawing = drawing.map_err(|e| EngineError::Device {
            device: "cpu".to_owned(),
            reason: format!("no thread can be started ({e})"),
            remedies: Vec::new(),
        })?;
        Ok(Self {
            codes,
            drawing: Some(drawing),
            stats,
            format,
            overlay,
            keys,
            seed,
            rows,
            done: 0,
        })
    }

    /// The seed of the draws, given or drawn.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of rows in all.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn decoded(&self, first_row: u64, codes: &CodeTable) -> Result<RecordBatch, EngineError> {
        let mut columns = decode(
            codes,
            &self.stats,
            BinOffsets::Random {
                seed: self.seed,
                first_row,
            },
        )?;
        if let Some(keys) = &self.keys {
            columns.push(keys.column(first_row, codes.rows()));
        }
        let batch = to_record_batch(columns, &self.format)?;
        self.overlay.lay(batch, first_row as usize)
    }
}

/// Draws all rows batch by batch, until the receiver is gone.
fn draw(
    sampler: &RowSampler,
    (rows, batch_rows): (u64, u64),
    sender: &SyncSender<Result<(u64, CodeTable), GenerateError>>,
) {
    let mut first_row = 0;
    for size in batch_sizes(rows, batch_rows) {
        let batch = sampler.batch(first_row, size as usize);
        let goes_on = batch.is_ok();
        let heard = sender.send(batch.map(|codes| (first_row, codes))).is_ok();
        if !(goes_on && heard) {
            return;
        }
        first_row += size;
    }
}

impl Iterator for SampleBatches {
    type Item = Result<RecordBatch, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done >= self.rows {
            return None;
        }
        match self.codes.recv() {
            Ok(Ok((first_row, codes))) => {
                self.done += codes.rows() as u64;
                Some(self.decoded(first_row, &codes))
            }
            Ok(Err(error)) => {
                self.done = self.rows;
                Some(Err(fixed_order(error, "draw a column before one that is given")))
            }
            Err(_) => {
                self.done = self.rows;
                Some(Err(EngineError::Thread { task: "draws rows" }))
            }
        }
    }
}

impl Drop for SampleBatches {
    fn drop(&mut self) {
        // Closing the channel ends the thread at its next batch; waiting for it keeps its device from outliving the caller.
        let (_, nothing) = sync_channel(0);
        self.codes = nothing;
        if let Some(drawing) = self.drawing.take() {
            let _ = drawing.join();
        }
    }
}

/// Writes all batches; returns the number of rows. Nothing is left of the file when that fails.
pub(crate) fn write_batches(
    mut batches: SampleBatches,
    mut sink: TableSink,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<u64, EngineError> {
    let mut count = RowCount::start(on_progress, Stage::Generate, batches.rows())?;
    let mut first_row = 0;
    while let Some(batch) = batches.next() {
        let batch = batch?;
        let given = batches
            .overlay
            .cells(batch.schema_ref(), first_row, batch.num_rows());
        sink.write_around(&batch, &given)?;
        first_row += batch.num_rows();
        count.add(batch.num_rows())?;
    }
    Ok(sink.finish()?)
}
