//! The flat model: one row per subject, all sub-columns in one program.

mod layers;
mod programs;

use std::sync::Arc;

use self::layers::{column_compressors, columns_of, embedding_tables, join_groups, predictors, regressors};
use self::programs::TABLE;
use super::data::check_codes;
use super::model::{Model, ModelError, ModelParts};
use super::sizes::ModelUnits;
use crate::backend::HostData;
use crate::ir::ops::batch::{OrderDraw, Reading};
use crate::ir::ops::linear::{LinearGroups, OrderedSpec};
use crate::ir::{Builder, FoldSource, Groups, ParamLayout, ParamLayoutBuilder, ParamView, Program, Shape};
use crate::schema::{CodeTable, ColumnOrderKind, SubColumnName};
use crate::train::{TrainData, TrainPrograms};

pub use self::programs::DROPOUT_RATE;

/// A flat TabularARGN: names, cardinalities and layers. Its parameters live in an arena of layout [`Self::layout`].
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

impl Model for FlatModel {
    fn layout(&self) -> &Arc<ParamLayout> {
        &self.layout
    }

    fn sub_columns(&self) -> &[(SubColumnName, usize)] {
        &self.sub_columns
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn order(&self) -> ColumnOrderKind {
        self.order
    }

    fn predictor_biases(&self) -> Vec<ParamView> {
        self.heads.layers.iter().flatten().map(|head| head.bias).collect()
    }

    fn forward(&self) -> Result<Program, ModelError> {
        let mut builder = Builder::new("forward");
        let codes = builder.input("codes", Shape::codes(self.sub_columns.len()))?;
        let ranks = builder.input("ranks", Shape::ranks(self.columns.len()))?;
        self.forward_into(&mut builder, codes, ranks, false)?;
        Ok(builder.finish())
    }

    fn train_programs(&self, micro_batches_per_epoch: u32) -> Result<TrainPrograms, ModelError> {
        let shuffled = Reading::Shuffled {
            steps_per_epoch: micro_batches_per_epoch,
        };
        let (training, validation) = match self.order {
            ColumnOrderKind::Any => (OrderDraw::Training, OrderDraw::Validation),
            ColumnOrderKind::Fixed => (OrderDraw::Fixed, OrderDraw::Fixed),
        };
        Ok(TrainPrograms {
            layout: Arc::clone(&self.layout),
            training_loss: self.loss_of_table("training", shuffled, training, true)?,
            validation_loss: self.loss_of_table("validation", Reading::Sequential, validation, false)?,
            micro_batches_per_epoch,
            order: self.order,
        })
    }

    fn train_data(&self, table: &'static str, codes: &Arc<CodeTable>) -> Result<TrainData, ModelError> {
        check_codes(&self.sub_columns, table, codes)?;
        Ok(TrainData {
            rows: codes.rows(),
            resources: vec![(TABLE, HostData::Codes(Arc::clone(codes)))],
        })
    }

    fn fold_source(&self) -> FoldSource {
        FoldSource {
            tables: Arc::clone(&self.embeddings),
            compressors: self.compressors.clone(),
            ordered: self.ordered.clone(),
            second: self.second.clone(),
            heads: self.heads.clone(),
        }
    }
}
