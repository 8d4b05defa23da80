//! Values of flags: from text, with one sentence when they make no sense.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use engine_api::EncodingType;

/// A column and the encoding it shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnEncoding {
    /// Name of the column, which may hold an equals sign.
    pub(crate) column: String,
    /// The encoding.
    pub(crate) encoding: EncodingType,
}

/// Takes `COL=TYPE` apart at the last equals sign, for no type holds one.
pub(super) fn column_encoding(text: &str) -> Result<ColumnEncoding, String> {
    match text.rsplit_once('=') {
        Some((column, encoding)) if !column.is_empty() && !encoding.is_empty() => Ok(ColumnEncoding {
            column: column.to_owned(),
            encoding: encoding
                .parse()
                .map_err(|e: engine_api::EncodeError| e.to_string())?,
        }),
        _ => Err("give a column and a type, for instance zip=categorical".to_owned()),
    }
}

/// A column and the file of its public values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnDomain {
    /// Name of the column.
    pub(crate) column: String,
    /// The file.
    pub(crate) file: PathBuf,
}

/// Takes `COL=FILE` apart at the first equals sign that leaves a name before it.
pub(super) fn column_domain(text: &str) -> Result<ColumnDomain, String> {
    match text.split_once('=') {
        Some((column, file)) if !column.is_empty() && !file.is_empty() => Ok(ColumnDomain {
            column: column.to_owned(),
            file: file.into(),
        }),
        _ => Err("give a column and a file, for instance country=countries.txt".to_owned()),
    }
}

/// A value of a column and the share that it is to have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RebalanceShare {
    /// Name of the column.
    pub(crate) column: String,
    /// The value, which may hold colons and equals signs.
    pub(crate) value: String,
    /// The share.
    pub(crate) share: f64,
}

/// Takes `COL:VALUE=P` apart at the first colon and the last equals sign.
pub(super) fn share(text: &str) -> Result<RebalanceShare, String> {
    let parts = text
        .split_once(':')
        .and_then(|(column, rest)| rest.rsplit_once('=').map(|(value, share)| (column, value, share)));
    match parts {
        Some((column, value, share)) if !column.is_empty() && !value.is_empty() => {
            match number(share, |_| true) {
                Some(share) => Ok(RebalanceShare {
                    column: column.to_owned(),
                    value: value.to_owned(),
                    share,
                }),
                None => Err("give a probability from 0 to 1 after the equals sign".to_owned()),
            }
        }
        _ => Err("give a column, a value and its probability, for instance income:>50K=0.5".to_owned()),
    }
}

/// A column that is to be distributed alike in the groups that others make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParityColumns {
    /// Name of the column.
    pub(crate) target: String,
    /// Names of the others.
    pub(crate) sensitive: Vec<String>,
}

/// Takes `TARGET:SENSITIVE,...` apart at the first colon.
pub(super) fn parity(text: &str) -> Result<ParityColumns, String> {
    match text.split_once(':') {
        Some((target, sensitive)) if !target.is_empty() && !sensitive.is_empty() => Ok(ParityColumns {
            target: target.to_owned(),
            sensitive: sensitive.split(',').map(str::to_owned).collect(),
        }),
        _ => Err("give a target and sensitive columns, for instance income:sex,race".to_owned()),
    }
}

/// Draws of a cell, or column orders: at least one.
pub(super) fn draws(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "give a whole number, at least 1".to_owned())
}

/// Epsilon: above zero.
pub(super) fn epsilon(text: &str) -> Result<f64, String> {
    number(text, |e| e > 0.0 && e <= 10_000.0)
        .ok_or_else(|| "give a number above 0, at most 10000 (the smaller, the more private)".to_owned())
}

/// Delta: a small probability.
pub(super) fn delta(text: &str) -> Result<f64, String> {
    number(text, |d| (0.0..1.0).contains(&d))
        .ok_or_else(|| "give a number from 0 to below 1, best below one over the number of rows".to_owned())
}

/// One character, `\t` or `tab` for a tabulator.
pub(super) fn delimiter(text: &str) -> Result<char, String> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        ("\\t" | "tab", ..) => Ok('\t'),
        (_, Some(one), None) if one.is_ascii() && !matches!(one, '"' | '\n' | '\r') => Ok(one),
        _ => Err("give one ASCII character that is not a quote or a line end, \\t for tab".to_owned()),
    }
}

