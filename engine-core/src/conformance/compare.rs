//! The one comparator: what a backend computed against what the interpreter computed.

use thiserror::Error;

use crate::backend::HostData;

/// Half the distance between 1 and the next number in single precision: the relative error of one rounding.
const UNIT_ROUNDOFF: f64 = 1.0 / 16_777_216.0;

/// How many roundings of the sum of absolute terms a result may be off.
///
/// An element is a sum of at most about a thousand terms, in a backend that adds up in 32 partial sums (vectors of 8, four of them in
/// flight; a warp) a chain of at most 1000 / 32 + 5 roundings, and errors of random sign grow with the square root of the chain: 6. A
/// plain loop over a thousand terms reaches about 20 when all goes wrong. A forgotten term, a wrong scale or a half precision kernel
/// is off by thousands.
const ROUNDINGS: f64 = 32.0;

/// Results below the normal range of single precision may be flushed to zero, and a sum may hold several.
const FLUSHED: f64 = 64.0 * f32::MIN_POSITIVE as f64;

/// Relative error of a norm over a whole program, as golden files have it.
const NORM_RATIO: f64 = 1e-4;

/// How near an edge between two codes a uniform number must lie for either to be accepted.
pub(super) const EDGE: f64 = 1e-5;

/// What an element may be off whose absolute terms sum up to `magnitude`.
pub(super) fn allowed(magnitude: f64) -> f64 {
    ROUNDINGS * UNIT_ROUNDOFF * magnitude + FLUSHED
}

/// The largest error of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Result or resource.
    pub value: String,
    /// Row, or 0 for a resource.
    pub row: usize,
    /// Column, or element of a resource.
    pub column: usize,
    /// The error as a ratio of what is allowed.
    pub ratio: f64,
}

/// What was compared and how well it agrees.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// Number of elements.
    pub compared: usize,
    /// The largest error; `None` before anything was compared.
    pub worst: Option<Worst>,
}

impl Comparison {
    /// Adds what another comparison found.
    pub fn merge(&mut self, other: &Self) {
        self.compared += other.compared;
        if let Some(worst) = &other.worst {
            self.note(worst.ratio, || worst.clone());
        }
    }

    fn note(&mut self, ratio: f64, worst: impl FnOnce() -> Worst) {
        if self.worst.as_ref().is_none_or(|w| ratio > w.ratio) {
            self.worst = Some(worst());
        }
    }
}

/// Why two results differ.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// f32 values instead of codes or the other way round.
    #[error("{value} must hold {expected}")]
    Kind {
        /// Result or resource.
        value: String,
        /// What it must hold.
        expected: &'static str,
    },
    /// Too few or too many elements.
    #[error("{value} has {got} elements instead of {expected}")]
    Length {
        /// Result or resource.
        value: String,
        /// Elements of the interpreter.
        expected: usize,
        /// Elements of the backend.
        got: usize,
    },
    /// An element is not a number, or further off than rounding explains.
    #[error(
        "{value}[{row}, {column}] is {got:e} instead of {expected:e}, {ratio:.3} times the allowed error"
    )]
    Element {
        /// Result or resource.
        value: String,
        /// Row, or 0 for a resource.
        row: usize,
        /// Column, or element of a resource.
        column: usize,
        /// The interpreter.
        expected: f64,
        /// The backend.
        got: f64,
        /// The error as a ratio of what is allowed.
        ratio: f64,
    },
    /// Codes must agree exactly.
    #[error("{value}[{row}, {column}] is code {got} instead of {expected}")]
    Code {
        /// Result.
        value: String,
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// The interpreter.
        expected: u32,
        /// The backend.
        got: u32,
    },
    /// The tensor as a whole is off.
    #[error("{value} is off by a norm of {error:e} where {allowed:e} is allowed")]
    Norm {
        /// Tensor.
        value: String,
        /// Norm of the difference.
        error: f64,
        /// What is allowed.
        allowed: f64,
    },
    /// A drawn code does not belong to its uniform number.
    #[error(
        "codes[{row}, {column}] is {got}, which covers [{low}, {high}) of the weights, but the draw was {uniform}"
    )]
    Draw {
        /// Row.
        row: usize,
        /// Sub-column.
        column: usize,
        /// The code.
        got: u32,
        /// Lower edge of its interval.
        low: f64,
        /// Upper edge of its interval.
        high: f64,
        /// The uniform number.
        uniform: f64,
    },
    /// The same run twice gave different bits.
    #[error("{value} differs between two equal runs")]
    NotRepeatable {
        /// Result or resource.
        value: String,
    },
    /// A resource changed that the program only reads.
    #[error("resource {value} changed although the program only reads it")]
    ReadOnly {
        /// Resource.
        value: String,
    },
    /// There was nothing to compare.
    #[error("nothing was compared")]
    Nothing,
}

/// What the interpreter computed for one value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// Result or resource.
    pub(super) value: &'a str,
    /// Elements of a row; positions are given in rows of this width.
    pub(super) width: usize,
    /// Elements.
    pub(super) data: &'a [f64],
    /// Sum of absolute terms of each.
    pub(super) magnitude: &'a [f64],
}

