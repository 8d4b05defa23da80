//! Ancestral sampling: one task draws all sub-columns of a block of rows without leaving its scratch memory.

mod context;
mod rules;

use std::ops::Range;

use engine_core::backend::{BackendError, Run};
use engine_core::ir::Op;
use engine_core::ir::ops::sampling::{Cell, OrderedSample};
use engine_core::random::Stream;

use super::embedding::CodeCheck;
use super::linear::{Span, forward};
use super::softmax::{log_sum_lanes, softmax_lanes};
use context::{ContextAccumulator, rectified_units};
use rules::{draw_by_rules, draw_lanes, forbid};

use crate::isa::{Isa, Kernel, WIDTH, uniform_lanes};
use crate::kernels::kernel::{Context, CpuKernel, as_op, block_of};
use crate::lanes::{CodeLanes, LANES, Lanes, valid};
use crate::scratch::ScratchSize;
use crate::shared::Shared;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    as_op::<OrderedSample>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

/// Where the uniform numbers of a block come from.
#[derive(Clone, Copy)]
enum Uniforms<'a> {
    Given(&'a [Lanes]),
    /// Of rows that follow each other within one time step.
    Philox {
        stream: Stream,
        first_row: u64,
        time: u32,
    },
    /// Of rows from `first` on, which belong to several time steps.
    Timed {
        run: Run,
        first: usize,
    },
}

impl Uniforms<'_> {
    /// Those that a block draws.
    fn drawn(run: &Run, block: usize, all_rows: usize) -> Self {
        let first = block * LANES;
        let last = first + valid(all_rows, block).max(1) - 1;
        let (from, to) = (run.place(first), run.place(last));
        if from.time != to.time {
            return Self::Timed { run: *run, first };
        }
        Self::Philox {
            stream: OrderedSample::stream(run),
            first_row: run.global_row(from.batch_row),
            time: from.time,
        }
    }

    #[inline(always)]
    fn of<I: Isa>(&self, sub_column: usize) -> Lanes {
        match self {
            Self::Given(lanes) => lanes[sub_column],
            Self::Philox {
                stream,
                first_row,
                time,
            } => uniform_lanes::<I>(stream, *first_row, *time, sub_column as u32),
            Self::Timed { run, first } => Lanes(std::array::from_fn(|lane| {
                OrderedSample::uniform_of(run, first + lane, sub_column)
            })),
        }
    }
}

/// Where the results of one block go; what is not requested is empty.
struct Results<'a> {
    codes: &'a mut [CodeLanes],
    probs: &'a mut [Lanes],
    weights: &'a mut [Lanes],
    log_probs: &'a mut [Lanes],
}

/// All draws of one block.
struct Draws<'a> {
    op: &'a OrderedSample,
    output_columns: &'a OutputColumns,
    folded: &'a [f32],
    rows: usize,
    cells: Option<&'a [CodeLanes]>,
    uniforms: Uniforms<'a>,
    check: &'a CodeCheck,
    results: Results<'a>,
    /// What the observed and drawn codes of each row add to hidden units.
    context: ContextAccumulator<'a>,
    /// Hidden units of one draw, row by row.
    hidden: &'a mut [f32],
    /// The same rectified, feature-major.
    units: &'a mut [Lanes],
    /// Logits and probabilities of one draw, feature-major.
    probs: &'a mut [Lanes],
    /// Weights of one row.
    row: &'a mut [f32],
}

/// Columns of each sub-column in the requested outputs.
struct OutputColumns {
    probs: Vec<Option<Range<usize>>>,
    weights: Vec<Option<Range<usize>>>,
}

impl OutputColumns {
    fn new(op: &OrderedSample) -> Self {
        let of = |requested: &[usize]| {
            let groups = op.requested_groups(requested);
            let mut columns = vec![None; op.model.sub_columns.len()];
            for (i, s) in requested.iter().enumerate() {
                columns[*s] = Some(groups.range(i));
            }
            columns
        };
        Self {
            probs: of(&op.requested.probs),
            weights: of(&op.requested.weights),
        }
    }
}

