//! Where batches come from: rows of the encoded table that lies on the device, the ends of their sequences, and the column order of the
//! step.

use std::any::Any;

use crate::ir::access::Access;
use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::{GradError, Gradient, Op};
use crate::ir::resource::{Resource, ResourceId, ResourceKind};
use crate::ir::run::Run;
use crate::ir::shape::{Rows, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;
use crate::random::{Permutation, Purpose, Stream};

/// Which rows make a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Shuffled without replacement, anew each epoch: step t takes positions `(t mod steps) rows ..` of permutation
    /// `t div steps`. Rows beyond the last full batch sit an epoch out.
    Shuffled {
        /// Steps of an epoch.
        steps_per_epoch: u32,
    },
    /// Rows `first_row ..` in order, one batch after another.
    Sequential,
}

impl Reading {
    /// The table row at position `b` of the batch of a single step, in a table of `len` rows.
    pub fn row(self, run: &Run, b: u32, len: usize) -> usize {
        match self {
            Self::Sequential => (run.first_row + u64::from(b)) as usize,
            Self::Shuffled { steps_per_epoch } => {
                let steps = steps_per_epoch.max(1);
                let (epoch, step) = (run.first_step / steps, run.first_step % steps);
                let position = u64::from(step) * u64::from(run.rows) + u64::from(b);
                self.permutation(run.seed, epoch, len).get(position) as usize
            }
        }
    }

    /// Rows that a table must have for a run.
    pub fn rows_needed(self, run: &Run) -> u64 {
        if run.rows == 0 {
            return 0;
        }
        let rows = u64::from(run.rows);
        match self {
            Self::Sequential => run.first_row + rows * u64::from(run.steps),
            Self::Shuffled { steps_per_epoch } => {
                let last_step = u64::from(run.first_step) + u64::from(run.steps);
                last_step.min(u64::from(steps_per_epoch.max(1))) * rows
            }
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Shuffled { steps_per_epoch } => format!("shuffled, {steps_per_epoch} steps an epoch"),
            Self::Sequential => "sequential".to_owned(),
        }
    }

    fn permutation(self, seed: u64, epoch: u32, len: usize) -> Permutation {
        Permutation::new(Stream::new(seed, Purpose::Shuffle, 0), epoch, len as u64)
    }
}

/// `codes[b, s] = table[row of b, s]`
///
/// nothing -> codes `u32[B, S]`.
#[derive(Debug, Clone)]
pub struct GatherRows {
    /// The encoded table.
    pub table: ResourceId,
    /// Number of sub-columns.
    pub columns: usize,
    /// Which rows.
    pub reading: Reading,
}

/// `y[b, k] = x[b, k]` in time steps before the end of the sequence, 0 behind it; its own gradient
///
/// x `f32[B, W]` -> y `f32[B, W]`; the lengths are unsigned integers, one for each row of a table, in time steps.
#[derive(Debug, Clone)]
pub struct MaskRows {
    /// Lengths of all sequences.
    pub lengths: ResourceId,
    /// Which of them make the batch.
    pub reading: Reading,
}

impl MaskRows {
    /// Whether row `row` of a value lies before the end of its sequence.
    pub fn keeps(&self, run: &Run, row: usize, lengths: &[u32]) -> bool {
        let place = run.place(row);
        place.time < lengths[self.reading.row(run, place.batch_row, lengths.len())]
    }
}

/// How a column order comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderDraw {
    /// A uniform random permutation for each step.
    Training,
    /// A uniform random permutation for each step, from other random numbers than training; the same in every epoch.
    Validation,
    /// Columns in model order.
    Fixed,
}

/// `ranks[c] = position of column c in the column order of this step`
///
/// nothing -> ranks `u32[1, C]`.
#[derive(Debug, Clone)]
pub struct ColumnOrder {
    /// Number of columns.
    pub columns: usize,
    /// How the order comes about.
    pub draw: OrderDraw,
}

impl ColumnOrder {
    /// The ranks of one step: columns sorted by random 64-bit keys, ties by index.
    pub fn ranks(&self, seed: u64, step: u32) -> Vec<u32> {
        let mut ranks = vec![0; self.columns];
        self.fill_ranks(seed, step, &mut Vec::with_capacity(self.columns), &mut ranks);
        ranks
    }

    /// As [`Self::ranks`], into `ranks`; `keys` is scratch memory that is kept between steps.
    pub fn fill_ranks(&self, seed: u64, step: u32, keys: &mut Vec<(u32, u32, u32)>, ranks: &mut [u32]) {
        let purpose = match self.draw {
            OrderDraw::Training => Purpose::Order,
            OrderDraw::Validation => Purpose::ValidationOrder,
            OrderDraw::Fixed => {
                ranks.iter_mut().zip(0..).for_each(|(rank, c)| *rank = c);
                return;
            }
        };
        let stream = Stream::new(seed, purpose, 0);
        keys.clear();
        keys.extend((0..self.columns as u32).map(|c| {
            let [a, b, ..] = stream.block(step, 0, c);
            (a, b, c)
        }));
        keys.sort_unstable();
        for (rank, (_, _, c)) in keys.iter().enumerate() {
            ranks[*c as usize] = rank as u32;
        }
    }
}

