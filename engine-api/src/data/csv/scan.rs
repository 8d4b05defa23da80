//! What a column is, gathered field by field over the whole file.

use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::{DataType, TimeUnit};

use super::classify::{Casing, ExponentShape, NumberShape, Token, classify, is_not_a_number, trim};
use super::notes::TextNotes;
use crate::data::error::shorten;
use crate::data::written::{
    BooleanWords, ColumnFormat, DateScan, ExponentForm, ExponentUse, NumberForm, TimeForm, WrittenForm,
    iso::TimeShape, null_word,
};

/// Kinds of values that a column has shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Unknown,
    /// Numbers, whole or not.
    Number,
    /// Dates with or without a time.
    Time,
    Boolean(Casing),
    Text,
}

impl Kind {
    /// What values of this kind are called.
    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "null",
            Self::Number => "number",
            Self::Time => "date",
            Self::Boolean(_) => "boolean of one pair of words",
            Self::Text => "text",
        }
    }
}

/// What the rows so far say of a column.
#[derive(Debug, Default)]
pub(super) struct ColumnScan {
    kind: Kind,
    numbers: NumberScan,
    times: TimeScan,
    spaces: SpaceScan,
    nulls: NullScan,
    /// Words for a missing value, with their numbers, that are null if all other values are numbers or dates.
    words: BTreeMap<&'static str, u64>,
    notes: TextNotes,
    keeps_null_words: bool,
    /// Values that are not null, until the column is text.
    values: u64,
    /// First value that is not finite: the start of its row in the input, and its text.
    infinite: Option<(u64, String)>,
}

/// What a column turned out to be.
#[derive(Debug)]
pub(super) struct Found {
    /// Name, type and written form.
    pub(super) format: ColumnFormat,
    /// Words for a missing value, with their numbers: null in columns of numbers and dates.
    pub(super) words: BTreeMap<&'static str, u64>,
    /// Why it is text, if it is.
    pub(super) notes: TextNotes,
    /// Number of `nan` in a column of numbers, which are read as null.
    pub(super) nans: u64,
    /// Start of the row in the input, and text, of the first value of a column of numbers that is not finite.
    pub(super) infinite: Option<(u64, String)>,
}

impl ColumnScan {
    /// Nothing is known yet; whether the usual words for a missing value are values.
    pub(super) fn new(keeps_null_words: bool) -> Self {
        Self {
            keeps_null_words,
            ..Self::default()
        }
    }

    /// Takes note of one field.
    pub(super) fn add(&mut self, field: &[u8], start: u64, null_texts: &[String]) {
        if field.is_empty() {
            return self.nulls.add(None);
        }
        if let Some(at) = null_texts.iter().position(|text| text.as_bytes() == field) {
            return self.nulls.add(Some(at));
        }
        let word = null_word(field).filter(|_| !self.keeps_null_words);
        if let Some(word) = word {
            *self.words.entry(word).or_default() += 1;
        }
        if self.kind == Kind::Text {
            return self.notes.add(field);
        }
        let (value, before, after) = trim(field);
        if is_not_a_number(value) {
            self.numbers.nans += 1;
            return;
        }
        if word.is_some() {
            return;
        }
        self.spaces.add(before, after);
        let kind = match classify(value) {
            Token::Integer => {
                self.numbers.whole += 1;
                Kind::Number
            }
            Token::Number(shape) => {
                self.numbers.add(shape);
                Kind::Number
            }
            // It is counted above, for it may stand among dates as well.
            Token::NotANumber => return,
            Token::Infinite => {
                self.infinite.get_or_insert_with(|| (start, shorten(value)));
                Kind::Number
            }
            Token::Date => {
                self.times.forms.add_iso();
                self.times.dates += 1;
                Kind::Time
            }
            Token::DateTime(shape) => {
                self.times.forms.add_iso();
                self.times.add(shape);
                Kind::Time
            }
            Token::OtherDate(shape, time) => {
                self.times.forms.add(shape);
                match time {
                    None => self.times.dates += 1,
                    Some(time) => self.times.add(time),
                }
                Kind::Time
            }
            Token::Boolean(casing) => Kind::Boolean(casing),
            Token::Text => Kind::Text,
        };
        let before = std::mem::replace(&mut self.kind, kind);
        if before != kind && before != Kind::Unknown {
            self.kind = Kind::Text;
            self.notes.break_at = Some((start, before.name(), self.values));
        }
        if self.kind == Kind::Text {
            let (numbers, is_first) = (&self.numbers, before == Kind::Unknown);
            let all_whole = numbers.fractional + numbers.nans == 0 && self.infinite.is_none();
            self.notes.begin(is_first || before == Kind::Number && all_whole);
            self.notes.add(field);
        }
        self.values += 1;
    }

