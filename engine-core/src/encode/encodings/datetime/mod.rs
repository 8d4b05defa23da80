//! Dates and times, each by itself (`absolute`) or from one row of a subject to the next (`relative`). Both read the same instants, and
//! show of them the same least and greatest one (`range`).

mod absolute;
mod parts;
mod private;
mod range;
mod relative;
mod relative_parts;

pub(crate) use absolute::Datetime;
pub use absolute::DatetimeStats;
pub use parts::DateParts;
pub(crate) use relative::DatetimeRelative;
pub use relative::RelativeStats;
pub use relative_parts::RelativeParts;
