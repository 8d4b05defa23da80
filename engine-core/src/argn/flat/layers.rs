//! The layers of a flat model, laid out as parameters.

use std::sync::Arc;

use crate::argn::names;
use crate::argn::sizes::{ModelUnits, SizeError};
use crate::ir::ops::linear::{Layer, LinearGroups, OrderedSpec};
use crate::ir::{Groups, Initialisation, ParamLayoutBuilder, ParamView};
use crate::schema::SubColumnName;

fn uniform(inputs: usize) -> Initialisation {
    Initialisation::Uniform {
        bound: 1.0 / (inputs.max(1) as f64).sqrt(),
    }
}

fn layer(params: &mut ParamLayoutBuilder, prefix: &str, outputs: usize, inputs: usize) -> Layer {
    Layer {
        weight: params.weight(names::weight(prefix), outputs, inputs, uniform(inputs)),
        bias: params.bias(names::bias(prefix), outputs, uniform(inputs)),
    }
}

pub(super) fn embedding_tables(
    sub_columns: &[(SubColumnName, usize)],
    units: &ModelUnits,
    params: &mut ParamLayoutBuilder,
) -> Result<Arc<[ParamView]>, SizeError> {
    let table = |(name, cardinality): &(SubColumnName, usize)| {
        let width = units.width(&names::embedding_width(name))?;
        Ok(params.weight(
            names::embedding(name),
            *cardinality,
            width,
            Initialisation::StandardNormal,
        ))
    };
    sub_columns.iter().map(table).collect()
}

/// Names of the columns in order, and the column of each sub-column.
pub(super) fn columns_of(sub_columns: &[(SubColumnName, usize)]) -> (Vec<String>, Arc<[usize]>) {
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
pub(super) fn join_groups(sub_groups: &Groups, column_of: &[usize], columns: usize) -> Groups {
    let mut widths = vec![0; columns];
    for (s, c) in column_of.iter().enumerate() {
        widths[*c] += sub_groups.width(s);
    }
    Groups::from_widths(widths)
}

/// Linear layers of the columns whose embedding is compressed; `None` when no column is.
pub(super) fn column_compressors(
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
        let key = names::compressor_width(column);
        let width = if units.0.contains_key(&key) {
            units.width(&key)?
        } else {
            input.width(c)
        };
        widths.push(width);
        layers.push((width < input.width(c)).then(|| {
            let prefix = names::compressor(column);
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
pub(super) fn regressors(
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
        let widths = units.widths(&names::regressor_widths(name))?;
        first.push(layer(
            params,
            &names::regressor(name, 0),
            widths[0],
            spec.input_width(s),
        ));
        if let Some(width) = widths.get(1) {
            second.push(Some(layer(params, &names::regressor(name, 1), *width, widths[0])));
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

pub(super) fn predictors(
    sub_columns: &[(SubColumnName, usize)],
    hidden: Groups,
    head_biases: Option<&[Arc<[f32]>]>,
    params: &mut ParamLayoutBuilder,
) -> LinearGroups {
    let layers = sub_columns.iter().enumerate().map(|(s, (name, cardinality))| {
        let (inputs, prefix) = (hidden.width(s), names::predictor(name));
        Some(match head_biases {
            None => layer(params, &prefix, *cardinality, inputs),
            Some(biases) => {
                let bound = (6.0 / (inputs + cardinality) as f64).sqrt();
                let xavier = Initialisation::Uniform { bound };
                let start = Initialisation::Values(Arc::clone(&biases[s]));
                Layer {
                    weight: params.weight(names::weight(&prefix), *cardinality, inputs, xavier),
                    bias: params.bias(names::bias(&prefix), *cardinality, start),
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
