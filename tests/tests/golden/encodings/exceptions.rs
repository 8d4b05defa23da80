//! Where we differ from the reference on purpose; `docs/decisions/009-encodings-against-golden.md` gives the reasons at length.

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// A key of a column's statistics: the codes are the same, but in another order.
    OrderOf(&'static str),
    /// The codes of a column, made with the statistics of the reference.
    Codes,
    /// The same, but only of subjects whose first row is null.
    CodesAfterNull,
    /// Values decoded from the codes of the table, with the statistics of the reference.
    Decoded,
    /// Values decoded from random codes.
    RandomDecoded,
}

/// A difference that is meant; it must be there wherever the comparison is made.
pub(crate) struct Exception {
    pub(crate) column: &'static str,
    pub(crate) compared: Compared,
    pub(crate) reason: &'static str,
}

const ORDER_OF_SQUARES: &str = "the reference numbers squares as a hash map gives them, another way in each process; ours go by code \
                                point";

/// All differences that are meant.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        column: "geo",
        compared: Compared::OrderOf("quad_codes"),
        reason: ORDER_OF_SQUARES,
    },
    Exception {
        column: "geo_no_space",
        compared: Compared::OrderOf("quad_codes"),
        reason: ORDER_OF_SQUARES,
    },
    Exception {
        column: "season_start",
        compared: Compared::CodesAfterNull,
        reason: "a subject whose first date is missing starts at its own first date, not at that of the row that happens to be next",
    },
];

/// The exceptions of a comparison.
pub(crate) fn of(is_meant: impl Fn(Compared) -> bool) -> Vec<&'static Exception> {
    EXCEPTIONS.iter().filter(|e| is_meant(e.compared)).collect()
}
