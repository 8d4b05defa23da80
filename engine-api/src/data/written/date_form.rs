//! Dates that are not written as ISO 8601 has it: `29.02.2024`, `2/29/2024`, `2024/02/29`.

use serde::{Deserialize, Serialize};

use super::iso;

/// How the dates of a column are written, where that is not `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateForm {
    /// Which part stands where.
    pub order: DateOrder,
    /// Character between the parts: `/`, `.` or `-`.
    pub separator: char,
    /// Whether days and months below 10 have a zero before them.
    pub padded: bool,
}

/// The order of the parts of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// `2024/02/29`
    YearFirst,
    /// `29/02/2024`
    DayFirst,
    /// `02/29/2024`
    MonthFirst,
}

impl DateOrder {
    const ALL: [Self; 3] = [Self::YearFirst, Self::DayFirst, Self::MonthFirst];
}

/// What one text that begins with such a date says of its column's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) struct DateShape {
    /// Character between the parts.
    pub(in crate::data) separator: u8,
    /// Orders in which it is a day of the calendar, as [`DateOrder::ALL`].
    pub(in crate::data) orders: [bool; 3],
    /// Whether a part below 10 has a zero before it.
    pub(in crate::data) padded: bool,
    /// Whether a part below 10 has none.
    pub(in crate::data) bare: bool,
}

/// The parts of a text that begins with a date, as they stand in it, the character between them, and what follows.
struct Parts<'a> {
    parts: [&'a [u8]; 3],
    separator: u8,
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let (first, rest) = digits(text)?;
        let (&separator, rest) = rest.split_first()?;
        if !matches!(separator, b'/' | b'.' | b'-') {
            return None;
        }
        let (second, rest) = digits(rest)?;
        let rest = rest.strip_prefix(&[separator])?;
        let (third, rest) = digits(rest)?;
        let lengths = (first.len(), second.len(), third.len());
        if !matches!(lengths, (4, 1 | 2, 1 | 2) | (1 | 2, 1 | 2, 4)) {
            return None;
        }
        Some(Self {
            parts: [first, second, third],
            separator,
            rest,
        })
    }

    /// `YYYY-MM-DD` when the parts are in this order; `None` when the year stands elsewhere.
    fn iso(&self, order: DateOrder) -> Option<[u8; 10]> {
        let [first, second, third] = self.parts;
        let (year, month, day) = match order {
            DateOrder::YearFirst => (first, second, third),
            DateOrder::DayFirst => (third, second, first),
            DateOrder::MonthFirst => (third, first, second),
        };
        let mut iso = *b"0000-00-00";
        iso[..4].copy_from_slice(year.get(..4)?);
        let mut put = |part: &[u8], end: usize| iso[end - part.len()..end].copy_from_slice(part);
        put(month, 7);
        put(day, 10);
        Some(iso)
    }
}

/// The digits that a text begins with, at most four, and the rest.
fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    (1..=4).contains(&count).then(|| text.split_at(count))
}

/// What a text that begins with a date not in ISO form says, and the text with the date in that form.
pub(in crate::data) fn date_shape(text: &[u8]) -> Option<(DateShape, Vec<u8>)> {
    let parts = Parts::of(text)?;
    let isos = DateOrder::ALL.map(|order| parts.iso(order).filter(|iso| iso::parse_date(iso).is_some()));
    let iso = isos.iter().flatten().next()?;
    let short = parts.parts.iter().filter(|part| part.len() <= 2);
    let shape = DateShape {
        separator: parts.separator,
        orders: isos.map(|iso| iso.is_some()),
        padded: short.clone().any(|part| part.len() == 2 && part[0] == b'0'),
        bare: short.clone().any(|part| part.len() == 1),
    };
    Some((shape, [iso, parts.rest].concat()))
}

/// What the dates of a column have shown.
#[derive(Debug, Default)]
pub(in crate::data) struct DateScan {
    /// Whether dates in ISO form were seen.
    iso: bool,
    seen: Option<DateShape>,
    mixed: bool,
}

impl DateScan {
    /// Takes note of a date in ISO form.
    pub(in crate::data) fn add_iso(&mut self) {
        self.iso = true;
    }

    /// Takes note of another date.
    pub(in crate::data) fn add(&mut self, shape: DateShape) {
        let seen = self.seen.get_or_insert(shape);
        self.mixed |= seen.separator != shape.separator;
        for (all, one) in seen.orders.iter_mut().zip(shape.orders) {
            *all &= one;
        }
        seen.padded |= shape.padded;
        seen.bare |= shape.bare;
    }