impl Expected<'_> {
    fn length(&self, got: usize) -> Result<(), Mismatch> {
        let expected = self.data.len();
        if got == expected && self.magnitude.len() == expected {
            Ok(())
        } else {
            Err(Mismatch::Length {
                value: self.value.to_owned(),
                expected,
                got,
            })
        }
    }

    fn position(&self, i: usize) -> (usize, usize) {
        let width = self.width.max(1);
        (i / width, i % width)
    }

    fn kind(&self, expected: &'static str) -> Mismatch {
        Mismatch::Kind {
            value: self.value.to_owned(),
            expected,
        }
    }

    /// Compares f32 values element by element; each may be off a few roundings of its absolute terms.
    pub(super) fn elements(&self, got: &HostData) -> Result<Comparison, Mismatch> {
        let HostData::F32(got) = got else {
            return Err(self.kind("f32 values"));
        };
        self.length(got.len())?;
        let mut comparison = Comparison::default();
        for (i, (got, expected)) in got.iter().zip(self.data).enumerate() {
            let (got, expected) = (f64::from(*got), *expected);
            let ratio = (got - expected).abs() / allowed(self.magnitude[i]);
            let (row, column) = self.position(i);
            // A comparison that NaN fails as well.
            let fits = ratio <= 1.0;
            if !fits {
                let value = self.value.to_owned();
                return Err(Mismatch::Element {
                    value,
                    row,
                    column,
                    expected,
                    got,
                    ratio,
                });
            }
            comparison.compared += 1;
            comparison.note(ratio, || Worst {
                value: self.value.to_owned(),
                row,
                column,
                ratio,
            });
        }
        Ok(comparison)
    }

    /// Compares codes, which must agree exactly.
    pub(super) fn codes(&self, got: &HostData) -> Result<Comparison, Mismatch> {
        let HostData::U32(got) = got else {
            return Err(self.kind("codes"));
        };
        self.length(got.len())?;
        let mut comparison = Comparison::default();
        for (i, (got, expected)) in got.iter().zip(self.data).enumerate() {
            let (row, column) = self.position(i);
            if f64::from(*got) != *expected {
                return Err(Mismatch::Code {
                    value: self.value.to_owned(),
                    row,
                    column,
                    expected: *expected as u32,
                    got: *got,
                });
            }
            comparison.compared += 1;
            comparison.note(0.0, || Worst {
                value: self.value.to_owned(),
                row,
                column,
                ratio: 0.0,
            });
        }
        Ok(comparison)
    }

    /// Compares f32 values as a whole: for results of whole programs, where errors of one op pass through others.
    pub(super) fn norm(&self, got: &HostData) -> Result<Comparison, Mismatch> {
        let HostData::F32(got) = got else {
            return Err(self.kind("f32 values"));
        };
        self.norm_of(got)
    }

    /// As [`Self::norm`], for part of a resource.
    pub(super) fn norm_of(&self, got: &[f32]) -> Result<Comparison, Mismatch> {
        self.length(got.len())?;
        let norm = |terms: &mut dyn Iterator<Item = f64>| terms.map(|t| t * t).sum::<f64>().sqrt();
        let error = norm(&mut got.iter().zip(self.data).map(|(g, e)| f64::from(*g) - e));
        let allowed = NORM_RATIO * norm(&mut self.data.iter().copied())
            + allowed(norm(&mut self.magnitude.iter().copied()));
        let ratio = error / allowed;
        let fits = ratio <= 1.0;
        let value = self.value.to_owned();
        if !fits {
            return Err(Mismatch::Norm {
                value,
                error,
                allowed,
            });
        }
        let worst = (!got.is_empty()).then_some(Worst {
            value,
            row: 0,
            column: 0,
            ratio,
        });
        Ok(Comparison {
            compared: got.len(),
            worst,
        })
    }
}

/// Whether two results of a backend agree to the bit.
pub(super) fn same_bits(a: &HostData, b: &HostData) -> bool {
    match (a, b) {
        (HostData::F32(a), HostData::F32(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        _ => a == b,
    }
}

/// Checks that a drawn code covers its uniform number, or lies within [`EDGE`] of it. `weights` need not be normalised; without any
/// mass all codes count as equal.
pub(super) fn check_draw(
    weights: &[f64],
    code: u32,
    uniform: f64,
    (row, column): (usize, usize),
) -> Result<(), Mismatch> {
    let total: f64 = weights.iter().sum();
    let mass = |v: usize| {
        if total > 0.0 {
            weights[v] / total
        } else {
            1.0 / weights.len() as f64
        }
    };
    let low: f64 = (0..code as usize).map(mass).sum();
    let own = mass(code as usize);
    let high = low + own;
    if own > 0.0 && low - EDGE <= uniform && uniform <= high + EDGE {
        return Ok(());
    }
    Err(Mismatch::Draw {
        row,
        column,
        got: code,
        low,
        high,
        uniform,
    })
}
