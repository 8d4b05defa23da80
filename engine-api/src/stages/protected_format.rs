//! How values are written, as far as the statistics show it: `table-format.json` in the model store says no
//! more of rare values than they do.

use engine_core::encode::{ColumnStats, EncodingStats, TableStats};

use crate::data::{ColumnFormat, ExponentUse, NumberForm, TableFormat, TimeForm, WrittenForm};

/// What the statistics of a column show of its written form.
struct Shown {
    has_nulls: bool,
    /// Decimals of numbers; `None` of other columns.
    decimals: Option<u8>,
    /// Whether exponents may occur in numbers.
    exponents: bool,
    /// Whether seconds have decimals.
    has_ms: bool,
}

/// Takes out of a format what rare values have left there: numbers of decimals, exponents, and the text of
/// nulls.
pub(super) fn protect_format(format: &mut TableFormat, stats: &TableStats) {
    for column in &mut format.columns {
        if let Some(ColumnStats::Modelled { values, .. }) = stats.columns.get(&column.name) {
            protect_column(column, &shown(values));
        }
    }
}

fn shown(values: &EncodingStats) -> Shown {
    let written = values.written_digits();
    Shown {
        has_nulls: values.has_nulls(),
        decimals: written.last_place.map(|place| u8::try_from(-place).unwrap_or(0)),
        exponents: written.largest >= 1e16 || written.last_place.is_some_and(|place| place < -4),
        has_ms: written.milliseconds,
    }
}

fn protect_column(column: &mut ColumnFormat, shown: &Shown) {
    if !shown.has_nulls {
        column.null_text.clear();
    }
    match &mut column.written {
        WrittenForm::Number(form) => protect_number(form, shown),
        WrittenForm::Time(form) => protect_time(form, shown),
        // All values of the column are written so.
        WrittenForm::Plain | WrittenForm::Boolean(_) | WrittenForm::Date(_) => {}
    }
}

fn protect_number(form: &mut NumberForm, shown: &Shown) {
    // Of decimals as categories no range is known, and a single number of decimals is that of all values.
    if let Some(max) = shown.decimals
        && form.decimals.len() > 1
    {
        let min = form.decimals[0];
        form.decimals.retain(|&decimals| decimals <= max.max(min));
    }
    let all_have_one = form
        .exponent
        .is_some_and(|exponent| exponent.used == ExponentUse::Always);
    if !all_have_one && !shown.exponents {
        form.exponent = None;
    }
}

fn protect_time(form: &mut TimeForm, shown: &Shown) {
    if !shown.has_ms && form.decimals.len() > 1 {
        form.decimals.truncate(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ExponentForm;

    fn number(decimals: &[u8], used: Option<ExponentUse>) -> NumberForm {
        let exponent = used.map(|used| ExponentForm {
            used,
            upper: false,
            plus: true,
            digits: 2,
        });
        NumberForm {
            decimals: decimals.to_vec(),
            bare_point: false,
            exponent,
        }
    }

    #[test]
    fn rare_forms_of_numbers_are_taken_out() {
        let shown = |decimals, exponents| Shown {
            has_nulls: false,
            decimals: Some(decimals),
            exponents,
            has_ms: false,
        };
        let protected = |mut form: NumberForm, shown: Shown| {
            protect_number(&mut form, &shown);
            form
        };
        let extreme = Some(ExponentUse::Extreme);
        assert_eq!(
            protected(number(&[0, 2, 9], extreme), shown(2, false)),
            number(&[0, 2], None)
        );
        assert_eq!(
            protected(number(&[0, 9], extreme), shown(9, true)),
            number(&[0, 9], extreme)
        );
        // What all values share stays.
        let always = Some(ExponentUse::Always);
        assert_eq!(
            protected(number(&[2], always), shown(0, false)),
            number(&[2], always)
        );
        assert_eq!(
            protected(number(&[2, 9], None), shown(0, false)),
            number(&[2], None)
        );
    }
}
