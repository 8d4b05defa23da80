//! Initial parameters.

use super::params::{Initialisation, ParamLayout};
use crate::random::{Purpose, Stream, uniform_f64};

/// The arena of a fresh model. Entry i of parameter p depends on (seed, p, i) only.
pub fn initialise(layout: &ParamLayout, seed: u64) -> Vec<f32> {
    let stream = Stream::new(seed, Purpose::Initialise, 0);
    let mut arena = vec![0.0; layout.len()];
    for param in layout.params() {
        let values = &mut arena[param.view.range()];
        let word = |i: usize| stream.block((i >> 32) as u32, i as u32, param.view.index as u32);
        match &param.initialisation {
            Initialisation::Values(given) => values.copy_from_slice(given),
            Initialisation::Uniform { bound } => {
                for (i, value) in values.iter_mut().enumerate() {
                    let [a, b, ..] = word(i);
                    *value = ((2.0 * uniform_f64(a, b) - 1.0) * bound) as f32;
                }
            }
            Initialisation::StandardNormal => {
                for (i, value) in values.iter_mut().enumerate() {
                    let [a, b, c, d] = word(i);
                    *value = box_muller(1.0 - uniform_f64(a, b), uniform_f64(c, d)) as f32;
                }
            }
        }
    }
    arena
}

/// A standard normal number from two uniform ones, the first above 0 (Box, Muller 1958, "A note on the generation of random
/// normal deviates").
fn box_muller(u: f64, v: f64) -> f64 {
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
