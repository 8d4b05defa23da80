//! Borrowed tables: slices of values with validity, which Arrow record batches give without a copy.

use thiserror::Error;

/// A bit-packed bitmap, least significant bit first, as in Arrow.
#[derive(Debug, Clone, Copy)]
pub struct Bitmap<'a> {
    bytes: &'a [u8],
    offset: usize,
    len: usize,
}

impl<'a> Bitmap<'a> {
    /// A bitmap of `len` bits that starts `offset` bits into `bytes`; `None` when `bytes` is too short.
    pub fn new(bytes: &'a [u8], offset: usize, len: usize) -> Option<Self> {
        (offset.checked_add(len)?.div_ceil(8) <= bytes.len()).then_some(Self { bytes, offset, len })
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `row`; panics when `row` is not below [`Self::len`].
    pub fn get(&self, row: usize) -> bool {
        assert!(row < self.len, "bit {row} of a bitmap of {}", self.len);
        let bit = self.offset + row;
        self.bytes[bit / 8] >> (bit % 8) & 1 == 1
    }
}

/// Start positions of texts in a byte buffer; one more entry than there are texts.
#[derive(Debug, Clone, Copy)]
pub enum Offsets<'a> {
    /// 32-bit offsets (Arrow `Utf8`).
    Small(&'a [i32]),
    /// 64-bit offsets (Arrow `LargeUtf8`).
    Large(&'a [i64]),
}

/// Texts as offsets into one UTF-8 buffer.
#[derive(Debug, Clone, Copy)]
pub struct TextValues<'a> {
    offsets: Offsets<'a>,
    bytes: &'a str,
}

impl<'a> TextValues<'a> {
    /// Texts from offsets and their buffer. The offsets must rise and lie on character borders of `bytes`, which
    /// Arrow guarantees; [`Self::get`] panics otherwise.
    pub fn new(offsets: Offsets<'a>, bytes: &'a str) -> Self {
        Self { offsets, bytes }
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        match self.offsets {
            Offsets::Small(o) => o.len().saturating_sub(1),
            Offsets::Large(o) => o.len().saturating_sub(1),
        }
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of `row`.
    pub fn get(&self, row: usize) -> &'a str {
        let (from, to) = match self.offsets {
            Offsets::Small(o) => (o[row] as usize, o[row + 1] as usize),
            Offsets::Large(o) => (o[row] as usize, o[row + 1] as usize),
        };
        &self.bytes[from..to]
    }
}

/// Resolution of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// 1 s.
    Second,
    /// 1e-3 s.
    Millisecond,
    /// 1e-6 s.
    Microsecond,
    /// 1e-9 s.
    Nanosecond,
}

