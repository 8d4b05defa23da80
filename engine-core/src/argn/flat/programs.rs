//! A flat model as programs.

use std::sync::Arc;

use super::FlatModel;
use crate::argn::data::check_codes;
use crate::argn::model::{Model, ModelError};
use crate::backend::HostData;
use crate::ir::ops::activation::{Dropout, DropoutOp, Relu};
use crate::ir::ops::batch::{ColumnOrder, GatherRows, OrderDraw, Reading};
use crate::ir::ops::embedding::Embedding;
use crate::ir::ops::linear::{GroupedLinear, OrderedLinear, OrderedSpec};
use crate::ir::ops::reduce::SumGroups;
use crate::ir::ops::softmax::SoftmaxCrossEntropy;
use crate::ir::{
    BuildError, Builder, FoldSource, ParamLayout, ParamView, Program, ResourceKind, Shape, ValueId,
};
use crate::schema::{CodeTable, ColumnOrderKind, SubColumnName};
use crate::train::{TrainData, TrainPrograms};

/// Dropout rate of every layer input.
pub const DROPOUT_RATE: f64 = 0.25;

/// Dropout sites of the regressors' layers.
const FIRST_LAYER_SITE: u32 = 0;
const SECOND_LAYER_SITE: u32 = 1;

/// The resource that holds the codes of a table.
const TABLE: &str = "table";

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

impl FlatModel {
    /// A program whose loss is that of the rows which `reading` names, in orders as `draw` says.
    fn loss_of_table(
        &self,
        name: &str,
        reading: Reading,
        draw: OrderDraw,
        dropout: bool,
    ) -> Result<Program, BuildError> {
        let mut builder = Builder::new(name);
        let columns = self.sub_columns.len();
        let table = builder.resource(TABLE, ResourceKind::Codes { columns })?;
        let codes = builder.push_one(
            GatherRows {
                table,
                columns,
                reading,
            },
            &[],
        )?;
        let ranks = builder.push_one(
            ColumnOrder {
                columns: self.columns.len(),
                draw,
            },
            &[],
        )?;
        self.forward_into(&mut builder, codes, ranks, dropout)?;
        Ok(builder.finish())
    }

    fn forward_into(
        &self,
        builder: &mut Builder,
        codes: ValueId,
        ranks: ValueId,
        dropout: bool,
    ) -> Result<ValueId, BuildError> {
        let params = builder.resource("params", ResourceKind::Arena(Arc::clone(&self.layout)))?;
        let subs = builder.push_one(
            Embedding {
                params,
                tables: Arc::clone(&self.embeddings),
            },
            &[codes],
        )?;
        let columns = match &self.compressors {
            Some(groups) => builder.push_one(
                GroupedLinear {
                    params,
                    groups: groups.clone(),
                },
                &[subs],
            )?,
            None => subs,
        };
        let rate = if dropout { DROPOUT_RATE } else { 0.0 };
        let spec = OrderedSpec {
            dropout: Dropout::new(rate, FIRST_LAYER_SITE),
            ..self.ordered.clone()
        };
        let mut hidden = builder.push_one(OrderedLinear { params, spec }, &[columns, subs, ranks])?;
        if let Some(groups) = &self.second {
            if let Some(dropout) = Dropout::new(rate, SECOND_LAYER_SITE) {
                hidden = builder.push_one(
                    DropoutOp {
                        dropout,
                        groups: groups.input.clone(),
                    },
                    &[hidden],
                )?;
            }
            hidden = builder.push_one(
                GroupedLinear {
                    params,
                    groups: groups.clone(),
                },
                &[hidden],
            )?;
        }
        let hidden = builder.push_one(Relu, &[hidden])?;
        let logits = builder.push_one(
            GroupedLinear {
                params,
                groups: self.heads.clone(),
            },
            &[hidden],
        )?;
        let groups = self.heads.output.clone();
        let losses = builder.push(Arc::new(SoftmaxCrossEntropy { groups }), &[logits, codes])?[0];
        let loss = builder.push_one(SumGroups, &[losses])?;
        for (name, value) in [("logits", logits), ("losses", losses), ("loss", loss)] {
            if !dropout {
                builder.output(name, value)?;
            }
        }
        if dropout {
            builder.output("loss", loss)?;
        }
        Ok(loss)
    }
}
