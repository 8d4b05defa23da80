//! Queries for whole tables: read batch by batch, run in order, written as they go.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::aggregate::lists_as_texts;
use super::conditioning::TableOrigin;
use super::decoded::written;
use super::evaluate::{EvaluateOptions, Evaluation, evaluate};
use super::impute::{Filled, ImputeOptions, Imputer};
use super::log_prob::{LogProbOptions, log_prob};
use super::model::InferenceModel;
use super::predict::{PredictOptions, Predictor, predict};
use super::proba::{ProbaOptions, places, proba};
use super::unknown::UnknownCounts;
use crate::EngineError;
use crate::data::{
    ColumnFormat, CsvDialect, CsvFormatter, DataError, RawRow, ReadOptions, Role, Rounding, SourceFormat,
    TableFormat, TableSink, TableSource,
};
use crate::event::{ProgressCallback, RowCount, Stage};
use crate::files::{AtomicFile, FileError};

/// Opens a table of rows for a query to a model of this format: CSV is read as the model's table was written, and there may be no row; a
/// file of no byte is a table of all columns without a row.
pub(crate) fn open_rows(
    format: &TableFormat,
    path: &Path,
    reading: &ReadOptions,
) -> Result<TableSource, EngineError> {
    let mut reading = reading.clone();
    reading.like = Some(Arc::new(format.clone()));
    reading.allow_no_rows = true;
    match TableSource::open(path, &reading) {
        // Without rows there are no results.
        Err(DataError::EmptyFile { file }) => Ok(TableSource::from_batches(
            &file,
            &format.output_schema(),
            Vec::new(),
            &reading,
        )?),
        opened => Ok(opened?),
    }
}

/// Probabilities of `targets` in each row of a table, into a file; returns the number of rows.
pub(crate) fn proba_to(
    model: &InferenceModel,
    rows: &TableSource,
    output: &Path,
    (targets, options): (&[&str], &ProbaOptions),
    on_progress: &mut ProgressCallback<'_>,
) -> Result<u64, EngineError> {
    let places = places(model, targets)?;
    let coded = |p: &usize| model.values(*p).and_then(engine_core::generate::levels).is_some();
    // What the columns of the result are follows from all rows, unless they are the codes of a column.
    let whole = !model.loaded.is_any_order() || !places.iter().all(coded);
    write_results(
        rows,
        output,
        (options.lenient, whole),
        on_progress,
        |result| answer_format(model, rows, result, &[]),
        |batch, origin| proba(model, batch, origin, targets, options)?.to_record_batch(),
    )
}

/// Predictions of `targets` in each row of a table, into a file; returns the number of rows. Lists of draws are JSON arrays in CSV.
pub(crate) fn predict_to(
    model: &InferenceModel,
    rows: &TableSource,
    output: &Path,
    (targets, options): (&[&str], &PredictOptions),
    on_progress: &mut ProgressCallback<'_>,
) -> Result<u64, EngineError> {
    let lists = matches!(options.predictor, Predictor::Draws(n) if n > 1) && is_csv(output);
    write_results(
        rows,
        output,
        (options.lenient, false),
        on_progress,
        |result| answer_format(model, rows, result, targets),
        |batch, origin| {
            let predicted = predict(model, batch, origin, targets, options)?;
            if lists {
                with_texts(model, &predicted)
            } else {
                Ok(predicted)
            }
        },
    )
}

