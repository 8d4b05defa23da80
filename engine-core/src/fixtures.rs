//! Small models and tables for tests.

use std::sync::Arc;

use crate::argn::{FlatModel, Model, ModelUnits, Units, names};
use crate::random::{Purpose, Stream};
use crate::schema::{CodeColumn, CodeTable, SubColumnName};

/// Widths of one sub-column: cardinality, embedding, layers of the regressor.
pub(crate) struct Sub(pub(crate) usize, pub(crate) usize, pub(crate) &'static [usize]);

/// A model whose columns have the given sub-columns and, where given, a compressor of that width.
pub(crate) fn model(columns: &[(&[Sub], Option<usize>)]) -> FlatModel {
    let mut units = ModelUnits::default();
    let mut sub_columns = Vec::new();
    for (c, (subs, compressed)) in columns.iter().enumerate() {
        for (i, Sub(cardinality, embedding, layers)) in subs.iter().enumerate() {
            let name = SubColumnName::target(c, c, &format!("s{i}"));
            units
                .0
                .insert(names::embedding_width(&name), Units::Width(*embedding));
            units
                .0
                .insert(names::regressor_widths(&name), Units::Widths(layers.to_vec()));
            sub_columns.push((name, *cardinality));
        }
        if let Some(width) = compressed {
            let column = names::compressor_width(&format!("tgt:t{c}/c{c}"));
            units.0.insert(column, Units::Width(*width));
        }
    }
    FlatModel::new(sub_columns, &units, None).expect("all layers have widths")
}

/// A model with all that models can have: siblings, compressed columns beside plain ones, regressors of one and of two layers,
/// a wide sub-column, cardinality one.
pub(crate) fn mixed_model() -> FlatModel {
    model(&[
        (&[Sub(60, 3, &[5])], None),
        (
            &[Sub(2, 2, &[4, 3]), Sub(4, 3, &[3]), Sub(40, 4, &[5, 6])],
            Some(5),
        ),
        (&[Sub(3, 2, &[4])], None),
        (&[Sub(1, 1, &[2]), Sub(5, 3, &[6, 2])], Some(2)),
    ])
}

/// Two columns of four codes.
pub(crate) fn pair_model() -> FlatModel {
    model(&[(&[Sub(4, 4, &[12])], None), (&[Sub(4, 4, &[12])], None)])
}

/// Random codes below the cardinalities of a model.
pub(crate) fn random_table(model: &FlatModel, rows: usize, seed: u64) -> Arc<CodeTable> {
    let stream = Stream::new(seed, Purpose::Test, 0);
    let column = |(s, (_, cardinality)): (usize, &(SubColumnName, usize))| {
        let code = |row| stream.below(*cardinality as u64, row, s as u32) as u32;
        CodeColumn::from_codes(*cardinality, (0..rows as u64).map(code))
    };
    let columns = model.sub_columns().iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, rows).expect("equal lengths"))
}

/// The second column follows from the first: `b = (a + 1) mod 4`.
pub(crate) fn related_table(rows: usize, seed: u64) -> Arc<CodeTable> {
    let stream = Stream::new(seed, Purpose::Test, 1);
    let a: Vec<u32> = (0..rows as u64)
        .map(|row| stream.below(4, row, 0) as u32)
        .collect();
    let b = a.iter().map(|a| (a + 1) % 4).collect::<Vec<_>>();
    let columns = [a, b].map(|codes| CodeColumn::from_codes(4, codes.into_iter()));
    Arc::new(CodeTable::new(columns.to_vec(), rows).expect("equal lengths"))
}

/// Parameters that are far from symmetric: normal initial weights, biases included.
pub(crate) fn random_params(len: usize, seed: u64) -> Vec<f32> {
    let stream = Stream::new(seed, Purpose::Test, 2);
    let value = |i| (stream.uniform(i, 0) + stream.uniform(i, 1) + stream.uniform(i, 2) - 1.5) as f32;
    (0..len as u64).map(value).collect()
}
