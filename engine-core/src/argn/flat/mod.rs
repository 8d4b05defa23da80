//! The flat model: one row per subject, all sub-columns in one program.

mod layers;
mod programs;

use std::sync::Arc;

use self::layers::{column_compressors, columns_of, embedding_tables, join_groups, predictors, regressors};
use super::model::{ModelError, ModelParts};
use super::sizes::ModelUnits;
use crate::ir::ops::linear::{LinearGroups, OrderedSpec};
use crate::ir::{Groups, ParamLayout, ParamLayoutBuilder, ParamView};
use crate::schema::{ColumnOrderKind, SubColumnName};

pub use self::programs::DROPOUT_RATE;

/// A flat TabularARGN: names, cardinalities and layers. Its parameters live in one arena; [`Model::layout`](super::Model::layout) describes it.
#[derive(Debug, Clone)]
pub struct FlatModel {
    sub_columns: Vec<(SubColumnName, usize)>,
    columns: Vec<String>,
    order: ColumnOrderKind,
    layout: Arc<ParamLayout>,
    embeddings: Arc<[ParamView]>,
    compressors: Option<LinearGroups>,
    ordered: OrderedSpec,
    second: Option<LinearGroups>,
    heads: LinearGroups,
}

impl FlatModel {
    /// An any-order model over `sub_columns` (names and cardinalities in model order) with the widths of `units`. Predictor biases start at
    /// `head_biases` if given (the logarithms of the codes' shares), and uniformly otherwise.
    ///
    /// # Errors
    /// [`ModelError::Sizes`] when `units` lacks a layer.
    pub fn new(
        sub_columns: Vec<(SubColumnName, usize)>,
        units: &ModelUnits,
        head_biases: Option<&[Arc<[f32]>]>,
    ) -> Result<Self, ModelError> {
        let mut params = ParamLayoutBuilder::new();
        let embeddings = embedding_tables(&sub_columns, units, &mut params)?;
        let (columns, column_of) = columns_of(&sub_columns);
        let sub_groups = Groups::from_widths(embeddings.iter().map(|e| e.columns));
        let compressors = column_compressors(&columns, &column_of, &sub_groups, units, &mut params)?;
        let (column_groups, compressors) = match compressors {
            Some(groups) => (groups.output.clone(), Some(groups)),
            None => (join_groups(&sub_groups, &column_of, columns.len()), None),
        };
        let (ordered, second) = regressors(
            &sub_columns,
            units,
            column_groups,
            sub_groups,
            column_of,
            &mut params,
        )?;
        let hidden = second.as_ref().map_or(&ordered.output, |g| &g.output).clone();
        let heads = predictors(&sub_columns, hidden, head_biases, &mut params);
        let layout = Arc::new(params.finish());
        Ok(Self {
            sub_columns,
            columns,
            order: ColumnOrderKind::default(),
            layout,
            embeddings,
            compressors,
            ordered,
            second,
            heads,
        })
    }

    /// The model of these parts.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn build(parts: ModelParts<'_>) -> Result<Self, ModelError> {
        let model = Self::new(parts.sub_columns, parts.units, parts.predictor_biases)?;
        Ok(model.with_order(parts.order))
    }

    /// The same model, trained for other orders of the columns.
    pub fn with_order(mut self, order: ColumnOrderKind) -> Self {
        self.order = order;
        self
    }
}
