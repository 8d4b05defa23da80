//! Differential privacy: noise and what is computed from noisy counts, the ledger of what it cost, and
//! clipping as a transform of programs.

mod categories;
mod clip;
mod histogram;
mod ledger;
pub mod log_histogram;
mod noise;
mod quantiles;

pub use categories::{kept_categories, release_threshold};
pub use clip::clip;
pub use histogram::{noise_level, noisy, noisy_bounds, occupied_cells};
pub use ledger::{LedgerEntry, Mechanism, Neighbours, PrivacyLedger};
pub use noise::{DiscreteLaplace, NoRandomness, RandomWords, SystemRandom};
pub use quantiles::{QuantileDraw, private_quantiles, quantile_interval, quantile_rate};
