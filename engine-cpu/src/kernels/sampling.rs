//! Folding and ancestral sampling: one task draws all sub-columns of a block of rows without leaving its scratch memory.

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::sampling::{
    Contribution, FoldTables, FoldedDraw, GIVEN_NOTHING, OrderedSample, SamplingRules, rules,
};
use engine_core::random::Stream;

use super::embedding::CodeCheck;
use super::linear::{Span, forward};
use super::softmax::softmax_lanes;
use super::{Context, CpuKernel, Value, as_op, block_of};
use crate::isa::{Isa, Kernel, WIDTH, half, half_mut, uniform_lanes};
use crate::lanes::{CodeLanes, LANES, Lanes, valid};
use crate::scratch::ScratchSize;
use crate::shared::Shared;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if let Some(op) = as_op::<FoldTables>(op) {
        return Some(Box::new(op));
    }
    as_op::<OrderedSample>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

impl CpuKernel for FoldTables {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let params: Vec<f64> = cx.arena(self.params).iter().map(|p| f64::from(*p)).collect();
        let mut folded = cx.take_arena(self.folded);
        for (to, from) in folded.iter_mut().zip(self.evaluate(&params)) {
            *to = from as f32;
        }
        cx.put_arena(self.folded, folded);
        Ok(())
    }
}

/// Where the uniform numbers of a block come from.
#[derive(Clone, Copy)]
enum Uniforms<'a> {
    Given(&'a [Lanes]),
    Drawn { stream: Stream, first_row: u64 },
}

impl Uniforms<'_> {
    #[inline(always)]
    fn of<I: Isa>(&self, sub_column: usize) -> Lanes {
        match self {
            Self::Given(lanes) => lanes[sub_column],
            Self::Drawn { stream, first_row } => uniform_lanes::<I>(stream, *first_row, sub_column as u32),
        }
    }
}

/// All draws of one block.
struct Draws<'a> {
    op: &'a OrderedSample,
    folded: &'a [f32],
    rows: usize,
    given: Option<&'a [CodeLanes]>,
    uniforms: Uniforms<'a>,
    check: &'a CodeCheck,
    codes: &'a mut [CodeLanes],
    report: Option<(&'a mut [Lanes], &'a mut [Lanes])>,
    /// Hidden units, `[LANES, hidden]`.
    hidden: &'a mut [f32],
    /// Units of one draw, feature-major.
    units: &'a mut [Lanes],
    /// Probabilities of one draw, feature-major.
    probs: &'a mut [Lanes],
    /// Weights of one row.
    row: &'a mut [f32],
}

impl Kernel for Draws<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let hidden = self.op.model.hidden;
        for row in self.hidden.chunks_exact_mut(hidden.max(1)) {
            row.copy_from_slice(&self.folded[..hidden]);
        }
        let op = self.op;
        for draw in &op.model.draws {
            self.probabilities::<I>(draw);
            let codes = self.choose::<I>(draw);
            self.codes[draw.sub_column] = codes;
            if draw.hidden.end < hidden {
                self.contribute::<I>(draw, &codes);
            }
        }
    }
}

