//! The model of a case with its recorded weights.

use engine_core::argn::{FlatModel, Model, ModelUnits};
use engine_core::backend::HostData;
use engine_core::ir::ParamLayout;
use engine_core::schema::SubColumnName;
use serde_json::Value;

use crate::compare::Outcome;
use crate::discover::Case;
use crate::files::{self, Tensors};

/// Files that [`Loaded`] reads.
pub(crate) const LOADED_FILES: [&str; 3] = ["orders.json", "model-configs.json", "weights.safetensors"];

/// Sub-columns in model order with their cardinalities.
pub(crate) type SubColumns = Vec<(SubColumnName, usize)>;

/// A model with recorded weights.
pub(crate) struct Loaded {
    /// The model, with the widths that the case records.
    pub(crate) model: FlatModel,
    /// The arena of its weights.
    pub(crate) weights: Vec<f32>,
    orders: Value,
}

impl Loaded {
    /// Builds the model of a case.
    pub(crate) fn new(case: &Case) -> Outcome<Self> {
        let orders = files::json(&case.path("orders.json"))?;
        let configs = files::json(&case.path("model-configs.json"))?;
        let units: ModelUnits = serde_json::from_value(configs["model_units"].clone())?;
        let model = FlatModel::new(sub_columns(&orders)?, &units, None)?;
        let tensors = Tensors::open(&case.path("weights.safetensors"))?;
        let weights = arena(model.layout(), &tensors)?;
        Ok(Self {
            model,
            weights,
            orders,
        })
    }

    /// The arena as data for a device.
    pub(crate) fn weights(&self) -> HostData {
        HostData::F32(self.weights.clone())
    }

    /// Positions of the columns in a recorded order, `natural` or `permuted`.
    pub(crate) fn ranks(&self, order: &str) -> Outcome<HostData> {
        self.ranks_of(&files::texts(&self.orders, order)?)
    }

    /// Positions of the columns in a given order of their names.
    pub(crate) fn ranks_of(&self, order: &[String]) -> Outcome<HostData> {
        let rank = |column: &String| order.iter().position(|o| o == column).map(|r| r as u32);
        let ranks = self.model.columns().iter().map(rank).collect::<Option<Vec<_>>>();
        Ok(HostData::U32(
            ranks.ok_or("the order lacks a column of the model")?,
        ))
    }

    /// Codes of the first `rows` rows of the recorded batch, row-major.
    pub(crate) fn batch(&self, case: &Case, rows: usize) -> Outcome<HostData> {
        let tensors = Tensors::open(&case.path("batch64.safetensors"))?;
        self.codes(&tensors, "codes.", rows)
    }

    /// Codes of the first `rows` rows of the tensors `{prefix}{sub-column}`, row-major.
    pub(crate) fn codes(&self, tensors: &Tensors, prefix: &str, rows: usize) -> Outcome<HostData> {
        let subs = self.model.sub_columns();
        let mut codes = vec![0; rows * subs.len()];
        for (s, (name, _)) in subs.iter().enumerate() {
            let column = tensors.get(&format!("{prefix}{name}"))?;
            for (row, code) in column.data[..rows].iter().enumerate() {
                codes[row * subs.len() + s] = *code as u32;
            }
        }
        Ok(HostData::U32(codes))
    }

    /// The columns of sub-column `s` in a row-major matrix with one column per code.
    pub(crate) fn group(&self, matrix: &[f64], s: usize) -> Vec<f64> {
        let subs = self.model.sub_columns();
        let total: usize = subs.iter().map(|(_, v)| v).sum();
        let start: usize = subs[..s].iter().map(|(_, v)| v).sum();
        let rows = matrix.chunks(total);
        rows.flat_map(|row| &row[start..start + subs[s].1])
            .copied()
            .collect()
    }
}

/// Names and cardinalities in model order.
pub(crate) fn sub_columns(orders: &Value) -> Outcome<SubColumns> {
    let cardinalities = files::object(orders, "cardinalities")?.iter();
    let named = cardinalities.map(|(name, cardinality)| {
        let name = SubColumnName::parse(name).ok_or_else(|| format!("{name} is no sub-column"))?;
        Ok((name, files::as_number(cardinality)? as usize))
    });
    named.collect()
}

/// Recorded parameters, laid out.
fn arena(layout: &ParamLayout, tensors: &Tensors) -> Outcome<Vec<f32>> {
    let mut arena = vec![0.0; layout.len()];
    for param in layout.params() {
        let recorded = tensors.get(&param.name)?;
        if recorded.shape != param.shape {
            return Err(format!(
                "{} is {:?} instead of {:?}",
                param.name, param.shape, recorded.shape
            )
            .into());
        }
        for (value, recorded) in arena[param.view.range()].iter_mut().zip(&recorded.data) {
            *value = *recorded as f32;
        }
    }
    Ok(arena)
}
