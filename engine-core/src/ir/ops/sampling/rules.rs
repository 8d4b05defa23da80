//! From probabilities to a drawn code: temperature, top-p, fixed probabilities, repair, draw; in this order, in single
//! precision, one row at a time. They are plain functions so that every backend and every test shares them.

use std::sync::Arc;

use super::parity::Parity;

/// What is added to every probability before fixed ones are set.
const FIXED_FLOOR: f32 = 1e-20;
/// Temperatures below this act as this.
const LOWEST_TEMPERATURE: f32 = 1e-3;

/// A code whose probability is set rather than learnt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedProbability {
    /// The code.
    pub code: u32,
    /// Its probability, at least 0; 0 forbids the code.
    pub probability: f32,
}

/// Rules between a model's probabilities and a draw.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SamplingRules {
    /// Divides log-probabilities; `None` and 1 change nothing.
    pub temperature: Option<f32>,
    /// Smallest prefix whose mass strictly exceeds it is kept; `None` and 1 or more keep everything.
    pub top_p: Option<f32>,
    /// Fixed probabilities by sub-column; an empty list changes nothing. May be shorter than the number of sub-columns.
    pub fixed: Vec<Vec<FixedProbability>>,
    /// Makes the probabilities of one sub-column alike in all groups of rows, before all other rules.
    pub parity: Option<Arc<Parity>>,
}

impl SamplingRules {
    /// Fixed probabilities of sub-column `s`.
    pub fn fixed_of(&self, s: usize) -> &[FixedProbability] {
        self.fixed.get(s).map_or(&[], Vec::as_slice)
    }

    /// Whether all that happens to sub-column `s` is that codes are forbidden.
    pub fn only_forbids(&self, s: usize) -> bool {
        self.parity.as_ref().is_none_or(|p| p.target != s)
            && self.temperature.is_none_or(|t| t == 1.0)
            && self.top_p.is_none_or(|p| p >= 1.0 || p.is_nan())
            && self.fixed_of(s).iter().all(|f| f.probability == 0.0)
    }

    /// Applies parity to the probabilities of sub-column `s` in one row, if it is its target; `code_of` returns the row's codes so
    /// far. [`Self::apply`] comes next.
    pub fn balance(&self, s: usize, probs: &mut [f32], code_of: impl Fn(usize) -> u32) {
        if let Some(parity) = self.parity.as_ref().filter(|p| p.target == s) {
            parity.apply(probs, code_of);
        }
    }

    /// Applies all rules but parity to the probabilities of sub-column `s` in one row; what remains are the weights of the draw.
    pub fn apply(&self, s: usize, weights: &mut [f32]) {
        let fixed = self.fixed_of(s);
        let odds = (!fixed.is_empty()).then(|| weights.to_vec());
        if let Some(t) = self.temperature {
            temperature(weights, t);
        }
        if let Some(p) = self.top_p {
            top_p(weights, p);
        }
        if let Some(odds) = odds {
            fix_probabilities(weights, fixed, Some(&odds));
        }
        repair(weights);
    }

    /// A short description for printed programs.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if let Some(t) = self.temperature {
            parts.push(format!("temperature {t}"));
        }
        if let Some(p) = self.top_p {
            parts.push(format!("top_p {p}"));
        }
        let fixed = self.fixed.iter().filter(|f| !f.is_empty()).count();
        if fixed > 0 {
            parts.push(format!("fixed codes in {fixed} sub-columns"));
        }
        if let Some(parity) = &self.parity {
            parts.push(format!("parity over {} groups", parity.groups.len()));
        }
        parts.join(", ")
    }
}

/// `p <- softmax(ln p / max(t, 0.001))`; 1 changes nothing. Zero and negative temperatures are nearly greedy.
pub fn temperature(probs: &mut [f32], t: f32) {
    if t == 1.0 {
        return;
    }
    // `max` would turn a NaN temperature into the lowest one; the rules say that it leads to equal weights.
    let t = if t.is_nan() { t } else { t.max(LOWEST_TEMPERATURE) };
    let largest = probs.iter().copied().fold(f32::NEG_INFINITY, f32::max).ln();
    let mut sum = 0.0;
    for p in probs.iter_mut() {
        *p = ((p.ln() - largest) / t).exp();
        sum += *p;
    }
    for p in probs.iter_mut() {
        *p /= sum;
    }
}

/// Keeps the most probable codes until their mass strictly exceeds `top_p` (at least one), and renormalises. A row without
/// mass becomes uniform. 1 or more, and NaN, change nothing.
pub fn top_p(probs: &mut [f32], top_p: f32) {
    if top_p >= 1.0 || top_p.is_nan() {
        return;
    }
    let mut by_mass: Vec<usize> = (0..probs.len()).collect();
    by_mass.sort_by(|a, b| probs[*b].total_cmp(&probs[*a]));
    let (mut before, mut kept) = (0.0f32, 0.0f32);
    for (k, code) in by_mass.into_iter().enumerate() {
        let p = probs[code];
        if k == 0 || before <= top_p {
            kept += p;
        } else {
            probs[code] = 0.0;
        }
        before += p;
    }
    if kept > 0.0 {
        probs.iter_mut().for_each(|p| *p /= kept);
    } else {
        let uniform = 1.0 / probs.len() as f32;
        probs.fill(uniform);
    }
}

