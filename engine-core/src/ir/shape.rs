//! Shapes: symbolic rows, ragged groups of columns, and an element type.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::run::Run;

/// Offset and width of each group (usually one per sub-column) in a ragged matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    ends: Arc<[usize]>,
}

impl Groups {
    /// Groups side by side with the given widths (zero is allowed).
    pub fn from_widths(widths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let ends = widths.into_iter().map(|w| {
            end += w;
            end
        });
        Self { ends: ends.collect() }
    }

    /// One group of `width` columns.
    pub fn single(width: usize) -> Self {
        Self::from_widths([width])
    }

    /// `count` groups of one column each.
    pub fn ones(count: usize) -> Self {
        Self::from_widths(std::iter::repeat_n(1, count))
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// First column of group `g`.
    pub fn offset(&self, g: usize) -> usize {
        if g == 0 { 0 } else { self.ends[g - 1] }
    }

    /// Width of group `g`.
    pub fn width(&self, g: usize) -> usize {
        self.ends[g] - self.offset(g)
    }

    /// Columns of group `g`.
    pub fn range(&self, g: usize) -> Range<usize> {
        self.offset(g)..self.ends[g]
    }

    /// Columns of all groups together.
    pub fn total(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Widths in order.
    pub fn widths(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        (0..self.len()).map(|g| self.width(g))
    }

    /// The widest group, 0 when there are none.
    pub fn max_width(&self) -> usize {
        self.widths().max().unwrap_or(0)
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len() {
            1 => write!(f, "{}", self.total()),
            n => write!(f, "{} in {n} groups", self.total()),
        }
    }
}

/// How many rows a value has: a symbol until the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rows {
    /// One row per row of the batch.
    Batch,
    /// One row per row of the batch and time step, time-major: row `t * batch + b` is time step t of batch row b, so that one step of
    /// all sequences is a contiguous slice.
    BatchTime,
    /// A single row, shared by the whole batch.
    One,
}

impl Rows {
    /// Number of rows in a given run.
    pub fn count(self, run: &Run) -> usize {
        match self {
            Self::Batch => run.rows as usize,
            Self::BatchTime => run.rows as usize * run.time as usize,
            Self::One => 1,
        }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Batch => "B",
            Self::BatchTime => "T*B",
            Self::One => "1",
        })
    }
}

/// Element type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// Single precision numbers.
    F32,
    /// Codes, ranks and other counts.
    U32,
}

/// Shape of a value: rows, groups of columns, element type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Symbolic number of rows.
    pub rows: Rows,
    /// Columns, in groups.
    pub groups: Groups,
    /// Element type.
    pub dtype: DType,
}

impl Shape {
    /// Single precision, `rows` rows.
    pub fn f32(rows: Rows, groups: Groups) -> Self {
        Self {
            rows,
            groups,
            dtype: DType::F32,
        }
    }

    /// Codes, `rows` rows, one column per sub-column.
    pub fn u32(rows: Rows, sub_columns: usize) -> Self {
        Self {
            rows,
            groups: Groups::ones(sub_columns),
            dtype: DType::U32,
        }
    }

    /// Single precision, one row per row of the batch.
    pub fn batch(groups: Groups) -> Self {
        Self::f32(Rows::Batch, groups)
    }

    /// Codes, one row per row of the batch, one column per sub-column.
    pub fn codes(sub_columns: usize) -> Self {
        Self::u32(Rows::Batch, sub_columns)
    }

    /// Ranks of `columns` columns in the column order, shared by the batch.
    pub fn ranks(columns: usize) -> Self {
        Self::u32(Rows::One, columns)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = match self.dtype {
            DType::F32 => "f32",
            DType::U32 => "u32",
        };
        write!(f, "{dtype}[{}, {}]", self.rows, self.groups)
    }
}