impl Kernel for Draws<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        self.results.codes.fill(CodeLanes::ZERO);
        self.results.probs.fill(Lanes::ZERO);
        self.results.weights.fill(Lanes::ZERO);
        self.results.log_probs.fill(Lanes::ZERO);
        self.context.counts.fill([0; 2]);
        self.look_up_observed();
        for s in self.op.draws.iter().copied() {
            let requested =
                self.output_columns.probs[s].is_some() || self.output_columns.weights[s].is_some();
            let (mut needed, mut drawn) = (requested, requested);
            for lane in 0..self.rows {
                let cell = self.cell(s, lane);
                drawn |= cell == Cell::Sampled;
                needed |= matches!(cell, Cell::Sampled | Cell::TeacherForced(_));
            }
            if !needed {
                continue;
            }
            let sub = &self.op.model.sub_columns[s];
            self.logits::<I>(s, requested);
            let (logits, probs) = self.probs.split_at_mut(sub.cardinality);
            if drawn {
                let log_sums = softmax_lanes::<I>(logits, &mut probs[..sub.cardinality]);
                let codes = self.choose::<I>(s);
                self.take(s, &codes, &log_sums);
            } else {
                // Teacher-forced codes need no draw.
                let log_sums = log_sum_lanes::<I>(logits);
                self.take(s, &CodeLanes::ZERO, &log_sums);
            }
        }
    }
}

impl Draws<'_> {
    #[inline(always)]
    fn cell(&self, s: usize, lane: usize) -> Cell {
        self.cells
            .map_or(Cell::Sampled, |cells| Cell::from_bits(cells[s].0[lane]))
    }

    /// Whether the logits of a sub-column are needed for one row.
    #[inline(always)]
    fn is_needed(&self, s: usize, lane: usize) -> bool {
        match self.cell(s, lane) {
            Cell::Sampled | Cell::TeacherForced(_) => true,
            Cell::Observed(_) | Cell::Masked => false,
        }
    }

    /// Passes codes through; all draws are conditioned on the observed ones.
    #[inline(always)]
    fn look_up_observed(&mut self) {
        if self.cells.is_none() {
            return;
        }
        for lane in 0..self.rows {
            for (s, sub) in self.op.model.sub_columns.iter().enumerate() {
                let cell = self.cell(s, lane);
                let (Cell::TeacherForced(code) | Cell::Observed(code)) = cell else {
                    continue;
                };
                let code = self.check.checked(code, s, sub.cardinality);
                self.results.codes[s].0[lane] = code as u32;
                if matches!(cell, Cell::Observed(_)) {
                    self.context.add(self.op, lane, s, code);
                }
            }
        }
    }

    /// Fills the front of `probs` with the logits of a sub-column: the predictor over the rectified hidden units of all rows, or of those
    /// that need them.
    #[inline(always)]
    fn logits<I: Isa>(&mut self, s: usize, of_all: bool) {
        let sub = &self.op.model.sub_columns[s];
        let width = sub.hidden.len();
        let stride = width.next_multiple_of(WIDTH);
        for lane in 0..self.rows {
            if of_all || self.is_needed(s, lane) {
                let to = &mut self.hidden[lane * stride..(lane + 1) * stride];
                self.context
                    .sum::<I>(self.op, self.folded, lane, sub.hidden.start, to);
            }
        }
        let units = &mut self.units[..stride];
        rectified_units::<I>(self.hidden, stride, units);
        let weight = &self.folded[sub.head_weight..][..sub.cardinality * width];
        let bias = &self.folded[sub.head_bias..][..sub.cardinality];
        let logits = &mut self.probs[..sub.cardinality];
        forward::<I>(
            &units[..width],
            &[Span { column: 0, width }],
            weight,
            width,
            bias,
            logits,
        );
    }

    /// Draws a code for every row, needed or not, and stores the requested probabilities and weights.
    #[inline(always)]
    fn choose<I: Isa>(&mut self, s: usize) -> CodeLanes {
        let rules = &self.op.rules;
        let cardinality = self.op.model.sub_columns[s].cardinality;
        let probs = &mut self.probs[cardinality..2 * cardinality];
        if let Some(range) = &self.output_columns.probs[s] {
            self.results.probs[range.clone()].copy_from_slice(probs);
        }
        let uniforms = self.uniforms.of::<I>(s);
        // Draws do not need normalised weights, requested outputs do.
        let forbids = !rules.fixed_of(s).is_empty();
        let requested = self.output_columns.weights[s].clone();
        let codes = if rules.only_forbids(s) && !(forbids && requested.is_some()) {
            if forbids {
                forbid(probs, rules, s, self.row);
            }
            draw_lanes::<I>(probs, &uniforms)
        } else {
            draw_by_rules(probs, rules, (s, self.results.codes), &uniforms, self.row)
        };
        if let Some(range) = requested {
            self.results.weights[range].copy_from_slice(probs);
        }
        codes
    }

    /// Takes the drawn or teacher-forced codes of the rows that need one; later draws are conditioned on them.
    #[inline(always)]
    fn take(&mut self, s: usize, drawn: &CodeLanes, log_sums: &Lanes) {
        for lane in 0..self.rows {
            let code = match self.cell(s, lane) {
                Cell::Sampled => drawn.0[lane] as usize,
                Cell::TeacherForced(_) => self.results.codes[s].0[lane] as usize,
                Cell::Observed(_) | Cell::Masked => continue,
            };
            self.results.codes[s].0[lane] = code as u32;
            if self.op.requested.log_probs {
                self.results.log_probs[s].0[lane] = self.probs[code].0[lane] - log_sums.0[lane];
            }
            self.context.add(self.op, lane, s, code);
        }
    }
}

