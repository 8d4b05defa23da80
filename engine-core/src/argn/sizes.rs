//! Widths of the layers: heuristics for a new model, and the map that a trained model carries.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use thiserror::Error;

use super::names;
use crate::schema::SubColumnName;

/// Size of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ModelSize {
    /// `MOSTLY_AI/Small`
    #[serde(rename = "MOSTLY_AI/Small")]
    Small,
    /// `MOSTLY_AI/Medium`
    #[default]
    #[serde(rename = "MOSTLY_AI/Medium")]
    Medium,
    /// `MOSTLY_AI/Large`
    #[serde(rename = "MOSTLY_AI/Large")]
    Large,
}

/// Why sizes cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SizeError {
    /// No such model size.
    #[error("{name:?} is not a model size; use small, medium or large")]
    UnknownModel {
        /// The request.
        name: String,
    },
    /// The map of layer widths lacks a layer.
    #[error("model-configs.json has no width for layer {layer:?}; it does not belong to these statistics")]
    MissingUnits {
        /// Name of the layer.
        layer: String,
    },
    /// The map of layer widths holds something of another kind.
    #[error("model-configs.json: layer {layer:?} must be {expected}")]
    WrongUnits {
        /// Name of the layer.
        layer: String,
        /// What is expected.
        expected: &'static str,
    },
}

impl FromStr for ModelSize {
    type Err = SizeError;

    /// Accepts `small`, `medium`, `large` and `MOSTLY_AI/Small` and so on, in any case.
    fn from_str(name: &str) -> Result<Self, SizeError> {
        let lower = name.to_lowercase();
        match lower.strip_prefix("mostly_ai/").unwrap_or(&lower) {
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large" => Ok(Self::Large),
            _ => Err(SizeError::UnknownModel {
                name: name.to_owned(),
            }),
        }
    }
}

impl ModelSize {
    /// The identifier in `model-configs.json`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Small => "MOSTLY_AI/Small",
            Self::Medium => "MOSTLY_AI/Medium",
            Self::Large => "MOSTLY_AI/Large",
        }
    }

    /// Width of an embedding of `cardinality` codes.
    pub fn embedding(self, cardinality: usize) -> usize {
        let v = cardinality as f64;
        let width = match self {
            Self::Small => 2 * v.powf(0.15).ceil() as usize,
            Self::Medium => 3 * ceil_fourth_root(cardinality),
            Self::Large => 4 * v.powf(0.33).ceil() as usize,
        };
        cardinality.min(width.max(10))
    }

    /// Width of a column of `sub_columns` sub-columns whose embeddings are `input` wide together, in a model that compresses
    /// columns.
    pub fn compressed(self, sub_columns: usize, input: usize) -> usize {
        let base = match self {
            Self::Small => 4,
            Self::Medium => 10,
            Self::Large => 16,
        };
        if sub_columns > 2 {
            input.min(base + sub_columns)
        } else {
            input
        }
    }

    /// Widths of the layers of a regressor with `input` inputs for a sub-column of `cardinality` codes.
    pub fn regressor(self, input: usize, cardinality: usize) -> Vec<usize> {
        match self {
            Self::Small => vec![4 * rounded_log(cardinality)],
            Self::Medium => vec![16 * rounded_log(cardinality)],
            Self::Large => vec![16 * rounded_log(input), 16 * rounded_log(cardinality)],
        }
    }
}

/// The smallest integer whose fourth power is at least `v`.
fn ceil_fourth_root(v: usize) -> usize {
    let mut root = (v as f64).powf(0.25).floor().max(1.0) as usize;
    while root.pow(4) < v {
        root += 1;
    }
    root
}

/// `round_half_even(ln(max(x, e)))`
fn rounded_log(x: usize) -> usize {
    (x as f64).max(std::f64::consts::E).ln().round_ties_even() as usize
}

/// Models with more sub-columns than this compress wide columns.
const COMPRESS_ABOVE: usize = 50;

/// Width or widths of a layer in [`ModelUnits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Units {
    /// One width.
    Width(usize),
    /// A width per layer.
    Widths(Vec<usize>),
}

