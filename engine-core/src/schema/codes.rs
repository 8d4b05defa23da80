//! Tables of codes: what the model sees. Column-wise, each column in the narrowest unsigned type that fits.

/// The codes of one sub-column, one per row, in the narrowest type that holds its cardinality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeColumn {
    /// Cardinality up to 256.
    U8(Vec<u8>),
    /// Cardinality up to 65,536.
    U16(Vec<u16>),
    /// Any other cardinality.
    U32(Vec<u32>),
}

/// Evaluates an expression for whatever vector a [`CodeColumn`] holds.
macro_rules! each_width {
    ($column:expr, $codes:ident => $body:expr) => {
        match $column {
            CodeColumn::U8($codes) => $body,
            CodeColumn::U16($codes) => $body,
            CodeColumn::U32($codes) => $body,
        }
    };
}

impl CodeColumn {
    /// A column for codes below `cardinality`, from the codes in row order. A code that the narrow type
    /// cannot hold is cut off: callers pass codes below `cardinality` only.
    pub fn from_codes(cardinality: usize, codes: impl Iterator<Item = u32>) -> Self {
        match cardinality {
            0..=256 => Self::U8(codes.map(|c| c as u8).collect()),
            257..=65_536 => Self::U16(codes.map(|c| c as u16).collect()),
            _ => Self::U32(codes.collect()),
        }
    }

    /// A column without rows in the type for `cardinality`, with capacity for `rows` of them.
    pub fn with_capacity(cardinality: usize, rows: usize) -> Self {
        match cardinality {
            0..=256 => Self::U8(Vec::with_capacity(rows)),
            257..=65_536 => Self::U16(Vec::with_capacity(rows)),
            _ => Self::U32(Vec::with_capacity(rows)),
        }
    }

    /// `rows` zeros in the type for `cardinality`.
    pub fn zeros(cardinality: usize, rows: usize) -> Self {
        Self::from_codes(cardinality, std::iter::repeat_n(0, rows))
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        each_width!(self, codes => codes.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of `row`; panics when there is no such row.
    #[inline]
    pub fn get(&self, row: usize) -> u32 {
        match self {
            Self::U8(codes) => u32::from(codes[row]),
            Self::U16(codes) => u32::from(codes[row]),
            Self::U32(codes) => codes[row],
        }
    }

    /// Writes the code of `row`, which must be below the cardinality that the column was made for; panics
    /// when there is no such row.
    #[inline]
    pub fn set(&mut self, row: usize, code: u32) {
        match self {
            Self::U8(codes) => codes[row] = code as u8,
            Self::U16(codes) => codes[row] = code as u16,
            Self::U32(codes) => codes[row] = code,
        }
    }

    /// All codes, widened.
    pub fn to_vec(&self) -> Vec<u32> {
        match self {
            Self::U8(codes) => codes.iter().map(|&c| u32::from(c)).collect(),
            Self::U16(codes) => codes.iter().map(|&c| u32::from(c)).collect(),
            Self::U32(codes) => codes.clone(),
        }
    }

    /// The largest code; `None` without rows.
    pub fn max(&self) -> Option<u32> {
        match self {
            Self::U8(codes) => codes.iter().max().map(|&c| u32::from(c)),
            Self::U16(codes) => codes.iter().max().map(|&c| u32::from(c)),
            Self::U32(codes) => codes.iter().max().copied(),
        }
    }

    /// How often each code below `cardinality` occurs; codes beyond it are left out.
    pub fn counts(&self, cardinality: usize) -> Vec<u64> {
        let mut counts = vec![0; cardinality];
        each_width!(self, codes => for &code in codes {
            if let Some(count) = counts.get_mut(code as usize) {
                *count += 1;
            }
        });
        counts
    }

    /// The codes of the given rows, in their order; panics when a row does not exist.
    pub fn gather(&self, rows: &[usize]) -> Self {
        match self {
            Self::U8(codes) => Self::U8(rows.iter().map(|&r| codes[r]).collect()),
            Self::U16(codes) => Self::U16(rows.iter().map(|&r| codes[r]).collect()),
            Self::U32(codes) => Self::U32(rows.iter().map(|&r| codes[r]).collect()),
        }
    }

    /// Appends the rows of `other`; the wider type of the two is kept.
    pub fn append(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::U8(a), Self::U8(b)) => a.extend_from_slice(b),
            (Self::U16(a), Self::U16(b)) => a.extend_from_slice(b),
            (Self::U32(a), Self::U32(b)) => a.extend_from_slice(b),
            (Self::U16(a), Self::U8(b)) => a.extend(b.iter().map(|&c| u16::from(c))),
            (Self::U8(a), Self::U16(b)) => {
                *self = Self::U16(a.iter().map(|&c| u16::from(c)).chain(b.iter().copied()).collect());
            }
            (Self::U32(a), b) => a.extend(b.to_vec()),
            (a, Self::U32(b)) => {
                let mut codes = a.to_vec();
                codes.extend_from_slice(b);
                *self = Self::U32(codes);
            }
        }
    }
}

