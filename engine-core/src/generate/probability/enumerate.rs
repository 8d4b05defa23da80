//! Teacher-forced scores of combinations of codes, and sums over columns that a fixed-order model cannot leave out.

use super::super::loaded::LoadedModel;
use super::super::plan::{DrawSite, Drawn, SamplePlan};
use super::super::{Cells, GenerateError};
use crate::ir::ops::sampling::Cell;
use crate::random::{Purpose, Stream};

/// Rows that are scored at once.
const CHUNK: usize = 8_192;
/// Separates the draws of left-out columns from those of rows.
const SITE: u32 = 2;

/// Counts through the combinations of codes of some sub-columns, the last one fastest.
#[derive(Debug, Clone)]
pub(super) struct JointSupport {
    pub(super) sub_columns: Vec<usize>,
    cardinalities: Vec<usize>,
}

impl JointSupport {
    pub(super) fn new(model: &LoadedModel, sub_columns: Vec<usize>) -> Self {
        Self {
            cardinalities: sub_columns.iter().map(|s| model.cardinality(*s)).collect(),
            sub_columns,
        }
    }

    /// How many there are; the largest number when there are more.
    pub(super) fn count(&self) -> usize {
        self.cardinalities
            .iter()
            .fold(1, |n: usize, v| n.saturating_mul(*v))
    }

    /// The codes of combination `i`, with their sub-columns.
    pub(super) fn codes(&self, mut i: usize) -> Vec<(usize, u32)> {
        let mut codes = Vec::with_capacity(self.sub_columns.len());
        for (s, v) in self.sub_columns.iter().zip(&self.cardinalities).rev() {
            codes.push((*s, (i % v) as u32));
            i /= v;
        }
        codes.reverse();
        codes
    }

    /// Number of a combination of codes, in the order of the sub-columns.
    pub(super) fn number(&self, codes: &[u32]) -> usize {
        let digits = codes.iter().zip(&self.cardinalities);
        digits.fold(0, |n, (code, v)| n * v + *code as usize)
    }

    /// Whether the codes of combination `i` stand for themselves: beside a null flag of 1 only one null_fill does.
    pub(super) fn is_valid(&self, model: &LoadedModel, i: usize) -> bool {
        let codes = self.codes(i);
        let code_of = |s: usize| codes.iter().find(|(other, _)| *other == s).map(|(_, code)| *code);
        codes
            .iter()
            .all(|(s, code)| match null_flag(model, *s).filter(|flag| flag != s) {
                Some(flag) if code_of(flag) == Some(1) => *code == model.null_fill(*s),
                _ => true,
            })
    }
}

fn null_flag(model: &LoadedModel, s: usize) -> Option<usize> {
    let column = model.columns().iter().position(|c| c.contains(&s))?;
    model.null_flag(column)
}

/// Sum of the logarithms of the given codes of each row. Beside a null flag of 1 the other sub-columns do not count: they
/// mean nothing.
pub(super) fn row_scores(model: &LoadedModel, drawn: &Drawn, cells: &Cells) -> Vec<f64> {
    let count = model.sub_columns();
    let score = |row: usize| {
        let logs = &drawn.log_probs[row * count..(row + 1) * count];
        let mut sum = 0.0;
        for (column, range) in model.columns().iter().enumerate() {
            let is_given = |s: usize| matches!(cells.get(row, s), Cell::TeacherForced(_));
            let flag = model.null_flag(column);
            let is_null = flag.is_some_and(|f| is_given(f) && drawn.codes[row * count + f] == 1);
            let counted = range
                .clone()
                .filter(|s| is_given(*s) && (!is_null || Some(*s) == flag));
            sum += counted.map(|s| f64::from(logs[s])).sum::<f64>();
        }
        sum
    };
    (0..cells.rows()).map(score).collect()
}

/// Collects rows to be scored and scores many at once.
pub(super) struct Scorer<'m> {
    model: &'m LoadedModel,
    plan: &'m SamplePlan,
    words: Vec<u32>,
    /// Uniform numbers of the draws, where they are given.
    uniforms: Vec<f32>,
    scores: Vec<f64>,
}

impl<'m> Scorer<'m> {
    pub(super) fn new(model: &'m LoadedModel, plan: &'m SamplePlan) -> Self {
        Self {
            model,
            plan,
            words: Vec::new(),
            uniforms: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Adds a row with further codes given.
    pub(super) fn push(
        &mut self,
        base: &[u32],
        codes: impl IntoIterator<Item = (usize, u32)>,
        uniforms: &[f32],
    ) -> Result<(), GenerateError> {
        let first = self.words.len();
        self.words.extend_from_slice(base);
        for (s, code) in codes {
            self.words[first + s] = Cell::TeacherForced(code).to_bits();
        }
        self.uniforms.extend_from_slice(uniforms);
        if self.words.len() < CHUNK * base.len() {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), GenerateError> {
        let cells = Cells::from_words(self.model.sub_columns(), std::mem::take(&mut self.words));
        let uniforms = std::mem::take(&mut self.uniforms);
        let uniforms = (!uniforms.is_empty()).then_some(&uniforms[..]);
        let drawn = self
            .model
            .run_batches(self.plan, &cells, uniforms, DrawSite::default())?;
        self.scores.extend(row_scores(self.model, &drawn, &cells));
        Ok(())
    }

    /// The scores of all rows in the order in which they were added.
    pub(super) fn finish(mut self) -> Result<Vec<f64>, GenerateError> {
        self.flush()?;
        Ok(self.scores)
    }
}

/// A row of a query in which observed cells are teacher-forced; the others become `rest(sub-column)`.
pub(super) fn given_row(known: &Cells, row: usize, rest: impl Fn(usize) -> Cell) -> Vec<u32> {
    let word = |(s, word): (usize, &u32)| match Cell::from_bits(*word) {
        Cell::Observed(code) => Cell::TeacherForced(code).to_bits(),
        _ => rest(s).to_bits(),
    };
    known.row(row).iter().enumerate().map(word).collect()
}

/// Uniform numbers of one draw of what a row does not observe.
pub(super) fn draw_uniforms(seed: u64, row: u64, draw: u32, sub_columns: usize) -> Vec<f32> {
    let stream = Stream::new(seed, Purpose::Draw, SITE + draw);
    let number = |s| one_below(stream.uniform(row, s));
    (0..sub_columns as u32).map(number).collect()
}

/// A number below 1 in single precision.
fn one_below(uniform: f64) -> f32 {
    (uniform as f32).min(1.0 - f32::EPSILON / 2.0)
}

/// The logarithm of the sum of exponentials.
pub(super) fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return max;
    }
    max + logs.map(|l| (l - max).exp()).sum::<f64>().ln()
}
