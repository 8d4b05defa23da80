//! Where we differ from mostlyai-engine on purpose; `docs/decisions/009-encodings-against-golden.md` gives the reasons at length.

use std::fmt::Debug;

use engine_core::encode::EncodingType;

use crate::compare::Report;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// A key of a column's statistics: the codes are the same, but in another order.
    OrderOf(&'static str),
    /// The codes of a column, made with the statistics of mostlyai-engine.
    Codes,
    /// The same, but only of subjects whose first row is null.
    CodesAfterNull,
    /// Values decoded from the codes of the table, with the statistics of mostlyai-engine.
    Decoded,
    /// Values decoded from random codes.
    RandomDecoded,
}

/// A difference that is meant.
pub(crate) struct Exception {
    encoding: EncodingType,
    /// Columns of our cases that show it. Those of other cases may.
    columns: &'static [&'static str],
    compared: Compared,
    reason: &'static str,
}

/// All differences that are meant.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        encoding: EncodingType::LAT_LONG,
        columns: &["geo", "geo_no_space"],
        compared: Compared::OrderOf("quad_codes"),
        reason: "mostlyai-engine numbers squares as a hash map gives them, another way in each process; ours go by code point",
    },
    Exception {
        encoding: EncodingType::DATETIME_RELATIVE,
        columns: &["season_start"],
        compared: Compared::CodesAfterNull,
        reason: "a subject whose first date is missing starts at its own first date, not at that of the row that happens to be next",
    },
];

/// The exception for a column, if there is one.
pub(crate) fn find(encoding: EncodingType, compared: Compared) -> Option<&'static Exception> {
    EXCEPTIONS
        .iter()
        .find(|e| e.encoding == encoding && e.compared == compared)
}

/// Compares for equality what no exception is for. A difference that is meant must be there in the columns that show it.
pub(crate) fn check<T: PartialEq + Debug + ?Sized>(
    report: &mut Report,
    (column, what): (&str, &str),
    got: &T,
    want: &T,
    exception: Option<&Exception>,
) {
    match exception {
        None => report.equal(&format!("{column}{what}"), got, want),
        Some(exception) if exception.columns.contains(&column) => report.require(got != want, || {
            format!(
                "{column}{what}: there is no difference any more ({})",
                exception.reason
            )
        }),
        Some(_) => {}
    }
}