/// Log-likelihoods of the rows of a table, into a file; returns the number of rows.
pub(crate) fn log_prob_to(
    model: &InferenceModel,
    rows: &TableSource,
    output: &Path,
    options: &LogProbOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<u64, EngineError> {
    let whole = !model.loaded.is_any_order();
    write_results(
        rows,
        output,
        (options.lenient, whole),
        on_progress,
        |result| answer_format(model, rows, result, &[]),
        |batch, origin| log_prob(model, batch, origin, options)?.to_record_batch(),
    )
}

/// How good the predictions of `target` are in the rows of a table.
pub(crate) fn evaluate_table(
    model: &InferenceModel,
    rows: &TableSource,
    target: &str,
    options: &EvaluateOptions,
) -> Result<Evaluation, EngineError> {
    let origin = TableOrigin {
        table: rows.name(),
        first_row: 0,
        lenient: options.lenient,
        unknown: None,
    };
    evaluate(model, &rows.to_record_batch()?, origin, target, options)
}

/// Fills in the missing cells of a table, into a file; returns the number of rows. From CSV to CSV every byte of the observed cells, of
/// columns that are not filled in and of the header stays.
pub(crate) fn impute_to(
    model: Arc<InferenceModel>,
    rows: &TableSource,
    output: &Path,
    options: &ImputeOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<u64, EngineError> {
    let unknown = UnknownCounts::default();
    let origin = TableOrigin {
        table: rows.name(),
        first_row: 0,
        lenient: options.lenient,
        unknown: Some(&unknown),
    };
    let imputer = Imputer::new(Arc::clone(&model), rows.schema(), origin, options)?;
    if is_csv(output) && rows.format().source == SourceFormat::Csv {
        return patch(&model, &imputer, rows, output, (origin, on_progress));
    }
    let mut sink =
        TableSink::create(output, &filled_format(&model, &imputer, rows, output))?.rounding(Rounding::None);
    let mut count = RowCount::start(on_progress, Stage::Generate, rows.rows())?;
    let mut first_row = 0;
    for batch in rows.batches()? {
        let batch = batch?;
        let mut filled = imputer.filled(&batch, TableOrigin { first_row, ..origin })?;
        if is_csv(output) {
            filled = with_texts(&model, &filled)?;
        }
        sink.write(&filled)?;
        first_row += batch.num_rows() as u64;
        count.add(batch.num_rows())?;
    }
    Ok(sink.finish()?)
}

/// The format of a filled table that is not patched.
fn filled_format(
    model: &InferenceModel,
    imputer: &Imputer,
    rows: &TableSource,
    output: &Path,
) -> TableFormat {
    let of_rows = rows.format();
    let of_types = match of_rows.source {
        SourceFormat::Csv => &model.format,
        _ => of_rows,
    };
    let mut format = TableFormat {
        csv: answer_dialect(model, rows),
        metadata: of_types.metadata.clone(),
        ..of_rows.clone()
    };
    for column in &mut format.columns {
        if column.role == Role::Excluded {
            continue;
        }
        if let Some(of_model) = model.format.column(&column.name)
            && of_model.role == Role::Model
        {
            let is_filled = imputer.fills(&column.name) && column.data_type == DataType::Null;
            let given = if is_filled {
                &of_model.data_type
            } else {
                &column.data_type
            };
            *column = ColumnFormat {
                data_type: given.clone(),
                metadata: column.metadata.clone(),
                ordered: column.ordered,
                ..of_model.clone()
            };
        }
        let to = imputer.output_type(&column.name, &column.data_type);
        if to != column.data_type {
            let text = is_csv(output).then_some(DataType::Utf8);
            *column = ColumnFormat::new(&column.name, text.unwrap_or(to));
        }
    }
    format
}

/// Copies CSV with new fields in place of missing ones.
fn patch(
    model: &InferenceModel,
    imputer: &Imputer,
    rows: &TableSource,
    output: &Path,
    (origin, on_progress): (TableOrigin<'_>, &mut ProgressCallback<'_>),
) -> Result<u64, EngineError> {
    let Some(mut raw) = rows.raw_rows()? else {
        return Ok(0);
    };
    // Excluded columns are in the file, though not in the batches.
    let columns = rows.format().columns.iter().enumerate();
    let places: Vec<usize> = columns
        .filter(|(_, c)| c.role != Role::Excluded)
        .map(|(at, _)| at)
        .collect();
    let (width, dialect) = (rows.format().columns.len(), rows.format().csv);
    let (mut target, mut row, mut text) = (TextFile::create(output)?, RawRow::default(), Vec::new());
    raw.next(&mut row)?;
    row.write(&mut text, |_| None);
    let mut count = RowCount::start(on_progress, Stage::Generate, rows.rows())?;
    let mut first_row = 0;
    for batch in rows.batches()? {
        let batch = batch?;
        let filled = imputer.fill(&batch, TableOrigin { first_row, ..origin })?;
        let names: Vec<&str> = filled
            .iter()
            .map(|f| rows.schema().field(f.at).name().as_str())
            .collect();
        let how = (dialect, imputer.rounding());
        let fields = fields(&filled, &names, how, |name| written(model, name))?;
        for at in 0..batch.num_rows() {
            raw.next(&mut row)?;
            if row.len() != width {
                return Err(changed(rows, first_row + at as u64));
            }
            row.write(&mut text, |place| {
                let filled = filled.iter().zip(&fields).find(|(f, _)| places[f.at] == place);
                filled
                    .filter(|(f, _)| f.missing.value(at))
                    .map(|(_, fields)| fields[at].as_slice())
            });
        }
        target.write(&text)?;
        text.clear();
        first_row += batch.num_rows() as u64;
        count.add(batch.num_rows())?;
    }
    if raw.next(&mut row)? {
        return Err(changed(rows, first_row));
    }
    row.write(&mut text, |_| None);
    target.write(&text)?;
    target.finish()?;
    Ok(first_row)
}

fn changed(rows: &TableSource, row: u64) -> EngineError {
    DataError::Changed {
        file: rows.name().to_owned(),
        line: row + 2,
        column: "*".to_owned(),
        value: "a row".to_owned(),
    }
    .into()
}

/// The fields of missing cells, by column.
fn fields(
    filled: &[Filled],
    names: &[&str],
    (dialect, rounding): (CsvDialect, Rounding),
    written: impl Fn(&str) -> ColumnFormat,
) -> Result<Vec<Vec<Vec<u8>>>, EngineError> {
    let arrays = filled.iter().zip(names);
    let arrays = arrays.map(|(f, name)| lists_as_texts(&f.values, &written(name)));
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let columns = names
        .iter()
        .zip(filled)
        .zip(&arrays)
        .map(|((name, filled), array)| {
            let mut format = written(name);
            if array.data_type() != filled.values.data_type() {
                format = ColumnFormat::new(*name, DataType::Utf8);
            }
            format
        });
    let format = TableFormat {
        csv: dialect,
        columns: columns.collect(),
        ..TableFormat::of_schema(SourceFormat::Csv, &Schema::empty())
    };
    let Some(first) = filled.first() else {
        return Ok(Vec::new());
    };
    let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(first.missing.len()));
    let batch = RecordBatch::try_new_with_options(format.output_schema(), arrays, &rows);
    let batch = batch.map_err(|source| DataError::Convert {
        column: "*".to_owned(),
        data_type: "fields of CSV".to_owned(),
        source,
    })?;
    let mut formatter = CsvFormatter::new(&format);
    formatter.set_rounding(rounding);
    Ok(formatter.fields(&batch, |column, row| filled[column].missing.value(row))?)
}

/// Runs a query over a table, batch by batch or as a whole, and writes the answers into a file.
fn write_results(
    rows: &TableSource,
    output: &Path,
    (lenient, whole): (bool, bool),
    on_progress: &mut ProgressCallback<'_>,
    format: impl Fn(&RecordBatch) -> TableFormat,
    run: impl Fn(&RecordBatch, TableOrigin<'_>) -> Result<RecordBatch, EngineError>,
) -> Result<u64, EngineError> {
    let unknown = UnknownCounts::default();
    let mut origin = TableOrigin {
        table: rows.name(),
        first_row: 0,
        lenient,
        unknown: Some(&unknown),
    };
    let mut count = RowCount::start(on_progress, Stage::Generate, rows.rows())?;
    if whole || rows.rows() == 0 {
        let result = run(&rows.to_record_batch()?, origin)?;
        let mut sink = TableSink::create(output, &format(&result))?.rounding(Rounding::Times);
        sink.write(&result)?;
        count.add(result.num_rows())?;
        return Ok(sink.finish()?);
    }
    let mut sink = None;
    for batch in rows.batches()? {
        let batch = batch?;
        let result = run(&batch, origin)?;
        let sink = match &mut sink {
            Some(sink) => sink,
            none => none.insert(TableSink::create(output, &format(&result))?.rounding(Rounding::Times)),
        };
        sink.write(&result)?;
        origin.first_row += batch.num_rows() as u64;
        count.add(batch.num_rows())?;
    }
    Ok(sink.map_or(Ok(0), TableSink::finish)?)
}

/// How results are written as CSV: in the dialect of the model's table, and values of its columns in the form that they have there.
fn answer_format(
    model: &InferenceModel,
    rows: &TableSource,
    result: &RecordBatch,
    columns_of_model: &[&str],
) -> TableFormat {
    let mut format = TableFormat {
        csv: answer_dialect(model, rows),
        ..TableFormat::of_schema(SourceFormat::Arrow, result.schema_ref())
    };
    for column in &mut format.columns {
        if columns_of_model.contains(&column.name.as_str()) {
            *column = ColumnFormat {
                role: Role::Model,
                data_type: column.data_type.clone(),
                ..written(model, &column.name)
            };
        }
    }
    format
}

/// The dialect of the model's table, with the delimiter that was named for the query, if one was.
fn answer_dialect(model: &InferenceModel, rows: &TableSource) -> CsvDialect {
    CsvDialect {
        delimiter: rows.named_delimiter().unwrap_or(model.format.csv.delimiter),
        ..model.format.csv
    }
}

/// Lists as JSON arrays, which CSV can hold.
fn with_texts(model: &InferenceModel, batch: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let columns = batch.columns().iter().zip(batch.schema_ref().fields());
    let columns = columns.map(|(array, field)| lists_as_texts(array, &written(model, field.name())));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let fields = batch.schema_ref().fields().iter().zip(&columns);
    let fields = fields.map(|(f, column)| f.as_ref().clone().with_data_type(column.data_type().clone()));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(schema.into(), columns, &rows);
    let convert = |source| DataError::Convert {
        column: "*".to_owned(),
        data_type: "texts".to_owned(),
        source,
    };
    Ok(batch.map_err(convert)?)
}

/// Whether a path is one of CSV.
fn is_csv(path: &Path) -> bool {
    !path
        .as_os_str()
        .to_string_lossy()
        .to_ascii_lowercase()
        .ends_with(".parquet")
}

/// A text being written: plain, compressed or to standard output.
enum TextFile {
    Plain(AtomicFile),
    Gzip(Box<GzEncoder<AtomicFile>>),
    Pipe,
}

impl TextFile {
    fn create(path: &Path) -> Result<Self, EngineError> {
        let name = path.as_os_str().to_string_lossy().to_ascii_lowercase();
        Ok(match name.as_str() {
            "-" => Self::Pipe,
            name if name.ends_with(".csv.gz") => Self::Gzip(Box::new(GzEncoder::new(
                AtomicFile::create(path)?,
                Compression::default(),
            ))),
            name if name.ends_with(".csv") => Self::Plain(AtomicFile::create(path)?),
            _ => {
                return Err(DataError::UnknownFormat {
                    file: path.display().to_string(),
                }
                .into());
            }
        })
    }

    fn write(&mut self, text: &[u8]) -> Result<(), EngineError> {
        let written = match self {
            Self::Plain(file) => file.write_all(text),
            Self::Gzip(file) => file.write_all(text),
            Self::Pipe => io::stdout().lock().write_all(text),
        };
        written.map_err(|e| self.failed(e))
    }

    fn failed(&self, error: io::Error) -> EngineError {
        FileError::new(Path::new("the output"), "write", error).into()
    }

    fn finish(self) -> Result<(), EngineError> {
        match self {
            Self::Plain(file) => file.commit()?,
            Self::Gzip(file) => {
                let file = file
                    .finish()
                    .map_err(|e| FileError::new(Path::new("the output"), "write", e))?;
                file.commit()?;
            }
            Self::Pipe => io::stdout()
                .flush()
                .map_err(|e| FileError::new(Path::new("standard output"), "write", e))?,
        }
        Ok(())
    }
}