    /// The form of all dates, `Ok(None)` for ISO; an error when there are several, or when day and month cannot be
    /// distinguished.
    pub(in crate::data) fn form(&self) -> Result<Option<DateForm>, ()> {
        let Some(seen) = self.seen else { return Ok(None) };
        let mut orders = DateOrder::ALL
            .into_iter()
            .zip(seen.orders)
            .filter(|(_, fits)| *fits);
        let several = self.iso || self.mixed || seen.padded && seen.bare;
        match (orders.next(), orders.next()) {
            (Some((order, _)), None) if !several => Ok(Some(DateForm {
                order,
                separator: seen.separator as char,
                padded: !seen.bare,
            })),
            _ => Err(()),
        }
    }
}

impl DateForm {
    /// A text that begins with a date in this form, with the date in ISO form.
    pub(in crate::data) fn to_iso(self, text: &[u8]) -> Option<Vec<u8>> {
        let parts = Parts::of(text).filter(|parts| parts.separator == self.separator as u8)?;
        Some([&parts.iso(self.order)?, parts.rest].concat())
    }

    /// Rewrites the date in ISO form at `start`; one of more than ten characters stays.
    pub(in crate::data) fn rewrite(self, start: usize, out: &mut Vec<u8>) {
        let Some(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]) = out.get(start..start + 10) else {
            return;
        };
        let mut text = Vec::with_capacity(10);
        let short = |tens: u8, ones: u8, text: &mut Vec<u8>| {
            if tens != b'0' || self.padded {
                text.push(tens);
            }
            text.push(ones);
        };
        let separator = self.separator as u8;
        match self.order {
            DateOrder::YearFirst => {
                text.extend([y1, y2, y3, y4, separator]);
                short(m1, m2, &mut text);
                text.push(separator);
                short(d1, d2, &mut text);
            }
            DateOrder::DayFirst | DateOrder::MonthFirst => {
                let (first, second) = match self.order {
                    DateOrder::DayFirst => ((d1, d2), (m1, m2)),
                    _ => ((m1, m2), (d1, d2)),
                };
                short(first.0, first.1, &mut text);
                text.push(separator);
                short(second.0, second.1, &mut text);
                text.extend([separator, y1, y2, y3, y4]);
            }
        }
        out.splice(start..start + 10, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(texts: &[&str]) -> Result<Option<DateForm>, ()> {
        let mut scan = DateScan::default();
        for text in texts {
            match date_shape(text.as_bytes()) {
                Some((shape, _)) => scan.add(shape),
                None => scan.add_iso(),
            }
        }
        scan.form()
    }

    fn of(order: DateOrder, separator: char, padded: bool) -> Result<Option<DateForm>, ()> {
        Ok(Some(DateForm {
            order,
            separator,
            padded,
        }))
    }

    #[test]
    fn the_column_tells_its_form() {
        assert_eq!(
            form(&["01.03.2024", "29.02.2024"]),
            of(DateOrder::DayFirst, '.', true)
        );
        assert_eq!(
            form(&["3/1/2024", "2/29/2024"]),
            of(DateOrder::MonthFirst, '/', false)
        );
        assert_eq!(form(&["2024/02/29"]), of(DateOrder::YearFirst, '/', true));
        assert_eq!(form(&["13-12-2024"]), of(DateOrder::DayFirst, '-', true));
        for unclear in [
            &["01/02/2024", "03/04/2024"][..],
            &["13/12/2024", "12/13/2024"],
            &["13/12/2024", "13.12.2024"],
            &["1/12/2024", "13/02/2024"],
        ] {
            assert_eq!(form(unclear), Err(()), "{unclear:?}");
        }
    }

    #[test]
    fn only_days_of_the_calendar_are_dates() {
        for no in [
            "30/02/2023",
            "1.2.23",
            "1/2-2024",
            "1.2",
            "1.2.3.4",
            "0/1/2024",
            "12345/1/1",
            "1/1/0000",
            "",
        ] {
            assert_eq!(date_shape(no.as_bytes()), None, "{no}");
        }
    }

    #[test]
    fn dates_come_back_as_they_were() {
        for text in ["29.02.2024", "9/1/2024 10:30", "2024.12.31T00:00Z", "1/31/2024"] {
            let (shape, iso) = date_shape(text.as_bytes()).unwrap();
            let order = DateOrder::ALL
                .into_iter()
                .zip(shape.orders)
                .find(|(_, fits)| *fits)
                .unwrap()
                .0;
            let form = DateForm {
                order,
                separator: shape.separator as char,
                padded: !shape.bare,
            };
            assert_eq!(form.to_iso(text.as_bytes()), Some(iso.clone()));
            let mut out = [b"x".to_vec(), iso].concat();
            form.rewrite(1, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{text}"));
        }
    }
}
