//! Record batches from and to arrow2, for code that still holds its arrays (feature `arrow2`).
//!
//! Columns cross through the [Arrow C data interface](https://arrow.apache.org/docs/format/CDataInterface.html): no value is
//! copied, and both sides keep the memory alive.
//!
//! ```
//! use engine_api::data::{record_batch_from_arrow2, record_batch_to_arrow2};
//!
//! let schema = arrow2::datatypes::Schema::from(vec![arrow2::datatypes::Field::new(
//!     "age",
//!     arrow2::datatypes::DataType::Int64,
//!     true,
//! )]);
//! let ages = arrow2::array::Int64Array::from([Some(39), None, Some(52)]);
//! let chunk = arrow2::chunk::Chunk::new(vec![ages.boxed()]);
//!
//! let batch = record_batch_from_arrow2(&schema, &chunk)?;
//! assert_eq!((batch.num_rows(), batch.column(0).null_count()), (3, 1));
//! assert_eq!(record_batch_to_arrow2(&batch)?.1, chunk);
//! # Ok::<(), engine_api::data::Arrow2Error>(())
//! ```

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use ::arrow2::array::Array as Arrow2Array;
use ::arrow2::chunk::Chunk;
use ::arrow2::datatypes as arrow2_types;
use ::arrow2::ffi as arrow2_ffi;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use arrow_array::{ArrayRef, NullArray, RecordBatch, RecordBatchOptions, make_array};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field, FieldRef, Schema};
use thiserror::Error;

/// Columns of arrow2 of one length.
pub type Arrow2Chunk = Chunk<Box<dyn Arrow2Array>>;

/// Why columns cannot cross between arrow and arrow2.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Arrow2Error {
    /// The schema names more or fewer columns than there are.
    #[error("the schema has {fields} columns, the chunk has {columns}; give the schema of the chunk")]
    Columns {
        /// Columns of the schema.
        fields: usize,
        /// Columns of the chunk.
        columns: usize,
    },
    /// A column is not of the type that the schema says.
    #[error(
        "column {column:?} is of the type {found}, the schema says {expected}; give the schema of the chunk"
    )]
    Type {
        /// Name of the column.
        column: String,
        /// Type of the values.
        found: String,
        /// Type in the schema.
        expected: String,
    },
    /// arrow does not take a column.
    #[error("column {column:?} cannot be taken from arrow2; exclude it or change its type ({source})")]
    FromArrow2 {
        /// Name of the column.
        column: String,
        /// Reason of arrow.
        source: ArrowError,
    },
    /// arrow does not hand a column out.
    #[error("column {column:?} cannot be exported; exclude it or change its type ({source})")]
    Export {
        /// Name of the column.
        column: String,
        /// Reason of arrow.
        source: ArrowError,
    },
    /// arrow2 does not take a column, for instance because it is older than the column's type.
    #[error("column {column:?} cannot be handed to arrow2; exclude it or change its type ({reason})")]
    ToArrow2 {
        /// Name of the column.
        column: String,
        /// Reason of arrow2.
        reason: String,
    },
}

/// The columns of a chunk as a record batch, without a copy. Metadata of schema and fields comes along.
///
/// # Errors
/// [`Arrow2Error`] when `schema` is not that of `chunk`, or when arrow has no type for a column.
pub fn record_batch_from_arrow2(
    schema: &arrow2_types::Schema,
    chunk: &Arrow2Chunk,
) -> Result<RecordBatch, Arrow2Error> {
    if schema.fields.len() != chunk.columns().len() {
        return Err(Arrow2Error::Columns {
            fields: schema.fields.len(),
            columns: chunk.columns().len(),
        });
    }
    let mut fields = Vec::with_capacity(schema.fields.len());
    let mut columns = Vec::with_capacity(schema.fields.len());
    for (field, array) in schema.fields.iter().zip(chunk.columns()) {
        if field.data_type != *array.data_type() {
            return Err(Arrow2Error::Type {
                column: field.name.clone(),
                found: format!("{:?}", array.data_type()),
                expected: format!("{:?}", field.data_type),
            });
        }
        let (field, column) =
            column_from_arrow2(field, array.clone()).map_err(|source| Arrow2Error::FromArrow2 {
                column: field.name.clone(),
                source,
            })?;
        fields.push(field);
        columns.push(column);
    }
    let metadata: HashMap<_, _> = schema.metadata.clone().into_iter().collect();
    let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
    let names = join_names(&fields);
    RecordBatch::try_new_with_options(
        Arc::new(Schema::new_with_metadata(fields, metadata)),
        columns,
        &options,
    )
    .map_err(|source| Arrow2Error::FromArrow2 {
        column: names,
        source,
    })
}

