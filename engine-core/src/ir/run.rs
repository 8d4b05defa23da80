//! The scalars of a run of a program.

/// Scalars of a run, the same for every device. A run executes the program `steps` times; all random numbers and all
/// per-step quantities follow from these.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Run {
    /// Seed of every random number.
    pub seed: u64,
    /// Global number of the first row (sequential reading, draws).
    pub first_row: u64,
    /// Number of the first step.
    pub first_step: u32,
    /// How many steps to run.
    pub steps: u32,
    /// Rows of a batch.
    pub rows: u32,
    /// Time steps of a batch, 1 for flat data. A value with time is time-major: row `t * rows + b` is time step t of batch row b.
    pub time: u32,
    /// Learning rate of these steps.
    pub learning_rate: f32,
    /// Number of the first time step, 0 for flat data: a caller that computes a sequence step by step counts it up.
    pub first_time: u32,
}

/// Time steps that a sequence may have: addresses of random numbers hold the number of a time step in 16 bits.
pub const MAX_TIME: u64 = 1 << 16;

/// Batch row and time step of a row of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPlace {
    /// Row of the batch.
    pub batch_row: u32,
    /// Number of the time step, counted from the first of the sequence; 0 for flat data.
    pub time: u32,
}

const _: () = {
    assert!(size_of::<Run>() == 40);
    assert!(std::mem::offset_of!(Run, first_row) == 8);
    assert!(std::mem::offset_of!(Run, first_step) == 16);
    assert!(std::mem::offset_of!(Run, time) == 28);
    assert!(std::mem::offset_of!(Run, learning_rate) == 32);
    assert!(std::mem::offset_of!(Run, first_time) == 36);
};

impl Run {
    /// One step over `rows` rows with seed 0: an evaluation.
    pub fn evaluate(rows: u32) -> Self {
        Self {
            seed: 0,
            first_row: 0,
            first_step: 0,
            steps: 1,
            rows,
            time: 1,
            learning_rate: 0.0,
            first_time: 0,
        }
    }

    /// Batch row and time step of row `row` of a value that has one row per row of the batch (and per time step, where it has time).
    #[inline]
    pub fn place(&self, row: usize) -> RowPlace {
        let batch = (self.rows as usize).max(1);
        // Without time all rows are such, and kernels ask for each.
        if row < batch {
            return RowPlace {
                batch_row: row as u32,
                time: self.first_time,
            };
        }
        RowPlace {
            batch_row: (row % batch) as u32,
            time: self.first_time + (row / batch) as u32,
        }
    }

    /// Global number of a row of the batch.
    pub fn global_row(&self, batch_row: u32) -> u64 {
        self.first_row + u64::from(batch_row)
    }

    /// The same run narrowed to its step number `first_step + index`.
    pub fn single(&self, index: u32) -> Self {
        let first_row = self.first_row + u64::from(index) * u64::from(self.rows);
        Self {
            first_step: self.first_step + index,
            first_row,
            steps: 1,
            ..*self
        }
    }
}
