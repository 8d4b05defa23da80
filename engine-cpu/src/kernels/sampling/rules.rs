//! From probabilities to codes: the rules of the draw and the inverse CDF along the rows.

use engine_core::ir::ops::sampling::{SamplingRules, rules};

use crate::isa::{Isa, WIDTH, half};
use crate::lanes::{CodeLanes, LANES, Lanes};

/// Forbids codes in all rows. A row that would lose all its mass goes through the rules one by one.
pub(super) fn forbid(probs: &mut [Lanes], rules: &SamplingRules, s: usize, row: &mut [f32]) {
    let forbidden = |code: usize| rules.fixed_of(s).iter().any(|f| f.code as usize == code);
    let mut keeps_mass = [false; LANES];
    // Nearly always the first code that is not forbidden has some in every row.
    for (_, p) in probs.iter().enumerate().filter(|(code, _)| !forbidden(*code)) {
        for (keeps, p) in keeps_mass.iter_mut().zip(&p.0) {
            *keeps |= *p != 0.0;
        }
        if keeps_mass == [true; LANES] {
            break;
        }
    }
    for (lane, keeps) in keeps_mass.into_iter().enumerate() {
        if !keeps {
            apply_rules(probs, rules, (s, &[]), lane, row);
        } else {
            rules
                .fixed_of(s)
                .iter()
                .for_each(|f| probs[f.code as usize].0[lane] = 0.0);
        }
    }
}

/// Applies all rules to one row of the probabilities, in place; `codes` are those of the row so far.
fn apply_rules(
    probs: &mut [Lanes],
    rules: &SamplingRules,
    (s, codes): (usize, &[CodeLanes]),
    lane: usize,
    row: &mut [f32],
) {
    let row = &mut row[..probs.len()];
    row.iter_mut().zip(probs.iter()).for_each(|(w, p)| *w = p.0[lane]);
    rules.balance(s, row, |s| codes[s].0[lane]);
    rules.apply(s, row);
    probs.iter_mut().zip(row.iter()).for_each(|(p, w)| p.0[lane] = *w);
}

pub(super) fn draw_by_rules(
    probs: &mut [Lanes],
    rules: &SamplingRules,
    (s, codes): (usize, &[CodeLanes]),
    uniforms: &Lanes,
    row: &mut [f32],
) -> CodeLanes {
    let mut drawn = CodeLanes::ZERO;
    for lane in 0..LANES {
        apply_rules(probs, rules, (s, codes), lane, row);
        drawn.0[lane] = rules::draw(&row[..probs.len()], f64::from(uniforms.0[lane])) as u32;
    }
    drawn
}

/// The inverse CDF along the rows: counts the cumulative weights that are at most `uniform * total`.
#[inline(always)]
pub(super) fn draw_lanes<I: Isa>(probs: &[Lanes], uniforms: &Lanes) -> CodeLanes {
    let mut codes = CodeLanes::ZERO;
    for h in 0..2 {
        let mut total = I::splat(0.0);
        for p in probs {
            total = I::add(total, I::load(half(p, h)));
        }
        let target = I::mul(I::load(half(uniforms, h)), total);
        let (mut cumulative, mut count) = (I::splat(0.0), I::splat_u(0));
        for p in probs {
            cumulative = I::add(cumulative, I::load(half(p, h)));
            count = I::count_le(cumulative, target, count);
        }
        let mut lanes = [0; WIDTH];
        I::store_u(count, &mut lanes);
        codes.0[h * WIDTH..(h + 1) * WIDTH].copy_from_slice(&lanes);
    }
    for lane in 0..LANES {
        // Rounding can push the target to the very end, behind the last code that has any weight.
        if codes.0[lane] as usize >= probs.len() {
            codes.0[lane] = probs.iter().rposition(|p| p.0[lane] > 0.0).unwrap_or(0) as u32;
        }
    }
    codes
}
