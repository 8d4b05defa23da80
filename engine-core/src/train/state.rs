//! Everything that resuming needs, as plain data.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::heuristics::TrainPlan;
use super::progress::ProgressMessage;
use super::schedule::Plateau;
use super::stopping::EarlyStopping;
use crate::schema::ColumnOrderKind;

/// Names of the tensors of a state, in the order of [`TrainState::tensors`].
pub const TENSOR_NAMES: [&str; 3] = ["params", "first_moments", "second_moments"];

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The validation loss no longer fell.
    EarlyStopping,
    /// As many epochs as requested.
    MaxEpochs,
    /// As many minutes as requested.
    MaxMinutes,
    /// The progress callback asked to stop.
    Cancelled,
    /// The validation loss or a parameter is not a finite number; the best model before that is kept.
    Diverged,
}

/// The scalars of a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Seed of all random numbers.
    pub seed: u64,
    /// Sizes of batches and the first learning rate.
    pub plan: TrainPlan,
    /// In which orders of the columns the model is trained.
    #[serde(rename = "flexible")]
    pub order: ColumnOrderKind,
    /// Rows of the training table.
    pub training_rows: usize,
    /// Rows of the validation table.
    pub validation_rows: usize,
    /// Optimiser steps so far.
    pub steps: u64,
    /// Rows seen so far.
    pub samples: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Sum of the losses of the rows seen since the last epoch ended.
    pub epoch_loss: f64,
    /// Number of those rows.
    pub epoch_samples: u64,
    /// Learning rate.
    pub schedule: Plateau,
    /// Least validation loss and epochs since.
    pub stopping: EarlyStopping,
    /// Messages so far.
    pub messages: Vec<ProgressMessage>,
    /// Why the training ended; `None` while it runs.
    pub finished: Option<StopReason>,
}

/// A training between two optimiser steps.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// The scalars.
    pub counters: Counters,
    /// Parameters of this moment, which need not be the best ones.
    pub params: Vec<f32>,
    /// First moments of the optimiser.
    pub first_moments: Vec<f32>,
    /// Second moments of the optimiser.
    pub second_moments: Vec<f32>,
}

/// Why a state cannot be taken up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StateError {
    /// A tensor is missing.
    #[error("the training state has no tensor {name:?}; train again with state reset")]
    MissingTensor {
        /// Its name.
        name: &'static str,
    },
    /// A tensor has another length than the model.
    #[error(
        "the training state holds {got} numbers in {name:?}, the model has {expected} parameters; it belongs to another \
         model, train again with state reset"
    )]
    WrongLength {
        /// Name of the tensor.
        name: &'static str,
        /// Parameters of the model.
        expected: usize,
        /// Numbers in the tensor.
        got: usize,
    },
    /// The model is trained for other orders of the columns.
    #[error(
        "the training state belongs to a model that is trained for other orders of the columns; train again with state reset"
    )]
    OtherOrder,
    /// The tables are not those of the first part of the training.
    #[error(
        "the training state was made with {expected_training} training and {expected_validation} validation rows, now there \
         are {got_training} and {got_validation}; train again with state reset or reuse"
    )]
    OtherRows {
        /// Training rows of the state.
        expected_training: usize,
        /// Validation rows of the state.
        expected_validation: usize,
        /// Training rows now.
        got_training: usize,
        /// Validation rows now.
        got_validation: usize,
    },
}

impl Counters {
    /// Optimiser steps divided by those of an epoch.
    pub fn epoch(&self) -> f64 {
        self.steps as f64 / self.plan.steps_per_epoch as f64
    }
}

impl TrainState {
    /// The tensors with their names ([`TENSOR_NAMES`]), each as long as the model has parameters.
    pub fn tensors(&self) -> [(&'static str, &[f32]); 3] {
        let [params, first, second] = TENSOR_NAMES;
        [
            (params, &self.params),
            (first, &self.first_moments),
            (second, &self.second_moments),
        ]
    }

    /// Puts a state together again; `tensor` gives a tensor by its name.
    ///
    /// # Errors
    /// [`StateError::MissingTensor`].
    pub fn from_parts(
        counters: Counters,
        mut tensor: impl FnMut(&'static str) -> Option<Vec<f32>>,
    ) -> Result<Self, StateError> {
        let mut take = |name| tensor(name).ok_or(StateError::MissingTensor { name });
        let [params, first, second] = TENSOR_NAMES;
        Ok(Self {
            counters,
            params: take(params)?,
            first_moments: take(first)?,
            second_moments: take(second)?,
        })
    }

    /// Checks that the state belongs to a model of `parameters` parameters and tables of these sizes.
    ///
    /// # Errors
    /// [`StateError::WrongLength`], [`StateError::OtherRows`].
    pub fn check(&self, parameters: usize, training: usize, validation: usize) -> Result<(), StateError> {
        for (name, tensor) in self.tensors() {
            if tensor.len() != parameters {
                return Err(StateError::WrongLength {
                    name,
                    expected: parameters,
                    got: tensor.len(),
                });
            }
        }
        let Counters {
            training_rows,
            validation_rows,
            ..
        } = self.counters;
        if (training_rows, validation_rows) != (training, validation) {
            return Err(StateError::OtherRows {
                expected_training: training_rows,
                expected_validation: validation_rows,
                got_training: training,
                got_validation: validation,
            });
        }
        Ok(())
    }
}
