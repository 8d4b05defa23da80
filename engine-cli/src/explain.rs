//! What `argn analyze --explain` prints.

use std::fmt::Write;

use engine_api::stages::ColumnExplanation;
use engine_api::{EncodingType, Explanation, Reason};

use crate::messages::encoding_flag;
use crate::report::{encoding_name, sub_columns};

/// The columns of the model, in a few lines each.
pub(crate) fn explain(columns: &[ColumnExplanation]) -> String {
    let mut text = String::new();
    for column in columns {
        let summary = &column.summary;
        let encoding = summary.encoding.as_deref().map(encoding_name);
        let _ = writeln!(
            text,
            "{}\n  type       {}\n  encoding   {}",
            summary.name,
            summary.data_type,
            encoding.map_or_else(
                || "none, it is no part of the model".to_owned(),
                |encoding| format!("{encoding} ({})", sub_columns(summary)),
            )
        );
        let Some(explanation) = &column.explanation else {
            let _ = writeln!(text, "  protected  {}", protected_categories(column));
            continue;
        };
        let _ = writeln!(text, "  why        {}", why(column, explanation.reason));
        if column.may_be_codes {
            let _ = writeln!(
                text,
                "  note       its few numbers lie far apart and occur in many rows each: they may be codes, not amounts"
            );
        }
        let _ = writeln!(text, "  protected  {}", protected(column, explanation));
        if let Some(others) = others(column) {
            let _ = writeln!(text, "  override   {others}");
        }
    }
    if columns.iter().any(|column| column.explanation.is_none()) {
        text += "The table is not there, so this is what follows from its statistics.\n";
    }
    text
}

fn why(column: &ColumnExplanation, reason: Reason) -> String {
    let places = |digits: usize| match digits {
        1 => "1 decimal place is in use".to_owned(),
        digits => format!("{digits} decimal places are in use"),
    };
    match reason {
        Reason::FewValues { share } => format!(
            "the numbers that are not rare are few and hold {} of the rows",
            percent(share)
        ),
        Reason::FewDigits { digits } => format!(
            "there are too many different or rare numbers for a code each, and {}",
            places(digits)
        ),
        Reason::ManyDigits { digits } => format!(
            "there are too many different or rare numbers for a code each, and {}: too many for a code for each digit",
            places(digits)
        ),
        Reason::NoRows => "no row holds a value".to_owned(),
        _ if column.by_type => format!("columns of the type {} are encoded so", column.summary.data_type),
        _ => "it was requested".to_owned(),
    }
}

/// What statistics alone say of rare values.
fn protected_categories(column: &ColumnExplanation) -> String {
    match column.summary.rare_categories {
        Some(rare) => format!("{rare} rare categories"),
        None => "not counted".to_owned(),
    }
}

fn protected(column: &ColumnExplanation, explained: &Explanation) -> String {
    let nulls = match explained.nulls {
        0 => String::new(),
        nulls => format!(
            "; {} null",
            percent(share(nulls, explained.nulls + explained.rows))
        ),
    };
    let rare = match column.summary.rare_categories {
        Some(rare) if rare > 0 => format!(", {rare} rare categories"),
        _ => String::new(),
    };
    format!(
        "{} of the rows{rare}{nulls}",
        percent(share(explained.protected, explained.rows))
    )
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// A share with two decimals, so that neither none nor all is claimed for nearly so.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if share > 0.0 && percent < 0.01 => "less than 0.01 %".to_owned(),
        _ if share < 1.0 && percent >= 99.995 => "more than 99.99 %".to_owned(),
        _ if share == 0.0 || share == 1.0 => format!("{percent} %"),
        _ => format!("{percent:.2} %"),
    }
}

/// The flags that would change the encoding.
fn others(column: &ColumnExplanation) -> Option<String> {
    let name = &column.summary.name;
    let flag = |&encoding: &EncodingType| encoding_flag(name, encoding);
    let flags: Vec<String> = column.alternatives.iter().map(flag).collect();
    (!flags.is_empty()).then(|| format!("split with {}", flags.join(" or ")))
}