    /// What the column is, given all its fields.
    pub(super) fn finish(mut self, name: &str, quoted: bool, null_texts: &[String]) -> Found {
        let numbers = self.numbers.whole + self.numbers.fractional;
        let (data_type, written) = match self.kind {
            // A column of such words alone may mean anything by them.
            Kind::Unknown if self.numbers.nans > 0 && self.words.keys().all(|word| is_nan(word)) => {
                (DataType::Float64, WrittenForm::Number(self.numbers.form()))
            }
            Kind::Unknown if !self.words.is_empty() => (DataType::Utf8, WrittenForm::Plain),
            Kind::Unknown => (DataType::Null, WrittenForm::Plain),
            // A column of `inf` and nothing else holds no number.
            Kind::Number if numbers == 0 && self.infinite.is_some() => (DataType::Utf8, WrittenForm::Plain),
            Kind::Number if self.numbers.fractional > 0 || self.infinite.is_some() || numbers == 0 => {
                (DataType::Float64, WrittenForm::Number(self.numbers.form()))
            }
            Kind::Number => (DataType::Int64, WrittenForm::Plain),
            Kind::Time if self.keeps_null_words && self.numbers.nans > 0 => {
                (DataType::Utf8, WrittenForm::Plain)
            }
            Kind::Time => self.times.found().unwrap_or_else(|| {
                self.notes = TextNotes::of_dates();
                (DataType::Utf8, WrittenForm::Plain)
            }),
            // Two words for true and false, and a third.
            Kind::Boolean(_) if self.numbers.nans > 0 || !self.words.is_empty() => {
                (DataType::Utf8, WrittenForm::Plain)
            }
            Kind::Boolean(casing) => {
                let (yes, no) = casing.words();
                let words = BooleanWords {
                    true_word: yes.to_owned(),
                    false_word: no.to_owned(),
                };
                (DataType::Boolean, WrittenForm::Boolean(words))
            }
            Kind::Text => (DataType::Utf8, WrittenForm::Plain),
        };
        let is_number = matches!(data_type, DataType::Int64 | DataType::Float64);
        let is_text = matches!(data_type, DataType::Utf8 | DataType::Null);
        let mut format = ColumnFormat::new(name, data_type);
        format.written = written;
        format.quoted = quoted;
        format.leading_spaces = if is_text { 0 } else { self.spaces.before() };
        if !is_text && format.data_type != DataType::Boolean {
            let words = self.words.keys().filter(|word| !is_number || !is_nan(word));
            words.for_each(|word| self.nulls.add_word(word));
        }
        format.null_text = self.nulls.text(null_texts);
        Found {
            words: self.words,
            notes: self.notes,
            format,
            nans: if is_number { self.numbers.nans } else { 0 },
            infinite: if is_number { self.infinite } else { None },
        }
    }
}

fn is_nan(word: &str) -> bool {
    is_not_a_number(word.as_bytes())
}

#[derive(Debug, Default)]
struct NumberScan {
    /// Values without a point or exponent.
    whole: u64,
    /// Values with one of the two.
    fractional: u64,
    /// Those of them with an exponent.
    exponents: u64,
    nans: u64,
    /// Bit d: a value without exponent has d decimals.
    decimals: u64,
    /// Bit d: a value with exponent has d decimals.
    mantissa_decimals: u64,
    bare_points: bool,
    zero_points: bool,
    upper: bool,
    plus: bool,
    exponent_digits: Option<u8>,
    /// Whether a value has an exponent where Python would write none.
    moderate_exponents: bool,
}

/// Most decimals that are distinguished.
const MAX_DECIMALS: u8 = 40;

impl NumberScan {
    fn add(&mut self, shape: NumberShape) {
        self.fractional += 1;
        let bit = 1 << shape.decimals.min(MAX_DECIMALS);
        if shape.decimals > 0 {
            self.bare_points |= shape.bare_point;
            self.zero_points |= !shape.bare_point;
        }
        match shape.exponent {
            None => self.decimals |= bit,
            Some(exponent) => {
                self.mantissa_decimals |= bit;
                self.add_exponent(exponent);
            }
        }
    }

