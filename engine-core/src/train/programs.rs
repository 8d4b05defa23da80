//! What a training knows of a model: programs, the layout of their parameters, and the rows that they read.

use std::sync::Arc;

use super::optimizer::push_adamw;
use crate::backend::HostData;
use crate::ir::ops::reduce::RecordSum;
use crate::ir::{
    BuildError, Builder, GradError, LossWeight, ParamLayout, Program, ResourceKind, differentiate,
};
use crate::schema::ColumnOrderKind;

/// The programs that a model supplies. Both have the resource `params`, an arena of [`Self::layout`], the resources of their
/// [`TrainData`], and one result, `loss` `f32[B, 1]`: the loss of each row.
#[derive(Debug, Clone)]
pub struct TrainPrograms {
    /// Layout of the parameters, their gradients and their moments.
    pub layout: Arc<ParamLayout>,
    /// The loss of a micro-batch of shuffled rows, with what happens in training alone, such as dropout.
    pub training_loss: Program,
    /// The loss of validation rows, in order.
    pub validation_loss: Program,
    /// Micro-batches after which `training_loss` shuffles the rows anew, see [`super::TrainPlan::micro_batches_per_epoch`].
    pub micro_batches_per_epoch: u32,
    /// In which orders of the columns the programs work. The state of the training keeps it.
    pub order: ColumnOrderKind,
}

/// Rows of one purpose: what a loss reads, by the names of its resources.
#[derive(Debug, Clone)]
pub struct TrainData {
    /// Number of rows.
    pub rows: usize,
    /// Data of all resources but `params`.
    pub resources: Vec<(&'static str, HostData)>,
}

impl TrainPrograms {
    /// A micro-batch: records the sum of its losses in `trace`, and adds the gradients of the mean loss over the rows of
    /// `micro_batches` to `params.grads`.
    ///
    /// # Errors
    /// [`GradError`] when the loss depends on an op without a gradient.
    pub fn gradient(&self, micro_batches: u32) -> Result<Program, GradError> {
        let recorded = recorded(&self.training_loss)?;
        differentiate(&recorded, "loss", LossWeight::Mean { micro_batches })
    }

    /// A whole optimiser step of one micro-batch: [`Self::gradient`], then AdamW. Adds the resources `first_moments` and
    /// `second_moments`.
    ///
    /// # Errors
    /// As [`Self::gradient`].
    pub fn training_step(&self) -> Result<Program, GradError> {
        let mut builder = Builder::extend(&self.gradient(1)?, "training_step");
        push_adamw(&mut builder, &self.layout)?;
        Ok(builder.finish())
    }

    /// The AdamW step alone, after several micro-batches. Resources: `params`, `params.grads`, `first_moments`,
    /// `second_moments`.
    ///
    /// # Errors
    /// [`BuildError`] when the arenas do not fit.
    pub fn update(&self) -> Result<Program, BuildError> {
        let mut builder = Builder::new("update");
        push_adamw(&mut builder, &self.layout)?;
        Ok(builder.finish())
    }

    /// The validation: records the sum of the losses of each batch in `trace`.
    ///
    /// # Errors
    /// [`BuildError`] when the loss is no number for each row.
    pub fn validation(&self) -> Result<Program, BuildError> {
        recorded(&self.validation_loss)
    }
}

/// A program that notes the sum of its losses in `trace`, which is read after a run of several steps.
fn recorded(program: &Program) -> Result<Program, BuildError> {
    let mut builder = Builder::extend(program, program.name());
    let loss = program.output("loss").ok_or_else(|| BuildError::NoOutput {
        program: program.name().to_owned(),
        name: "loss",
    })?;
    let trace = builder.resource("trace", ResourceKind::F32)?;
    builder.push(Arc::new(RecordSum { trace }), &[loss])?;
    Ok(builder.finish())
}
