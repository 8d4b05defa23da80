//! Flat models for the cases of folding and sampling and for whole programs.

use super::random_data::RandomData;
use crate::argn::{FlatModel, Model as _, ModelError, ModelSize, ModelUnits};
use crate::ir::initialise;
use crate::schema::SubColumnName;

/// A flat model with what its cases need.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) label: String,
    pub(super) flat: FlatModel,
    pub(super) cardinalities: Vec<usize>,
}

impl Model {
    /// A model of the given size over columns given by the cardinalities of their sub-columns.
    pub(super) fn new(label: &str, size: ModelSize, columns: &[Vec<usize>]) -> Result<Self, ModelError> {
        let named = columns.iter().enumerate().flat_map(|(c, cardinalities)| {
            let name = move |(i, v): (usize, &usize)| (SubColumnName::target(c, c, &format!("E{i}")), *v);
            cardinalities.iter().enumerate().map(name)
        });
        let sub_columns: Vec<(SubColumnName, usize)> = named.collect();
        let units = ModelUnits::flat(size, &sub_columns);
        Ok(Self {
            label: label.to_owned(),
            flat: FlatModel::new(sub_columns, &units, None)?,
            cardinalities: columns.iter().flatten().copied().collect(),
        })
    }

    /// Initial weights of the parameters, with weights that have something to say.
    pub(super) fn params(&self, seed: u64) -> Vec<f32> {
        initialise(self.flat.layout(), seed)
    }

    /// A random column order.
    pub(super) fn order(&self, random: &mut RandomData) -> Vec<usize> {
        let order = random.permutation(self.flat.columns().len());
        order.into_iter().map(|c| c as usize).collect()
    }
}

/// Small models of all sizes: one column, cardinality one, a wide column among narrow ones, siblings, compressed columns.
pub(super) fn small() -> Result<Vec<Model>, ModelError> {
    let mixed = vec![vec![3], vec![1], vec![700], vec![2, 11, 4], vec![30, 1]];
    let many: Vec<Vec<usize>> = (0..13).map(|c| vec![4 + c, 10, 3 + c % 5, 2]).collect();
    Ok(vec![
        Model::new("one column, small", ModelSize::Small, &[vec![5]])?,
        Model::new(
            "one column of cardinality one, medium",
            ModelSize::Medium,
            &[vec![1]],
        )?,
        Model::new("mixed columns, small", ModelSize::Small, &mixed)?,
        Model::new("mixed columns, medium", ModelSize::Medium, &mixed)?,
        Model::new("mixed columns, large", ModelSize::Large, &mixed)?,
        Model::new("compressed columns, small", ModelSize::Small, &many)?,
        Model::new("compressed columns, large", ModelSize::Large, &many)?,
    ])
}
