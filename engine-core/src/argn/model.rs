//! What training, generation and the model store know of a model, whatever its kind.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::flat::FlatModel;
use super::sizes::{ModelSize, ModelUnits, SizeError};
use crate::ir::{BuildError, FoldSource, GradError, ParamLayout, ParamView, Program};
use crate::schema::{CodeTable, ColumnOrderKind, SubColumnName};
use crate::train::{TrainData, TrainPrograms};

/// A model: names, cardinalities and layers as programs. It holds no weights; they live in an arena of layout [`Self::layout`], which
/// programs call `params`.
pub trait Model: fmt::Debug + Send + Sync {
    /// Layout of the arena of parameters.
    fn layout(&self) -> &Arc<ParamLayout>;

    /// Names and cardinalities of the sub-columns, in model order.
    fn sub_columns(&self) -> &[(SubColumnName, usize)];

    /// Names of the columns, in model order.
    fn columns(&self) -> &[String];

    /// In which orders of the columns it is trained.
    fn order(&self) -> ColumnOrderKind;

    /// The bias of each sub-column's logits, one number a code, in model order: what is drawn where nothing else is known.
    fn predictor_biases(&self) -> Vec<ParamView>;

    /// The forward pass over given codes and ranks of the columns, as in evaluation. Resource: `params`. Inputs: `codes` `u32[B, S]`,
    /// `ranks` `u32[1, C]`. Results: `logits` `f32[B, sum of cardinalities]`, `losses` `f32[B, S]`, `loss` `f32[B, 1]`.
    ///
    /// # Errors
    /// [`ModelError::Build`] when a layer does not fit.
    fn forward(&self) -> Result<Program, ModelError>;

    /// What training needs, see [`TrainPrograms`]; the training loss shuffles the rows after so many micro-batches.
    ///
    /// # Errors
    /// [`ModelError::Build`] when a layer does not fit.
    fn train_programs(&self, micro_batches_per_epoch: u32) -> Result<TrainPrograms, ModelError>;

    /// A table of codes as the losses of [`Self::train_programs`] read it; `table` is what errors call it, `training` or `validation`.
    ///
    /// # Errors
    /// [`ModelError::SubColumns`] and [`ModelError::CodeOutOfRange`] when the table does not fit the model.
    fn train_data(&self, table: &'static str, codes: &Arc<CodeTable>) -> Result<TrainData, ModelError>;

    /// The layers that are folded for generation ([`crate::ir::fold`]).
    fn fold_source(&self) -> FoldSource;
}

/// The kinds of models. Another kind is another folder and another arm here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelKind {
    /// One row per subject, without context.
    #[default]
    Flat,
}

/// What a model is built from.
#[derive(Debug, Clone)]
pub struct ModelParts<'a> {
    /// Names and cardinalities of the sub-columns, in model order.
    pub sub_columns: Vec<(SubColumnName, usize)>,
    /// Widths of the layers.
    pub units: &'a ModelUnits,
    /// In which orders of the columns it is trained.
    pub order: ColumnOrderKind,
    /// Where the biases of the predictors start, if given (the logarithms of the codes' shares); uniformly otherwise.
    pub predictor_biases: Option<&'a [Arc<[f32]>]>,
}

impl ModelKind {
    /// Widths of the layers of a new model.
    pub fn units(self, size: ModelSize, sub_columns: &[(SubColumnName, usize)]) -> ModelUnits {
        match self {
            Self::Flat => ModelUnits::flat(size, sub_columns),
        }
    }

    /// Builds a model of this kind.
    ///
    /// # Errors
    /// [`ModelError::Sizes`] when the widths lack a layer.
    pub fn build(self, parts: ModelParts<'_>) -> Result<Arc<dyn Model>, ModelError> {
        Ok(match self {
            Self::Flat => Arc::new(FlatModel::build(parts)?),
        })
    }
}

/// Why a model cannot be built, or cannot be trained on a table.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The map of widths does not fit.
    #[error(transparent)]
    Sizes(#[from] SizeError),
    /// A layer does not fit.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A gradient is missing.
    #[error(transparent)]
    Gradient(#[from] GradError),
    /// A table does not have the model's sub-columns.
    #[error(
        "the {table} table has {got} sub-columns, the model {expected}; encode the table with the model's statistics"
    )]
    SubColumns {
        /// `training` or `validation`.
        table: &'static str,
        /// Sub-columns of the model.
        expected: usize,
        /// Sub-columns of the table.
        got: usize,
    },
    /// A code lies outside its cardinality.
    #[error(
        "the {table} table holds code {code} in sub-column {sub_column}, whose cardinality is {cardinality}; encode the table \
         with the model's statistics"
    )]
    CodeOutOfRange {
        /// `training` or `validation`.
        table: &'static str,
        /// Name of the sub-column.
        sub_column: String,
        /// The code.
        code: u32,
        /// Number of codes.
        cardinality: usize,
    },
}
