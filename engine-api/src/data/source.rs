//! Tables that can be read again and again, in record batches.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;

use super::csv::{CsvBatches, CsvTable, RawRows};
use super::error::{DataError, check_names, list_names, shorten};
use super::options::ReadOptions;
use super::parquet::ParquetTable;
use super::written::{Role, SourceFormat, TableFormat};

/// Most cells of a record batch, unless a row has more.
const MAX_CELLS: usize = 1 << 21;

/// The format of a path, by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathFormat {
    /// `.csv`, or `-` for a pipe.
    Csv,
    /// `.csv.gz`.
    CsvGzip,
    /// `.parquet`.
    Parquet,
}

impl PathFormat {
    /// Looks at the ending, in any case.
    pub(super) fn of(path: &Path) -> Result<Self, DataError> {
        let name = path.as_os_str().to_string_lossy().to_ascii_lowercase();
        match name.as_str() {
            "-" => Ok(Self::Csv),
            name if name.ends_with(".csv") => Ok(Self::Csv),
            name if name.ends_with(".csv.gz") => Ok(Self::CsvGzip),
            name if name.ends_with(".parquet") => Ok(Self::Parquet),
            _ => Err(DataError::UnknownFormat {
                file: path.display().to_string(),
            }),
        }
    }
}

/// A table: its columns, their written forms, and its rows as often as they are read.
#[derive(Debug, Clone)]
pub struct TableSource {
    name: String,
    origin: SourceKind,
    schema: SchemaRef,
    format: TableFormat,
    rows: u64,
    batch_rows: usize,
    /// The delimiter that was named, not found.
    delimiter: Option<char>,
    /// Whether the number of NaN has been logged.
    nans_logged: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
enum SourceKind {
    Csv(Arc<CsvTable>),
    Parquet(ParquetTable, Vec<usize>),
    Memory(Arc<[RecordBatch]>),
}

impl TableSource {
    /// Opens `.csv`, `.csv.gz` or `.parquet`; `-` is CSV from standard input. CSV is read once from end to end to learn
    /// the types of its columns.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be read, is no table, holds no row, or has a column that cannot be encoded;
    /// [`DataError::UnknownColumn`] when the options name one that is not there.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        match PathFormat::of(path)? {
            PathFormat::Csv | PathFormat::CsvGzip => {
                Self::from_csv(CsvTable::open(path, options)?, path, options)
            }
            PathFormat::Parquet => Self::from_parquet(path, options),
        }
    }

    fn from_csv(table: CsvTable, path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        let name = if path == Path::new("-") {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let mut format = table.format().clone();
        let rows = table.rows();
        set_roles(&name, &mut format, options)?;
        let fields = format
            .output_columns()
            .map(|c| Field::new(&c.name, c.data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self::new(
            name,
            SourceKind::Csv(Arc::new(table)),
            schema,
            format,
            rows,
            options,
        )
    }

    fn from_parquet(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        let name = path.display().to_string();
        let table = ParquetTable::open(path)?;
        let (format, columns) = describe(&name, SourceFormat::Parquet, table.schema(), options)?;
        let schema = Arc::new(projected(table.schema(), &columns));
        let rows = table.rows();
        Self::new(
            name,
            SourceKind::Parquet(table, columns),
            schema,
            format,
            rows,
            options,
        )
    }

    /// A table from record batches of one schema; `name` is for messages. Nothing is copied.
    ///
    /// # Errors
    /// As [`Self::open`], and [`DataError::BatchSchema`] when a batch has another schema.
    pub fn from_batches(
        name: &str,
        schema: &SchemaRef,
        batches: Vec<RecordBatch>,
        options: &ReadOptions,
    ) -> Result<Self, DataError> {
        let (format, columns) = describe(name, SourceFormat::Arrow, schema, options)?;
        let kept = Arc::new(projected(schema, &columns));
        let mut taken = Vec::with_capacity(batches.len());
        for (at, batch) in batches.into_iter().enumerate() {
            let alike = batch
                .schema_ref()
                .fields()
                .iter()
                .map(|f| (f.name(), f.data_type()));
            if !alike.eq(schema.fields().iter().map(|f| (f.name(), f.data_type()))) {
                return Err(DataError::BatchSchema {
                    file: name.to_owned(),
                    batch: at + 1,
                });
            }
            let part = batch.project(&columns);
            let convert = |source| DataError::Convert {
                column: list_names(schema.fields().iter().map(|f| f.name().as_str())),
                data_type: "the columns that are kept".to_owned(),
                source,
            };
            taken.push(part.map_err(convert)?);
        }
        let rows = taken.iter().map(|b| b.num_rows() as u64).sum();
        Self::new(
            name.to_owned(),
            SourceKind::Memory(taken.into()),
            kept,
            format,
            rows,
            options,
        )
    }

    fn new(
        name: String,
        origin: SourceKind,
        schema: SchemaRef,
        format: TableFormat,
        rows: u64,
        options: &ReadOptions,
    ) -> Result<Self, DataError> {
        if schema.fields().is_empty() {
            return Err(DataError::AllExcluded { file: name });
        }
        if rows == 0 && !options.allow_no_rows {
            return Err(DataError::NoRows { file: name });
        }
        let batch_rows = options
            .batch_rows
            .clamp(1, MAX_CELLS.div_ceil(schema.fields().len()));
        Ok(Self {
            name,
            origin,
            schema,
            format,
            rows,
            batch_rows,
            delimiter: options.delimiter,
            nans_logged: Arc::default(),
        })
    }

    /// What messages call the table: its path, `standard input`, or the name that was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Schema of the record batches: all columns but the excluded ones, in table order.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// All columns with their roles, types and written forms.
    pub fn format(&self) -> &TableFormat {
        &self.format
    }

    /// Number of rows, at least 1 unless [`ReadOptions::allow_no_rows`].
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// All rows in one batch.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be read any more.
    pub fn to_record_batch(&self) -> Result<RecordBatch, DataError> {
        let batches = self.batches()?.collect::<Result<Vec<_>, _>>()?;
        concat_batches(&self.schema, &batches).map_err(|source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "one record batch".to_owned(),
            source,
        })
    }

    /// The delimiter that was named when the table was opened.
    pub(crate) fn named_delimiter(&self) -> Option<char> {
        self.delimiter
    }

    /// All rows of a CSV table as the texts that are written, in one batch of the columns of [`Self::schema`]; null where a text stands
    /// for it. `None` for tables whose values have types of their own.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be read any more.
    pub fn to_texts(&self) -> Result<Option<RecordBatch>, DataError> {
        let SourceKind::Csv(table) = &self.origin else {
            return Ok(None);
        };
        let fields = self.schema.fields().iter();
        let fields = fields.map(|f| Field::new(f.name(), DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batches = CsvBatches::new(Arc::clone(table), Arc::clone(&schema), self.batch_rows)?;
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        let all = concat_batches(&schema, &batches);
        Ok(Some(all.map_err(|source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "one record batch of texts".to_owned(),
            source,
        })?))
    }

    /// The fields of a CSV file as they are written, row by row; `None` for other tables.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be opened any more.
    pub(crate) fn raw_rows(&self) -> Result<Option<RawRows>, DataError> {
        match &self.origin {
            SourceKind::Csv(table) => Ok(Some(table.raw_rows()?)),
            _ => Ok(None),
        }
    }

    /// Starts reading at the first row.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be opened any more; each batch can fail too.
    pub fn batches(&self) -> Result<Batches, DataError> {
        let inner: Inner = match &self.origin {
            SourceKind::Csv(table) => Box::new(CsvBatches::new(
                Arc::clone(table),
                Arc::clone(&self.schema),
                self.batch_rows,
            )?),
            SourceKind::Parquet(table, columns) => Box::new(table.batches(columns, self.batch_rows)?),
            SourceKind::Memory(batches) => Box::new(slices(Arc::clone(batches), self.batch_rows).map(Ok)),
        };
        let checks_numbers = !matches!(self.origin, SourceKind::Csv(_));
        Ok(Batches {
            inner,
            source: checks_numbers.then(|| self.clone()),
            nans: vec![0; self.schema.fields().len()],
            rows: 0,
        })
    }
}

type Inner = Box<dyn Iterator<Item = Result<RecordBatch, DataError>> + Send>;

/// The rows of a [`TableSource`] in record batches. An infinite number is an error; the number of NaN, which encodings
/// read as null, is logged.
pub struct Batches {
    inner: Inner,
    /// The table, when its numbers are still to be checked (those of CSV were in the first pass).
    source: Option<TableSource>,
    nans: Vec<u64>,
    rows: u64,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.inner.next() {
            None => {
                self.log_nans();
                return None;
            }
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(batch)) => batch,
        };
        if let Some(source) = &self.source {
            for (column, nans) in self.nans.iter_mut().enumerate() {
                match check_finite(batch.column(column), nans) {
                    Ok(()) => {}
                    Err((row, value)) => {
                        return Some(Err(DataError::Infinite {
                            file: source.name.clone(),
                            place: "row",
                            row: self.rows + row as u64 + 1,
                            column: batch.schema_ref().field(column).name().clone(),
                            value: shorten(value.to_string().as_bytes()),
                        }));
                    }
                }
            }
        }
        self.rows += batch.num_rows() as u64;
        Some(Ok(batch))
    }
}

