//! The delimiter and the quotes of a text, from its beginning.

use csv::{ByteRecord, ReaderBuilder};

/// Delimiters that are looked for, the first wins a tie.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Rows of the sample that are looked at for the delimiter.
const SNIFFED_ROWS: usize = 100;

/// The delimiter of a text: the candidate that cuts the header and the rows below it into the same number of fields,
/// the most fields first; when none does, the one that cuts the header into the most. A text without one has one
/// column, and a comma would be its delimiter.
pub(super) fn sniff_delimiter(sample: &[u8], is_whole: bool) -> u8 {
    let mut best = (false, 1, b',');
    for delimiter in CANDIDATES {
        let (fields, even) = shape(sample, delimiter, is_whole);
        if fields > 1 && (even, fields) > (best.0, best.1) {
            best = (even, fields, delimiter);
        }
    }
    best.2
}

/// The delimiter of a text whose columns a model knows: the candidate that cuts the header into the most of `names`, that of the
/// model first; where none finds any, as [`sniff_delimiter`].
pub(super) fn known_delimiter(sample: &[u8], is_whole: bool, of_model: u8, names: &[&str]) -> u8 {
    let mut best = (0, None);
    for delimiter in [of_model].into_iter().chain(CANDIDATES) {
        let found = known_names(sample, delimiter, names);
        if found > best.0 {
            best = (found, Some(delimiter));
        }
    }
    best.1.unwrap_or_else(|| sniff_delimiter(sample, is_whole))
}

/// How many of the names are in the header.
fn known_names(sample: &[u8], delimiter: u8, names: &[&str]) -> usize {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .from_reader(sample);
    let mut header = ByteRecord::new();
    if !reader.read_byte_record(&mut header).unwrap_or(false) {
        return 0;
    }
    let is_there = |name: &&&str| header.iter().any(|field| field == name.as_bytes());
    names.iter().filter(is_there).count()
}

/// Fields of the header, and whether the rows have as many.
fn shape(sample: &[u8], delimiter: u8, is_whole: bool) -> (usize, bool) {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(sample);
    let mut widths = Vec::new();
    let mut record = ByteRecord::new();
    while widths.len() <= SNIFFED_ROWS && reader.read_byte_record(&mut record).unwrap_or(false) {
        widths.push(record.len());
    }
    if !is_whole && widths.len() > 1 && widths.len() <= SNIFFED_ROWS {
        // The sample may end within this row.
        widths.pop();
    }
    let fields = widths.first().copied().unwrap_or(0);
    (fields, widths.iter().all(|&w| w == fields))
}

/// Which columns have their values in quotes, and whether the header's names are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Quotes {
    /// Whether every name in the header is quoted.
    pub(super) header: bool,
    /// By column: whether every value that is not empty is quoted, and one of them needlessly.
    pub(super) columns: Vec<bool>,
}

/// Finds the quotes in a sample that starts at the header.
pub(super) fn find_quotes(sample: &[u8], delimiter: u8, columns: usize) -> Quotes {
    let mut header = (0..columns).map(|_| QuoteCounts::default()).collect::<Vec<_>>();
    let mut body = header.clone();
    let mut rest = sample;
    let mut row = 0;
    let mut column = 0;
    while !rest.is_empty() {
        let field = next_field(rest, delimiter);
        let counts = if row == 0 { &mut header } else { &mut body };
        if let Some(counts) = counts.get_mut(column) {
            counts.add(&field);
        }
        rest = &rest[field.taken..];
        if field.ends_row {
            row += 1;
            column = 0;
        } else {
            column += 1;
        }
    }
    Quotes {
        header: !header.is_empty() && header.iter().all(QuoteCounts::quoted),
        columns: body.iter().map(QuoteCounts::quoted).collect(),
    }
}

#[derive(Debug, Clone, Default)]
struct QuoteCounts {
    needless: bool,
    bare: bool,
}

