//! Forms of values in words, for messages: `a date DD.MM.YYYY`, `"TRUE" or "FALSE"`.

use arrow_schema::DataType;

use super::date_form::{DateForm, DateOrder, date_shape};
use super::iso::{self, parse_zone};
use super::table_format::{ColumnFormat, TimeForm, WrittenForm};

/// The form that the values of a column have.
pub(in crate::data) fn describe_form(column: &ColumnFormat) -> String {
    match (&column.data_type, &column.written) {
        (DataType::Boolean, WrittenForm::Boolean(words)) => {
            format!("{:?} or {:?}", words.true_word, words.false_word)
        }
        (DataType::Boolean, _) => "\"true\" or \"false\"".to_owned(),
        (DataType::Date32 | DataType::Date64, WrittenForm::Date(form)) => {
            format!("dates {}", pattern(Some(*form)))
        }
        (DataType::Date32 | DataType::Date64, _) => format!("dates {}", pattern(None)),
        (DataType::Timestamp(_, zone), written) => {
            let form = match written {
                WrittenForm::Time(form) => Some(form),
                _ => None,
            };
            format!("dates and times {}", time_pattern(form, zone.is_some()))
        }
        (DataType::Time32(_) | DataType::Time64(_), _) => "times of day HH:MM:SS".to_owned(),
        (data_type, _) if data_type.is_integer() => format!("whole numbers ({data_type})"),
        (data_type, _) if data_type.is_numeric() => {
            format!("numbers with a decimal point ({data_type})")
        }
        (data_type, _) => format!("values of the type {data_type}"),
    }
}

fn time_pattern(form: Option<&TimeForm>, zoned: bool) -> String {
    let date = pattern(form.and_then(|form| form.date));
    let separator = form.map_or(' ', |form| form.separator);
    let seconds = if form.is_none_or(|form| form.seconds) {
        ":SS"
    } else {
        ""
    };
    let zone = if zoned { " with a zone" } else { "" };
    format!("{date}{separator}HH:MM{seconds}{zone}")
}

/// `DD.MM.YYYY`; dates without a form are in that of ISO 8601.
fn pattern(form: Option<DateForm>) -> String {
    let Some(form) = form else {
        return "YYYY-MM-DD".to_owned();
    };
    let (month, day) = if form.padded { ("MM", "DD") } else { ("M", "D") };
    let parts = match form.order {
        DateOrder::YearFirst => ["YYYY", month, day],
        DateOrder::DayFirst => [day, month, "YYYY"],
        DateOrder::MonthFirst => [month, day, "YYYY"],
    };
    parts.join(&form.separator.to_string())
}

/// The form that one value has, without the spaces around it.
pub(in crate::data) fn describe_value(value: &[u8]) -> String {
    match date_form(value) {
        Some((date, rest)) => return dated(&date, rest),
        None if is_whole(value) => return "a whole number".to_owned(),
        None => {}
    }
    let text = String::from_utf8_lossy(value);
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => return "a number with a decimal point".to_owned(),
        Ok(_) => return "no finite number".to_owned(),
        Err(_) => {}
    }
    let is_number =
        |sign: char| text.matches(sign).count() == 1 && text.replace(sign, ".").parse::<f64>().is_ok();
    if is_number(',') {
        return "a number with a decimal comma".to_owned();
    }
    if ["true", "false"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
    {
        return "a word for true or false".to_owned();
    }
    "text".to_owned()
}

/// The pattern of a date at the beginning of a value, and what follows it.
fn date_form(value: &[u8]) -> Option<(String, &[u8])> {
    if let Some((date, rest)) = value.split_at_checked(iso::DATE_LENGTH)
        && iso::parse_date(date).is_some()
    {
        return Some((pattern(None), rest));
    }
    let (shape, iso) = date_shape(value)?;
    let orders = [DateOrder::YearFirst, DateOrder::DayFirst, DateOrder::MonthFirst];
    let patterns: Vec<String> = orders
        .into_iter()
        .zip(shape.orders)
        .filter(|(_, fits)| *fits)
        .map(|(order, _)| {
            pattern(Some(DateForm {
                order,
                separator: shape.separator as char,
                padded: !shape.bare,
            }))
        })
        .collect();
    let rest = iso.len() - iso::DATE_LENGTH;
    Some((patterns.join(" or "), &value[value.len() - rest..]))
}

fn dated(date: &str, rest: &[u8]) -> String {
    if rest.is_empty() {
        return format!("a date {date}");
    }
    // The date itself does not matter to what follows it.
    let time = [b"2000-01-01".as_slice(), rest].concat();
    match iso::parse_date_time(&time) {
        Some((_, shape)) => {
            let seconds = if shape.seconds { ":SS" } else { "" };
            let zone = match parse_zone(shape.zone) {
                Some(_) if !shape.zone.is_empty() => " with a zone",
                _ => "",
            };
            let separator = shape.separator as char;
            format!("a date and time {date}{separator}HH:MM{seconds}{zone}")
        }
        None => "text".to_owned(),
    }
}

fn is_whole(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use arrow_schema::TimeUnit;

    use super::*;

    #[test]
    fn values_are_named_by_their_form() {
        for (value, form) in [
            ("28/12/2022", "a date DD/MM/YYYY"),
            ("12/28/2022 10:00", "a date and time MM/DD/YYYY HH:MM"),
            ("1.2.2022", "a date D.M.YYYY or M.D.YYYY"),
            ("2022-12-28", "a date YYYY-MM-DD"),
            (
                "2022-12-28T10:00:00Z",
                "a date and time YYYY-MM-DDTHH:MM:SS with a zone",
            ),
            ("2022-12-28 noon", "text"),
            ("31/02/2022", "text"),
            ("12", "a whole number"),
            ("1.50", "a number with a decimal point"),
            ("1,50", "a number with a decimal comma"),
            ("inf", "no finite number"),
            ("True", "a word for true or false"),
            ("old", "text"),
        ] {
            assert_eq!(describe_value(value.as_bytes()), form, "{value}");
        }
    }

    #[test]
    fn columns_are_named_by_their_form() {
        let form = |data_type, written| {
            let mut column = ColumnFormat::new("c", data_type);
            column.written = written;
            describe_form(&column)
        };
        let date = DateForm {
            order: DateOrder::DayFirst,
            separator: '.',
            padded: true,
        };
        assert_eq!(
            form(DataType::Date32, WrittenForm::Date(date)),
            "dates DD.MM.YYYY"
        );
        assert_eq!(form(DataType::Date32, WrittenForm::Plain), "dates YYYY-MM-DD");
        let time = TimeForm {
            date: Some(date),
            separator: ' ',
            seconds: false,
            decimals: vec![],
            zone: None,
            midnight_as_date: false,
        };
        let instants = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(
            form(instants, WrittenForm::Time(time)),
            "dates and times DD.MM.YYYY HH:MM"
        );
        assert_eq!(form(DataType::Int64, WrittenForm::Plain), "whole numbers (Int64)");
    }
}