impl Batches {
    fn log_nans(&self) {
        let Some(source) = &self.source else { return };
        if source.nans_logged.swap(true, Ordering::Relaxed) {
            return;
        }
        for (field, &count) in source.schema.fields().iter().zip(&self.nans) {
            if count > 0 {
                tracing::info!(column = field.name(), count, "NaN read as null");
            }
        }
    }
}

/// Adds the NaN of a column to `nans`; the first infinite value is an error with its row.
fn check_finite(array: &dyn Array, nans: &mut u64) -> Result<(), (usize, f64)> {
    fn check<T: ArrowPrimitiveType>(
        array: &dyn Array,
        nans: &mut u64,
        widen: impl Fn(T::Native) -> f64,
    ) -> Result<(), (usize, f64)> {
        let array = array.as_primitive::<T>();
        for (row, &value) in array.values().iter().enumerate() {
            let value = widen(value);
            if value.is_finite() || array.is_null(row) {
                continue;
            }
            if value.is_infinite() {
                return Err((row, value));
            }
            *nans += 1;
        }
        Ok(())
    }
    match array.data_type() {
        DataType::Float16 => check::<Float16Type>(array, nans, f64::from),
        DataType::Float32 => check::<Float32Type>(array, nans, f64::from),
        DataType::Float64 => check::<Float64Type>(array, nans, |v| v),
        _ => Ok(()),
    }
}

