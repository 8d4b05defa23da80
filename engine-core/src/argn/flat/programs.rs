//! A flat model as programs.

use std::sync::Arc;

use super::FlatModel;
use crate::argn::model::ModelError;
use crate::ir::ops::activation::{Dropout, DropoutOp, Relu};
use crate::ir::ops::batch::{ColumnOrder, GatherRows, OrderDraw, Reading};
use crate::ir::ops::embedding::Embedding;
use crate::ir::ops::linear::{GroupedLinear, OrderedLinear, OrderedSpec};
use crate::ir::ops::optimizer::AdamW;
use crate::ir::ops::reduce::{RecordSum, SumGroups};
use crate::ir::ops::softmax::SoftmaxCrossEntropy;
use crate::ir::{BuildError, Builder, LossWeight, Program, ResourceKind, Shape, ValueId, differentiate};

/// Dropout rate of every layer input.
pub const DROPOUT_RATE: f64 = 0.25;

/// Dropout sites of the regressors' layers.
const FIRST_LAYER_SITE: u32 = 0;
const SECOND_LAYER_SITE: u32 = 1;

/// What a training step optimises and how it reads its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Objective {
    /// Optimiser steps times micro-batches of an epoch.
    pub steps_per_epoch: u32,
    /// Micro-batches that are accumulated into one optimiser step.
    pub micro_batches: u32,
    /// Whether each batch draws its own column order.
    pub flexible: bool,
}

impl FlatModel {
    /// [`crate::argn::Model::forward`].
    pub(super) fn forward_program(&self) -> Result<Program, ModelError> {
        let mut builder = Builder::new("forward");
        let codes = builder.input("codes", Shape::codes(self.sub_columns.len()))?;
        let ranks = builder.input("ranks", Shape::ranks(self.columns.len()))?;
        self.forward_into(&mut builder, codes, ranks, false)?;
        Ok(builder.finish())
    }

    /// The validation pass: reads the table in order and records the sum of the losses of each batch. Resources: `table`,
    /// `params`, `trace`.
    ///
    /// # Errors
    /// [`ModelError::Build`] when a layer does not fit.
    pub fn validation(&self, flexible: bool) -> Result<Program, ModelError> {
        let mut builder = Builder::new("validation");
        let draw = if flexible {
            OrderDraw::Validation
        } else {
            OrderDraw::Fixed
        };
        let loss = self.read_table(&mut builder, Reading::Sequential, draw, false)?;
        let trace = builder.resource("trace", ResourceKind::Numbers)?;
        builder.push(Arc::new(RecordSum { trace }), &[loss])?;
        Ok(builder.finish())
    }

    /// A micro-batch: reads shuffled rows, records the sum of their losses, adds the gradients of the mean loss to
    /// `params.grads`. Resources: `table`, `params`, `trace`, `params.grads`.
    ///
    /// # Errors
    /// [`ModelError`] when a layer does not fit or has no gradient.
    pub fn gradient(&self, objective: Objective) -> Result<Program, ModelError> {
        let mut builder = Builder::new("training");
        let draw = if objective.flexible {
            OrderDraw::Training
        } else {
            OrderDraw::Fixed
        };
        let reading = Reading::Shuffled {
            steps_per_epoch: objective.steps_per_epoch,
        };
        let loss = self.read_table(&mut builder, reading, draw, true)?;
        let trace = builder.resource("trace", ResourceKind::Numbers)?;
        builder.push(Arc::new(RecordSum { trace }), &[loss])?;
        let weight = LossWeight::Mean {
            micro_batches: objective.micro_batches,
        };
        Ok(differentiate(&builder.finish(), "loss", weight)?)
    }

    /// A whole optimiser step of one micro-batch: [`Self::gradient`], then AdamW. Adds the resources `first_moments` and
    /// `second_moments`.
    ///
    /// # Errors
    /// [`ModelError`] when a layer does not fit or has no gradient.
    pub fn training_step(&self, objective: Objective) -> Result<Program, ModelError> {
        let gradient = self.gradient(objective)?;
        let mut builder = Builder::extend(&gradient, "training_step");
        self.push_update(&mut builder)?;
        Ok(builder.finish())
    }

    /// The AdamW step alone, after several micro-batches. Resources: `params`, `params.grads`, `first_moments`,
    /// `second_moments`.
    ///
    /// # Errors
    /// [`ModelError::Build`] when the arenas do not fit.
    pub fn update(&self) -> Result<Program, ModelError> {
        let mut builder = Builder::new("update");
        self.push_update(&mut builder)?;
        Ok(builder.finish())
    }

    fn push_update(&self, builder: &mut Builder) -> Result<(), BuildError> {
        let arena = || ResourceKind::Arena(Arc::clone(&self.layout));
        let op = AdamW {
            params: builder.resource("params", arena())?,
            grads: builder.resource("params.grads", arena())?,
            first_moments: builder.resource("first_moments", arena())?,
            second_moments: builder.resource("second_moments", arena())?,
            beta1: 0.9,
            beta2: 0.999,
            adam_eps: 1e-8,
            weight_decay: 0.01,
        };
        builder.push(Arc::new(op), &[]).map(|_| ())
    }

    fn read_table(
        &self,
        builder: &mut Builder,
        reading: Reading,
        draw: OrderDraw,
        dropout: bool,
    ) -> Result<ValueId, BuildError> {
        let columns = self.sub_columns.len();
        let table = builder.resource("table", ResourceKind::Codes { columns })?;
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
        self.forward_into(builder, codes, ranks, dropout)
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
