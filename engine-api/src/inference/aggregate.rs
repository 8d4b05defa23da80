//! Several draws of a cell reduced to one value, or to a list.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, ListArray, StringArray, UInt64Array, new_empty_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_cast::display::array_value_to_string;
use arrow_row::{RowConverter, SortField};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, Field, TimeUnit};
use arrow_select::concat::concat;
use arrow_select::take::take;

use super::InferenceError;
use super::decoded::as_type;
use crate::EngineError;
use crate::data::{ColumnFormat, DataError, WrittenForm, written_values};

/// What several draws of a cell become.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Aggregate {
    /// The most frequent value; of equals the smallest.
    #[default]
    Mode,
    /// The mean of numbers and of dates, rounded where the column holds whole numbers.
    Mean,
    /// The median of numbers and of dates.
    Median,
    /// All draws, as a list; in CSV as a JSON array.
    List,
}

impl Aggregate {
    /// All aggregates.
    pub const ALL: [Self; 4] = [Self::Mode, Self::Mean, Self::Median, Self::List];

    /// Its name: `mode`, `mean`, `median` or `list`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Mean => "mean",
            Self::Median => "median",
            Self::List => "list",
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Aggregate {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        let found = Self::ALL
            .into_iter()
            .find(|a| name.eq_ignore_ascii_case(a.name()));
        found.ok_or_else(|| EngineError::OutOfRange {
            name: "the aggregate",
            value: name.to_owned(),
            allowed: "mode, mean, median or list",
        })
    }
}

/// One array from several draws of it, all of one type and length, at least one.
pub(crate) fn aggregate(draws: &[ArrayRef], how: Aggregate, name: &str) -> Result<ArrayRef, EngineError> {
    let failed = |source: ArrowError| DataError::Convert {
        column: name.to_owned(),
        data_type: format!("the {how} of draws"),
        source,
    };
    let Some(first) = draws.first() else {
        return Ok(new_empty_array(&DataType::Null));
    };
    if how == Aggregate::List {
        return Ok(list(draws).map_err(failed)?);
    }
    if draws.len() == 1 {
        return Ok(Arc::clone(first));
    }
    match how {
        Aggregate::Mode => Ok(mode(draws).map_err(failed)?),
        _ => point(draws, how, name),
    }
}

/// Whether a type has means.
pub(crate) fn has_mean(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal()
}

fn all(draws: &[ArrayRef]) -> Result<ArrayRef, ArrowError> {
    concat(&draws.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())
}

/// Draws of each row one after another.
fn list(draws: &[ArrayRef]) -> Result<ArrayRef, ArrowError> {
    let (count, rows) = (draws.len(), draws[0].len());
    let order: UInt64Array = (0..rows)
        .flat_map(|row| (0..count).map(move |draw| (draw * rows + row) as u64))
        .collect();
    let values = take(&all(draws)?, &order, None)?;
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(count, rows));
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

fn mode(draws: &[ArrayRef]) -> Result<ArrayRef, ArrowError> {
    let (count, rows) = (draws.len(), draws[0].len());
    let all = all(draws)?;
    let converter = RowConverter::new(vec![SortField::new(all.data_type().clone())])?;
    let keys = converter.convert_columns(&[Arc::clone(&all)])?;
    let best = |row: usize| {
        let mut of_row: Vec<usize> = (0..count).map(|draw| draw * rows + row).collect();
        of_row.retain(|at| all.is_valid(*at));
        of_row.sort_by(|a, b| keys.row(*a).cmp(&keys.row(*b)));
        let runs = of_row.chunk_by(|a, b| keys.row(*a) == keys.row(*b));
        // Strictly longer, so that of equals the first stays.
        let longest = runs.fold(
            &[][..],
            |best, run| if run.len() > best.len() { run } else { best },
        );
        longest.first().map(|at| *at as u64)
    };
    let order: UInt64Array = (0..rows).map(best).collect();
    take(&all, &order, None)
}