impl Draws<'_> {
    /// Fills `probs` with the softmax of the predictor over the rectified hidden units.
    #[inline(always)]
    fn probabilities<I: Isa>(&mut self, draw: &FoldedDraw) {
        let (width, hidden) = (draw.hidden.len(), self.op.model.hidden);
        let units = &mut self.units[..width];
        gather_units::<I>(&self.hidden[draw.hidden.start..], hidden, units);
        let weight = &self.folded[draw.head_weight..][..draw.cardinality * width];
        let bias = &self.folded[draw.head_bias..][..draw.cardinality];
        let (logits, probs) = self.probs.split_at_mut(draw.cardinality);
        forward::<I>(units, &[Span { column: 0, width }], weight, width, bias, logits);
        softmax_lanes::<I>(logits, &mut probs[..draw.cardinality]);
    }

    /// Draws the codes of all rows, or takes the given ones.
    #[inline(always)]
    fn choose<I: Isa>(&mut self, draw: &FoldedDraw) -> CodeLanes {
        let (s, op) = (draw.sub_column, self.op);
        let range = op.model.cardinalities.range(s);
        let probs = &mut self.probs[draw.cardinality..2 * draw.cardinality];
        if let Some((reported, _)) = &mut self.report {
            reported[range.clone()].copy_from_slice(probs);
        }
        let uniforms = self.uniforms.of::<I>(s);
        // Draws do not need normalised weights, reports do.
        let forbids = !op.rules.fixed_of(s).is_empty();
        let mut codes = if op.rules.only_forbids(s) && !(forbids && self.report.is_some()) {
            if forbids {
                forbid(probs, &op.rules, s, self.row);
            }
            draw_lanes::<I>(probs, &uniforms)
        } else {
            draw_by_rules(probs, &op.rules, s, &uniforms, self.row)
        };
        if let Some((_, weights)) = &mut self.report {
            weights[range].copy_from_slice(probs);
        }
        if let Some(given) = self.given {
            for lane in 0..self.rows {
                let code = given[s].0[lane];
                if code != GIVEN_NOTHING {
                    codes.0[lane] = self.check.checked(code, s, draw.cardinality) as u32;
                }
            }
        }
        codes
    }

    /// Adds what the drawn codes contribute to the hidden units of later draws.
    #[inline(always)]
    fn contribute<I: Isa>(&mut self, draw: &FoldedDraw, codes: &CodeLanes) {
        let hidden = self.op.model.hidden;
        let later = hidden - draw.hidden.end;
        for lane in 0..self.rows {
            let code = codes.0[lane] as usize;
            let to = &mut self.hidden[lane * hidden + draw.hidden.end..(lane + 1) * hidden];
            match draw.contribution {
                Contribution::Table { offset } => {
                    add_scaled::<I>(&self.folded[offset + code * later..][..later], None, to);
                }
                Contribution::Factored {
                    embedding,
                    width,
                    offset,
                } => {
                    for k in 0..width {
                        let factor = self.folded[embedding + code * width + k];
                        add_scaled::<I>(&self.folded[offset + k * later..][..later], Some(factor), to);
                    }
                    add_scaled::<I>(&self.folded[offset + width * later..][..later], None, to);
                }
            }
        }
    }
}

/// Rectified hidden units of one draw, from rows `stride` apart to feature-major.
#[inline(always)]
fn gather_units<I: Isa>(hidden: &[f32], stride: usize, units: &mut [Lanes]) {
    let width = units.len();
    let whole = width / WIDTH * WIDTH;
    for first in (0..whole).step_by(WIDTH) {
        for h in 0..2 {
            let mut rows = [I::splat(0.0); WIDTH];
            for (l, row) in rows.iter_mut().enumerate() {
                if let Some(from) = hidden[(h * WIDTH + l) * stride + first..].first_chunk() {
                    *row = I::max(I::splat(0.0), I::load(from));
                }
            }
            I::transpose(&mut rows);
            for (unit, row) in units[first..first + WIDTH].iter_mut().zip(rows) {
                I::store(row, half_mut(unit, h));
            }
        }
    }
    for (k, unit) in units.iter_mut().enumerate().skip(whole) {
        for lane in 0..LANES {
            let h = hidden[lane * stride + k];
            unit.0[lane] = if h < 0.0 { 0.0 } else { h };
        }
    }
}

/// `to += from`, or `to += factor from`.
#[inline(always)]
fn add_scaled<I: Isa>(from: &[f32], factor: Option<f32>, to: &mut [f32]) {
    let (from, from_tail) = from.as_chunks::<WIDTH>();
    let (to, to_tail) = to.as_chunks_mut::<WIDTH>();
    let scale = I::splat(factor.unwrap_or(1.0));
    for (from, to) in from.iter().zip(to) {
        I::store(I::mul_add(I::load(from), scale, I::load(to)), to);
    }
    for (from, to) in from_tail.iter().zip(to_tail) {
        *to += factor.unwrap_or(1.0) * from;
    }
}

/// Forbids codes in all rows. A row that would lose all its mass goes through the rules one by one.
fn forbid(probs: &mut [Lanes], rules: &SamplingRules, s: usize, row: &mut [f32]) {
    let forbidden = |code: usize| rules.fixed_of(s).iter().any(|f| f.code as usize == code);
    let mut left = [0.0f32; LANES];
    for (_, p) in probs.iter().enumerate().filter(|(code, _)| !forbidden(*code)) {
        left.iter_mut().zip(&p.0).for_each(|(left, p)| *left += p);
    }
    for (lane, left) in left.into_iter().enumerate() {
        if left == 0.0 {
            apply_rules(probs, rules, s, lane, row);
        } else {
            rules
                .fixed_of(s)
                .iter()
                .for_each(|f| probs[f.code as usize].0[lane] = 0.0);
        }
    }
}

