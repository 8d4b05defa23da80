//! Numbers: discrete, binned or by digits.

mod binned;
mod decimal;
mod digit;
mod digits;
mod discrete;

pub use binned::BinnedStats;
pub(crate) use decimal::Decimal;
pub use digit::DigitStats;
pub use digits::Digits;
pub use discrete::DiscreteStats;