impl Op for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn attributes(&self) -> String {
        self.reading.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 0)?;
        let resource = &resources[self.table.index()];
        if resource.kind
            != (ResourceKind::Codes {
                columns: self.columns,
            })
        {
            let expected = "the codes of as many sub-columns as are gathered";
            return Err(ShapeError::Resource {
                resource: resource.name.clone(),
                expected,
            });
        }
        Ok(vec![Shape::codes(self.columns)])
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads(self.table)]
    }

    fn rows_read(&self, run: &Run) -> Option<(ResourceId, u64)> {
        Some((self.table, self.reading.rows_needed(run)))
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (table, rows) = (cx.codes(self.table)?, Rows::Batch.count(&cx.run));
        let mut codes = Tensor::zeros(rows, self.columns);
        for b in 0..rows {
            let row = self.reading.row(&cx.run, b as u32, table.rows());
            for s in 0..self.columns {
                codes.set(b, s, f64::from(table.get(row, s)), 0.0);
            }
        }
        Ok(vec![codes])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for MaskRows {
    fn name(&self) -> &'static str {
        "mask_rows"
    }

    fn attributes(&self) -> String {
        self.reading.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let shape = Shape::f32(rows_of(inputs, 0), inputs[0].groups.clone());
        expect_shape(inputs, 0, "x", &shape)?;
        let resource = &resources[self.lengths.index()];
        if resource.kind != ResourceKind::U32 {
            return Err(ShapeError::Resource {
                resource: resource.name.clone(),
                expected: "unsigned integers",
            });
        }
        Ok(vec![shape])
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads(self.lengths)]
    }

    fn rows_read(&self, run: &Run) -> Option<(ResourceId, u64)> {
        Some((self.lengths, self.reading.rows_needed(run)))
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (x, lengths) = (cx.inputs[0], cx.u32(self.lengths)?);
        let mut y = Tensor::zeros(x.rows, x.width);
        for row in (0..x.rows).filter(|row| self.keeps(&cx.run, *row, lengths)) {
            (0..x.width).for_each(|k| y.add(row, k, x.at(row, k)));
        }
        Ok(vec![y])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad_output) = cx.grad_output(0) else {
            return Ok(());
        };
        let grad_x = cx.emit(self.clone(), &[grad_output])?[0];
        cx.accumulate(0, grad_x)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for ColumnOrder {
    fn name(&self) -> &'static str {
        "column_order"
    }

    fn attributes(&self) -> String {
        match self.draw {
            OrderDraw::Training => "random",
            OrderDraw::Validation => "random, the same every epoch",
            OrderDraw::Fixed => "fixed",
        }
        .to_owned()
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 0)?;
        Ok(vec![Shape::ranks(self.columns)])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let ranks = self.ranks(cx.run.seed, cx.run.first_step);
        Ok(vec![Tensor::from_data(
            1,
            self.columns,
            ranks.into_iter().map(f64::from).collect(),
        )])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_row_at_most_once_and_the_next_one_differs() {
        let reading = Reading::Shuffled { steps_per_epoch: 3 };
        let rows_of = |step| {
            let run = Run {
                seed: 4,
                first_step: step,
                ..Run::evaluate(5)
            };
            (0..5).map(|b| reading.row(&run, b, 17)).collect::<Vec<_>>()
        };
        let mut seen: Vec<usize> = (0..3).flat_map(rows_of).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 15);
        assert_ne!(rows_of(0), rows_of(3));
    }

    #[test]
    fn a_run_needs_the_rows_that_it_reads() {
        let run = Run {
            first_row: 7,
            first_step: 2,
            steps: 3,
            ..Run::evaluate(5)
        };
        let shuffled = |steps_per_epoch| Reading::Shuffled { steps_per_epoch };
        assert_eq!(Reading::Sequential.rows_needed(&run), 22);
        assert_eq!(shuffled(4).rows_needed(&run), 20);
        assert_eq!(shuffled(9).rows_needed(&run), 25);
        assert_eq!(shuffled(9).rows_needed(&Run::evaluate(0)), 0);
    }

    #[test]
    fn orders_are_uniform_permutations() {
        let order = ColumnOrder {
            columns: 4,
            draw: OrderDraw::Training,
        };
        let mut counts = [0u32; 4];
        for step in 0..8000 {
            let ranks = order.ranks(11, step);
            let mut sorted = ranks.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            counts[ranks[2] as usize] += 1;
        }
        assert!(counts.iter().all(|c| (1_850..2_150).contains(c)), "{counts:?}");
        assert_eq!(
            ColumnOrder {
                columns: 3,
                draw: OrderDraw::Fixed
            }
            .ranks(1, 9),
            [0, 1, 2]
        );
    }
}
