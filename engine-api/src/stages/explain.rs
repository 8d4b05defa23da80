//! What a person wants to know of an analysis: of each column its encoding, why, and what else it could be.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use engine_core::encode::{ColumnKind, EncodingType, Explanation, TableStats};

use super::split::{comes_back, encoding_of_type};
use crate::data::{ColumnFormat, DataError, TableBatch, TableFormat};
use crate::model_store::{ColumnSummary, summaries};

/// A column of the model, explained.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnExplanation {
    /// Its type, encoding and sub-columns.
    pub summary: ColumnSummary,
    /// How the encoding was found, and how many rows are protected; `None` where the table is not there any more.
    pub explanation: Option<Explanation>,
    /// Whether the encoding, before the automatic choice, is the one of the column's type.
    pub by_type: bool,
    /// Whether its whole numbers may be codes rather than amounts.
    pub may_be_codes: bool,
    /// Encodings that it could have instead.
    pub alternatives: Vec<EncodingType>,
}

/// Puts explanations, one for each column of the statistics, beside what is noted of the table. `codes` names the columns
/// whose whole numbers may be codes.
pub(super) fn explain_columns(
    stats: &TableStats,
    format: &TableFormat,
    explanations: Vec<Explanation>,
    codes: &HashSet<String>,
) -> Result<Vec<ColumnExplanation>, DataError> {
    let summaries = summaries(stats, format);
    let mut columns = Vec::with_capacity(explanations.len());
    for explanation in explanations {
        let name = &explanation.column;
        let summary = summaries.iter().find(|s| s.name == *name).cloned();
        let (Some(summary), Some(column)) = (summary, format.column(name)) else {
            continue;
        };
        let current = stats.columns.get(name).map(|c| c.encoding_type());
        columns.push(ColumnExplanation {
            by_type: type_encoding(column)? == explanation.asked,
            may_be_codes: codes.contains(name),
            alternatives: alternatives(column, current),
            summary,
            explanation: Some(explanation),
        });
    }
    Ok(columns)
}

/// What follows from statistics without their table.
pub(super) fn explain_statistics(stats: &TableStats, format: &TableFormat) -> Vec<ColumnExplanation> {
    let summaries = summaries(stats, format).into_iter();
    let modelled = summaries.filter(|summary| stats.columns.contains_key(&summary.name));
    let explained = modelled.map(|summary| ColumnExplanation {
        by_type: false,
        may_be_codes: false,
        alternatives: Vec::new(),
        explanation: None,
        summary,
    });
    explained.collect()
}

/// The encoding of a column for which none was requested.
fn type_encoding(column: &ColumnFormat) -> Result<EncodingType, DataError> {
    let field = Field::new(&column.name, column.data_type.clone(), true);
    let schema = std::sync::Arc::new(Schema::new(vec![field]));
    let nothing = TableBatch::new(&RecordBatch::new_empty(schema))?;
    let table = nothing.table()?;
    let values = table.columns().first().map(|c| c.values);
    Ok(values.map_or(EncodingType::CATEGORICAL, |values| {
        encoding_of_type(&column.data_type, &values)
    }))
}

/// Other encodings that suit the type.
fn alternatives(column: &ColumnFormat, current: Option<EncodingType>) -> Vec<EncodingType> {
    let values = match &column.data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    };
    let kind = match values {
        values if values.is_string() => ColumnKind::Texts,
        values if values.is_numeric() => ColumnKind::Numbers,
        values if values.is_temporal() => ColumnKind::Times,
        _ => ColumnKind::Others,
    };
    EncodingType::all()
        .filter(|&e| e.suits(kind) && !e.needs_subjects() && Some(e) != current)
        .filter(|&e| comes_back(e, column))
        .collect()
}