    fn add_exponent(&mut self, exponent: ExponentShape) {
        self.exponents += 1;
        self.upper |= exponent.upper;
        self.plus |= exponent.sign == Some(b'+');
        self.moderate_exponents |= !exponent.extreme;
        self.exponent_digits = Some(
            self.exponent_digits
                .map_or(exponent.digits, |digits| digits.min(exponent.digits)),
        );
    }

    fn form(&self) -> NumberForm {
        let always = self.exponents > 0 && self.exponents == self.fractional && self.whole == 0;
        let used = match self.moderate_exponents {
            _ if always => ExponentUse::Always,
            true => ExponentUse::Shorter,
            false => ExponentUse::Extreme,
        };
        let mut decimals = if always {
            self.mantissa_decimals
        } else {
            self.decimals
        };
        if self.whole > 0 {
            decimals |= 1;
        }
        NumberForm {
            decimals: (0..=MAX_DECIMALS).filter(|d| decimals >> d & 1 == 1).collect(),
            bare_point: self.bare_points && !self.zero_points,
            exponent: self.exponent_digits.map(|digits| ExponentForm {
                used,
                upper: self.upper,
                plus: self.plus,
                digits,
            }),
        }
    }
}

#[derive(Debug, Default)]
struct TimeScan {
    forms: DateScan,
    /// Values without a time of day.
    dates: u64,
    with_t: u64,
    with_space: u64,
    with_seconds: bool,
    /// Whether a time of day is midnight.
    midnights: bool,
    decimals: BTreeSet<u8>,
    /// Zones that were seen; none is the empty one. Two are enough to know that they are mixed.
    zones: Vec<String>,
    zoned: bool,
    unzoned: bool,
}

impl TimeScan {
    fn add(&mut self, shape: TimeShape<'_>) {
        if shape.separator == b'T' {
            self.with_t += 1;
        } else {
            self.with_space += 1;
        }
        self.with_seconds |= shape.seconds;
        self.midnights |= shape.midnight;
        self.decimals.insert(shape.decimals);
        if shape.zone.is_empty() {
            self.unzoned = true;
            return;
        }
        self.zoned = true;
        if self.zones.len() < 2 && self.zones.iter().all(|z| z.as_bytes() != shape.zone) {
            self.zones.push(String::from_utf8_lossy(shape.zone).into_owned());
        }
    }

    /// Type and form; `None` when the dates are of several forms or of none that is clear, or when some values have a zone
    /// and others not, so that they cannot be compared.
    fn found(self) -> Option<(DataType, WrittenForm)> {
        let date = self.forms.form().ok()?;
        if self.with_t + self.with_space == 0 {
            return Some((
                DataType::Date32,
                date.map_or(WrittenForm::Plain, WrittenForm::Date),
            ));
        }
        if self.zoned && (self.unzoned || self.dates > 0) {
            return None;
        }
        let zone = match self.zones.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            // Instants of several zones are all shown in UTC.
            _ => Some("Z".to_owned()),
        };
        let form = TimeForm {
            date,
            separator: if self.with_t > self.with_space { 'T' } else { ' ' },
            seconds: self.with_seconds,
            decimals: self.decimals.into_iter().collect(),
            zone,
            midnight_as_date: self.dates > 0 && !self.midnights,
        };
        let zone = self.zoned.then(|| "UTC".into());
        Some((
            DataType::Timestamp(TimeUnit::Microsecond, zone),
            WrittenForm::Time(form),
        ))
    }
}

/// Spaces before values: how many, when always the same and none after them.
#[derive(Debug, Default)]
struct SpaceScan {
    before: Option<usize>,
    uneven: bool,
}

impl SpaceScan {
    fn add(&mut self, before: usize, after: usize) {
        self.uneven |= after > 0 || *self.before.get_or_insert(before) != before;
    }

    fn before(&self) -> u8 {
        if self.uneven {
            0
        } else {
            self.before.map_or(0, |n| n.min(usize::from(u8::MAX)) as u8)
        }
    }
}

/// Which text stands for null, when it is always the same.
#[derive(Debug, Default)]
struct NullScan {
    seen: Option<Option<usize>>,
    word: Option<&'static str>,
    mixed: bool,
}

impl NullScan {
    fn add(&mut self, text: Option<usize>) {
        self.mixed |= *self.seen.get_or_insert(text) != text;
    }

