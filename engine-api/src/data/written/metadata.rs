//! Metadata of schemas and fields: what other programs note beside a table, such as the types of pandas and the names of extension types.

use std::collections::BTreeMap;

use serde_json::Value;

/// Metadata by key.
pub(in crate::data) type Metadata = BTreeMap<String, String>;

/// Key under which pandas describes its types, as JSON.
const PANDAS: &str = "pandas";
/// What keys of extension types begin with.
const EXTENSION: &str = "ARROW:extension:";

/// Takes what holds for one table only out of the metadata of its schema: what pandas says of excluded columns, of the number of rows and of
/// the number of categories.
pub(in crate::data) fn without_counts(metadata: &mut Metadata, is_excluded: impl Fn(&str) -> bool) {
    change_pandas(metadata, |pandas| {
        let names_kept = |column: &Value| match column {
            Value::String(name) => !is_excluded(name),
            // A range of row numbers, which readers make anew.
            _ => false,
        };
        if let Some(index) = pandas.get_mut("index_columns").and_then(Value::as_array_mut) {
            index.retain(names_kept);
        }
        let Some(columns) = pandas.get_mut("columns").and_then(Value::as_array_mut) else {
            return;
        };
        columns.retain(|c| {
            !c.get("field_name")
                .and_then(Value::as_str)
                .is_some_and(&is_excluded)
        });
        for column in columns {
            if let Some(of_column) = column.get_mut("metadata").and_then(Value::as_object_mut) {
                of_column.remove("num_categories");
            }
        }
    });
}

/// Keeps of the metadata of a schema what names types alone.
pub(in crate::data) fn only_types(metadata: &mut Metadata) {
    metadata.retain(|key, _| key == PANDAS);
    change_pandas(metadata, |pandas| {
        if let Some(attributes) = pandas.get_mut("attributes") {
            *attributes = Value::Object(serde_json::Map::new());
        }
    });
}

/// Keeps of the metadata of a field what names its type.
pub(in crate::data) fn only_extension(metadata: &mut Metadata) {
    metadata.retain(|key, _| key.starts_with(EXTENSION));
}

/// Changes what pandas says; what is no JSON stays as it is.
fn change_pandas(metadata: &mut Metadata, change: impl FnOnce(&mut Value)) {
    let Some(text) = metadata.get_mut(PANDAS) else {
        return;
    };
    if let Ok(mut pandas) = serde_json::from_str::<Value>(text) {
        change(&mut pandas);
        *text = pandas.to_string();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pandas(json: &Value) -> Metadata {
        Metadata::from([
            (PANDAS.to_owned(), json.to_string()),
            ("other".to_owned(), "x".to_owned()),
        ])
    }

    #[test]
    fn counts_and_excluded_columns_are_taken_out() {
        let column = |name: &str, metadata: Value| serde_json::json!({"field_name": name, "pandas_type": "t", "metadata": metadata});
        let range = serde_json::json!({"kind": "range", "start": 0, "stop": 400, "step": 1});
        let ordered = |count: Value| column("c", count);
        let mut metadata = pandas(&serde_json::json!({
            "index_columns": ["gone", "pid", range],
            "columns": [
                ordered(serde_json::json!({"num_categories": 3, "ordered": true})),
                column("gone", Value::Null),
                column("pid", Value::Null),
            ],
            "attributes": {"note": "of one table"},
        }));
        without_counts(&mut metadata, |name| name == "gone");
        let expected = serde_json::json!({
            "index_columns": ["pid"],
            "columns": [ordered(serde_json::json!({"ordered": true})), column("pid", Value::Null)],
            "attributes": {"note": "of one table"},
        });
        assert_eq!(metadata, pandas(&expected));
        only_types(&mut metadata);
        let said: Value = serde_json::from_str(&metadata[PANDAS]).unwrap();
        assert_eq!(said["attributes"], serde_json::json!({}));
        assert_eq!((metadata.len(), &said["columns"]), (1, &expected["columns"]));
        // What cannot be read is left alone.
        let mut odd = Metadata::from([(PANDAS.to_owned(), "{".to_owned())]);
        without_counts(&mut odd, |_| true);
        assert_eq!(odd[PANDAS], "{");
    }
}
