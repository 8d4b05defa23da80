//! The JSON dialect of the files in a workspace: what Python's `json.dump(indent=4, ensure_ascii=False)`
//! writes.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::encode::values::strings::write_float;

/// Indents by four blanks and writes floats the way Python does (`1.0`, `1e-05`, `1.5e+16`).
struct Dialect(PrettyFormatter<'static>);

/// Hands a method of [`Formatter`] on to the pretty formatter.
macro_rules! forward {
    ($($name:ident($($argument:ident: $kind:ty),*)),* $(,)?) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W, $($argument: $kind),*) -> io::Result<()> {
            self.0.$name(writer, $($argument),*)
        })*
    };
}

impl Formatter for Dialect {
    forward!(
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        begin_object_value(),
        end_object_value(),
    );

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let mut text = String::new();
        write_float(&mut text, value);
        writer.write_all(text.as_bytes())
    }
}

/// A value as text in the dialect, without a newline at the end.
///
/// # Errors
/// Whatever `serde_json` reports: a map key that is no string.
pub fn to_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let dialect = Dialect(PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut Serializer::with_formatter(&mut bytes, dialect))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_are_those_of_python() {
        let value = json!({
            "floats": [1.0, 1e-5, 1.5e16, 0.1, -0.0, 1e15, 123456.5],
            "int": 3, "none": null, "empty": {}, "list": [], "é\u{1}\u{7f}": "a\n\"\\\u{1f}", "b": true
        });
        let want = "{\n    \"floats\": [\n        1.0,\n        1e-05,\n        1.5e+16,\n        0.1,\n        -0.0,\n        \
                    1000000000000000.0,\n        123456.5\n    ],\n    \"int\": 3,\n    \"none\": null,\n    \"empty\": {},\n    \
                    \"list\": [],\n    \"é\\u0001\u{7f}\": \"a\\n\\\"\\\\\\u001f\",\n    \"b\": true\n}";
        assert_eq!(to_json(&value).unwrap(), want);
    }
}
