//! Differential privacy. Statistics of a table are released under a privacy budget as histograms with discrete Laplace noise in every cell
//! ([`DiscreteLaplace`]): what is computed from noisy counts afterwards, such as ranges ([`noisy_bounds`]) or the categories above a threshold
//! ([`kept_categories`]), costs nothing more. Every mechanism enters its share of epsilon and delta into the ledger ([`PrivacyLedger`]), whose
//! sum is the budget by sequential composition. For private training [`clip()`] rewrites a program so that each sample's gradient is clipped
//! to a norm before gradients are summed, without storing a gradient per sample; noise and accounting of a training are not built yet. The
//! randomness of noise comes from the operating system and not from the seed: anyone who can repeat the noise can subtract it.

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
pub use ledger::{LedgerEntry, Mechanism, NeighbouringRelation, PrivacyLedger};
pub use noise::{DiscreteLaplace, NoRandomness, RandomWords, SystemRandom};
pub use quantiles::{QuantileDraw, private_quantiles, quantile_interval, quantile_rate};