/// The values of a column; where a row is null its value is arbitrary.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Values<'a> {
    /// A column in which every row is null and no type is known.
    Null(usize),
    /// Booleans, bit-packed.
    Boolean(Bitmap<'a>),
    /// 8-bit signed integers.
    Int8(&'a [i8]),
    /// 16-bit signed integers.
    Int16(&'a [i16]),
    /// 32-bit signed integers.
    Int32(&'a [i32]),
    /// 64-bit signed integers.
    Int64(&'a [i64]),
    /// 8-bit unsigned integers.
    UInt8(&'a [u8]),
    /// 16-bit unsigned integers.
    UInt16(&'a [u16]),
    /// 32-bit unsigned integers.
    UInt32(&'a [u32]),
    /// 64-bit unsigned integers.
    UInt64(&'a [u64]),
    /// Single precision.
    Float32(&'a [f32]),
    /// Double precision.
    Float64(&'a [f64]),
    /// Decimals: the value is `unscaled * 10^-scale`.
    Decimal {
        /// Unscaled values.
        unscaled: &'a [i128],
        /// Number of decimals.
        scale: i8,
    },
    /// Days since 1970-01-01.
    Date(&'a [i32]),
    /// Instants since 1970-01-01 00:00, in UTC when `zoned`.
    Timestamp {
        /// Ticks since 1970-01-01 00:00.
        ticks: &'a [i64],
        /// Length of a tick.
        unit: TimeUnit,
        /// Whether the source carried a time zone.
        zoned: bool,
    },
    /// Texts.
    Text(TextValues<'a>),
}

impl Values<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Null(n) => *n,
            Self::Boolean(b) => b.len(),
            Self::Int8(v) => v.len(),
            Self::Int16(v) => v.len(),
            Self::Int32(v) | Self::Date(v) => v.len(),
            Self::Int64(v) | Self::Timestamp { ticks: v, .. } => v.len(),
            Self::UInt8(v) => v.len(),
            Self::UInt16(v) => v.len(),
            Self::UInt32(v) => v.len(),
            Self::UInt64(v) => v.len(),
            Self::Float32(v) => v.len(),
            Self::Float64(v) => v.len(),
            Self::Decimal { unscaled, .. } => unscaled.len(),
            Self::Text(t) => t.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A named column: values and, unless every row is valid, a validity bitmap (1 = valid).
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// Name in the user's table.
    pub name: &'a str,
    /// Values by row.
    pub values: Values<'a>,
    /// Validity by row; `None` when no row is null.
    pub validity: Option<Bitmap<'a>>,
}

impl Column<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether `row` holds a value. A NaN counts as valid here; numeric encodings treat it as null.
    pub fn is_valid(&self, row: usize) -> bool {
        !matches!(self.values, Values::Null(_)) && self.validity.is_none_or(|v| v.get(row))
    }
}

/// Why columns do not make a table.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TableError {
    /// Two columns have one name.
    #[error("column {name:?} occurs twice; rename one of the two")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// A column has another number of rows than the first.
    #[error("column {name:?} has {rows} rows, the columns before it have {expected}")]
    UnequalRows {
        /// Name of the column.
        name: String,
        /// Its rows.
        rows: usize,
        /// Rows of the first column.
        expected: usize,
    },
    /// There are not as many subjects as rows.
    #[error("the subjects of {subjects} rows are given, the table has {rows}")]
    UnequalSubjects {
        /// Rows whose subject is given.
        subjects: usize,
        /// Rows of the table.
        rows: usize,
    },
}

/// Columns of equal length with different names.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
    subjects: Option<&'a [u32]>,
}

impl<'a> Table<'a> {
    /// A table of `rows` rows from its columns (a table without columns still has rows).
    ///
    /// # Errors
    /// [`TableError`] when names repeat or lengths differ.
    pub fn new(columns: Vec<Column<'a>>, rows: usize) -> Result<Self, TableError> {
        let mut names = std::collections::HashSet::new();
        for column in &columns {
            if !names.insert(column.name) {
                return Err(TableError::DuplicateColumn {
                    name: column.name.to_owned(),
                });
            }
            if column.len() != rows {
                return Err(TableError::UnequalRows {
                    name: column.name.to_owned(),
                    rows: column.len(),
                    expected: rows,
                });
            }
        }
        Ok(Self {
            columns,
            rows,
            subjects: None,
        })
    }

    /// The table with the subject of each row: rows with one number belong to one subject, in their order. The
    /// rows of a subject need not stand together.
    ///
    /// # Errors
    /// [`TableError::UnequalSubjects`] when there are not as many numbers as rows.
    pub fn with_subjects(mut self, subjects: &'a [u32]) -> Result<Self, TableError> {
        if subjects.len() != self.rows {
            return Err(TableError::UnequalSubjects {
                subjects: subjects.len(),
                rows: self.rows,
            });
        }
        self.subjects = Some(subjects);
        Ok(self)
    }

    /// Columns in table order.
    pub fn columns(&self) -> &[Column<'a>] {
        &self.columns
    }

    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&Column<'a>> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The subject of each row; `None` where rows name no subject.
    pub fn subjects(&self) -> Option<&'a [u32]> {
        self.subjects
    }
}
