//! Tokens and cardinalities: what encodings of one sub-column keep of their values, and how many codes every sub-column has.

use indexmap::IndexMap;

/// Number of codes by sub-column name (`cat`, `E1`, `year`), in model order.
pub type Cardinalities = IndexMap<String, usize>;

/// Tokens in the order of their codes. The code of a token is its position; the numbers beside them are what
/// the file says.
pub type Codes = IndexMap<String, u32>;

/// Tokens with their positions.
pub(crate) fn number_tokens<'a>(tokens: impl Iterator<Item = &'a str>) -> Codes {
    tokens
        .zip(0..)
        .map(|(token, code)| (token.to_owned(), code))
        .collect()
}

/// What is wrong with the codes of a column that has a single sub-column called `sub`.
pub(crate) fn check_codes(
    codes: &Codes,
    cardinalities: &Cardinalities,
    sub: &str,
) -> Result<(), (&'static str, String)> {
    match cardinalities.get(sub) {
        Some(&n) if n >= codes.len() && n > 0 && cardinalities.len() == 1 => Ok(()),
        _ => Err((
            "cardinalities",
            format!(
                "{sub:?} must be there, alone, and at least the number of codes, {}",
                codes.len()
            ),
        )),
    }
}

/// The code of a token, which is its position.
pub(crate) fn code_of(codes: &Codes, token: &str) -> Option<u32> {
    codes.get_index_of(token).map(|position| position as u32)
}