impl QuoteCounts {
    fn add(&mut self, field: &RawField) {
        if field.quoted {
            self.needless |= !field.needs_quotes && !field.empty;
        } else {
            self.bare |= !field.empty;
        }
    }

    fn quoted(&self) -> bool {
        self.needless && !self.bare
    }
}

struct RawField {
    taken: usize,
    quoted: bool,
    needs_quotes: bool,
    empty: bool,
    ends_row: bool,
}

fn next_field(text: &[u8], delimiter: u8) -> RawField {
    let quoted = text[0] == b'"';
    let mut needs_quotes = false;
    let mut empty = matches!(text[0], b'\n' | b'\r') || text[0] == delimiter;
    let mut end = 0;
    if quoted {
        end = 1;
        while end < text.len() {
            match text[end] {
                b'"' if text.get(end + 1) == Some(&b'"') => {
                    needs_quotes = true;
                    end += 1;
                }
                b'"' => break,
                b'\n' | b'\r' => needs_quotes = true,
                other => needs_quotes |= other == delimiter,
            }
            end += 1;
        }
        empty = end == 1;
        end = (end + 1).min(text.len());
    }
    end += text[end..]
        .iter()
        .position(|&b| b == delimiter || b == b'\n')
        .unwrap_or(text.len() - end);
    let ends_row = text.get(end) != Some(&delimiter);
    RawField {
        taken: (end + 1).min(text.len()),
        quoted,
        needs_quotes,
        empty,
        ends_row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2,5\n", b';'),
            ("a\tb c\n1\tx,y\n", b'\t'),
            ("a|b|c\n1|2|3\n", b'|'),
            ("a\n1\n", b','),
            ("a,b;c\n1,2;3\n", b','),
            ("\"a;b\",c\n\"1;2;3\",4\n", b','),
            ("a;b;c\n1;2\n", b';'),
            ("", b','),
        ] {
            assert_eq!(sniff_delimiter(text.as_bytes(), true), delimiter, "{text:?}");
        }
        assert_eq!(sniff_delimiter(b"a;b;c\n1;2;3\n4;", false), b';');
    }

    #[test]
    fn the_delimiter_of_a_table_of_a_model_is_found_by_its_names() {
        let names = ["a", "b;c", "d"];
        for (text, delimiter) in [
            ("a;d\n1,5;2\n", b';'),
            ("a\td\n1,2;3\n", b'\t'),
            ("\"a\"|\"d\"\n1|2\n", b'|'),
            ("b;c\n1\n", b'~'),
            ("a~d\n1~2\n", b'~'),
            ("d\n1,5\n", b'~'),
            ("x;y\n1;2\n", b';'),
        ] {
            let found = known_delimiter(text.as_bytes(), true, b'~', &names);
            assert_eq!(found as char, delimiter as char, "{text:?}");
        }
    }

    #[test]
    fn quotes_are_found_by_column() {
        let quotes = |text: &str, columns| find_quotes(text.as_bytes(), b',', columns);
        let all = quotes("\"a\",\"b\"\r\n\"1\",\"x\"\r\n\"2\",\"\"\r\n", 2);
        assert_eq!(
            all,
            Quotes {
                header: true,
                columns: vec![true, true]
            }
        );
        let text_only = quotes("\"a\",\"b\"\n1,\"x\"\n2,\"y \"\"z\"\"\"\n,\"\"\n", 2);
        assert_eq!(
            text_only,
            Quotes {
                header: true,
                columns: vec![false, true]
            }
        );
        let needed = quotes("a,b\n1,\"x,y\"\n2,\"a\nb\"\n", 2);
        assert_eq!(
            needed,
            Quotes {
                header: false,
                columns: vec![false, false]
            }
        );
        let mixed = quotes("a\n\"x\"\ny", 1);
        assert_eq!(
            mixed,
            Quotes {
                header: false,
                columns: vec![false]
            }
        );
        assert_eq!(
            quotes("\"a", 1),
            Quotes {
                header: true,
                columns: vec![false]
            }
        );
    }
}
