//! The flat model: one row per subject, all sub-columns in one program.

use std::sync::Arc;

use thiserror::Error;

use super::sizes::{ModelUnits, SizeError};
use crate::ir::ops::activation::{Dropout, DropoutOp, Relu};
use crate::ir::ops::batch::{ColumnOrder, GatherRows, OrderDraw, Reading};
use crate::ir::ops::embedding::Embedding;
use crate::ir::ops::linear::{GroupedLinear, Layer, LinearGroups, OrderedLinear, OrderedSpec};
use crate::ir::ops::optimizer::AdamW;
use crate::ir::ops::reduce::{RecordSum, SumGroups};
use crate::ir::ops::softmax::SoftmaxCrossEntropy;
use crate::ir::{
    BuildError, Builder, GradError, Groups, Initialisation, LossWeight, ParamLayout, ParamLayoutBuilder,
    ParamView, Program, ResourceKind, Shape, ValueId, differentiate,
};
use crate::schema::SubColumnName;

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

/// Why a model cannot be built.
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
}

/// A flat TabularARGN: names, cardinalities and layers. Its parameters live in an arena of layout [`Self::layout`].
#[derive(Debug, Clone)]
pub struct FlatModel {
    sub_columns: Vec<(SubColumnName, usize)>,
    columns: Vec<String>,
    layout: Arc<ParamLayout>,
    embeddings: Arc<[ParamView]>,
    compressors: Option<LinearGroups>,
    ordered: OrderedSpec,
    second: Option<LinearGroups>,
    heads: LinearGroups,
}

