//! The recorded generations of a case: what was asked, and every forward pass.

use engine_core::argn::Model;
use engine_core::encode::{RareReplacement, TableStats};
use engine_core::generate::{
    Cells, OrderRequest, imputed_codes, merge_rules, rare_codes, rebalanced_codes, sampling_rules,
};
use engine_core::ir::ops::sampling::{Cell, SamplingRules};
use serde_json::Value;

use super::loaded::Loaded;
use crate::compare::Outcome;
use crate::discover::Case;
use crate::files::{self, Tensors};

const STATS: &str = "tgt-stats.json";

/// What mostlyai-engine recorded of a run.
pub(super) struct Recorded {
    pub(super) loaded: Loaded,
    pub(super) stats: TableStats,
    pub(super) json: Value,
    tensors: Tensors,
}

/// One forward pass of the run.
pub(super) struct Batch {
    /// `batch{b}.`
    pub(super) prefix: String,
    /// Columns in the order in which they were drawn.
    pub(super) order: Vec<String>,
    /// Numbers of the sub-columns that were drawn, in the order of the draws.
    pub(super) drawn: Vec<usize>,
    /// Numbers of the sub-columns that were given.
    pub(super) given: Vec<usize>,
    /// Rows of the run that are in this batch.
    pub(super) rows: Vec<usize>,
}

pub(super) fn stats(case: &Case) -> Outcome<TableStats> {
    Ok(TableStats::from_json(
        &files::json(&case.path(STATS))?.to_string(),
    )?)
}

impl Recorded {
    pub(super) fn open(case: &Case, run: &str) -> Outcome<Self> {
        let json = files::json(&case.path("generate.json"))?[run].clone();
        Ok(Self {
            loaded: Loaded::new(case)?,
            stats: stats(case)?,
            json,
            tensors: Tensors::open(&case.path(&format!("generate-{run}.safetensors")))?,
        })
    }

    pub(super) fn batches(&self) -> Outcome<Vec<Batch>> {
        let subs = self.loaded.model.sub_columns();
        let numbers = |names: Vec<String>| {
            let number = |name: &String| subs.iter().position(|(n, _)| n.as_str() == name);
            let numbers = names.iter().map(number).collect::<Option<Vec<_>>>();
            numbers.ok_or("a sub-column that the model lacks")
        };
        let batch = |(b, json): (usize, &Value)| {
            let first = self
                .tensors
                .with_prefix(&format!("batch{b}.codes."))
                .first()
                .map(|(_, t)| t.data.len());
            let count = first.ok_or("a batch without codes")?;
            let given = numbers(files::texts(json, "given")?)?;
            Ok(Batch {
                prefix: format!("batch{b}."),
                order: files::texts(json, "column_order")?,
                drawn: numbers(files::texts(json, "draw_order")?)?,
                rows: self.rows_of(&given, count)?,
                given,
            })
        };
        files::list(&self.json, "batches")?
            .iter()
            .enumerate()
            .map(batch)
            .collect()
    }

    /// The rows in which just these sub-columns are given. Seeds of columns that are not imputed are given even where they are null.
    fn rows_of(&self, given: &[usize], count: usize) -> Outcome<Vec<usize>> {
        let Some(seed) = self.json["seed"].as_object() else {
            return Ok((0..count).collect());
        };
        let rows = seed
            .values()
            .filter_map(|v| v.as_array().map(Vec::len))
            .max()
            .unwrap_or(0);
        let imputed = self.imputed()?;
        let columns = self.stats.model_columns();
        let fits = |row: &usize| {
            columns
                .iter()
                .filter(|c| !c.sub_columns.is_empty())
                .all(|column| {
                    let is_given = column.sub_columns.clone().any(|s| given.contains(&s));
                    let known = seed
                        .get(&column.name)
                        .is_some_and(|values| !(imputed.contains(&column.name) && values[*row].is_null()));
                    is_given == known
                })
        };
        let found: Vec<usize> = (0..rows).filter(fits).collect();
        if found.len() == count {
            Ok(found)
        } else {
            Err(format!("a batch has {count} rows, its pattern of nulls {}", found.len()).into())
        }
    }