/// Why an op does not accept its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Wrong number of inputs.
    #[error("takes {expected} inputs, got {got}")]
    InputCount {
        /// Number it takes.
        expected: usize,
        /// Number it got.
        got: usize,
    },
    /// An input has the wrong total width.
    #[error("input {input} ({role}) must be {expected} wide, is {got}")]
    Width {
        /// Index of the input.
        input: usize,
        /// What the input is.
        role: &'static str,
        /// Width it must have.
        expected: usize,
        /// Width it has.
        got: usize,
    },
    /// The attributes describe different numbers of groups.
    #[error("{role} has {got} groups, {expected} are needed")]
    GroupCount {
        /// What has the wrong number.
        role: &'static str,
        /// Number needed.
        expected: usize,
        /// Number found.
        got: usize,
    },
    /// Sub-columns of one column must follow each other, columns in order.
    #[error(
        "sub-column {sub_column} belongs to column {column}, the one before it to column {before}; columns must rise"
    )]
    ColumnOrder {
        /// The sub-column that is out of order.
        sub_column: usize,
        /// Its column.
        column: usize,
        /// The column of the sub-column before it.
        before: usize,
    },
    /// A parameter has the wrong shape.
    #[error("the {role} of group {group} must be [{}, {}], is [{}, {}]", expected.0, expected.1, got.0, got.1)]
    Parameter {
        /// Weight or bias.
        role: &'static str,
        /// Group it belongs to.
        group: usize,
        /// Shape it must have.
        expected: (usize, usize),
        /// Shape it has.
        got: (usize, usize),
    },
    /// A parameter view ends behind its arena.
    #[error("a parameter of group {group} ends at {end}, the arena at {len}")]
    OutsideArena {
        /// Group it belongs to.
        group: usize,
        /// End of the view.
        end: usize,
        /// Length of the arena.
        len: usize,
    },
    /// Rows or element type do not fit.
    #[error("input {input} ({role}) must be {expected}, is {got}")]
    Kind {
        /// Index of the input.
        input: usize,
        /// What the input is.
        role: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A site of random numbers is too large to leave bits for time steps in their counters.
    #[error("site {site} of its random numbers must be below {limit}")]
    Site {
        /// The site.
        site: u32,
        /// The first site that is too large.
        limit: u32,
    },
    /// A resource is of the wrong kind.
    #[error("resource {resource} must be {expected}")]
    Resource {
        /// Name of the resource.
        resource: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// The rows of an op that works row by row, taken from one of its inputs: those of the batch, with time where the input has time. A
/// single row is not among them; [`expect_shape`] refuses it.
pub(crate) fn rows_of(inputs: &[Shape], input: usize) -> Rows {
    match inputs.get(input).map(|shape| shape.rows) {
        Some(Rows::BatchTime) => Rows::BatchTime,
        _ => Rows::Batch,
    }
}

/// Checks the number of inputs.
pub(crate) fn expect_inputs(inputs: &[Shape], expected: usize) -> Result<(), ShapeError> {
    if inputs.len() == expected {
        Ok(())
    } else {
        Err(ShapeError::InputCount {
            expected,
            got: inputs.len(),
        })
    }
}

/// Checks rows, element type and total width of input `input`.
pub(crate) fn expect_shape(
    inputs: &[Shape],
    input: usize,
    role: &'static str,
    expected: &Shape,
) -> Result<(), ShapeError> {
    let got = &inputs[input];
    if got.rows != expected.rows || got.dtype != expected.dtype {
        return Err(ShapeError::Kind {
            input,
            role,
            expected: expected.to_string(),
            got: got.to_string(),
        });
    }
    if got.groups.total() != expected.groups.total() {
        let (expected, got) = (expected.groups.total(), got.groups.total());
        return Err(ShapeError::Width {
            input,
            role,
            expected,
            got,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_side_by_side() {
        let groups = Groups::from_widths([3, 0, 2]);
        assert_eq!((groups.len(), groups.total(), groups.max_width()), (3, 5, 3));
        assert_eq!(
            (groups.range(0), groups.range(1), groups.range(2)),
            (0..3, 3..3, 3..5)
        );
        assert_eq!(Groups::from_widths([]).total(), 0);
        assert_eq!(Shape::batch(groups).to_string(), "f32[B, 5 in 3 groups]");
    }

    #[test]
    fn rows_with_time_are_counted_and_printed_as_such() {
        let run = Run {
            time: 7,
            ..Run::evaluate(3)
        };
        let counts = [Rows::One, Rows::Batch, Rows::BatchTime].map(|rows| rows.count(&run));
        assert_eq!(counts, [1, 3, 21]);
        let shape = Shape::f32(Rows::BatchTime, Groups::single(4));
        assert_eq!(shape.to_string(), "f32[T*B, 4]");
    }
}
