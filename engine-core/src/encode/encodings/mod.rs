//! The encodings, each in a file or folder of its own. An encoding implements [`Encoding`](encoding::Encoding), which counts a column
//! in parts and reduces the counts to statistics that protect the values, and its statistics implement
//! [`ColumnEncoding`](column::ColumnEncoding), which turns values into codes and back. Only the registry names them all.

pub(crate) mod categorical;
pub(crate) mod character;
pub(crate) mod column;
pub(crate) mod datetime;
pub(crate) mod draws;
pub(crate) mod encoding;
pub(crate) mod language;
pub(crate) mod lat_long;
pub(crate) mod null_fill;
pub(crate) mod numeric;
pub(crate) mod tokens;
