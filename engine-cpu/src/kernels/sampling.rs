//! Folding and ancestral sampling: one task draws all sub-columns of a block of rows without leaving its scratch memory.

use std::ops::Range;

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::sampling::{
    Cell, Contribution, FoldTables, FoldedSubColumn, OrderedSample, SamplingRules, rules,
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

/// Where the results of one block go; what is not asked for is empty.
struct Results<'a> {
    codes: &'a mut [CodeLanes],
    probs: &'a mut [Lanes],
    weights: &'a mut [Lanes],
    log_probs: &'a mut [Lanes],
}

/// All draws of one block.
struct Draws<'a> {
    op: &'a OrderedSample,
    places: &'a Places,
    folded: &'a [f32],
    rows: usize,
    cells: Option<&'a [CodeLanes]>,
    uniforms: Uniforms<'a>,
    check: &'a CodeCheck,
    results: Results<'a>,
    /// Hidden units, `[LANES, hidden]`.
    hidden: &'a mut [f32],
    /// Units of one draw, feature-major.
    units: &'a mut [Lanes],
    /// Logits and probabilities of one draw, feature-major.
    probs: &'a mut [Lanes],
    /// Weights of one row.
    row: &'a mut [f32],
}

/// What follows from the order of the draws.
struct Places {
    /// Hidden units that the draws from each number on need; the last is empty.
    spans: Vec<Range<usize>>,
    /// Where the probabilities of each sub-column are reported.
    probs: Vec<Option<Range<usize>>>,
    /// Where its weights are.
    weights: Vec<Option<Range<usize>>>,
}

impl Places {
    fn new(op: &OrderedSample) -> Self {
        let of = |reported: &[usize]| {
            let groups = op.reported(reported);
            let mut places = vec![None; op.model.sub_columns.len()];
            for (i, s) in reported.iter().enumerate() {
                places[*s] = Some(groups.range(i));
            }
            places
        };
        // Backwards, so that each span extends the one after it.
        let mut spans = vec![0..0; op.draws.len() + 1];
        for (k, s) in op.draws.iter().enumerate().rev() {
            let (own, after) = (&op.model.sub_columns[*s].hidden, spans[k + 1].clone());
            spans[k] = if after.is_empty() {
                own.clone()
            } else {
                after.start.min(own.start)..after.end.max(own.end)
            };
        }
        Self {
            spans,
            probs: of(&op.reports.probs),
            weights: of(&op.reports.weights),
        }
    }
}

impl Kernel for Draws<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        let (op, hidden, places) = (self.op, self.op.model.hidden, self.places);
        let all = places.spans[0].clone();
        for row in self.hidden.chunks_exact_mut(hidden.max(1)) {
            row[all.clone()].copy_from_slice(&self.folded[all.clone()]);
        }
        self.results.codes.fill(CodeLanes::ZERO);
        self.results.probs.fill(Lanes::ZERO);
        self.results.weights.fill(Lanes::ZERO);
        self.results.log_probs.fill(Lanes::ZERO);
        self.look_up_known::<I>(&all);
        for (k, s) in op.draws.iter().copied().enumerate() {
            let reported = places.probs[s].is_some() || places.weights[s].is_some();
            if !reported && !(0..self.rows).any(|lane| self.is_needed(s, lane)) {
                continue;
            }
            let sub = &op.model.sub_columns[s];
            let log_sums = self.probabilities::<I>(sub);
            let drawn = self.choose::<I>(s);
            self.take::<I>(s, &drawn, &log_sums, &places.spans[k + 1]);
        }
    }
}

