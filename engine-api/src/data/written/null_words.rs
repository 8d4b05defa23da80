//! The usual words for a missing value.

/// Words that tools write for a missing value. Blanks alone are one too.
const NULL_WORDS: [&str; 18] = [
    "NA", "N/A", "n/a", "NaN", "nan", "null", "Null", "NULL", "None", "nil", "?", ".", "-", "--", "\\N",
    "#N/A", "#NULL!", "<NA>",
];

/// How messages call a field of blanks.
const BLANKS: &str = " ";

/// The word for a missing value that a field is, spaces around it aside; `None` for all others, the empty one included.
pub(in crate::data) fn null_word(field: &[u8]) -> Option<&'static str> {
    let word = field.trim_ascii();
    // Most fields are longer than any of the words.
    if word.len() > 6 || field.is_empty() {
        return None;
    }
    if word.is_empty() {
        return Some(BLANKS);
    }
    NULL_WORDS.into_iter().find(|known| known.as_bytes() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_usual_words_are_null() {
        for word in ["NA", "?", "\\N", "#NULL!", "<NA>"] {
            assert_eq!(null_word(word.as_bytes()), Some(word));
            assert_eq!(null_word(format!(" {word} ").as_bytes()), Some(word));
        }
        assert_eq!(null_word(b"  "), Some(" "));
        for value in ["", "0", "na", "Nan", "N/A!", "none", "-1", "missing"] {
            assert_eq!(null_word(value.as_bytes()), None, "{value}");
        }
    }
}
