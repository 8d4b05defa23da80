//! Numbers: discrete, binned or by digits, or whichever of them suits the values best. All of them count the same of a column
//! (`partial`) and reduce the same summary of it (`summary`).

mod auto;
mod bin_distributions;
mod binned;
mod decoded;
mod digit;
mod digits;
mod discrete;
mod encoding;
mod partial;
mod private;
mod quantiles;
mod summary;

pub(crate) use auto::Auto;
pub use bin_distributions::BinDistributions;
pub(crate) use binned::Binned;
pub use binned::BinnedStats;
pub(crate) use digit::Digit;
pub use digit::DigitStats;
pub use digits::Digits;
pub(crate) use discrete::Discrete;
pub use discrete::DiscreteStats;
