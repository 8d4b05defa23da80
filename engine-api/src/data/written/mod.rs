//! How a table was written: its dialect and the form of each column's values, found when it is read, stored with the model, and
//! used again when rows are written.

mod date_form;
mod describe;
pub(in crate::data) mod iso;
mod metadata;
mod null_words;
mod number;
mod table_format;
mod time_form;

pub use date_form::{DateForm, DateOrder};
pub(in crate::data) use date_form::{DateScan, DateShape, date_shape};
pub(in crate::data) use describe::{describe_form, describe_value};
pub(in crate::data) use null_words::null_word;
pub(in crate::data) use number::{plain_form, write_f32, write_f64};
pub use table_format::{
    BooleanWords, ColumnFormat, CsvDialect, ExponentForm, ExponentUse, NumberForm, Role, SourceFormat,
    TABLE_FORMAT_VERSION, TableFormat, TimeForm, WrittenForm,
};
pub(in crate::data) use time_form::write_date_time;