/// Sets the fixed codes to their probabilities and scales the others to the remaining mass.
///
/// Where the rules before have left the other codes without any mass, they share the remainder by `odds` (the
/// probabilities before temperature and top-p) if given, else evenly.
pub fn fix_probabilities(weights: &mut [f32], fixed: &[FixedProbability], odds: Option<&[f32]>) {
    if fixed.is_empty() {
        return;
    }
    let is_fixed = |code: usize| fixed.iter().any(|f| f.code as usize == code);
    let total: f32 = fixed.iter().map(|f| f.probability).sum();
    let covers_all = (0..weights.len()).all(is_fixed);
    if covers_all && total == 0.0 {
        let uniform = 1.0 / weights.len() as f32;
        weights.fill(uniform);
        return;
    }
    let open = |weights: &[f32]| {
        (0..weights.len())
            .filter(|c| !is_fixed(*c))
            .map(|c| weights[c])
            .sum::<f32>()
    };
    if let Some(odds) = odds.filter(|odds| open(weights) == 0.0 && open(odds) > 0.0) {
        weights.copy_from_slice(odds);
    }
    weights.iter_mut().for_each(|w| *w += FIXED_FLOOR);
    let (mass, remainder) = (open(weights), (1.0 - total).max(0.0));
    for (code, weight) in weights.iter_mut().enumerate() {
        *weight = match fixed.iter().rev().find(|f| f.code as usize == code) {
            Some(f) => f.probability,
            None => *weight * remainder / mass,
        };
    }
}

/// NaN becomes 1, negative 0, above one 1.
pub fn repair(weights: &mut [f32]) {
    for w in weights {
        *w = if w.is_nan() { 1.0 } else { w.clamp(0.0, 1.0) };
    }
}

/// The code at `uniform` in [0, 1): the number of entries of the normalised cumulative weights that are at most `uniform`.
/// Weights without any mass count as equal.
pub fn draw(weights: &[f32], uniform: f64) -> usize {
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    if total <= 0.0 {
        return ((uniform * weights.len() as f64) as usize).min(weights.len().saturating_sub(1));
    }
    let mut cumulative = 0.0;
    for (code, w) in weights.iter().enumerate() {
        cumulative += f64::from(*w);
        if cumulative / total > uniform {
            return code;
        }
    }
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(rule: impl Fn(&mut [f32]), p: &[f32]) -> Vec<f32> {
        let mut p = p.to_vec();
        rule(&mut p);
        p
    }

    fn close(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() <= 1e-6, "{got:?} instead of {want:?}");
        }
    }

    #[test]
    fn temperature_flattens_or_sharpens() {
        close(
            &applied(|p| temperature(p, 2.0), &[0.5, 0.3, 0.2]),
            &[0.415_445_9, 0.321_803, 0.262_751_1],
        );
        close(
            &applied(|p| temperature(p, 0.0), &[0.5, 0.3, 0.2]),
            &[1.0, 0.0, 0.0],
        );
        close(
            &applied(|p| temperature(p, -1.0), &[0.5, 0.5, 0.0]),
            &[0.5, 0.5, 0.0],
        );
    }

    #[test]
    fn top_p_keeps_one_code_more_than_needed_when_the_sum_is_met_exactly() {
        close(&applied(|p| top_p(p, 0.8), &[0.5, 0.3, 0.2]), &[0.5, 0.3, 0.2]);
        close(
            &applied(|p| top_p(p, 0.79), &[0.5, 0.3, 0.2]),
            &[0.625, 0.375, 0.0],
        );
        close(&applied(|p| top_p(p, 0.0), &[0.5, 0.3, 0.2]), &[1.0, 0.0, 0.0]);
        close(&applied(|p| top_p(p, 0.5), &[0.0, 0.0]), &[0.5, 0.5]);
    }

    #[test]
    fn fixed_codes_have_their_share_and_the_others_the_rest() {
        let fixed = |pairs: &[(u32, f32)]| -> Vec<FixedProbability> {
            pairs
                .iter()
                .map(|(code, probability)| FixedProbability {
                    code: *code,
                    probability: *probability,
                })
                .collect()
        };
        let run = |p: &[f32], pairs: &[(u32, f32)]| applied(|w| fix_probabilities(w, &fixed(pairs), None), p);
        close(
            &run(&[0.1, 0.4, 0.4, 0.1], &[(1, 0.5), (2, 0.2)]),
            &[0.15, 0.5, 0.2, 0.15],
        );
        close(
            &run(&[1.0, 0.0, 0.0, 0.0], &[(0, 0.0), (1, 0.0)]),
            &[0.0, 0.0, 0.5, 0.5],
        );
        close(&run(&[0.3], &[(0, 0.0)]), &[1.0]);
        close(&run(&[0.2, 0.3, 0.5], &[(0, 0.7), (1, 0.6)]), &[0.7, 0.6, 0.0]);
    }

    #[test]
    fn an_emptied_remainder_follows_the_odds_before_temperature() {
        let rules = SamplingRules {
            temperature: Some(0.01),
            fixed: vec![vec![FixedProbability {
                code: 0,
                probability: 0.4,
            }]],
            ..SamplingRules::default()
        };
        let mut weights = vec![0.9, 0.09, 0.01];
        rules.apply(0, &mut weights);
        assert!(
            (weights[0] - 0.4).abs() < 1e-6 && weights[1] > weights[2] && weights[2] >= 0.0,
            "{weights:?}"
        );
    }

    #[test]
    fn draws_never_hit_a_forbidden_code() {
        assert_eq!(draw(&[0.25, 0.25, 0.5], 0.1), 0);
        assert_eq!(draw(&[0.25, 0.25, 0.5], 0.25), 1);
        assert_eq!(draw(&[0.0, 1.0, 0.0], 0.0), 1);
        assert_eq!(draw(&[0.0, 1.0, 0.0], 0.999_999_99), 1);
        assert_eq!(draw(&[0.0, 0.0], 0.6), 1);
    }
}
