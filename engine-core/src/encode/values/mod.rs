//! Parsers of values. A column comes as whatever the source holds; here it is read as what an encoding needs: texts
//! ([`strings`]), numbers ([`numbers`], exact to the last digit by [`decimal`]) or instants ([`instants`], texts of any usual form by
//! [`dates`], on the one civil [calendar](crate::calendar)). What cannot be read is null, and is counted ([`parse_failures`]), so that an encoding
//! that does not fit its column is refused instead of learning nothing but nulls.

pub(crate) mod dates;
pub(crate) mod decimal;
pub(crate) mod instant_text;
pub(crate) mod instants;
pub(crate) mod numbers;
pub(crate) mod parse_failures;
pub(crate) mod strings;
pub(crate) mod unknown;
