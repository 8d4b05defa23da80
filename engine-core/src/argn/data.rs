//! Tables of codes that models are trained on.

use super::model::ModelError;
use crate::schema::{CodeTable, SubColumnName};

/// Checks that a table has the sub-columns of a model, and no code beyond their cardinalities.
pub(super) fn check_codes(
    sub_columns: &[(SubColumnName, usize)],
    table: &'static str,
    codes: &CodeTable,
) -> Result<(), ModelError> {
    let (expected, got) = (sub_columns.len(), codes.columns().len());
    if expected != got {
        return Err(ModelError::SubColumns { table, expected, got });
    }
    for (column, (name, cardinality)) in codes.columns().iter().zip(sub_columns) {
        if let Some(code) = column.max().filter(|c| *c as usize >= *cardinality) {
            let (sub_column, cardinality) = (name.to_string(), *cardinality);
            return Err(ModelError::CodeOutOfRange {
                table,
                sub_column,
                code,
                cardinality,
            });
        }
    }
    Ok(())
}
