//! The shard of each batch that a device computes.

use engine_core::backend::Run;
use engine_core::ir::Rows;

/// The rows of each batch that one of several devices computes: those after `offset`. Random numbers go by the row of the batch, so
/// they do not depend on how many devices there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Rows that devices before this one compute.
    pub(crate) offset: u32,
    /// Rows of this device.
    pub(crate) rows: u32,
    /// Rows of the batch.
    pub(crate) batch_rows: u32,
    /// Time steps of a value with time.
    pub(crate) time: u32,
}

impl Shard {
    /// The shard of the only device: all rows.
    pub(crate) fn whole(run: &Run) -> Self {
        Self::of(run, 0, 1)
    }

    /// The shard of device `rank` of `ranks`: as equal as whole rows allow.
    pub(crate) fn of(run: &Run, rank: usize, ranks: usize) -> Self {
        let batch_rows = run.rows;
        let border = |rank: usize| (u64::from(batch_rows) * rank as u64 / ranks as u64) as u32;
        Self {
            offset: border(rank),
            rows: border(rank + 1) - border(rank),
            batch_rows,
            time: run.time,
        }
    }

    /// Rows of a value, those of all devices together.
    pub(crate) fn all_rows(self, rows: Rows) -> u32 {
        match rows {
            Rows::BatchTime => self.batch_rows * self.time,
            _ => self.batch_rows,
        }
    }

    /// Rows of a value on this device.
    pub(crate) fn own_rows(self, rows: Rows) -> u32 {
        match rows {
            Rows::BatchTime => self.rows * self.time,
            _ => self.rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_follow_each_other_and_differ_by_a_row_at_most() {
        for batch_rows in [0, 1, 2, 7, 4096, u32::MAX] {
            for ranks in 1..=9 {
                let shards: Vec<Shard> = (0..ranks)
                    .map(|rank| Shard::of(&Run::evaluate(batch_rows), rank, ranks))
                    .collect();
                let mut next = 0;
                for shard in &shards {
                    assert_eq!(shard.offset, next);
                    next += shard.rows;
                }
                assert_eq!(next, batch_rows);
                let rows = || shards.iter().map(|s| s.rows);
                assert!(rows().max().unwrap_or(0) - rows().min().unwrap_or(0) <= 1);
            }
        }
        let run = Run {
            time: 3,
            ..Run::evaluate(5)
        };
        let shard = Shard::of(&run, 1, 2);
        assert_eq!(
            (shard.own_rows(Rows::Batch), shard.own_rows(Rows::BatchTime)),
            (3, 9)
        );
        assert_eq!(
            (shard.all_rows(Rows::Batch), shard.all_rows(Rows::BatchTime)),
            (5, 15)
        );
    }
}
