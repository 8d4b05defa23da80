//! Noise for differential privacy: whole numbers drawn exactly from the discrete Laplace distribution, so
//! that no low-order bits of a float reveal what it was added to (Mironov: "On significance of the least significant
//! bits for differential privacy", CCS 2012). The randomness comes from the operating system and follows from
//! no seed, because knowing the noise means being able to subtract it.

use thiserror::Error;

/// The operating system gave no random numbers.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("the system gives no random numbers for the noise ({reason}); nothing was released")]
pub struct NoRandomness {
    /// What the system says.
    pub reason: String,
}

/// A source of random words. For noise that protects it must be cryptographically secure and secret.
pub trait RandomWords {
    /// 64 uniform random bits.
    ///
    /// # Errors
    /// [`NoRandomness`] when there are none.
    fn word(&mut self) -> Result<u64, NoRandomness>;

    /// A uniform number below `bound`, which is at least 1.
    ///
    /// # Errors
    /// [`NoRandomness`].
    fn below(&mut self, bound: u64) -> Result<u64, NoRandomness> {
        // Words beyond the last whole multiple would favour small numbers.
        let beyond = u64::MAX - u64::MAX % bound;
        loop {
            let word = self.word()?;
            if word < beyond {
                return Ok(word % bound);
            }
        }
    }

    /// A uniform number in [0, 1) with 53 random bits.
    ///
    /// # Errors
    /// [`NoRandomness`].
    fn uniform(&mut self) -> Result<f64, NoRandomness> {
        Ok((self.word()? >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0))
    }
}

/// The generator of the operating system, read in blocks.
#[derive(Debug)]
pub struct SystemRandom {
    block: [u64; 256],
    used: usize,
}

impl Default for SystemRandom {
    fn default() -> Self {
        let block = [0; 256];
        Self {
            used: block.len(),
            block,
        }
    }
}

impl RandomWords for SystemRandom {
    fn word(&mut self) -> Result<u64, NoRandomness> {
        if self.used == self.block.len() {
            getrandom::fill(bytemuck::cast_slice_mut(&mut self.block)).map_err(|e| NoRandomness {
                reason: e.to_string(),
            })?;
            self.used = 0;
        }
        self.used += 1;
        // What was handed out is not kept.
        Ok(std::mem::take(&mut self.block[self.used - 1]))
    }
}

/// Whole-number noise with probabilities proportional to `exp(-epsilon |noise|)`: what a count needs that one
/// row changes by one, for epsilon-differential privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscreteLaplace {
    /// Epsilon in units of 2^-32, rounded down: rounding never costs more privacy than is accounted for.
    units: u64,
}

const ONE: u64 = 1 << 32;

impl DiscreteLaplace {
    /// Noise for so much epsilon; `None` unless it is from 2^-32 to 10,000.
    pub fn new(epsilon: f64) -> Option<Self> {
        let units = (epsilon * ONE as f64) as u64;
        (units > 0 && epsilon <= 10_000.0).then_some(Self { units })
    }

    /// Draws the noise of one count (Canonne, Kamath, Steinke: "The discrete Gaussian for differential
    /// privacy", 2020, algorithm 2): integer arithmetic only.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn draw(&self, random: &mut dyn RandomWords) -> Result<i64, NoRandomness> {
        loop {
            let part = random.below(ONE)?;
            if !is_exp(part, random)? {
                continue;
            }
            let mut whole = 0;
            while is_exp(ONE, random)? {
                whole += 1;
            }
            let magnitude = ((part + whole * ONE) / self.units) as i64;
            let is_negative = random.below(2)? == 1;
            // Otherwise zero would be drawn twice as often.
            if !(is_negative && magnitude == 0) {
                return Ok(if is_negative { -magnitude } else { magnitude });
            }
        }
    }
}

/// Draws a condition that holds with probability `exp(-rate / 2^32)`, for a rate of at most 2^32 (algorithm 1
/// of the same).
fn is_exp(rate: u64, random: &mut dyn RandomWords) -> Result<bool, NoRandomness> {
    let mut trials = 1;
    while random.below(ONE * trials)? < rate {
        trials += 1;
    }
    Ok(trials % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_distribution_it_promises() {
        let mut random = SystemRandom::default();
        for epsilon in [0.25, 1.0, 3.0] {
            let noise = DiscreteLaplace::new(epsilon).unwrap();
            let draws = 200_000;
            let mut counts = std::collections::HashMap::new();
            for _ in 0..draws {
                *counts.entry(noise.draw(&mut random).unwrap()).or_insert(0u32) += 1;
            }
            let ratio = (-epsilon).exp();
            for value in -3..=3i64 {
                let share = f64::from(*counts.get(&value).unwrap_or(&0)) / f64::from(draws);
                let want = (1.0 - ratio) / (1.0 + ratio) * ratio.powi(value.abs() as i32);
                // Six standard deviations.
                let allowed = 6.0 * (want * (1.0 - want) / f64::from(draws)).sqrt();
                assert!(
                    (share - want).abs() < allowed,
                    "{epsilon} {value}: {share} instead of {want}"
                );
            }
        }
    }

    #[test]
    fn unusable_epsilons_are_refused() {
        for epsilon in [0.0, -1.0, 1e-12, 10_001.0, f64::NAN, f64::INFINITY] {
            assert_eq!(DiscreteLaplace::new(epsilon), None, "{epsilon}");
        }
        assert!(DiscreteLaplace::new(1e-9).is_some() && DiscreteLaplace::new(10_000.0).is_some());
    }

    #[test]
    fn words_of_the_system_differ() {
        let (mut a, mut b) = (SystemRandom::default(), SystemRandom::default());
        let draw = |random: &mut SystemRandom| (0..600).map(|_| random.word().unwrap()).collect::<Vec<_>>();
        assert_ne!(draw(&mut a), draw(&mut b));
        assert!((0..1_000).all(|_| a.below(7).unwrap() < 7 && a.uniform().unwrap() < 1.0));
    }
}