/// A record batch as a schema and a chunk of arrow2, without a copy. Metadata of schema and fields comes along.
///
/// # Errors
/// [`Arrow2Error`] when arrow2 has no type for a column.
pub fn record_batch_to_arrow2(
    batch: &RecordBatch,
) -> Result<(arrow2_types::Schema, Arrow2Chunk), Arrow2Error> {
    let schema = batch.schema_ref();
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let (field, array) = column_to_arrow2(field, column)?;
        fields.push(field);
        columns.push(array);
    }
    let schema = arrow2_types::Schema {
        fields,
        metadata: schema.metadata().clone().into_iter().collect(),
    };
    Ok((schema, Chunk::new(columns)))
}

fn join_names(fields: &[Field]) -> String {
    let names: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
    names.join(", ")
}

fn column_from_arrow2(
    field: &arrow2_types::Field,
    array: Box<dyn Arrow2Array>,
) -> Result<(Field, ArrayRef), ArrowError> {
    let mut schema = ManuallyDrop::new(arrow2_ffi::export_field_to_c(field));
    let rows = array.len();
    let mut array = ManuallyDrop::new(arrow2_ffi::export_array_to_c(array));
    // SAFETY: both crates declare the two structs of the C data interface, `repr(C)`, field by field. The originals are
    // valid, and `ManuallyDrop` leaves their release to arrow, which takes them over.
    let (schema, array) = unsafe {
        (
            FFI_ArrowSchema::from_raw((&raw mut *schema).cast()),
            FFI_ArrowArray::from_raw((&raw mut *array).cast()),
        )
    };
    let field = Field::try_from(&schema)?;
    if *field.data_type() == DataType::Null {
        // arrow2 exports a buffer here, which the interface once had and arrow refuses.
        return Ok((field, Arc::new(NullArray::new(rows))));
    }
    // SAFETY: array and schema come from one column of arrow2, which has checked them when it was made.
    let data = unsafe { from_ffi(array, &schema) }?;
    Ok((field, make_array(data)))
}

fn column_to_arrow2(
    field: &FieldRef,
    column: &ArrayRef,
) -> Result<(arrow2_types::Field, Box<dyn Arrow2Array>), Arrow2Error> {
    let export = |source| Arrow2Error::Export {
        column: field.name().clone(),
        source,
    };
    let refused = |error: ::arrow2::error::Error| Arrow2Error::ToArrow2 {
        column: field.name().clone(),
        reason: error.to_string(),
    };
    let schema = ManuallyDrop::new(FFI_ArrowSchema::try_from(field.as_ref()).map_err(export)?);
    let (array, _) = to_ffi(&column.to_data()).map_err(export)?;
    let array = ManuallyDrop::new(array);
    // SAFETY: both crates declare the two structs of the C data interface, `repr(C)`, field by field. The originals are
    // valid, are read once, and `ManuallyDrop` leaves their release to arrow2, which takes them over.
    let (schema, array) = unsafe {
        (
            std::ptr::read((&raw const *schema).cast::<arrow2_ffi::ArrowSchema>()),
            std::ptr::read((&raw const *array).cast::<arrow2_ffi::ArrowArray>()),
        )
    };
    // SAFETY: the schema is one that arrow has just exported.
    let field = unsafe { arrow2_ffi::import_field_from_c(&schema) }.map_err(refused)?;
    // SAFETY: the array is one that arrow has just exported, of the type that its schema says.
    let array =
        unsafe { arrow2_ffi::import_array_from_c(array, field.data_type.clone()) }.map_err(refused)?;
    Ok((field, array))
}

// The two declarations of each struct have one size, as the C data interface asks.
const _: () = assert!(size_of::<arrow2_ffi::ArrowArray>() == size_of::<FFI_ArrowArray>());
const _: () = assert!(size_of::<arrow2_ffi::ArrowSchema>() == size_of::<FFI_ArrowSchema>());
