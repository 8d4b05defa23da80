//! The draws of a row, cut into parts that a device finishes in time.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use engine_core::ir::ops::sampling::{Contribution, FoldedSubColumn, OrderedSample};

/// Lanes that draw a row.
const LANES: usize = 16;
/// Turns for each code that a rule takes at most: top-p looks at all codes about thirty times.
const RULE_TURNS: usize = 40;
/// Turns of a draw that do not depend on its size.
const FIXED_TURNS: usize = 128;

/// The rows of a dispatch, and the part of their work that it does: `Part` in `shaders/sampling/plan.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Part {
    first_row: u32,
    rows: u32,
    first_known: u32,
    end_known: u32,
    first_draw: u32,
    end_draw: u32,
    begins: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<Part>() == 32);

impl Part {
    fn new(known: Range<usize>, draws: Range<usize>, begins: bool) -> Self {
        Self {
            first_row: 0,
            rows: 0,
            first_known: known.start as u32,
            end_known: known.end as u32,
            first_draw: draws.start as u32,
            end_draw: draws.end as u32,
            begins: u32::from(begins),
            reserved: 0,
        }
    }

    /// The same part of the work on a block of rows.
    pub(super) fn of_rows(self, first: usize, rows: usize) -> Self {
        Self {
            first_row: first as u32,
            rows: rows as u32,
            ..self
        }
    }
}

/// Turns of a loop over so many elements, by lanes.
fn turns(elements: usize) -> usize {
    elements.div_ceil(LANES)
}

/// Turns that it takes to add what a code contributes to `units` hidden units.
fn contribution(sub: &FoldedSubColumn, units: usize) -> usize {
    match sub.contribution {
        Contribution::Table { .. } => turns(units),
        Contribution::Factored { width, .. } => turns(units) * (width + 1),
    }
}

/// Turns of a draw.
fn draw(op: &OrderedSample, s: usize) -> usize {
    let sub = &op.model.sub_columns[s];
    let rules = &op.rules;
    let has_rules = rules.temperature.is_some()
        || rules.top_p.is_some()
        || rules.parity.is_some()
        || !rules.fixed_of(s).is_empty();
    let groups = rules
        .parity
        .as_ref()
        .map_or(0, |p| p.groups.len() * p.sensitive.len());
    let per_code = 8 + sub.hidden.len() / 4 + if has_rules { RULE_TURNS } else { 0 };
    FIXED_TURNS + groups + turns(sub.cardinality) * per_code + contribution(sub, op.model.hidden)
}

/// Cuts the work on a row into parts of at most `most` turns each.
///
/// # Errors
/// The turns of a single draw that takes more.
pub(super) fn parts(op: &OrderedSample, most: usize) -> Result<Vec<Part>, usize> {
    let sub_columns = op.model.sub_columns.len();
    let span = op.span(0).len();
    let known = |s: usize| match op.inputs.cells {
        true => 1 + contribution(&op.model.sub_columns[s], span),
        false => 1,
    };
    let begin =
        FIXED_TURNS + turns(op.model.hidden) + turns(sub_columns) + turns(2 * op.model.cardinalities.total());
    let all = begin + (0..sub_columns).map(known).sum::<usize>();
    if all + op.draws.iter().map(|s| draw(op, *s)).sum::<usize>() <= most {
        return Ok(vec![Part::new(0..sub_columns, 0..op.draws.len(), true)]);
    }
    let looked_up = cut(sub_columns, begin, most, known)?;
    let drawn = cut(op.draws.len(), 0, most, |k| draw(op, op.draws[k]))?;
    let looked_up = looked_up.into_iter().enumerate();
    let mut parts: Vec<Part> = looked_up
        .map(|(i, known)| Part::new(known, 0..0, i == 0))
        .collect();
    parts.extend(drawn.into_iter().map(|draws| Part::new(0..0, draws, false)));
    Ok(parts)
}

/// Cuts `0..count` into ranges whose costs, and `first` for the first of them, add up to at most `most`.
fn cut(
    count: usize,
    first: usize,
    most: usize,
    cost: impl Fn(usize) -> usize,
) -> Result<Vec<Range<usize>>, usize> {
    let (mut ranges, mut start, mut sum) = (Vec::new(), 0, first);
    for i in 0..count {
        let own = cost(i);
        if own > most {
            return Err(own);
        }
        if sum + own > most {
            ranges.push(start..i);
            (start, sum) = (i, 0);
        }
        sum += own;
    }
    if start < count {
        ranges.push(start..count);
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        let cost = |i: usize| [5, 1, 9, 2, 2, 10][i];
        assert_eq!(cut(6, 4, 10, cost), Ok(vec![0..2, 2..3, 3..5, 5..6]));
        assert_eq!(cut(6, 9, 100, cost).map(|all| all.len()), Ok(1));
        assert_eq!(cut(6, 8, 9, cost), Err(10));
        assert_eq!(cut(0, 8, 9, cost), Ok(Vec::new()));
    }
}
