//! How many workgroups a kernel gets.

/// The work of a dispatch; what depends on the rows of a batch is known when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grid {
    /// A thread for each element of a matrix `[rows, width]`, 256 a workgroup.
    Elements {
        /// Elements of a row.
        width: usize,
    },
    /// A thread for each of so many elements, 256 a workgroup, whatever the rows are.
    Fixed {
        /// Number of elements.
        elements: usize,
    },
    /// Sixteen lanes for each group of each row, 64 a workgroup.
    Lanes {
        /// Groups of a row.
        groups: usize,
    },
    /// A thread for each row, 64 a workgroup.
    Rows,
    /// Lanes for each row of a block of rows, 64 threads a workgroup.
    Blocks {
        /// The first row of the block.
        first: usize,
        /// Its rows.
        rows: usize,
        /// Lanes of a row.
        lanes: usize,
    },
    /// A workgroup for each tile of 64 rows of the batch.
    RowTiles {
        /// Number of tiles of a block of rows.
        count: usize,
    },
    /// So many workgroups for each of so many tiles.
    Tiles {
        /// Number of tiles.
        count: usize,
        /// Workgroups of a tile.
        each: usize,
    },
    /// So many workgroups.
    Workgroups(usize),
}

impl Grid {
    /// Workgroups in each dimension for a batch of `rows` rows, of which one dimension holds `max_groups`. A grid with a zero is empty.
    pub(crate) fn size(self, rows: usize, max_groups: u32) -> [u64; 3] {
        match self {
            Self::Elements { width } => folded((rows * width).div_ceil(256), max_groups),
            Self::Fixed { elements } => folded(elements.div_ceil(256), max_groups),
            Self::Lanes { groups } => folded((rows * groups).div_ceil(4), max_groups),
            Self::Rows => [rows.div_ceil(64) as u64, 1, 1],
            Self::Blocks {
                first,
                rows: block,
                lanes,
            } => {
                let rows = rows.saturating_sub(first).min(block);
                [(rows * lanes).div_ceil(64) as u64, 1, 1]
            }
            Self::RowTiles { count } => tiles(count, rows.div_ceil(64), max_groups),
            Self::Tiles { count, each } => tiles(count, each, max_groups),
            Self::Workgroups(count) => [count as u64, 1, 1],
        }
    }
}

/// At least `count` workgroups in two dimensions.
fn folded(count: usize, max_groups: u32) -> [u64; 3] {
    let count = count as u64;
    let y = count.div_ceil(u64::from(max_groups)).max(1);
    [count.div_ceil(y), y, 1]
}

/// Tiles along x, then z; y counts the workgroups of a tile.
fn tiles(count: usize, each: usize, max_groups: u32) -> [u64; 3] {
    let [x, z, _] = folded(count, max_groups);
    [x, each as u64, z]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_folded_and_cover_everything() {
        assert_eq!(Grid::Elements { width: 3 }.size(100, 65_535), [2, 1, 1]);
        assert_eq!(Grid::Elements { width: 3 }.size(0, 65_535), [0, 1, 1]);
        let [x, y, z] = Grid::Elements { width: 1000 }.size(1 << 20, 65_535);
        assert!(x <= 65_535 && x * y * z * 256 >= 1000 << 20);
        let tiles = Grid::RowTiles { count: 200_000 };
        let [x, y, z] = tiles.size(130, 65_535);
        assert!(x <= 65_535 && x * z >= 200_000 && y == 3);
        assert_eq!(Grid::Tiles { count: 7, each: 4 }.size(0, 65_535), [7, 4, 1]);
        let block = Grid::Blocks {
            first: 100,
            rows: 50,
            lanes: 16,
        };
        assert_eq!(block.size(1000, 65_535), [13, 1, 1]);
        assert_eq!(block.size(104, 65_535), [1, 1, 1]);
        assert_eq!(block.size(100, 65_535), [0, 1, 1]);
        assert_eq!(Grid::Lanes { groups: 5 }.size(3, 65_535), [4, 1, 1]);
    }
}