/// Columns of codes of equal length, in the order of the model's sub-columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeTable {
    columns: Vec<CodeColumn>,
    rows: usize,
}

impl CodeTable {
    /// A table from its columns (a table without columns still has rows); `None` when a column has another
    /// number of rows.
    pub fn new(columns: Vec<CodeColumn>, rows: usize) -> Option<Self> {
        columns
            .iter()
            .all(|c| c.len() == rows)
            .then_some(Self { columns, rows })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, one per sub-column.
    pub fn columns(&self) -> &[CodeColumn] {
        &self.columns
    }

    /// The columns without the table.
    pub fn into_columns(self) -> Vec<CodeColumn> {
        self.columns
    }

    /// The code of `row` in sub-column `column`; panics when there is no such cell.
    #[inline]
    pub fn get(&self, row: usize, column: usize) -> u32 {
        self.columns[column].get(row)
    }

    /// The given rows in their order, which may repeat; panics when a row does not exist. A permutation of
    /// all rows permutes the table.
    pub fn gather(&self, rows: &[usize]) -> Self {
        Self {
            columns: self.columns.iter().map(|c| c.gather(rows)).collect(),
            rows: rows.len(),
        }
    }

    /// Appends the rows of `other`, a table of the same sub-columns; `false`, and nothing done, when the
    /// numbers of columns differ.
    #[must_use]
    pub fn append(&mut self, other: &Self) -> bool {
        if self.columns.len() != other.columns.len() {
            return false;
        }
        for (column, more) in self.columns.iter_mut().zip(&other.columns) {
            column.append(more);
        }
        self.rows += other.rows;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_type_is_chosen() {
        assert_eq!(
            CodeColumn::from_codes(256, [255].into_iter()),
            CodeColumn::U8(vec![255])
        );
        assert_eq!(
            CodeColumn::from_codes(257, [256].into_iter()),
            CodeColumn::U16(vec![256])
        );
        assert_eq!(
            CodeColumn::from_codes(65_537, [65_536].into_iter()),
            CodeColumn::U32(vec![65_536])
        );
    }

    #[test]
    fn appending_widens() {
        let narrow = CodeColumn::U8(vec![1, 2]);
        let wide = CodeColumn::U16(vec![300]);
        let widest = CodeColumn::U32(vec![70_000]);
        let mut a = narrow.clone();
        a.append(&wide);
        assert_eq!(a, CodeColumn::U16(vec![1, 2, 300]));
        a.append(&narrow);
        assert_eq!(a, CodeColumn::U16(vec![1, 2, 300, 1, 2]));
        a.append(&widest);
        assert_eq!(a, CodeColumn::U32(vec![1, 2, 300, 1, 2, 70_000]));
        a.append(&wide);
        assert_eq!(a.to_vec(), [1, 2, 300, 1, 2, 70_000, 300]);
    }

    #[test]
    fn rows_can_be_gathered() {
        let columns = vec![
            CodeColumn::U8(vec![5, 6, 7]),
            CodeColumn::U16(vec![500, 600, 700]),
        ];
        let table = CodeTable::new(columns, 3).unwrap();
        let picked = table.gather(&[2, 0, 2]);
        assert_eq!(picked.rows(), 3);
        assert_eq!(
            (picked.get(0, 0), picked.get(1, 1), picked.get(2, 1)),
            (7, 500, 700)
        );
        assert!(CodeTable::new(vec![CodeColumn::U8(vec![1])], 2).is_none());
    }
}
