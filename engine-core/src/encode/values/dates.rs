//! Dates in texts. A column of texts is read as a whole, because one value may show how the others are meant:
//! `1/3/2022` is the 3rd of January, unless `28/2/2022` is in the same column.

use crate::calendar::{DAY, SECOND, days_in_month, days_of};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A date in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    /// Year, month and day are known.
    Known(i64, i64, i64),
    /// Year, month and day in this order; mostlyai-engine takes the last two the other way round in a column that it
    /// reads with the day first.
    YearFirst(i64, i64, i64),
    /// Two numbers, either of which may be the month, and the year.
    Open(i64, i64, i64),
}

/// Which parts a text has; texts of one form look alike but for their digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Form {
    /// Order of the parts and what stands between them.
    date: (u8, u8),
    /// What stands between date and time; 0 without time.
    joint: u8,
    seconds: bool,
    fraction: bool,
    half_day: bool,
    zone: bool,
}

/// A text taken apart.
#[derive(Debug, Clone, Copy)]
struct Parsed {
    day: Day,
    /// Microseconds since midnight UTC; may lie outside the day when a zone is given.
    micros: i64,
    form: Form,
    /// Whether the text is like `1/2/2022`, alone or before a blank.
    slashed: bool,
    /// Whether the year has two digits, so that the century is open.
    short_year: bool,
}

/// A column of texts taken apart; `None` where null or no date.
pub(crate) struct Dates {
    parsed: Vec<Option<Parsed>>,
}

/// Which of two open numbers is the month.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    MonthFirst,
    DayFirst,
}

impl Parsed {
    fn instant(&self, year: i64, month: i64, day: i64) -> Option<i64> {
        let is_date = (1..=9_999).contains(&year) && (1..=12).contains(&month) && day >= 1;
        (is_date && day <= days_in_month(year, month)).then(|| days_of(year, month, day) * DAY + self.micros)
    }

    /// The instant when open numbers are in exactly this order.
    fn strictly(&self, order: Order) -> Option<i64> {
        match (self.day, order) {
            (Day::Known(year, month, day) | Day::YearFirst(year, month, day), _)
            | (Day::Open(month, day, year), Order::MonthFirst)
            | (Day::Open(day, month, year), Order::DayFirst) => self.instant(year, month, day),
        }
    }

    /// The instant when open numbers are in this order, unless only the other order gives a date.
    fn preferably(&self, order: Order) -> Option<i64> {
        let swapped = match (self.day, order) {
            (Day::YearFirst(year, day, month), Order::DayFirst) => self.instant(year, month, day),
            _ => None,
        };
        let other = match order {
            Order::MonthFirst => Order::DayFirst,
            Order::DayFirst => Order::MonthFirst,
        };
        swapped
            .or_else(|| self.strictly(order))
            .or_else(|| self.strictly(other))
    }
}

impl Dates {
    /// Takes texts apart.
    pub(crate) fn read<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Self {
        Self {
            parsed: texts.map(|text| parse(text?)).collect(),
        }
    }

    /// The first text whose year has two digits.
    pub(crate) fn first_short_year(&self) -> Option<usize> {
        self.parsed
            .iter()
            .position(|p| p.is_some_and(|p| p.short_year && p.preferably(Order::MonthFirst).is_some()))
    }

    /// Microseconds since 1970 of every text. The form of the first date holds for the column; where it does
    /// not fit, each text is read by itself, with the day first if the column has slashes and more texts are
    /// dates that way.
    pub(crate) fn into_micros(self) -> Vec<Option<i64>> {
        let flexible: Vec<_> = self
            .parsed
            .iter()
            .map(|p| p.as_ref()?.preferably(Order::MonthFirst))
            .collect();
        let Some(first) = self.parsed.iter().flatten().next() else {
            return flexible;
        };
        let order = match first.day {
            Day::Open(number, ..) if number > 12 => Order::DayFirst,
            _ => Order::MonthFirst,
        };
        let in_form = |p: &Parsed| {
            if p.form == first.form {
                p.strictly(order)
            } else {
                None
            }
        };
        let mut fixed: Vec<_> = self.parsed.iter().map(|p| in_form(p.as_ref()?)).collect();
        let nulls = |instants: &[Option<i64>]| instants.iter().filter(|i| i.is_none()).count();
        if nulls(&fixed) > nulls(&flexible) && self.parsed.iter().flatten().any(|p| p.slashed) {
            let day_first: Vec<_> = self
                .parsed
                .iter()
                .map(|p| p.as_ref()?.preferably(Order::DayFirst))
                .collect();
            if nulls(&day_first) < nulls(&fixed) {
                fixed = day_first;
            }
        }
        fixed
            .into_iter()
            .zip(flexible)
            .map(|(fixed, flexible)| fixed.or(flexible))
            .collect()
    }
}

