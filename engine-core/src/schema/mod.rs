//! What a table looks like to the engine: borrowed columns in, decoded columns out, the names of sub-columns and the orders of columns.

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
