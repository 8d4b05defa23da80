//! How many rows are drawn at once.

use std::iter;

use super::GenerateError;

/// Share of the memory that a batch may fill.
const SHARE: f64 = 0.1;
const SMALLEST: usize = 100;

/// Kind of device that the heuristic distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchDevice {
    /// A CPU with its main memory.
    Cpu,
    /// A graphics processor with its own memory.
    Gpu,
}

/// Rows of a batch that fill a tenth of the memory: `memory_gib` times 1e9 bytes over 4 bytes for each code that could be
/// drawn, from 100 to 100,000 (10,000 on a graphics processor).
pub fn batch_heuristic(memory_gib: f64, sum_of_cardinalities: usize, device: BatchDevice) -> usize {
    let largest = match device {
        BatchDevice::Cpu => 100_000,
        BatchDevice::Gpu => 10_000,
    };
    let bytes_per_row = (4 * sum_of_cardinalities).max(1) as f64;
    let rows = (memory_gib * 1e9 / bytes_per_row).floor() * SHARE;
    (rows as usize).clamp(SMALLEST, largest)
}

/// Looks at a number of rows, at least 1, and of rows of a batch, at least 1 and below 2^32.
///
/// # Errors
/// [`GenerateError::Rows`], [`GenerateError::BatchRows`].
pub fn check_rows(rows: i64, batch_rows: usize) -> Result<(), GenerateError> {
    if rows < 1 {
        return Err(GenerateError::Rows { rows });
    }
    if batch_rows == 0 || u32::try_from(batch_rows).is_err() {
        return Err(GenerateError::BatchRows { rows: batch_rows });
    }
    Ok(())
}

/// Sizes of the batches of `rows` rows: as few batches as `batch_size` (at least 1) allows, as equal as possible.
pub fn batch_sizes(rows: u64, batch_size: u64) -> impl Iterator<Item = u64> {
    let batches = rows.div_ceil(batch_size.max(1)).max(1);
    let start = move |batch: u64| (u128::from(batch) * u128::from(rows)).div_ceil(u128::from(batches)) as u64;
    let mut batch = 0;
    iter::from_fn(move || {
        let size = (batch < batches).then(|| start(batch + 1) - start(batch));
        batch += 1;
        size
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fill_a_tenth_of_the_memory() {
        for (gib, cpu, gpu) in [
            (0.0001, 100, 100),
            (0.01, 771, 771),
            (0.5, 38_580, 10_000),
            (8.0, 100_000, 10_000),
            (100.0, 100_000, 10_000),
        ] {
            assert_eq!(batch_heuristic(gib, 324, BatchDevice::Cpu), cpu);
            assert_eq!(batch_heuristic(gib, 324, BatchDevice::Gpu), gpu);
        }
        assert_eq!(batch_heuristic(0.5, 392, BatchDevice::Cpu), 31_887);
        assert_eq!(batch_heuristic(0.01, 392, BatchDevice::Cpu), 637);
        assert_eq!(batch_heuristic(1.0, 0, BatchDevice::Cpu), 100_000);
    }

    #[test]
    fn batches_are_nearly_equal() {
        let sizes = |rows, size| batch_sizes(rows, size).collect::<Vec<_>>();
        assert_eq!(sizes(109, 11), [11, 11, 11, 11, 11, 11, 11, 11, 11, 10]);
        assert_eq!(sizes(10, 4), [4, 3, 3]);
        assert_eq!(sizes(10, 10), [10]);
        assert_eq!(sizes(10, 100), [10]);
        assert_eq!(sizes(7, 3), [3, 2, 2]);
        assert_eq!(sizes(1, 1), [1]);
        assert_eq!(sizes(1000, 333), [250; 4]);
        assert_eq!(sizes(5, 1), [1; 5]);
        assert_eq!(sizes(0, 5), [0]);
        for (rows, size) in [(48_842, 10_000), (1_000_003, 997), (17, 16)] {
            let sizes = sizes(rows, size);
            assert_eq!(sizes.iter().sum::<u64>(), rows);
            assert!(sizes.iter().all(|s| (1..=size).contains(s)), "{sizes:?}");
        }
    }
}