/// Walks over a text.
struct Cursor<'a> {
    rest: &'a [u8],
    short_year: bool,
}

impl Cursor<'_> {
    /// Takes a run of digits: its value and its length, `None` when there is none or it is too long to be a
    /// part of a date.
    fn number(&mut self) -> Option<(i64, usize)> {
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        Some((number.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')), digits))
    }

    /// Takes a number of one or two digits.
    fn short(&mut self) -> Option<i64> {
        self.number()
            .filter(|&(_, digits)| digits <= 2)
            .map(|(number, _)| number)
    }

    /// Takes one of some bytes.
    fn any(&mut self, of: &[u8]) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        of.contains(&byte).then(|| {
            self.rest = rest;
            byte
        })
    }

    fn blanks(&mut self) {
        while self.any(b" ").is_some() {}
    }

    /// Takes a word that is one of `names` or starts one with three letters or more: its position.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let letters = self.rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (word, rest) = self.rest.split_at(letters);
        let starts = |name: &&str| {
            name.as_bytes()
                .get(..letters)
                .is_some_and(|n| n.eq_ignore_ascii_case(word))
        };
        let found = names.iter().position(starts)?;
        let full = names[found].len() == letters || letters == 3 || word.eq_ignore_ascii_case(b"sept");
        full.then(|| {
            self.rest = rest;
            found as i64
        })
    }
}

fn parse(text: &str) -> Option<Parsed> {
    let mut cursor = Cursor {
        rest: text.trim().as_bytes(),
        short_year: false,
    };
    if cursor.name(&WEEKDAYS).is_some() {
        cursor.any(b",.");
        cursor.blanks();
    }
    let mut form = Form::default();
    let day = date(&mut cursor, &mut form)?;
    let slashed = matches!(day, Day::Open(..))
        && form.date == (b'o', b'/')
        && cursor.rest.first().is_none_or(|&b| b == b' ');
    let micros = time(&mut cursor, &mut form)?;
    cursor.rest.is_empty().then_some(Parsed {
        day,
        micros,
        form,
        slashed,
        short_year: cursor.short_year,
    })
}

/// The date at the start of a text.
fn date(cursor: &mut Cursor<'_>, form: &mut Form) -> Option<Day> {
    if let Some(month) = cursor.name(&MONTHS) {
        return month_first(cursor, form, month + 1);
    }
    let (first, digits) = cursor.number()?;
    match (digits, cursor.rest.first()) {
        (8, _) => {
            form.date = (b'8', 0);
            Some(Day::Known(first / 10_000, first / 100 % 100, first % 100))
        }
        (4, Some(b'-' | b'/' | b'.')) => year_first(cursor, form, first),
        (4, Some(b'Q' | b'q')) => {
            cursor.any(b"Qq");
            let quarter = cursor.short().filter(|q| (1..=4).contains(q))?;
            form.date = (b'q', 0);
            Some(Day::Known(first, quarter * 3 - 2, 1))
        }
        (4, None) => {
            form.date = (b'y', 0);
            Some(Day::Known(first, 1, 1))
        }
        (1 | 2, Some(_)) => day_or_month_first(cursor, form, first),
        _ => None,
    }
}

