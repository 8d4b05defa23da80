//! What a command says at its end.

use std::fmt::Write;
use std::io::{self, Write as _};

use engine_api::{ColumnSummary, EncodingType, ModelSummary};

use crate::failure::Failure;

/// Writes a text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

/// Writes a value as JSON to standard output.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Output(e.into()))?;
    print(&(text + "\n"))
}

/// A model in a few lines: its columns, and how it was trained.
pub(crate) fn summary(model: &ModelSummary) -> String {
    let mut text = String::new();
    let widest = model
        .columns
        .iter()
        .map(|c| c.name.chars().count())
        .max()
        .unwrap_or(0)
        .min(32);
    for column in &model.columns {
        let _ = writeln!(text, "  {:widest$}  {}", column.name, describe(column));
    }
    let order = if model.any_order {
        "any order"
    } else {
        "fixed order"
    };
    let size = model
        .model
        .rsplit('/')
        .next()
        .unwrap_or(&model.model)
        .to_lowercase();
    let (rows, held_out) = (model.training_rows, model.validation_rows);
    let _ = writeln!(
        text,
        "model       {size}, {order}, {} parameters",
        model.parameters
    );
    let _ = writeln!(text, "rows        {rows} to train on, {held_out} to validate on");
    if let (Some(epochs), Some(seconds)) = (model.epochs, model.seconds) {
        let batch = model
            .batch_size
            .map_or_else(String::new, |b| format!(", batches of {b} rows"));
        let epochs = counted(epochs, "epoch");
        // The file of the messages keeps tenths.
        let _ = match seconds {
            0.0 => writeln!(text, "training    {epochs} in less than 0.1 s{batch}"),
            _ => writeln!(text, "training    {epochs} in {seconds:.1} s{batch}"),
        };
    }
    if let Some(loss) = model.best_val_loss {
        let _ = writeln!(text, "validation  {loss:.4} nats per row at best");
    }
    if let Some(seed) = model.seed {
        let _ = writeln!(text, "seed        {seed}");
    }
    text
}

fn counted(number: f64, what: &str) -> String {
    let plural = if number == 1.0 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn describe(column: &ColumnSummary) -> String {
    let Some(encoding) = &column.encoding else {
        return match column.role.as_str() {
            "primary_key" => format!("{}, primary key: new keys are made", column.data_type),
            "excluded" => "left out".to_owned(),
            _ => "empty".to_owned(),
        };
    };
    let rare = match column.rare_categories {
        Some(1) => ", 1 rare category protected".to_owned(),
        Some(n) if n > 0 => format!(", {n} rare categories protected"),
        _ => String::new(),
    };
    format!(
        "{}, {} ({}){rare}",
        column.data_type,
        encoding_name(encoding),
        sub_columns(column)
    )
}

/// The name of an encoding as a person types it, `numeric-digit`, from its name in files.
pub(crate) fn encoding_name(encoding: &str) -> String {
    let known = encoding.parse::<EncodingType>();
    known.map_or_else(|_| encoding.to_owned(), |encoding| encoding.to_string())
}

/// Sub-columns with their cardinalities: `E1 10, E0 10`.
pub(crate) fn sub_columns(column: &ColumnSummary) -> String {
    let parts = column.sub_columns.iter();
    let parts: Vec<String> = parts.map(|(name, v)| format!("{name} {v}")).collect();
    parts.join(", ")
}
