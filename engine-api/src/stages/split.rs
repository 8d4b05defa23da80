//! Split: assigns every row of a table to training or validation.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use arrow_select::filter::filter_record_batch;
use engine_core::encode::{
    EncodeError, EncodingType, EncodingTypes, SplitPart, TableKeys, ValueKind, default_encoding,
};
use engine_core::schema::{DecodedColumn, DecodedValues, Values};
use engine_core::target_name;

use super::parts::{SPLIT_FILE, SplitRecord, part_name};
use crate::EngineError;
use crate::data::{
    ColumnFormat, DataError, ParquetWriter, Role, SourceFormat, TableBatch, TableFormat, TableSource,
    list_names, to_record_batch,
};
use crate::event::{ProgressCallback, RowCount, Stage};
use crate::files::{AtomicFolder, make_folder, sync_folder};
use crate::identity::{Digester, Identity, TableDigest, has_current_model};
use crate::options::SplitOptions;
use crate::seed::draw_seed;
use crate::workspace::{ForgottenIfUntouched, Marker, MarkerChange, Workspace, write_json};

/// What a split has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitReport {
    /// The seed, given or drawn.
    pub seed: u64,
    /// Rows to train on.
    pub training_rows: u64,
    /// Rows to validate on.
    pub validation_rows: u64,
}

/// Splits a table into parts to train on and to validate on, in `OriginalData/`. Rows are assigned by a random permutation
/// that follows from the seed, so that the numbers are exact; in a part they keep their order.
///
/// Whatever was in `OriginalData/` is replaced when all is written; nothing changes when an error occurs. A model and statistics
/// of another table can be used no more, from the moment on when the split begins: one that is killed leaves a workspace which needs
/// for a table.
///
/// # Errors
/// [`EngineError::ModelExists`] over a model, unless `options.force`; [`EngineError::TooFewRows`] below two rows; [`EngineError::NoModelColumns`]; [`EngineError::DuplicateKey`] and
/// [`EngineError::KeyType`] for an unsuitable primary key; [`DataError::UnknownColumn`],
/// [`EncodeError::Unsupported`], [`EncodeError::NoSubjects`] and [`EngineError::EncodingOfKey`] for unsuitable encodings; [`EngineError::File`] when a file
/// cannot be written; [`EngineError::Cancelled`]. A workspace that held nothing yet is then removed again.
pub fn split(
    workspace: &Workspace,
    source: &TableSource,
    options: &SplitOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<SplitReport, EngineError> {
    split_for(workspace, source, options, Statistics::Replaced, on_progress)
}

/// What becomes of the statistics that are there when a table is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statistics {
    /// They can be used no more, and neither can the model.
    Replaced,
    /// The table is to be encoded with these, which another engine may have made.
    Reused(Option<Identity>),
}