/// `January 5, 2020` or `January 2020`, after the month.
fn month_first(cursor: &mut Cursor<'_>, form: &mut Form, month: i64) -> Option<Day> {
    cursor.any(b".");
    let joint = cursor.any(b" -/").unwrap_or(0);
    cursor.blanks();
    let (number, digits) = cursor.number()?;
    if digits == 4 {
        form.date = (b'm', joint);
        return Some(Day::Known(number, month, 1));
    }
    cursor.any(b",-/");
    cursor.blanks();
    let year = year(cursor)?;
    form.date = (b'M', joint);
    (digits <= 2).then_some(Day::Known(year, month, number))
}

/// `2020-01-31` or `2020-01`, after the year.
fn year_first(cursor: &mut Cursor<'_>, form: &mut Form, year: i64) -> Option<Day> {
    let separator = cursor.any(b"-/.")?;
    if let Some(month) = cursor.name(&MONTHS) {
        cursor.any(&[separator])?;
        form.date = (b'n', separator);
        return Some(Day::Known(year, month + 1, cursor.short()?));
    }
    let month = cursor.short()?;
    if cursor.any(&[separator]).is_none() {
        form.date = (b'Y', separator);
        return Some(Day::Known(year, month, 1));
    }
    form.date = (b'D', separator);
    Some(Day::YearFirst(year, month, cursor.short()?))
}

/// `1/31/2020`, `31.1.2020`, `5 January 2020`, `5-Jan-2020`, after the first number.
fn day_or_month_first(cursor: &mut Cursor<'_>, form: &mut Form, first: i64) -> Option<Day> {
    let separator = cursor.any(b"/.- ").unwrap_or(0);
    cursor.blanks();
    if let Some(month) = cursor.name(&MONTHS) {
        cursor.any(b".,");
        cursor.any(b"/.- ");
        cursor.blanks();
        form.date = (b'd', separator);
        return Some(Day::Known(year(cursor)?, month + 1, first));
    }
    if !matches!(separator, b'/' | b'.' | b'-') {
        return None;
    }
    let second = cursor.short()?;
    cursor.any(&[separator])?;
    let before = cursor.rest.len();
    let year = year(cursor)?;
    form.date = (
        if before - cursor.rest.len() == 4 {
            b'o'
        } else {
            b's'
        },
        separator,
    );
    Some(Day::Open(first, second, year))
}

/// A year of four digits, or of two: from 1969 to 2068.
fn year(cursor: &mut Cursor<'_>) -> Option<i64> {
    let (number, digits) = cursor.number()?;
    cursor.short_year |= digits == 2;
    match (number, digits) {
        (year, 4) => Some(year),
        (year @ 0..=68, 2) => Some(2_000 + year),
        (year, 2) => Some(1_900 + year),
        _ => None,
    }
}

/// The time after a date, in microseconds since midnight UTC; 0 at the end of the text.
fn time(cursor: &mut Cursor<'_>, form: &mut Form) -> Option<i64> {
    if cursor.rest.is_empty() {
        return Some(0);
    }
    cursor.any(b",");
    form.joint = cursor.any(b"Tt ")?;
    cursor.blanks();
    let mut hour = cursor.short()?;
    cursor.any(b":")?;
    let minute = cursor.short()?;
    let mut micros = 0;
    let mut second = 0;
    if cursor.any(b":").is_some() {
        form.seconds = true;
        second = cursor.short()?;
        if cursor.any(b".,").is_some() {
            form.fraction = true;
            let (fraction, digits) = cursor.number()?;
            micros = match digits {
                0..=6 => fraction * 10_i64.pow(6 - digits as u32),
                _ => fraction / 10_i64.pow(digits as u32 - 6),
            };
        }
    }
    cursor.blanks();
    if let Some(half) = half_day(cursor) {
        form.half_day = true;
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + half;
    }
    let offset = zone(cursor, form)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((hour * 3_600 + minute * 60 + second - offset) * SECOND + micros)
}

/// Hours to add for `AM` or `PM`.
fn half_day(cursor: &mut Cursor<'_>) -> Option<i64> {
    let hours = match cursor.rest.get(..2)?.to_ascii_lowercase().as_slice() {
        b"am" => 0,
        b"pm" => 12,
        _ => return None,
    };
    cursor.rest = &cursor.rest[2..];
    cursor.blanks();
    Some(hours)
}

