//! Sampling: rows of a stored model as record batches, one batch after another.

mod builder;
mod keys;
mod planned;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use engine_core::encode::{BinOffsets, TableStats, decode};
use engine_core::generate::{
    GenerateError, GenerateOptions, GenerationOrder, Generator, batch_sizes, rare_codes,
};
use engine_core::schema::CodeTable;

use crate::EngineError;
use crate::data::{DataError, TableFormat, TableSink, list_names, to_record_batch};
use crate::event::{RowCount, Stage, Watch};
use crate::model_store::StoredModel;
use crate::options::{ColumnOrder, SampleOptions};
use crate::questions::{Answers, fixed_order};
use crate::seed::draw_seed;
pub use builder::SampleOptionsBuilder;
use keys::NewKeys;
use planned::{Overlay, Planned};

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

/// What draws rows.
enum Drawing {
    Free(Box<Generator>),
    Planned(Box<Planned>, usize),
}

impl SampleBatches {
    /// Begins to draw.
    ///
    /// # Errors
    /// [`EngineError::Generate`] and [`EngineError::Question`] for unusable options; [`EngineError::Device`];
    /// [`EngineError::KeysExhausted`] when the type of the primary key has too few values.
    pub fn new(model: &StoredModel, options: &SampleOptions) -> Result<Self, EngineError> {
        Self::of(model, options, || {
            Ok(Arc::new(Answers::new(model, &options.device)?))
        })
    }

    /// [`Self::new`], with the model on its device where more than free rows are asked for.
    pub(crate) fn of(
        model: &StoredModel,
        options: &SampleOptions,
        answers: impl FnOnce() -> Result<Arc<Answers>, EngineError>,
    ) -> Result<Self, EngineError> {
        options.check()?;
        let stats = Arc::clone(&model.stats);
        let known = stats.no_of_training_records + stats.no_of_validation_records;
        let rows = match &options.conditions {
            Some(conditions) => conditions.num_rows() as i64,
            None => options
                .rows
                .unwrap_or_else(|| i64::try_from(known).unwrap_or(i64::MAX).max(1)),
        };
        let seed = options.seed.map_or_else(draw_seed, Ok)?;
        let (drawing, overlay) = if options.is_plain() {
            (free(model, options, (seed, rows))?, Overlay::default())
        } else {
            let (answers, most) = (answers()?, options.batch_rows);
            let overlay = Overlay::new(&answers, options)?;
            let planned = Planned::new(answers, options, (seed, rows.unsigned_abs()))?;
            (Drawing::Planned(Box::new(planned), most), overlay)
        };
        let keys = NewKeys::of(&model.format, seed, rows.unsigned_abs())?;
        let (sender, codes) = sync_channel(AHEAD);
        let drawing = std::thread::Builder::new()
            .name("engine-api-draw".to_owned())
            .spawn(move || draw(drawing, rows, &sender));
        let drawing = drawing.map_err(|e| EngineError::Device {
            device: "cpu".to_owned(),
            reason: format!("no thread can be started ({e})"),
            remedies: Vec::new(),
        })?;
        let (format, drawing) = (Arc::clone(&model.format), Some(drawing));
        Ok(Self {
            codes,
            drawing,
            stats,
            format,
            overlay,
            keys,
            seed,
            rows: rows.unsigned_abs(),
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

fn free(
    model: &StoredModel,
    options: &SampleOptions,
    (seed, rows): (u64, i64),
) -> Result<Drawing, EngineError> {
    let generate = GenerateOptions {
        seed,
        temperature: options.temperature,
        top_p: options.top_p,
        fixed: rare_codes(&model.stats, options.rare),
        parity: None,
        order: generation_order(&model.stats, &options.order)?,
        flexible: model.model.order().is_any(),
        batch_rows: options.batch_rows,
    };
    let mut generator = Generator::new(options.device.open()?, model.model(), &model.params, &generate)?;
    // Looks at the number of rows before any thread is started.
    drop(generator.generate(rows)?);
    Ok(Drawing::Free(Box::new(generator)))
}

/// Draws all rows batch by batch, until nobody listens any more.
fn draw(drawing: Drawing, rows: i64, sender: &SyncSender<Result<(u64, CodeTable), GenerateError>>) {
    let mut first_row = 0;
    let mut send = |chunk: Result<CodeTable, GenerateError>| {
        let more = chunk.as_ref().map_or(0, |c| c.rows() as u64);
        let goes_on = chunk.is_ok();
        let heard = sender.send(chunk.map(|codes| (first_row, codes))).is_ok();
        first_row += more;
        goes_on && heard
    };
    match drawing {
        Drawing::Free(mut generator) => match generator.generate(rows) {
            Ok(chunks) => {
                for chunk in chunks {
                    if !send(chunk) {
                        return;
                    }
                }
            }
            Err(error) => {
                send(Err(error));
            }
        },
        Drawing::Planned(planned, most) => {
            let mut first = 0;
            for size in batch_sizes(rows.unsigned_abs(), most as u64) {
                if !send(planned.batch(first, size as usize)) {
                    return;
                }
                first += size;
            }
        }
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
    batches: SampleBatches,
    mut sink: TableSink,
    watch: &mut Watch<'_>,
) -> Result<u64, EngineError> {
    let mut count = RowCount::start(watch, Stage::Generate, batches.rows())?;
    for batch in batches {
        let batch = batch?;
        sink.write(&batch)?;
        count.add(batch.num_rows())?;
    }
    Ok(sink.finish()?)
}

fn generation_order(stats: &TableStats, order: &ColumnOrder) -> Result<GenerationOrder, EngineError> {
    let names = match order {
        ColumnOrder::Model => return Ok(GenerationOrder::Trained),
        ColumnOrder::Random => return Ok(GenerationOrder::Random),
        ColumnOrder::Given(names) => names,
    };
    let columns = stats.model_columns();
    // A column of empty texts has no sub-column: there is nothing to draw for it.
    let drawn: Vec<usize> = columns
        .iter()
        .filter(|c| !c.sub_columns.is_empty())
        .map(|c| c.index)
        .collect();
    let place = |name: &String| match columns.iter().find(|c| &c.name == name) {
        Some(column) => Ok(drawn.iter().position(|&index| index == column.index)),
        None => Err(DataError::UnknownColumn {
            table: "the model".to_owned(),
            column: name.clone(),
            known: list_names(columns.iter().map(|c| c.name.as_str())),
        }),
    };
    let places = names.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok(GenerationOrder::Given(places.into_iter().flatten().collect()))
}
