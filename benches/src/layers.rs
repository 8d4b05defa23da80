//! Layers of many groups for the benches of single ops.

use std::sync::Arc;

use engine_core::ir::ops::activation::Dropout;
use engine_core::ir::ops::linear::{Layer, LinearGroups, OrderedSpec};
use engine_core::ir::{Groups, Initialisation, ParamLayout, ParamLayoutBuilder, ParamView};
use engine_core::random::{Purpose, Stream};

use crate::CENSUS;

/// Cardinalities of `columns` sub-columns: those of the census table, over and over.
pub fn cardinalities(columns: usize) -> Vec<usize> {
    CENSUS.into_iter().cycle().take(columns).collect()
}

/// `count` groups of width 16.
pub fn equal_widths(count: usize) -> Vec<usize> {
    vec![16; count]
}

/// `count` very unequal groups: one of width 500, the others from 1 to 31.
pub fn unequal_widths(count: usize) -> Vec<usize> {
    let width = |g: usize| if g == count / 2 { 500 } else { 1 + 7 * g % 31 };
    (0..count).map(width).collect()
}

fn layer(params: &mut ParamLayoutBuilder, g: usize, outputs: usize, inputs: usize) -> Layer {
    let start = Initialisation::StandardNormal;
    Layer {
        weight: params.weight(format!("{g}.weight"), outputs, inputs, start.clone()),
        bias: params.bias(format!("{g}.bias"), outputs, start),
    }
}

/// A layer for each pair of an input and an output width.
pub fn grouped(inputs: &[usize], outputs: &[usize]) -> (LinearGroups, Arc<ParamLayout>) {
    let mut params = ParamLayoutBuilder::new();
    let pairs = inputs.iter().zip(outputs).enumerate();
    let layers: Vec<_> = pairs
        .map(|(g, (i, o))| Some(layer(&mut params, g, *o, *i)))
        .collect();
    let groups = LinearGroups {
        input: Groups::from_widths(inputs.iter().copied()),
        output: Groups::from_widths(outputs.iter().copied()),
        layers: layers.into(),
    };
    (groups, Arc::new(params.finish()))
}

/// First layers of the regressors of columns with one sub-column each: embedding widths, output widths, dropout at rate a quarter.
pub fn ordered(columns: &[usize], outputs: &[usize]) -> (OrderedSpec, Arc<ParamLayout>) {
    let mut params = ParamLayoutBuilder::new();
    let total = columns.iter().sum();
    let layers: Vec<_> = outputs
        .iter()
        .enumerate()
        .map(|(g, o)| layer(&mut params, g, *o, total))
        .collect();
    let spec = OrderedSpec {
        columns: Groups::from_widths(columns.iter().copied()),
        sub_columns: Groups::from_widths(columns.iter().copied()),
        column_of: (0..columns.len()).collect(),
        output: Groups::from_widths(outputs.iter().copied()),
        layers: layers.into(),
        dropout: Dropout::new(0.25, 0),
    };
    (spec, Arc::new(params.finish()))
}

/// Embedding tables for the cardinalities, all of one width.
pub fn tables(cardinalities: &[usize], width: usize) -> (Arc<[ParamView]>, Arc<ParamLayout>) {
    let mut params = ParamLayoutBuilder::new();
    let table =
        |(s, v): (usize, &usize)| params.weight(format!("{s}"), *v, width, Initialisation::StandardNormal);
    let tables = cardinalities.iter().enumerate().map(table).collect();
    (tables, Arc::new(params.finish()))
}

/// Ranks of `columns` columns in a random column order.
pub fn shuffled_ranks(columns: usize) -> Vec<u32> {
    let stream = Stream::new(1, Purpose::Test, 2);
    let mut order: Vec<u32> = (0..columns as u32).collect();
    order.sort_by_key(|c| stream.block(0, 0, *c));
    order
}