fn slices(batches: Arc<[RecordBatch]>, batch_rows: usize) -> impl Iterator<Item = RecordBatch> + Send {
    (0..batches.len()).flat_map(move |at| {
        let batch = batches[at].clone();
        let rows = batch.num_rows();
        (0..rows)
            .step_by(batch_rows)
            .map(move |start| batch.slice(start, batch_rows.min(rows - start)))
    })
}

/// The format of a table that has types already, and the places of the columns that are read.
fn describe(
    name: &str,
    source: SourceFormat,
    schema: &Schema,
    options: &ReadOptions,
) -> Result<(TableFormat, Vec<usize>), DataError> {
    check_names(name, schema.fields().iter().map(|f| f.name().as_str()))?;
    let mut format = TableFormat::of_schema(source, schema);
    set_roles(name, &mut format, options)?;
    let mut kept = Vec::new();
    for (at, column) in format.columns.iter_mut().enumerate() {
        let supported = is_supported(&column.data_type);
        if column.role != Role::Excluded && !supported {
            return Err(DataError::UnsupportedType {
                file: name.to_owned(),
                column: column.name.clone(),
                data_type: column.data_type.to_string(),
            });
        }
        if column.role != Role::Excluded {
            kept.push(at);
        } else if !supported {
            // The type of what is left out is never needed, and not every one can be stored by its name.
            column.data_type = DataType::Null;
        }
    }
    format.strip_metadata();
    Ok((format, kept))
}

fn set_roles(table: &str, format: &mut TableFormat, options: &ReadOptions) -> Result<(), DataError> {
    for name in &options.exclude {
        format.set_role(table, name, Role::Excluded)?;
    }
    match &options.primary_key {
        Some(name) => format.set_role(table, name, Role::PrimaryKey),
        None => Ok(()),
    }
}

fn projected(schema: &Schema, columns: &[usize]) -> Schema {
    Schema::new(
        columns
            .iter()
            .map(|&at| Arc::clone(&schema.fields()[at]))
            .collect::<Vec<_>>(),
    )
}

/// Whether values of a type can be encoded.
fn is_supported(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null | DataType::Boolean | DataType::Timestamp(..) => true,
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => true,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => true,
        DataType::Dictionary(_, values) => {
            !matches!(**values, DataType::Dictionary(..)) && is_supported(values)
        }
        other => other.is_numeric(),
    }
}
