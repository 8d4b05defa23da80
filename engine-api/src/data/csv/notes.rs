//! Why a column became text: what its values look like, for a note in the log. Nothing is read differently for it.

use super::classify::trim;

/// Values that no type took which are looked at.
const LOOKED_AT: u32 = 1_000;

/// What a text that no type takes looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Digits that begin with a zero: `007`.
    Code,
    /// More digits than 64 bits hold.
    LongNumber,
    /// A number with a comma, or with points between thousands: `1,234`, `1.234,5`.
    Commas,
    /// A number with a currency or a percent sign: `$5`, `5 %`.
    Unit,
    /// A number with a plus sign.
    Plus,
    /// A date whose year has two digits: `1/2/23`.
    ShortYear,
    /// A date, in a column of dates of several forms.
    OtherDate,
    /// An instant within a leap second.
    LeapSecond,
}

/// What the texts of a column look like.
#[derive(Debug, Default)]
pub(super) struct TextNotes {
    looked_at: u32,
    /// What all texts so far look like; `None` once they differ.
    like: Option<Likeness>,
    /// Whether all values in the column are digits.
    all_digits: bool,
    /// The value that was no longer of the kind of those before it: start of its row, what they were and how many.
    pub(super) break_at: Option<(u64, &'static str, u64)>,
}

impl TextNotes {
    /// Those of a column of dates whose form is not clear.
    pub(super) fn of_dates() -> Self {
        Self {
            like: Some(Likeness::OtherDate),
            ..Self::default()
        }
    }

    /// The column becomes text; `digits` says whether all values so far were whole numbers.
    pub(super) fn begin(&mut self, digits: bool) {
        self.all_digits = digits;
    }

    /// Takes note of a value of a column of text.
    pub(super) fn add(&mut self, field: &[u8]) {
        if self.looked_at >= LOOKED_AT && !self.all_digits {
            return;
        }
        let (value, ..) = trim(field);
        self.all_digits &= value.iter().all(u8::is_ascii_digit);
        if self.looked_at >= LOOKED_AT {
            return;
        }
        let like = likeness(value);
        // Among codes there may be some without a leading zero.
        if like.is_none() && self.all_digits && !value.is_empty() {
            return;
        }
        if self.looked_at == 0 {
            self.like = like;
        } else if self.like != like {
            self.like = None;
        }
        self.looked_at += 1;
    }

    /// A sentence about a column called `name`, when all its texts look alike.
    pub(super) fn sentence(&self, name: &str) -> Option<String> {
        let reason = match self.like? {
            Likeness::Code if self.all_digits => {
                return Some(format!(
                    "digits with leading zeros are codes and stay text, so that no zero is lost; --encoding \
                     {name}=numeric-auto learns them as numbers"
                ));
            }
            Likeness::Code => return None,
            Likeness::LongNumber => {
                "whole numbers of more than 64 bits stay text, for they are rather names than amounts".to_owned()
            }
            Likeness::Commas => format!(
                "numbers with commas stay text, for a comma may stand for decimals or thousands; write them with a point \
                 only, or learn the first digits with --encoding {name}=numeric-auto"
            ),
            Likeness::Unit => format!(
                "numbers with a sign of currency or percent stay text; write them without it, or learn the numbers with \
                 --encoding {name}=numeric-auto"
            ),
            Likeness::Plus => format!(
                "numbers with a plus sign stay text, so that it is kept; --encoding {name}=numeric-auto learns the numbers"
            ),
            Likeness::ShortYear => {
                "dates whose year has two digits stay text, for they do not tell the century; write four digits".to_owned()
            }
            Likeness::OtherDate => format!(
                "dates of several forms, some with a zone and some without, or whose day and month cannot be told apart stay \
                 text; write YYYY-MM-DD, or learn them with --encoding {name}=datetime"
            ),
            Likeness::LeapSecond => {
                "leap seconds have no place among instants, so the column stays text; write the second before".to_owned()
            }
        };
        Some(reason)
    }
}

fn likeness(value: &[u8]) -> Option<Likeness> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == value.len() {
        return match (value.first(), digits) {
            (Some(b'0'), 2..) => Some(Likeness::Code),
            (_, 19..) => Some(Likeness::LongNumber),
            _ => None,
        };
    }
    let is_number = |text: &[u8]| {
        let text = text.strip_prefix(b"-").unwrap_or(text);
        text.first().is_some_and(u8::is_ascii_digit)
            && text
                .iter()
                .all(|b| b.is_ascii_digit() || matches!(b, b',' | b'.'))
    };
    if is_number(value) && value.contains(&b',') {
        return Some(Likeness::Commas);
    }
    if value.strip_prefix(b"+").is_some_and(is_number) {
        return Some(Likeness::Plus);
    }
    if without_unit(value).is_some_and(is_number) {
        return Some(Likeness::Unit);
    }
    if value.get(17..19) == Some(b"60") && value.get(16) == Some(&b':') && value.get(4) == Some(&b'-') {
        return Some(Likeness::LeapSecond);
    }
    date(value)
}