    /// A word that stands for null by itself.
    fn add_word(&mut self, word: &'static str) {
        self.mixed |= self.seen.is_some() || *self.word.get_or_insert(word) != word;
    }

    fn text(&self, null_texts: &[String]) -> String {
        match (self.seen, self.word) {
            _ if self.mixed => String::new(),
            (Some(Some(at)), _) => null_texts[at].clone(),
            (None, Some(word)) => word.to_owned(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::note::NoteKind;

    fn scan(values: &[&str]) -> Found {
        let mut scan = ColumnScan::new(false);
        for (at, value) in values.iter().enumerate() {
            scan.add(value.as_bytes(), at as u64, &["NA".to_owned()]);
        }
        scan.finish("c", false, &["NA".to_owned()])
    }

    fn type_of(values: &[&str]) -> DataType {
        scan(values).format.data_type
    }

    fn number_form(values: &[&str]) -> NumberForm {
        match scan(values).format.written {
            WrittenForm::Number(form) => form,
            other => panic!("{values:?} are numbers, not {other:?}"),
        }
    }

    fn time_form(values: &[&str]) -> TimeForm {
        match scan(values).format.written {
            WrittenForm::Time(form) => form,
            other => panic!("{values:?} are instants, not {other:?}"),
        }
    }

    #[test]
    fn types_follow_from_all_values() {
        let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for (values, expected) in [
            (&["1", "", "-2"][..], DataType::Int64),
            (&["1", "2.5"], DataType::Float64),
            (&["1", "nan"], DataType::Int64),
            (&["nan", ""], DataType::Float64),
            (&["1", "x"], DataType::Utf8),
            (&["1", "007"], DataType::Utf8),
            (&["1", "+5"], DataType::Utf8),
            (&["1.5", "1,234"], DataType::Utf8),
            (&["1", "9223372036854775808"], DataType::Utf8),
            (&["2024-01-01", "2024-02-30"], DataType::Utf8),
            (&["2024-01-01", "2024-02-29"], DataType::Date32),
            (&["2024-01-01", "2024-01-01 10:00"], naive.clone()),
            (&["2024-01-01T10:00:00"], naive.clone()),
            (&["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+01:00"], zoned),
            (&["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"], DataType::Utf8),
            (&["2024-01-01T10:00:00Z", "2024-01-01"], DataType::Utf8),
            (&["2024-01-01", "1"], DataType::Utf8),
            (&["true", "false", ""], DataType::Boolean),
            (&["TRUE"], DataType::Boolean),
            (&["true", "False"], DataType::Utf8),
            (&["true", "1"], DataType::Utf8),
            (&["inf", "inf"], DataType::Utf8),
            (&["", ""], DataType::Null),
            (&["NA", ""], DataType::Null),
            (&[], DataType::Null),
            (&[" "], DataType::Utf8),
            (&[" 1", " 2"], DataType::Int64),
        ] {
            assert_eq!(type_of(values), expected, "{values:?}");
        }
    }

    #[test]
    fn null_words_are_null_among_numbers_and_dates_whatever_the_order() {
        for (values, data_type, null_text) in [
            (&["N/A", "1.5", "2"][..], DataType::Float64, "N/A"),
            (&["1", "N/A"], DataType::Int64, "N/A"),
            (&["?", "2024-01-01", "?"], DataType::Date32, "?"),
            (&["2024-01-01", "?", ""], DataType::Date32, ""),
            (&["NaN", "2024-01-01"], DataType::Date32, "NaN"),
            (&["2024-01-01", "NaN"], DataType::Date32, "NaN"),
            (&["-", "1", "?"], DataType::Int64, ""),
            (&["  ", "1"], DataType::Int64, " "),
            (&["N/A", "x", "1"], DataType::Utf8, ""),
            (&["x", "N/A"], DataType::Utf8, ""),
            (&["N/A", "?"], DataType::Utf8, ""),
            (&["true", "N/A"], DataType::Utf8, ""),
            (&["N/A", "true"], DataType::Utf8, ""),
            (&["nan", "true"], DataType::Utf8, ""),
        ] {
            let format = scan(values).format;
            assert_eq!(
                (format.data_type, format.null_text.as_str()),
                (data_type, null_text),
                "{values:?}"
            );
        }
        for values in [&["N/A", "1"][..], &["2024-01-01", "NaN"], &["NaN", "2024-01-01"]] {
            let mut scan = ColumnScan::new(true);
            values.iter().for_each(|value| scan.add(value.as_bytes(), 0, &[]));
            assert_eq!(
                scan.finish("c", false, &[]).format.data_type,
                DataType::Utf8,
                "{values:?}"
            );
        }
    }

    #[test]
    fn a_column_that_became_text_says_why() {
        let note = |values: &[&str]| scan(values).notes.note();
        assert_eq!(note(&["12", "NA", "007"]), Some(NoteKind::LeadingZeros));
        assert_eq!(note(&["1.5", "1,234"]), Some(NoteKind::Commas));
        assert_eq!(note(&["01/02/2024", "03/04/2024"]), Some(NoteKind::MixedDates));
        assert_eq!(
            note(&["2024-01-01T10:00:00Z", "2024-01-01"]),
            Some(NoteKind::MixedDates)
        );
        for plain in [&["true", "007"][..], &["1.5", "007"], &["12", "x"], &["x", "y"]] {
            assert_eq!(note(plain), None, "{plain:?}");
        }
        assert_eq!(scan(&["12", "13", "x"]).notes.break_at, Some((2, "number", 2)));
        assert_eq!(scan(&["x", "12"]).notes.break_at, None);
    }

    #[test]
    fn not_finite_matters_only_among_numbers() {
        let found = scan(&["1", "-Infinity", "inf"]);
        assert_eq!(found.infinite, Some((1, "-Infinity".to_owned())));
        assert_eq!(scan(&["1", "inf", "x"]).infinite, None);
        assert_eq!(scan(&["inf"]).infinite, None);
        assert_eq!(scan(&["1.5", "NaN", "nan"]).nans, 2);
        assert_eq!(scan(&["1.5", "NaN", "x"]).nans, 0);
    }

    #[test]
    fn decimals_are_those_that_occur() {
        assert_eq!(number_form(&["1.20", "0.05"]).decimals, [2]);
        assert_eq!(number_form(&["12", "0.05"]).decimals, [0, 2]);
        assert_eq!(number_form(&["5.", "0.05"]).decimals, [0, 2]);
        assert!(number_form(&[".5", "1.25"]).decimals == [1, 2]);
        assert!(!number_form(&[".5", "1.25"]).bare_point);
        assert!(number_form(&[".5", "-.25", "1"]).bare_point);
    }

    #[test]
    fn exponents_are_noted() {
        let form = |used, upper, plus, digits| {
            Some(ExponentForm {
                used,
                upper,
                plus,
                digits,
            })
        };
        let python = number_form(&["1.5", "1e-05", "2.25e+16"]);
        assert_eq!(python.decimals, [1]);
        assert_eq!(python.exponent, form(ExponentUse::Extreme, false, true, 2));
        let always = number_form(&["1.500E5", "2.000E-12"]);
        assert_eq!(always.decimals, [3]);
        assert_eq!(always.exponent, form(ExponentUse::Always, true, false, 1));
        let r = number_form(&["123456", "1e+05"]);
        assert_eq!(r.exponent, form(ExponentUse::Shorter, false, true, 2));
    }

    #[test]
    fn the_way_instants_are_written_is_noted() {
        let form = time_form(&["2024-01-01T10:00:00", "2024-01-01T10:00:00.123456"]);
        assert_eq!(
            (form.separator, form.seconds, form.decimals),
            ('T', true, vec![0, 6])
        );
        let form = time_form(&["2024-01-01 10:00+0200"]);
        assert_eq!(
            (form.separator, form.seconds, form.zone.as_deref()),
            (' ', false, Some("+0200"))
        );
        let form = time_form(&["2024-01-01 10:00+02:00", "2024-01-01 10:00+01:00"]);
        assert_eq!(form.zone.as_deref(), Some("Z"));
        assert!(time_form(&["2024-01-01", "2024-01-01 10:00"]).midnight_as_date);
        assert!(!time_form(&["2024-01-01", "2024-01-01 00:00"]).midnight_as_date);
    }

    #[test]
    fn spaces_and_null_texts_come_back_when_always_the_same() {
        let format = scan(&[" 1", " 2", "NA"]).format;
        assert_eq!((format.leading_spaces, format.null_text.as_str()), (1, "NA"));
        let format = scan(&[" 1", "2", "NA", ""]).format;
        assert_eq!((format.leading_spaces, format.null_text.as_str()), (0, ""));
        assert_eq!(scan(&[" a", " b"]).format.leading_spaces, 0);
    }
}