impl CpuKernel for OrderedSample {
    fn scratch(&self) -> ScratchSize {
        let cardinality = self.model.cardinalities.max_width();
        ScratchSize {
            lanes: self.widest() + 2 * cardinality,
            floats: LANES * self.widest() + cardinality,
            offsets: LANES * self.model.sub_columns.len(),
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (set, all_rows, scratch, run) = (cx.set, cx.rows(), cx.scratch, cx.run);
        let count = self.model.cardinalities.len();
        let cells = self.cells_input().map(|i| cx.code_input(i, count));
        let uniforms = self.uniforms_input().map(|i| cx.f32_input(i, count));
        let (widths, names) = (self.requested_widths(), self.requested.names());
        let requested = REQUESTED.map(|name| names.iter().position(|n| *n == name));
        let (check, output_columns, widest) = (CodeCheck::new(), OutputColumns::new(self), self.widest());
        cx.with_arenas([self.folded], |cx, [folded]| {
            cx.with_codes(|cx, codes| {
                cx.with_outputs(requested, |cx, outputs| {
                    let (to_codes, to_outputs) = (Shared::new(codes), outputs.map(Shared::new));
                    cx.parallel(cx.blocks(), |block| {
                        // SAFETY: each task writes its own block.
                        let part = |i: usize| unsafe {
                            to_outputs[i].part(block * widths[i]..(block + 1) * widths[i])
                        };
                        let results = Results {
                            // SAFETY: as above.
                            codes: unsafe { to_codes.part(block * count..(block + 1) * count) },
                            probs: part(0),
                            weights: part(1),
                            log_probs: part(2),
                        };
                        let uniforms = match uniforms {
                            Some(lanes) => Uniforms::Given(block_of(lanes, block, count)),
                            None => Uniforms::drawn(&run, block, all_rows),
                        };
                        let cells = cells.map(|c| block_of(c, block, count));
                        let rows = valid(all_rows, block);
                        scratch.with(|s| {
                            let (units, probs) = s.lanes.split_at_mut(widest);
                            let (hidden, row) = s.floats.split_at_mut(LANES * widest);
                            let (offsets, counts) = (&mut s.offsets[..LANES * count], &mut [[0; 2]; LANES]);
                            set.dispatch(Draws {
                                op: self,
                                output_columns: &output_columns,
                                folded,
                                rows,
                                cells,
                                uniforms,
                                check: &check,
                                results,
                                context: ContextAccumulator { offsets, counts },
                                hidden,
                                units,
                                probs,
                                row,
                            });
                        });
                    });
                });
            });
        });
        check.finish(|s| self.model.cardinalities.width(s))
    }
}

/// Requested outputs beside the codes, by name.
const REQUESTED: [&str; 3] = ["probs", "weights", "log_probs"];

/// Sizes that the kernel derives from its op.
trait Extent {
    /// Most hidden units of a sub-column, in whole registers.
    fn widest(&self) -> usize;

    /// Width of each of [`REQUESTED`].
    fn requested_widths(&self) -> [usize; 3];
}

impl Extent for OrderedSample {
    fn widest(&self) -> usize {
        let widths = self.model.sub_columns.iter().map(|s| s.hidden.len());
        widths.max().unwrap_or(0).next_multiple_of(WIDTH)
    }

    fn requested_widths(&self) -> [usize; 3] {
        let width = |requested: &[usize]| self.requested_groups(requested).total();
        let log_probs = usize::from(self.requested.log_probs) * self.model.cardinalities.len();
        [
            width(&self.requested.probs),
            width(&self.requested.weights),
            log_probs,
        ]
    }
}