/// Rows to draw: at least one.
pub(super) fn rows(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(rows) if (1..=i64::MAX as u64).contains(&rows) => Ok(rows),
        _ => Err("give a whole number of rows, at least 1".to_owned()),
    }
}

/// Threads: at least one.
pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "give a whole number of threads, at least 1".to_owned())
}

/// Rows of a training step: at least one.
pub(super) fn batch_size(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| "give a whole number of rows, at least 1".to_owned())
}

/// Passes over the table, at least zero.
pub(super) fn epochs(text: &str) -> Result<f64, String> {
    number(text, |e| e >= 0.0).ok_or_else(|| {
        "give a number of epochs, at least 0 (0 makes a model that has learnt nothing)".to_owned()
    })
}

/// Minutes, at least zero.
pub(super) fn minutes(text: &str) -> Result<f64, String> {
    number(text, |m| m >= 0.0).ok_or_else(|| "give a number of minutes, at least 0".to_owned())
}

/// Temperature: at least zero.
pub(super) fn temperature(text: &str) -> Result<f64, String> {
    number(text, |t| t >= 0.0)
        .ok_or_else(|| "give a number of at least 0 (1 leaves the probabilities as they are)".to_owned())
}

/// A share.
pub(super) fn top_p(text: &str) -> Result<f64, String> {
    number(text, |p| (0.0..=1.0).contains(&p))
        .ok_or_else(|| "give a number from 0 to 1 (1 leaves the probabilities as they are)".to_owned())
}

/// A finite number that fits.
fn number(text: &str, fits: impl Fn(f64) -> bool) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| n.is_finite() && fits(*n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_may_hold_an_equals_sign() {
        let found = column_encoding("a=b=categorical").unwrap();
        assert_eq!(
            (found.column.as_str(), found.encoding),
            ("a=b", EncodingType::CATEGORICAL)
        );
        for wrong in ["a", "=categorical", "a=", "=", "a=nonsense"] {
            assert!(column_encoding(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_taken_apart() {
        let found = share("income:>=50K=0.5").unwrap();
        assert_eq!(
            (found.column.as_str(), found.value.as_str(), found.share),
            ("income", ">=50K", 0.5)
        );
        for wrong in [
            "income",
            "income:x",
            ":x=0.5",
            "income:=0.5",
            "income:x=a",
            "income:x=nan",
        ] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        let found = parity("income:sex,race").unwrap();
        assert_eq!(found.sensitive, ["sex", "race"]);
        assert!(
            ["income", ":sex", "income:"]
                .iter()
                .all(|wrong| parity(wrong).is_err())
        );
        assert!(draws("0").is_err() && draws("-1").is_err() && draws("3").is_ok());
    }

    #[test]
    fn budgets_are_positive() {
        assert_eq!(
            (epsilon("0.5"), delta("1e-6"), delta("0")),
            (Ok(0.5), Ok(1e-6), Ok(0.0))
        );
        for wrong in ["0", "-1", "10001", "nan", ""] {
            assert!(epsilon(wrong).is_err(), "{wrong}");
        }
        assert!(delta("1").is_err() && delta("-0.1").is_err());
        let found = column_domain("a=b=c.txt").unwrap();
        assert_eq!(
            (found.column.as_str(), found.file),
            ("a", PathBuf::from("b=c.txt"))
        );
        assert!(
            ["a", "=f", "a="]
                .iter()
                .all(|wrong| column_domain(wrong).is_err())
        );
    }

    #[test]
    fn delimiters_are_single_ascii_characters() {
        assert_eq!(delimiter(";"), Ok(';'));
        assert_eq!(delimiter("\\t"), Ok('\t'));
        assert_eq!(delimiter("\t"), Ok('\t'));
        for wrong in ["", "::", "\"", "\n", "ä"] {
            assert!(delimiter(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_must_be_finite() {
        for wrong in ["nan", "inf", "-1", "", "x", "1e999"] {
            assert!(epochs(wrong).is_err() && minutes(wrong).is_err(), "{wrong}");
            assert!(temperature(wrong).is_err() && top_p(wrong).is_err(), "{wrong}");
        }
        assert_eq!(epochs("0.25"), Ok(0.25));
        assert_eq!(top_p("1"), Ok(1.0));
        assert!(top_p("1.01").is_err());
        assert_eq!(rows("9223372036854775807"), Ok(i64::MAX as u64));
        assert!(rows("0").is_err() && rows("9223372036854775808").is_err() && rows("1.5").is_err());
    }
}
