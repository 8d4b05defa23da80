//! New primary keys.

use arrow_schema::DataType;
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{DecodedColumn, DecodedValues};

use crate::EngineError;
use crate::data::{Role, TableFormat};

/// Makes keys for generated rows: 1, 2, 3 and so on for whole numbers; for text, random version-4 UUIDs whose first six digits
/// are `mostly`, as the peer makes them, so that nobody takes them for real ones.
#[derive(Debug, Clone)]
pub(super) struct NewKeys {
    name: String,
    stream: Option<Stream>,
}

impl NewKeys {
    /// Keys for the primary key column of a table, if it has one.
    pub(super) fn of(format: &TableFormat, seed: u64, rows: u64) -> Result<Option<Self>, EngineError> {
        let Some(column) = format.columns.iter().find(|c| c.role == Role::PrimaryKey) else {
            return Ok(None);
        };
        let max = match &column.data_type {
            DataType::Int8 => i8::MAX as u64,
            DataType::UInt8 => u64::from(u8::MAX),
            DataType::Int16 => i16::MAX as u64,
            DataType::UInt16 => u64::from(u16::MAX),
            DataType::Int32 => i32::MAX as u64,
            DataType::UInt32 => u64::from(u32::MAX),
            _ => u64::MAX,
        };
        if rows > max {
            let (column, data_type) = (column.name.clone(), column.data_type.to_string());
            return Err(EngineError::KeysExhausted {
                column,
                data_type,
                max,
                rows,
            });
        }
        let stream = (!column.data_type.is_integer()).then(|| Stream::new(seed, Purpose::Key, 0));
        Ok(Some(Self {
            name: column.name.clone(),
            stream,
        }))
    }

    /// The keys of `rows` rows from `first_row` on.
    pub(super) fn column(&self, first_row: u64, rows: usize) -> DecodedColumn {
        let all = first_row..first_row + rows as u64;
        let values = match &self.stream {
            None => DecodedValues::Int(all.map(|row| row as i64 + 1).collect()),
            Some(stream) => DecodedValues::Text(all.map(|row| text_key(stream, row)).collect()),
        };
        DecodedColumn {
            name: self.name.clone(),
            values,
            validity: None,
        }
    }
}

fn text_key(stream: &Stream, row: u64) -> String {
    let [a, b, c, d] = stream.block((row >> 32) as u32, row as u32, 0);
    let (version, variant) = (0x4000 | b & 0x0FFF, 0x8000 | c >> 16 & 0x3FFF);
    format!(
        "mostly{:02x}-{:04x}-{version:04x}-{variant:04x}-{:04x}{d:08x}",
        a & 0xFF,
        b >> 16,
        c & 0xFFFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keys_are_marked_version_4_uuids() {
        let stream = Stream::new(1, Purpose::Key, 0);
        let keys: Vec<String> = (0..2000).map(|row| text_key(&stream, row)).collect();
        for key in &keys {
            let parts: Vec<&str> = key.split('-').collect();
            assert_eq!(
                parts.iter().map(|p| p.len()).collect::<Vec<_>>(),
                [8, 4, 4, 4, 12],
                "{key}"
            );
            assert!(key.starts_with("mostly") && parts[2].starts_with('4'), "{key}");
            assert!("89ab".contains(&parts[3][..1]), "{key}");
        }
        let mut different = keys.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), keys.len());
    }
}