/// What is left of a text without a sign of currency or percent before or behind it.
fn without_unit(value: &[u8]) -> Option<&[u8]> {
    const SIGNS: [&str; 5] = ["$", "€", "£", "¥", "%"];
    SIGNS.iter().find_map(|sign| {
        let rest = value
            .strip_prefix(sign.as_bytes())
            .or_else(|| value.strip_suffix(sign.as_bytes()))?;
        Some(trim(rest).0)
    })
}

/// Three numbers between equal signs, of which one may be a year.
fn date(value: &[u8]) -> Option<Likeness> {
    let day = value.split(|b| matches!(b, b' ' | b'T')).next()?;
    let separator = *day.iter().find(|b| !b.is_ascii_digit())?;
    if !matches!(separator, b'/' | b'.' | b'-') {
        return None;
    }
    let mut lengths = [0; 3];
    let mut parts = day.split(|&b| b == separator);
    for length in &mut lengths {
        let part = parts.next()?;
        *length = part.len();
        if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
            return None;
        }
    }
    match (lengths, parts.next()) {
        ([4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 4], None) => Some(Likeness::OtherDate),
        ([1 | 2, 1 | 2, 2], None) => Some(Likeness::ShortYear),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_look_like_what_they_are() {
        for (text, like) in [
            ("007", Some(Likeness::Code)),
            ("7", None),
            ("12345678901234567890", Some(Likeness::LongNumber)),
            ("1,234", Some(Likeness::Commas)),
            ("1.234,5", Some(Likeness::Commas)),
            ("$5", Some(Likeness::Unit)),
            ("-5.50 €", Some(Likeness::Unit)),
            ("5 %", Some(Likeness::Unit)),
            ("+5", Some(Likeness::Plus)),
            ("1/2/23", Some(Likeness::ShortYear)),
            ("29.02.2024", Some(Likeness::OtherDate)),
            ("2024/2/9 10:00", Some(Likeness::OtherDate)),
            ("2016-12-31T23:59:60Z", Some(Likeness::LeapSecond)),
            ("1.2.3.4", None),
            ("word", None),
            ("a,b", None),
            ("", None),
        ] {
            assert_eq!(likeness(text.as_bytes()), like, "{text}");
        }
    }

    fn sentence(values: &[&str]) -> Option<String> {
        let mut notes = TextNotes::default();
        notes.begin(true);
        values.iter().for_each(|value| notes.add(value.as_bytes()));
        notes.sentence("c")
    }

    #[test]
    fn only_columns_whose_texts_look_alike_get_a_sentence() {
        let codes = sentence(&["01067", "80331", "00184"]).unwrap();
        assert!(codes.contains("--encoding c=numeric-auto"), "{codes}");
        assert_eq!(sentence(&["01067", "80331", "A-1040"]), None);
        assert_eq!(sentence(&["1,234", "x"]), None);
        assert!(sentence(&["1,234", "1.234,5"]).unwrap().contains("commas"));
        assert!(sentence(&["1/2/23"]).unwrap().contains("century"));
    }
}
