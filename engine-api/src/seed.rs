//! Seeds: given, stored, or drawn.

use crate::EngineError;

/// A seed that nobody has seen before.
///
/// # Errors
/// [`EngineError::NoSeed`] when the system has no random numbers.
pub fn draw_seed() -> Result<u64, EngineError> {
    // 53 bits: a seed is shown, copied by hand and stored as JSON, whose numbers are exact only up to there.
    getrandom::u64()
        .map(|word| word >> 11)
        .map_err(|e| EngineError::NoSeed {
            reason: e.to_string(),
        })
}