    /// Tensor `what` of sub-column `s` in a batch, and its name.
    pub(super) fn tensor(&self, batch: &Batch, what: &str, s: usize) -> Outcome<(String, &[f64])> {
        let name = format!("{}{what}.{}", batch.prefix, self.loaded.model.sub_columns()[s].0);
        let data = &self.tensors.get(&name)?.data;
        Ok((name, data))
    }

    pub(super) fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    fn imputed(&self) -> Outcome<Vec<String>> {
        match &self.json["options"]["imputation"] {
            Value::Null => Ok(Vec::new()),
            imputation => files::texts(imputation, "columns"),
        }
    }

    fn rebalanced(&self) -> Option<&str> {
        self.json["options"]["rebalancing"]["column"].as_str()
    }

    /// The rules that follow from the options of the run.
    pub(super) fn rules(&self) -> Outcome<SamplingRules> {
        let (stats, options) = (&self.stats, &self.json["options"]);
        let replacement = match options["rare_category_replacement_method"].as_str() {
            Some("SAMPLE") => RareReplacement::Sample,
            _ => RareReplacement::Constant,
        };
        let imputed = self.imputed()?;
        let imputed: Vec<&str> = imputed.iter().map(String::as_str).collect();
        let mut fixed = vec![rare_codes(stats, replacement), imputed_codes(stats, &imputed)];
        if let Some(column) = self.rebalanced() {
            let probabilities = files::object(&options["rebalancing"], "probabilities")?.iter();
            let probabilities = probabilities.map(|(name, p)| Ok((name.as_str(), files::as_number(p)?)));
            let probabilities = probabilities.collect::<Outcome<Vec<_>>>()?;
            fixed.push(rebalanced_codes(stats, column, &probabilities));
        }
        let one = |key: &str| options[format!("sampling_{key}")].as_f64().unwrap_or(1.0);
        Ok(sampling_rules(
            one("temperature"),
            one("top_p"),
            merge_rules(&fixed),
        )?)
    }

    /// One order for all rows: what is known needs none.
    pub(super) fn order(&self) -> Outcome<Vec<usize>> {
        let columns = self.stats.model_columns();
        let number = |name: &str| columns.iter().position(|c| c.name == name);
        let request = OrderRequest {
            imputed: self.imputed()?.iter().filter_map(|name| number(name)).collect(),
            rebalanced: self.rebalanced().and_then(number).into_iter().collect(),
            ..OrderRequest::default()
        };
        Ok(request.order(columns.len()))
    }

    /// What is known of all rows, each in its own pattern.
    pub(super) fn cells(&self, batches: &[Batch]) -> Outcome<Cells> {
        let rows = batches.iter().map(|b| b.rows.len()).sum();
        let mut cells = Cells::sampled(rows, self.loaded.model.sub_columns().len());
        for batch in batches {
            for s in &batch.given {
                let (_, codes) = self.tensor(batch, "given", *s)?;
                for (row, code) in batch.rows.iter().zip(codes) {
                    cells.set(*row, *s, Cell::Observed(*code as u32));
                }
            }
        }
        Ok(cells)
    }

    /// The recorded uniform numbers of all rows, `[rows, sub-columns]`.
    pub(super) fn uniforms(&self, batches: &[Batch]) -> Outcome<Vec<f32>> {
        let subs = self.loaded.model.sub_columns().len();
        let rows: usize = batches.iter().map(|b| b.rows.len()).sum();
        let mut uniforms = vec![0.0; rows * subs];
        for batch in batches {
            for s in &batch.drawn {
                let (_, of_sub) = self.tensor(batch, "uniform", *s)?;
                for (row, uniform) in batch.rows.iter().zip(of_sub) {
                    uniforms[row * subs + s] = *uniform as f32;
                }
            }
        }
        Ok(uniforms)
    }
}
