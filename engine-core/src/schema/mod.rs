//! The data types at the borders of the engine. A [`Table`] borrows the columns of the caller, for instance Arrow arrays, as slices with
//! validity; a [`CodeTable`] holds what a model sees, integer codes by sub-column in the narrowest type that fits; a [`DecodedColumn`] holds
//! values again. [`names`] is the one place that spells the names which files share with mostlyai-engine: sub-columns, processors, flags and
//! tokens. [`ColumnOrderKind`] says whether a model is trained for any order of its columns or for a fixed one.

mod codes;
mod column_order;
mod decoded;
pub mod names;
mod table;

pub use codes::{CodeColumn, CodeTable};
pub use column_order::ColumnOrderKind;
pub use decoded::{DecodedColumn, DecodedValues, Labels};
pub use names::SubColumnName;
pub use table::{Bitmap, Column, Offsets, Table, TableError, TextValues, TimeUnit, Values};