/// Seconds east of UTC of a zone: none, `Z`, `UTC`, `GMT`, `+02`, `+0200` or `+02:00`.
fn zone(cursor: &mut Cursor<'_>, form: &mut Form) -> Option<i64> {
    if cursor.rest.is_empty() {
        return Some(0);
    }
    form.zone = true;
    if matches!(
        cursor.rest.to_ascii_uppercase().as_slice(),
        b"Z" | b"UTC" | b"GMT"
    ) {
        cursor.rest = &[];
        return Some(0);
    }
    let sign = if cursor.any(b"+-")? == b'-' { -1 } else { 1 };
    let (hours, minutes) = match cursor.number()? {
        (number, 4) => (number / 100, number % 100),
        (hours, 1 | 2) if cursor.any(b":").is_some() => (hours, cursor.short()?),
        (hours, 1 | 2) => (hours, 0),
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::values::instant_text::{Form as Shown, instant_text};

    fn read(texts: &[&str]) -> Vec<String> {
        let micros = Dates::read(texts.iter().map(|&t| Some(t))).into_micros();
        let show = |t: i64| {
            let (seconds, nanos) = (t.div_euclid(SECOND), t.rem_euclid(SECOND) as u32 * 1_000);
            instant_text(seconds, nanos, Shown::of(seconds, nanos))
        };
        micros
            .into_iter()
            .map(|t| t.map_or_else(|| "null".to_owned(), show))
            .collect()
    }

    #[test]
    fn the_column_tells_the_order_of_day_and_month() {
        assert_eq!(read(&["3/1/2022", "2/28/2022"]), ["2022-03-01", "2022-02-28"]);
        assert_eq!(read(&["1/3/2022", "28/2/2022"]), ["2022-03-01", "2022-02-28"]);
        assert_eq!(
            read(&["1800-01-01", "3/1/2022", "2/28/2022"]),
            ["1800-01-01", "2022-01-03", "2022-02-28"]
        );
        assert_eq!(read(&["1/2/2022", "13/1/2022"]), ["2022-02-01", "2022-01-13"]);
        assert_eq!(read(&["13/1/2022", "1/2/2022"]), ["2022-01-13", "2022-02-01"]);
        assert_eq!(
            read(&["1/3/2020 10:00", "2/3/2020"]),
            ["2020-03-01 10:00:00", "2020-03-02"]
        );
        assert_eq!(read(&["01.02.2020", "31.12.2020"]), ["2020-01-02", "2020-12-31"]);
        // As mostlyai-engine has it: the day comes first in all dates of the column, even after the year.
        assert_eq!(
            read(&["1/3/2020", "2020-05-06", "2020-05-31"]),
            ["2020-03-01", "2020-06-05", "2020-05-31"]
        );
    }

    #[test]
    fn many_forms_are_dates() {
        for (text, instant) in [
            ("2020-01-01T00:00:00+02:00", "2019-12-31 22:00:00"),
            ("1996-04-27T20:36:11.420Z", "1996-04-27 20:36:11.420"),
            ("20200131", "2020-01-31"),
            ("2020", "2020-01-01"),
            ("2020-05", "2020-05-01"),
            ("2020/01/31", "2020-01-31"),
            ("2020Q3", "2020-07-01"),
            ("5 January 2020", "2020-01-05"),
            ("Jan 5, 2020 10:30 PM", "2020-01-05 22:30:00"),
            ("05-Sep-2020", "2020-09-05"),
            ("Mon, 6 Jan 2020 00:00:00 GMT", "2020-01-06"),
            ("1/2/69", "1969-01-02"),
            (" 2020-01-31 10:20:30.1234567 ", "2020-01-31 10:20:30.123456"),
            ("2020-01-31 24:00", "null"),
            ("2020-02-30", "null"),
            ("2020-W05", "null"),
            ("10:30", "null"),
            ("now", "null"),
            ("12345-01-01", "null"),
            ("", "null"),
            ("2020-01-31 x", "null"),
            ("größer", "null"),
        ] {
            assert_eq!(read(&[text]), [instant], "{text:?}");
        }
    }
}