/// As [`split`], and says what becomes of the statistics.
pub(crate) fn split_for(
    workspace: &Workspace,
    source: &TableSource,
    options: &SplitOptions,
    statistics: Statistics,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<SplitReport, EngineError> {
    let _new = ForgottenIfUntouched(workspace);
    let layout = workspace.layout(Stage::Split)?;
    let mut record = plan(source, options)?;
    let types = encoding_types(source, &options.encodings)?;
    if statistics == Statistics::Replaced && !options.force && has_current_model(workspace) {
        return Err(EngineError::ModelExists {
            path: workspace.path().to_owned(),
        });
    }
    // What this table replaces is out of date before anything of it is touched.
    let change = MarkerChange::begin(workspace, |before| marker(before, statistics, &record))?;
    if let Statistics::Reused(statistics) = statistics {
        record.reuses = statistics;
    }
    let folder = AtomicFolder::create_private(&layout.original_data())?;
    let data = folder.path().join(target_name!("-data"));
    record.digest = Some(write_rows(&data, source, &record, on_progress)?);
    let meta = folder.path().join(target_name!("-meta"));
    write_meta(&meta, source.format(), &types, &record)?;
    folder.commit()?;
    change.keep();
    Ok(SplitReport {
        seed: record.seed,
        training_rows: record.training_rows,
        validation_rows: record.rows - record.training_rows,
    })
}

/// What is current once the table of `record` is there.
fn marker(before: Option<&Marker>, statistics: Statistics, record: &SplitRecord) -> Marker {
    let new = Marker::new(Some(record.seed));
    match (statistics, before) {
        (Statistics::Replaced, _) => Marker {
            split: Some(record.id),
            ..new
        },
        (Statistics::Reused(_), Some(before)) => Marker {
            seed: new.seed,
            ..before.clone()
        },
        (Statistics::Reused(_), None) => new,
    }
}

fn plan(source: &TableSource, options: &SplitOptions) -> Result<SplitRecord, EngineError> {
    let (table, rows, share) = (source.name().to_owned(), source.rows(), options.training_share);
    if rows < 2 {
        return Err(EngineError::TooFewRows { table, rows });
    }
    if !(share > 0.0 && share < 1.0) {
        return Err(EngineError::OutOfRange {
            name: "the share of rows to train on",
            value: share.to_string(),
            allowed: "a number between 0 and 1",
        });
    }
    if options.partitions == 0 {
        return Err(EngineError::OutOfRange {
            name: "the number of partitions",
            value: "0".to_owned(),
            allowed: "a number of at least 1",
        });
    }
    let seed = options.seed.map_or_else(draw_seed, Ok)?;
    let training_rows = (share * rows as f64).round_ties_even() as u64;
    Ok(SplitRecord {
        id: Identity::draw()?,
        reuses: None,
        digest: None,
        seed,
        table,
        rows,
        training_rows: training_rows.clamp(1, rows - 1),
        partitions: options.partitions,
    })
}

/// The encodings of the columns of the model: the given ones in their order, then the others in table order.
fn encoding_types(source: &TableSource, given: &EncodingTypes) -> Result<EncodingTypes, EngineError> {
    let format = source.format();
    let mut types = EncodingTypes::new();
    for (name, &encoding) in given {
        check_encoding(source, name, encoding)?;
        types.insert(name.clone(), encoding);
    }
    let nothing = TableBatch::new(&RecordBatch::new_empty(source.schema().clone()))?;
    for column in nothing.table()?.columns() {
        let modelled = format.column(column.name).filter(|c| c.role == Role::Model);
        if let Some(modelled) = modelled.filter(|c| !types.contains_key(&c.name)) {
            types.insert(
                column.name.to_owned(),
                encoding_of_type(&modelled.data_type, &column.values),
            );
        }
    }
    if types.is_empty() {
        return Err(EngineError::NoModelColumns {
            table: source.name().to_owned(),
        });
    }
    Ok(types)
}

/// The encoding of a column for which none was requested. mostlyai-engine takes decimals and times of day as categories, of which
/// nearly all would be rare; and dictionaries are categories, whatever they hold.
pub(super) fn encoding_of_type(data_type: &DataType, values: &Values<'_>) -> EncodingType {
    match data_type {
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => EncodingType::NUMERIC_AUTO,
        DataType::Time32(_) | DataType::Time64(_) => EncodingType::DATETIME,
        DataType::Dictionary(..) => EncodingType::CATEGORICAL,
        _ => default_encoding(values),
    }
}

fn check_encoding(source: &TableSource, name: &str, encoding: EncodingType) -> Result<(), EngineError> {
    let column = source.format().column(name).filter(|c| c.role != Role::Excluded);
    match column.map(|c| c.role) {
        None => {
            let fields = source.schema().fields();
            Err(DataError::UnknownColumn {
                table: source.name().to_owned(),
                column: name.to_owned(),
                known: list_names(fields.iter().map(|f| f.name().as_str())),
            }
            .into())
        }
        Some(Role::PrimaryKey) => Err(EngineError::EncodingOfKey {
            column: name.to_owned(),
        }),
        Some(_) if !encoding.is_supported() => Err(EngineError::Encode {
            table: source.name().to_owned(),
            source: EncodeError::Unsupported {
                column: name.to_owned(),
                encoding,
            },
        }),
        // No column can be named yet that identifies the subject of a row.
        Some(_) if encoding.needs_subjects() => Err(EngineError::Encode {
            table: source.name().to_owned(),
            source: EncodeError::NoSubjects {
                column: name.to_owned(),
                encoding,
            },
        }),
        Some(_) => match column.filter(|c| !comes_back(encoding, c)) {
            Some(column) => Err(EngineError::EncodingOfType {
                column: name.to_owned(),
                encoding,
                data_type: column.data_type.to_string(),
            }),
            None => Ok(()),
        },
    }
}

/// Whether what an encoding decodes to can become values of the column's type again.
pub(super) fn comes_back(encoding: EncodingType, column: &ColumnFormat) -> bool {
    let kinds = match encoding.decodes_to() {
        Some(ValueKind::Instants) => vec![DecodedValues::Timestamp(Vec::new())],
        Some(ValueKind::Numbers) => {
            vec![DecodedValues::Int(Vec::new()), DecodedValues::Float(Vec::new())]
        }
        _ => return true,
    };
    let field = Field::new(&column.name, column.data_type.clone(), true);
    let format = TableFormat::of_schema(SourceFormat::Arrow, &Schema::new(vec![field]));
    kinds.into_iter().all(|values| {
        let decoded = DecodedColumn {
            name: column.name.clone(),
            values,
            validity: None,
        };
        to_record_batch(vec![decoded], &format).is_ok()
    })
}

fn write_rows(
    folder: &Path,
    source: &TableSource,
    record: &SplitRecord,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<TableDigest, EngineError> {
    make_folder(folder)?;
    let mut digester = Digester::new(source)?;
    let mut writers = Vec::with_capacity(2 * record.partitions);
    for index in 0..record.partitions {
        for part in [SplitPart::Training, SplitPart::Validation] {
            let path = folder.join(part_name(index, part));
            writers.push(ParquetWriter::create(&path, source.schema().clone())?);
        }
    }
    let mut keys = KeyCheck::new(source)?;
    let slot_of = record.slots();
    let mut count = RowCount::start(on_progress, Stage::Split, record.rows)?;
    let mut first_row = 0;
    for batch in source.batches()? {
        let batch = batch?;
        if let Some(keys) = &mut keys {
            keys.add(&batch, first_row)?;
        }
        digester.add(&batch)?;
        let slots: Vec<usize> = (0..batch.num_rows() as u64)
            .map(|i| slot_of(first_row + i))
            .collect();
        for (slot, writer) in writers.iter_mut().enumerate() {
            let mask = BooleanArray::from_iter(slots.iter().map(|s| Some(*s == slot)));
            let rows = filter_record_batch(&batch, &mask).map_err(|source| DataError::Convert {
                column: "*".to_owned(),
                data_type: "a part of the table".to_owned(),
                source,
            })?;
            if rows.num_rows() > 0 {
                writer.write(&rows)?;
            }
        }
        first_row += batch.num_rows() as u64;
        count.add(batch.num_rows())?;
    }
    writers
        .into_iter()
        .try_for_each(|writer| writer.finish().map(|_| ()))?;
    sync_folder(folder)?;
    Ok(digester.finish())
}

fn write_meta(
    folder: &Path,
    format: &TableFormat,
    types: &EncodingTypes,
    record: &SplitRecord,
) -> Result<(), EngineError> {
    make_folder(folder)?;
    let primary_key = format.columns.iter().find(|c| c.role == Role::PrimaryKey);
    let keys = TableKeys {
        primary_key: primary_key.map(|c| c.name.clone()),
        ..TableKeys::default()
    };
    write_json(&folder.join("encoding-types.json"), types)?;
    write_json(&folder.join("keys.json"), &keys)?;
    write_json(&folder.join(SPLIT_FILE), record)?;
    format.save(&folder.join("table-format.json"))?;
    Ok(sync_folder(folder)?)
}

/// Checks that the values of a primary key are all different. It keeps 128 bits a row.
struct KeyCheck {
    table: String,
    column: String,
    hashers: [RandomState; 2],
    rows: HashMap<(u64, u64), u64>,
}

impl KeyCheck {
    fn new(source: &TableSource) -> Result<Option<Self>, EngineError> {
        let key = source
            .format()
            .columns
            .iter()
            .find(|c| c.role == Role::PrimaryKey);
        let Some(key) = key else { return Ok(None) };
        let is_text = match &key.data_type {
            DataType::Dictionary(_, values) => values.is_string(),
            other => other.is_string(),
        };
        if !is_text && !key.data_type.is_integer() {
            return Err(EngineError::KeyType {
                column: key.name.clone(),
                data_type: key.data_type.to_string(),
            });
        }
        Ok(Some(Self {
            table: source.name().to_owned(),
            column: key.name.clone(),
            hashers: [RandomState::new(), RandomState::new()],
            rows: HashMap::new(),
        }))
    }

    fn add(&mut self, batch: &RecordBatch, first_row: u64) -> Result<(), EngineError> {
        let Some(keys) = batch.column_by_name(&self.column) else {
            return Ok(());
        };
        let texts: ArrayRef = cast(keys, &DataType::LargeUtf8).map_err(|source| DataError::Convert {
            column: self.column.clone(),
            data_type: "text".to_owned(),
            source,
        })?;
        for (row, key) in (first_row..).zip(texts.as_string::<i64>()) {
            let [a, b] = &self.hashers;
            if let Some(first) = self.rows.insert((a.hash_one(key), b.hash_one(key)), row) {
                return Err(EngineError::DuplicateKey {
                    table: self.table.clone(),
                    column: self.column.clone(),
                    first: first + 1,
                    second: row + 1,
                });
            }
        }
        Ok(())
    }
}