/// Applies all rules to one row of the probabilities, in place.
fn apply_rules(probs: &mut [Lanes], rules: &SamplingRules, s: usize, lane: usize, row: &mut [f32]) {
    let row = &mut row[..probs.len()];
    row.iter_mut().zip(probs.iter()).for_each(|(w, p)| *w = p.0[lane]);
    rules.apply(s, row);
    probs.iter_mut().zip(row.iter()).for_each(|(p, w)| p.0[lane] = *w);
}

fn draw_by_rules(
    probs: &mut [Lanes],
    rules: &SamplingRules,
    s: usize,
    uniforms: &Lanes,
    row: &mut [f32],
) -> CodeLanes {
    let mut codes = CodeLanes::ZERO;
    for lane in 0..LANES {
        apply_rules(probs, rules, s, lane, row);
        codes.0[lane] = rules::draw(&row[..probs.len()], f64::from(uniforms.0[lane])) as u32;
    }
    codes
}

/// The inverse CDF along the rows: counts the cumulative weights that are at most `uniform * total`.
#[inline(always)]
fn draw_lanes<I: Isa>(probs: &[Lanes], uniforms: &Lanes) -> CodeLanes {
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

impl CpuKernel for OrderedSample {
    fn scratch(&self) -> ScratchSize {
        let widest = self.model.draws.iter().map(|d| d.hidden.len()).max().unwrap_or(0);
        let cardinality = self.model.cardinalities.max_width();
        ScratchSize {
            lanes: widest + 2 * cardinality,
            numbers: LANES * self.model.hidden + cardinality,
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (set, all_rows, scratch, run) = (cx.set, cx.rows(), cx.scratch, cx.run);
        let (count, width) = (self.model.cardinalities.len(), self.model.cardinalities.total());
        let given = self.given_input().map(|i| cx.codes(i, count));
        let uniforms = self.uniforms_input().map(|i| cx.numbers(i, count));
        let folded = cx.take_arena(self.folded);
        let mut codes = cx.take_codes(0);
        let mut reports = if self.report {
            [1, 2].map(|i| cx.take_numbers(i))
        } else {
            [Vec::new(), Vec::new()]
        };
        let to_codes = Shared::new(&mut codes);
        let to_reports = reports.each_mut().map(|r| Shared::new(r));
        let check = CodeCheck::new();
        cx.parallel(cx.blocks(), |block| {
            // SAFETY: each task writes its own block.
            let codes = unsafe { to_codes.part(block * count..(block + 1) * count) };
            let report = self.report.then(|| {
                let range = || block * width..(block + 1) * width;
                // SAFETY: each task writes its own block.
                unsafe { (to_reports[0].part(range()), to_reports[1].part(range())) }
            });
            let first_row = run.first_row + (block * LANES) as u64;
            let uniforms = match uniforms {
                Some(lanes) => Uniforms::Given(block_of(lanes, block, count)),
                None => Uniforms::Drawn {
                    stream: Self::stream(&run),
                    first_row,
                },
            };
            let given = given.map(|g| block_of(g, block, count));
            scratch.with(|s| {
                let widest = self.scratch().lanes - 2 * self.model.cardinalities.max_width();
                let (units, probs) = s.lanes.split_at_mut(widest);
                let (hidden, row) = s.numbers.split_at_mut(LANES * self.model.hidden);
                let (folded, rows, check) = (&folded, valid(all_rows, block), &check);
                let op = self;
                set.dispatch(Draws {
                    op,
                    folded,
                    rows,
                    given,
                    uniforms,
                    check,
                    codes,
                    report,
                    hidden,
                    units,
                    probs,
                    row,
                });
            });
        });
        cx.put_arena(self.folded, folded);
        cx.put(0, Value::Codes(codes));
        if self.report {
            for (i, report) in reports.into_iter().enumerate() {
                cx.put(i + 1, Value::Numbers(report));
            }
        }
        check.finish(|s| self.model.cardinalities.width(s))
    }
}
