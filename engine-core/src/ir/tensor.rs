//! Values of the interpreter.

/// A row-major matrix in f64. Each element has the sum of absolute terms that made it: a backend may be off by a
/// few roundings of that sum and no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub width: usize,
    /// Elements, row-major; codes are exact in f64.
    pub data: Vec<f64>,
    /// Sum of absolute terms of each element.
    pub magnitude: Vec<f64>,
}

impl Tensor {
    /// All zero.
    pub fn zeros(rows: usize, width: usize) -> Self {
        Self {
            rows,
            width,
            data: vec![0.0; rows * width],
            magnitude: vec![0.0; rows * width],
        }
    }

    /// From row-major data; the magnitude is the absolute value.
    pub fn from_data(rows: usize, width: usize, data: Vec<f64>) -> Self {
        assert_eq!(data.len(), rows * width, "{rows} x {width} elements");
        let magnitude = data.iter().map(|x| x.abs()).collect();
        Self {
            rows,
            width,
            data,
            magnitude,
        }
    }

    /// Element `[row, column]`.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.data[row * self.width + column]
    }

    /// Element `[row, column]` as a code.
    pub fn code(&self, row: usize, column: usize) -> usize {
        self.at(row, column) as usize
    }

    /// Sets element `[row, column]`; its magnitude becomes `magnitude`.
    pub fn set(&mut self, row: usize, column: usize, value: f64, magnitude: f64) {
        let i = row * self.width + column;
        self.data[i] = value;
        self.magnitude[i] = magnitude;
    }

    /// Adds a term to element `[row, column]`.
    pub fn add(&mut self, row: usize, column: usize, term: f64) {
        let i = row * self.width + column;
        self.data[i] += term;
        self.magnitude[i] += term.abs();
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.width..(row + 1) * self.width]
    }
}
