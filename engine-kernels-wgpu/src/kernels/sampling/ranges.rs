//! The draws of a row, divided into ranges that a device finishes in time.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use engine_core::ir::ops::sampling::{Contribution, FoldedSubColumn, OrderedSample};

/// Lanes that draw a row.
const LANES: usize = 16;
/// Loop iterations for each code that a rule takes at limit: top-p reads all codes about thirty times.
const RULE_ITERATIONS: usize = 40;
/// Loop iterations of a draw that do not depend on its size.
const FIXED_ITERATIONS: usize = 128;

/// The rows of a dispatch, and the range of their observed cells and draws that it works on: `DrawRange` in
/// `shaders/sampling/descriptor.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct DrawRange {
    first_row: u32,
    rows: u32,
    first_observed: u32,
    end_observed: u32,
    first_draw: u32,
    end_draw: u32,
    begins: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<DrawRange>() == 32);

impl DrawRange {
    fn new(observed: Range<usize>, draws: Range<usize>, begins: bool) -> Self {
        Self {
            first_row: 0,
            rows: 0,
            first_observed: observed.start as u32,
            end_observed: observed.end as u32,
            first_draw: draws.start as u32,
            end_draw: draws.end as u32,
            begins: u32::from(begins),
            reserved: 0,
        }
    }

    /// The same range for a block of rows.
    pub(super) fn of_rows(self, first: usize, rows: usize) -> Self {
        Self {
            first_row: first as u32,
            rows: rows as u32,
            ..self
        }
    }
}

/// Iterations of a loop over so many elements, which the lanes of a row divide among them.
fn iterations(elements: usize) -> usize {
    elements.div_ceil(LANES)
}

/// Iterations to add what a code contributes to `units` hidden units.
fn contribution(sub: &FoldedSubColumn, units: usize) -> usize {
    match sub.contribution {
        Contribution::Table { .. } => iterations(units),
        Contribution::Factored { width, .. } => iterations(units) * (width + 1),
    }
}

/// Iterations of a draw.
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
    let per_code = 8 + sub.hidden.len() / 4 + if has_rules { RULE_ITERATIONS } else { 0 };
    FIXED_ITERATIONS + groups + iterations(sub.cardinality) * per_code + contribution(sub, op.model.hidden)
}

/// Divides the work on a row into ranges of at most `limit` loop iterations each.
///
/// # Errors
/// The iterations of a single draw that takes more.
pub(super) fn ranges(op: &OrderedSample, limit: usize) -> Result<Vec<DrawRange>, usize> {
    let sub_columns = op.model.sub_columns.len();
    let span = op.span(0).len();
    let observed = |s: usize| match op.inputs.cells {
        true => 1 + contribution(&op.model.sub_columns[s], span),
        false => 1,
    };
    let begin = FIXED_ITERATIONS
        + iterations(op.model.hidden)
        + iterations(sub_columns)
        + iterations(2 * op.model.cardinalities.total());
    let all = begin + (0..sub_columns).map(observed).sum::<usize>();
    if all + op.draws.iter().map(|s| draw(op, *s)).sum::<usize>() <= limit {
        return Ok(vec![DrawRange::new(0..sub_columns, 0..op.draws.len(), true)]);
    }
    let looked_up = cut(sub_columns, begin, limit, observed)?;
    let drawn = cut(op.draws.len(), 0, limit, |k| draw(op, op.draws[k]))?;
    let looked_up = looked_up.into_iter().enumerate();
    let mut all_ranges: Vec<DrawRange> = looked_up
        .map(|(i, observed)| DrawRange::new(observed, 0..0, i == 0))
        .collect();
    all_ranges.extend(drawn.into_iter().map(|draws| DrawRange::new(0..0, draws, false)));
    Ok(all_ranges)
}

/// Cuts `0..count` into ranges whose costs, and `first` for the first of them, add up to at most `limit`.
fn cut(
    count: usize,
    first: usize,
    limit: usize,
    cost: impl Fn(usize) -> usize,
) -> Result<Vec<Range<usize>>, usize> {
    let (mut ranges, mut start, mut sum) = (Vec::new(), 0, first);
    for i in 0..count {
        let own = cost(i);
        if own > limit {
            return Err(own);
        }
        if sum + own > limit {
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
    fn ranges_cover_everything_once() {
        let cost = |i: usize| [5, 1, 9, 2, 2, 10][i];
        assert_eq!(cut(6, 4, 10, cost), Ok(vec![0..2, 2..3, 3..5, 5..6]));
        assert_eq!(cut(6, 9, 100, cost).map(|all| all.len()), Ok(1));
        assert_eq!(cut(6, 8, 9, cost), Err(10));
        assert_eq!(cut(0, 8, 9, cost), Ok(Vec::new()));
    }
}