impl FlatModel {
    /// A model over `sub_columns` (names and cardinalities in model order) with the widths of `units`. Predictor biases start at
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
            layout,
            embeddings,
            compressors,
            ordered,
            second,
            heads,
        })
    }

    /// Layout of the arena of parameters.
    pub fn layout(&self) -> &Arc<ParamLayout> {
        &self.layout
    }

    /// Names and cardinalities in model order.
    pub fn sub_columns(&self) -> &[(SubColumnName, usize)] {
        &self.sub_columns
    }

    /// Names of the columns in model order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The forward pass without dropout over given codes and ranks. Resource: `params`. Inputs: `codes` `u32[B, S]`, `ranks`
    /// `u32[1, C]`. Results: `logits` `f32[B, sum of cardinalities]`, `losses` `f32[B, S]`, `loss` `f32[B, 1]`.
    ///
    /// # Errors
    /// [`ModelError::Build`] when a layer does not fit.
    pub fn forward(&self) -> Result<Program, ModelError> {
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

fn uniform(inputs: usize) -> Initialisation {
    Initialisation::Uniform {
        bound: 1.0 / (inputs.max(1) as f64).sqrt(),
    }
}

fn layer(params: &mut ParamLayoutBuilder, prefix: &str, outputs: usize, inputs: usize) -> Layer {
    Layer {
        weight: params.weight(format!("{prefix}.weight"), outputs, inputs, uniform(inputs)),
        bias: params.bias(format!("{prefix}.bias"), outputs, uniform(inputs)),
    }
}

fn embedding_tables(
    sub_columns: &[(SubColumnName, usize)],
    units: &ModelUnits,
    params: &mut ParamLayoutBuilder,
) -> Result<Arc<[ParamView]>, SizeError> {
    let table = |(name, cardinality): &(SubColumnName, usize)| {
        let width = units.width(&format!("embedder@{name}"))?;
        let key = format!("embedders.embedders.embedder@{name}.weight");
        Ok(params.weight(key, *cardinality, width, Initialisation::StandardNormal))
    };
    sub_columns.iter().map(table).collect()
}

/// Names of the columns in order, and the column of each sub-column.
fn columns_of(sub_columns: &[(SubColumnName, usize)]) -> (Vec<String>, Arc<[usize]>) {
    let mut columns: Vec<String> = Vec::new();
    let column_of = sub_columns.iter().map(|(name, _)| {
        if columns.last().map(String::as_str) != Some(name.column()) {
            columns.push(name.column().to_owned());
        }
        columns.len() - 1
    });
    let column_of = column_of.collect();
    (columns, column_of)
}

/// Groups of the columns from those of their sub-columns.
fn join_groups(sub_groups: &Groups, column_of: &[usize], columns: usize) -> Groups {
    let mut widths = vec![0; columns];
    for (s, c) in column_of.iter().enumerate() {
        widths[*c] += sub_groups.width(s);
    }
    Groups::from_widths(widths)
}

/// Linear layers of the columns whose embedding is compressed; `None` when no column is.
fn column_compressors(
    columns: &[String],
    column_of: &[usize],
    sub_groups: &Groups,
    units: &ModelUnits,
    params: &mut ParamLayoutBuilder,
) -> Result<Option<LinearGroups>, SizeError> {
    let input = join_groups(sub_groups, column_of, columns.len());
    let mut layers = Vec::with_capacity(columns.len());
    let mut widths = Vec::with_capacity(columns.len());
    for (c, column) in columns.iter().enumerate() {
        let key = format!("column_embedder@{column}");
        let width = if units.0.contains_key(&key) {
            units.width(&key)?
        } else {
            input.width(c)
        };
        widths.push(width);
        layers.push((width < input.width(c)).then(|| {
            let prefix = format!("column_embedders.column_embedders.column_embedder@{column}");
            layer(params, &prefix, width, input.width(c))
        }));
    }
    let any = layers.iter().any(Option::is_some);
    Ok(any.then(|| LinearGroups {
        input,
        output: Groups::from_widths(widths),
        layers: layers.into(),
    }))
}

/// First and, in models that have them, second layers of the regressors.
fn regressors(
    sub_columns: &[(SubColumnName, usize)],
    units: &ModelUnits,
    columns: Groups,
    sub_groups: Groups,
    column_of: Arc<[usize]>,
    params: &mut ParamLayoutBuilder,
) -> Result<(OrderedSpec, Option<LinearGroups>), SizeError> {
    let mut spec = OrderedSpec {
        columns,
        sub_columns: sub_groups,
        column_of,
        output: Groups::from_widths([]),
        layers: Arc::from([]),
        dropout: None,
    };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (s, (name, _)) in sub_columns.iter().enumerate() {
        let widths = units.widths(&format!("regressor@{name}"))?;
        let prefix = format!("regressors.regressors.regressor@{name}");
        first.push(layer(
            params,
            &format!("{prefix}.0"),
            widths[0],
            spec.input_width(s),
        ));
        if let Some(width) = widths.get(1) {
            second.push(Some(layer(params, &format!("{prefix}.1"), *width, widths[0])));
        } else {
            second.push(None);
        }
    }
    spec.output = Groups::from_widths(first.iter().map(|l| l.weight.rows));
    spec.layers = first.into();
    let any = second.iter().any(Option::is_some);
    let widths = second
        .iter()
        .enumerate()
        .map(|(s, l)| l.map_or(spec.output.width(s), |l: Layer| l.weight.rows));
    let output = Groups::from_widths(widths.collect::<Vec<_>>());
    let second = any.then(|| LinearGroups {
        input: spec.output.clone(),
        output,
        layers: second.into(),
    });
    Ok((spec, second))
}

fn predictors(
    sub_columns: &[(SubColumnName, usize)],
    hidden: Groups,
    head_biases: Option<&[Arc<[f32]>]>,
    params: &mut ParamLayoutBuilder,
) -> LinearGroups {
    let layers = sub_columns.iter().enumerate().map(|(s, (name, cardinality))| {
        let (inputs, prefix) = (hidden.width(s), format!("predictors.predictors.{name}"));
        Some(match head_biases {
            None => layer(params, &prefix, *cardinality, inputs),
            Some(biases) => {
                let bound = (6.0 / (inputs + cardinality) as f64).sqrt();
                let xavier = Initialisation::Uniform { bound };
                let start = Initialisation::Values(Arc::clone(&biases[s]));
                Layer {
                    weight: params.weight(format!("{prefix}.weight"), *cardinality, inputs, xavier),
                    bias: params.bias(format!("{prefix}.bias"), *cardinality, start),
                }
            }
        })
    });
    let layers = layers.collect();
    LinearGroups {
        input: hidden,
        output: Groups::from_widths(sub_columns.iter().map(|(_, v)| *v)),
        layers,
    }
}