impl Draws<'_> {
    #[inline(always)]
    fn cell(&self, s: usize, lane: usize) -> Cell {
        self.cells
            .map_or(Cell::Drawn, |cells| Cell::from_word(cells[s].0[lane]))
    }

    /// Whether the logits of a sub-column are needed for one row.
    #[inline(always)]
    fn is_needed(&self, s: usize, lane: usize) -> bool {
        match self.cell(s, lane) {
            Cell::Drawn | Cell::Given(_) => true,
            Cell::Known(_) | Cell::Hidden => false,
        }
    }

    /// Passes codes through and adds what known ones contribute to the hidden units of all draws.
    #[inline(always)]
    fn look_up_known<I: Isa>(&mut self, span: &Range<usize>) {
        if self.cells.is_none() {
            return;
        }
        for lane in 0..self.rows {
            for (s, sub) in self.op.model.sub_columns.iter().enumerate() {
                let cell = self.cell(s, lane);
                let (Cell::Given(code) | Cell::Known(code)) = cell else {
                    continue;
                };
                let code = self.check.checked(code, s, sub.cardinality);
                self.results.codes[s].0[lane] = code as u32;
                if matches!(cell, Cell::Known(_)) && !span.is_empty() {
                    self.contribute::<I>(sub, lane, code, span);
                }
            }
        }
    }

    /// Fills `probs` with the softmax of the predictor over the rectified hidden units; returns the logarithms of the sums of
    /// exponentials.
    #[inline(always)]
    fn probabilities<I: Isa>(&mut self, sub: &FoldedSubColumn) -> Lanes {
        let (width, hidden) = (sub.hidden.len(), self.op.model.hidden);
        let units = &mut self.units[..width];
        gather_units::<I>(&self.hidden[sub.hidden.start..], hidden, units);
        let weight = &self.folded[sub.head_weight..][..sub.cardinality * width];
        let bias = &self.folded[sub.head_bias..][..sub.cardinality];
        let (logits, probs) = self.probs.split_at_mut(sub.cardinality);
        forward::<I>(units, &[Span { column: 0, width }], weight, width, bias, logits);
        softmax_lanes::<I>(logits, &mut probs[..sub.cardinality])
    }

    /// Draws a code for every row, needed or not, and reports what it is drawn from.
    #[inline(always)]
    fn choose<I: Isa>(&mut self, s: usize) -> CodeLanes {
        let rules = &self.op.rules;
        let cardinality = self.op.model.sub_columns[s].cardinality;
        let probs = &mut self.probs[cardinality..2 * cardinality];
        if let Some(range) = &self.places.probs[s] {
            self.results.probs[range.clone()].copy_from_slice(probs);
        }
        let uniforms = self.uniforms.of::<I>(s);
        // Draws do not need normalised weights, reports do.
        let forbids = !rules.fixed_of(s).is_empty();
        let reported = self.places.weights[s].clone();
        let codes = if rules.only_forbids(s) && !(forbids && reported.is_some()) {
            if forbids {
                forbid(probs, rules, s, self.row);
            }
            draw_lanes::<I>(probs, &uniforms)
        } else {
            draw_by_rules(probs, rules, (s, self.results.codes), &uniforms, self.row)
        };
        if let Some(range) = reported {
            self.results.weights[range].copy_from_slice(probs);
        }
        codes
    }

    /// Takes the drawn or given codes of the rows that need one, and adds what they contribute to the hidden units of later draws.
    #[inline(always)]
    fn take<I: Isa>(&mut self, s: usize, drawn: &CodeLanes, log_sums: &Lanes, span: &Range<usize>) {
        let sub = &self.op.model.sub_columns[s];
        for lane in 0..self.rows {
            let code = match self.cell(s, lane) {
                Cell::Drawn => drawn.0[lane] as usize,
                Cell::Given(_) => self.results.codes[s].0[lane] as usize,
                Cell::Known(_) | Cell::Hidden => continue,
            };
            self.results.codes[s].0[lane] = code as u32;
            if self.op.reports.log_probs {
                self.results.log_probs[s].0[lane] = self.probs[code].0[lane] - log_sums.0[lane];
            }
            if !span.is_empty() {
                self.contribute::<I>(sub, lane, code, span);
            }
        }
    }

    /// Adds what a code of one row contributes to the hidden units in `span`.
    #[inline(always)]
    fn contribute<I: Isa>(&mut self, sub: &FoldedSubColumn, lane: usize, code: usize, span: &Range<usize>) {
        let hidden = self.op.model.hidden;
        let to = &mut self.hidden[lane * hidden + span.start..lane * hidden + span.end];
        let row = |offset: usize| &self.folded[offset + span.start..offset + span.end];
        match sub.contribution {
            Contribution::Table { offset } => add_scaled::<I>(row(offset + code * hidden), None, to),
            Contribution::Factored {
                embedding,
                width,
                offset,
            } => {
                for k in 0..width {
                    let factor = self.folded[embedding + code * width + k];
                    add_scaled::<I>(row(offset + k * hidden), Some(factor), to);
                }
                add_scaled::<I>(row(offset + width * hidden), None, to);
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

fn draw_by_rules(
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
        let cardinality = self.model.cardinalities.max_width();
        ScratchSize {
            lanes: self.widest() + 2 * cardinality,
            numbers: LANES * self.model.hidden + cardinality,
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (set, all_rows, scratch, run) = (cx.set, cx.rows(), cx.scratch, cx.run);
        let count = self.model.cardinalities.len();
        let cells = self.cells_input().map(|i| cx.codes(i, count));
        let uniforms = self.uniforms_input().map(|i| cx.numbers(i, count));
        let folded = cx.take_arena(self.folded);
        let mut codes = cx.take_codes(0);
        // What is not reported has no slot: an empty vector stands for it.
        let widths = self.report_widths();
        let names = self.reports.names();
        let slot = |i: usize| names.iter().position(|n| *n == REPORTS[i]);
        let mut reports = [0, 1, 2].map(|i| slot(i).map_or_else(Vec::new, |slot| cx.take_numbers(slot)));
        let to_codes = Shared::new(&mut codes);
        let to_reports = reports.each_mut().map(|r| Shared::new(r));
        let (check, places, widest) = (CodeCheck::new(), Places::new(self), self.widest());
        cx.parallel(cx.blocks(), |block| {
            // SAFETY: each task writes its own block.
            let part = |i: usize| unsafe { to_reports[i].part(block * widths[i]..(block + 1) * widths[i]) };
            let results = Results {
                // SAFETY: as above.
                codes: unsafe { to_codes.part(block * count..(block + 1) * count) },
                probs: part(0),
                weights: part(1),
                log_probs: part(2),
            };
            let first_row = run.first_row + (block * LANES) as u64;
            let uniforms = match uniforms {
                Some(lanes) => Uniforms::Given(block_of(lanes, block, count)),
                None => Uniforms::Drawn {
                    stream: Self::stream(&run),
                    first_row,
                },
            };
            let cells = cells.map(|c| block_of(c, block, count));
            scratch.with(|s| {
                let (units, probs) = s.lanes.split_at_mut(widest);
                let (hidden, row) = s.numbers.split_at_mut(LANES * self.model.hidden);
                let (folded, rows, check) = (&folded, valid(all_rows, block), &check);
                let (op, places) = (self, &places);
                set.dispatch(Draws {
                    op,
                    places,
                    folded,
                    rows,
                    cells,
                    uniforms,
                    check,
                    results,
                    hidden,
                    units,
                    probs,
                    row,
                });
            });
        });
        cx.put_arena(self.folded, folded);
        cx.put(0, Value::Codes(codes));
        for (i, report) in reports.into_iter().enumerate() {
            if let Some(slot) = slot(i) {
                cx.put(slot, Value::Numbers(report));
            }
        }
        check.finish(|s| self.model.cardinalities.width(s))
    }
}

/// Reported numbers under the names of their results.
const REPORTS: [&str; 3] = ["probs", "weights", "log_probs"];

/// What the kernel asks of its op.
trait Extent {
    /// Most hidden units of a sub-column.
    fn widest(&self) -> usize;

    /// Columns of each of [`REPORTS`].
    fn report_widths(&self) -> [usize; 3];
}

impl Extent for OrderedSample {
    fn widest(&self) -> usize {
        let widths = self.model.sub_columns.iter().map(|s| s.hidden.len());
        widths.max().unwrap_or(0)
    }

    fn report_widths(&self) -> [usize; 3] {
        let width = |reported: &[usize]| self.reported(reported).total();
        let log_probs = usize::from(self.reports.log_probs) * self.model.cardinalities.len();
        [
            width(&self.reports.probs),
            width(&self.reports.weights),
            log_probs,
        ]
    }
}