/// The map of layer widths of a model, as in `model-configs.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelUnits(pub IndexMap<String, Units>);

impl ModelUnits {
    /// Widths of a new flat model without context, from the heuristics.
    pub fn flat(size: ModelSize, sub_columns: &[(SubColumnName, usize)]) -> Self {
        let mut units = IndexMap::new();
        let embedding = |(_, cardinality): &(SubColumnName, usize)| size.embedding(*cardinality);
        for sub in sub_columns {
            units.insert(names::embedding_width(&sub.0), Units::Width(embedding(sub)));
        }
        let mut total = 0;
        for column in sub_columns.chunk_by(|a, b| a.0.column() == b.0.column()) {
            let input: usize = column.iter().map(embedding).sum();
            let mut width = input;
            if sub_columns.len() > COMPRESS_ABOVE {
                width = size.compressed(column.len(), input);
                if column.len() > 2 {
                    units.insert(names::compressor_width(column[0].0.column()), Units::Width(width));
                }
            }
            total += width;
        }
        for column in sub_columns.chunk_by(|a, b| a.0.column() == b.0.column()) {
            let mut siblings = 0;
            for sub in column {
                let widths = size.regressor(total + siblings, sub.1);
                units.insert(names::regressor_widths(&sub.0), Units::Widths(widths));
                siblings += embedding(sub);
            }
        }
        Self(units)
    }

    /// Width of the layer called `layer`.
    ///
    /// # Errors
    /// [`SizeError`] when it is missing or has several widths.
    pub fn width(&self, layer: &str) -> Result<usize, SizeError> {
        match self.0.get(layer) {
            Some(Units::Width(width)) => Ok(*width),
            Some(Units::Widths(_)) => Err(SizeError::WrongUnits {
                layer: layer.to_owned(),
                expected: "a number",
            }),
            None => Err(SizeError::MissingUnits {
                layer: layer.to_owned(),
            }),
        }
    }

    /// Widths of the layers called `layer`, one or two.
    ///
    /// # Errors
    /// [`SizeError`] when they are missing or not one or two.
    pub fn widths(&self, layer: &str) -> Result<&[usize], SizeError> {
        match self.0.get(layer) {
            Some(Units::Widths(widths)) if (1..=2).contains(&widths.len()) => Ok(widths),
            Some(_) => Err(SizeError::WrongUnits {
                layer: layer.to_owned(),
                expected: "a list of one or two numbers",
            }),
            None => Err(SizeError::MissingUnits {
                layer: layer.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_agree_with_mostlyai_engine() {
        let embeddings = |v| [ModelSize::Small, ModelSize::Medium, ModelSize::Large].map(|m| m.embedding(v));
        assert_eq!(embeddings(11), [10, 10, 11]);
        assert_eq!(embeddings(12), [10, 10, 12]);
        assert_eq!(embeddings(28), [10, 10, 16]);
        assert_eq!(embeddings(82), [10, 12, 20]);
        assert_eq!(embeddings(257), [10, 15, 28]);
        assert_eq!(embeddings(626), [10, 18, 36]);
        assert_eq!(embeddings(10_001), [10, 33, 84]);
        assert_eq!(embeddings(45_688), [12, 45, 140]);
        assert_eq!(embeddings(1), [1, 1, 1]);
        for (v, small, medium) in [
            (2, 4, 16),
            (5, 8, 32),
            (13, 12, 48),
            (34, 16, 64),
            (91, 20, 80),
            (245, 24, 96),
        ] {
            assert_eq!(ModelSize::Small.regressor(9, v), [small]);
            assert_eq!(ModelSize::Medium.regressor(9, v), [medium]);
        }
        for (input, first) in [(129, 80), (181, 80), (245, 96), (1671, 112)] {
            assert_eq!(ModelSize::Large.regressor(input, 2), [first, 16]);
        }
    }

    #[test]
    fn model_sizes_have_long_and_short_names() {
        assert_eq!("medium".parse(), Ok(ModelSize::Medium));
        assert_eq!("MOSTLY_AI/Large".parse(), Ok(ModelSize::Large));
        let error = "huge".parse::<ModelSize>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"huge\" is not a model size; use small, medium or large"
        );
    }
}
