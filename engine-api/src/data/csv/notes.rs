//! Why a column became text: what its values look like, for a note in the log. Nothing is read differently for it.

use super::classify::trim;
use crate::data::note::NoteKind;

/// Values that no type took which are looked at.
const LOOKED_AT: u32 = 1_000;

/// What the texts of a column look like.
#[derive(Debug, Default)]
pub(super) struct TextNotes {
    looked_at: u32,
    /// What all texts so far look like; `None` once they differ.
    like: Option<NoteKind>,
    /// Whether all values in the column are digits.
    all_digits: bool,
    /// The value that was no longer of the kind of those before it: start of its row, what they were and how many.
    pub(super) break_at: Option<(u64, &'static str, u64)>,
}

impl TextNotes {
    /// Those of a column of dates whose form is not clear.
    pub(super) fn of_dates() -> Self {
        Self {
            like: Some(NoteKind::MixedDates),
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

    /// What all texts look like, when it is worth a note.
    pub(super) fn note(&self) -> Option<NoteKind> {
        match self.like {
            Some(NoteKind::LeadingZeros) if !self.all_digits => None,
            like => like,
        }
    }
}

fn likeness(value: &[u8]) -> Option<NoteKind> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == value.len() {
        return match (value.first(), digits) {
            (Some(b'0'), 2..) => Some(NoteKind::LeadingZeros),
            (_, 19..) => Some(NoteKind::LongNumbers),
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
        return Some(NoteKind::Commas);
    }
    if value.strip_prefix(b"+").is_some_and(is_number) {
        return Some(NoteKind::PlusSigns);
    }
    if without_unit(value).is_some_and(is_number) {
        return Some(NoteKind::Units);
    }
    if value.get(17..19) == Some(b"60") && value.get(16) == Some(&b':') && value.get(4) == Some(&b'-') {
        return Some(NoteKind::LeapSeconds);
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
fn date(value: &[u8]) -> Option<NoteKind> {
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
        ([4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 4], None) => Some(NoteKind::MixedDates),
        ([1 | 2, 1 | 2, 2], None) => Some(NoteKind::ShortYears),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_look_like_what_they_are() {
        for (text, like) in [
            ("007", Some(NoteKind::LeadingZeros)),
            ("7", None),
            ("12345678901234567890", Some(NoteKind::LongNumbers)),
            ("1,234", Some(NoteKind::Commas)),
            ("1.234,5", Some(NoteKind::Commas)),
            ("$5", Some(NoteKind::Units)),
            ("-5.50 €", Some(NoteKind::Units)),
            ("5 %", Some(NoteKind::Units)),
            ("+5", Some(NoteKind::PlusSigns)),
            ("1/2/23", Some(NoteKind::ShortYears)),
            ("29.02.2024", Some(NoteKind::MixedDates)),
            ("2024/2/9 10:00", Some(NoteKind::MixedDates)),
            ("2016-12-31T23:59:60Z", Some(NoteKind::LeapSeconds)),
            ("1.2.3.4", None),
            ("word", None),
            ("a,b", None),
            ("", None),
        ] {
            assert_eq!(likeness(text.as_bytes()), like, "{text}");
        }
    }

    fn note(values: &[&str]) -> Option<NoteKind> {
        let mut notes = TextNotes::default();
        notes.begin(true);
        values.iter().for_each(|value| notes.add(value.as_bytes()));
        notes.note()
    }

    #[test]
    fn only_columns_whose_texts_look_alike_get_a_note() {
        assert_eq!(note(&["01067", "80331", "00184"]), Some(NoteKind::LeadingZeros));
        assert_eq!(note(&["01067", "80331", "A-1040"]), None);
        assert_eq!(note(&["1,234", "x"]), None);
        assert_eq!(note(&["1,234", "1.234,5"]), Some(NoteKind::Commas));
        assert_eq!(note(&["1/2/23"]), Some(NoteKind::ShortYears));
    }
}