fn point(draws: &[ArrayRef], how: Aggregate, name: &str) -> Result<ArrayRef, EngineError> {
    let to = draws[0].data_type();
    if !has_mean(to) {
        return Err(InferenceError::Aggregate {
            column: name.to_owned(),
            aggregate: how.name(),
        }
        .into());
    }
    let instants = DataType::Timestamp(TimeUnit::Microsecond, None);
    let as_numbers = |array: &ArrayRef| -> Result<ArrayRef, DataError> {
        if !to.is_temporal() {
            return as_type(array, name, &DataType::Float64);
        }
        let ticks = as_type(&as_type(array, name, &instants)?, name, &DataType::Int64)?;
        as_type(&ticks, name, &DataType::Float64)
    };
    let numbers = draws.iter().map(as_numbers).collect::<Result<Vec<_>, _>>()?;
    let point = |row: usize| {
        let valid = numbers.iter().filter(|a| a.is_valid(row));
        let mut values: Vec<f64> = valid
            .map(|a| a.as_primitive::<Float64Type>().value(row))
            .collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match (values.len(), how) {
            (0, _) => None,
            (n, Aggregate::Mean) => Some(values.iter().sum::<f64>() / n as f64),
            (n, _) if n % 2 == 0 => Some((values[middle - 1] + values[middle]) / 2.0),
            _ => Some(values[middle]),
        }
    };
    let points: Float64Array = (0..draws[0].len()).map(point).collect();
    let points: ArrayRef = if to.is_temporal() {
        let ticks: Int64Array = points.iter().map(|p| p.map(|p| p.round() as i64)).collect();
        as_type(&(Arc::new(ticks) as ArrayRef), name, &instants)?
    } else if to.is_integer() {
        Arc::new(points.iter().map(|p| p.map(f64::round)).collect::<Float64Array>())
    } else {
        Arc::new(points)
    };
    Ok(as_type(&points, name, to)?)
}

/// Lists as texts: JSON arrays. Dates, times and words for true and false are texts in them, in the form of their column; numbers are
/// those of JSON. Other arrays stay as they are.
pub(crate) fn lists_as_texts(array: &ArrayRef, column: &ColumnFormat) -> Result<ArrayRef, DataError> {
    let DataType::List(_) = array.data_type() else {
        return Ok(Arc::clone(array));
    };
    let lists = array.as_list::<i32>();
    let of_value = lists.value_type();
    let has_words = matches!(&column.written, WrittenForm::Boolean(words)
        if (words.true_word.as_str(), words.false_word.as_str()) != ("true", "false"));
    let bare = of_value.is_numeric() || of_value == DataType::Boolean && !has_words;
    let is_written = of_value.is_temporal() || of_value == DataType::Boolean;
    let text = |values: ArrayRef| {
        let texts = match is_written {
            true => written_values(&values, column)?,
            false => (0..values.len())
                .map(|row| {
                    array_value_to_string(&values, row)
                        .ok()
                        .filter(|_| values.is_valid(row))
                })
                .collect(),
        };
        let value = |text: Option<String>| match text {
            Some(text) if bare => text,
            Some(text) => serde_json::Value::from(text).to_string(),
            None => "null".to_owned(),
        };
        let values: Vec<String> = texts.into_iter().map(value).collect();
        Ok(format!("[{}]", values.join(", ")))
    };
    let texts = lists.iter().map(|list| list.map(text).transpose());
    Ok(Arc::new(texts.collect::<Result<StringArray, DataError>>()?))
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int64Type;

    use super::*;

    fn draws(columns: &[&[Option<i64>]]) -> Vec<ArrayRef> {
        let array =
            |values: &&[Option<i64>]| Arc::new(values.iter().copied().collect::<Int64Array>()) as ArrayRef;
        columns.iter().map(array).collect()
    }

    #[test]
    fn draws_become_one_value() {
        let three = draws(&[
            &[Some(5), Some(2), None, Some(1)],
            &[Some(3), Some(9), None, Some(2)],
            &[Some(5), Some(4), None, None],
        ]);
        let of = |how| {
            let array = aggregate(&three, how, "n").unwrap();
            array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()
        };
        assert_eq!(of(Aggregate::Mode), [Some(5), Some(2), None, Some(1)]);
        assert_eq!(of(Aggregate::Mean), [Some(4), Some(5), None, Some(2)]);
        assert_eq!(of(Aggregate::Median), [Some(5), Some(4), None, Some(2)]);
        let column = ColumnFormat::new("n", DataType::Int64);
        let lists = lists_as_texts(&aggregate(&three, Aggregate::List, "n").unwrap(), &column).unwrap();
        let lists: Vec<Option<&str>> = lists.as_string::<i32>().iter().collect();
        assert_eq!(lists[0], Some("[5, 3, 5]"));
        assert_eq!(lists[2], Some("[null, null, null]"));
    }

    #[test]
    fn texts_have_a_mode_but_no_mean() {
        let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let two = [text(&["<=50K", "b"]), text(&[">50K", "b"]), text(&[">50K", "a"])];
        let mode = aggregate(&two, Aggregate::Mode, "t").unwrap();
        assert_eq!(
            mode.as_string::<i32>().iter().collect::<Vec<_>>(),
            [Some(">50K"), Some("b")]
        );
        assert_eq!(
            aggregate(&two, Aggregate::Mean, "t").unwrap_err().to_string(),
            "column \"t\" holds no numbers or dates and has no mean; use the mode, or leave the column out"
        );
    }
}
