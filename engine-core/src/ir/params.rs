//! Parameters: one flat arena with a layout table of names, offsets and shapes.

use std::collections::HashMap;
use std::sync::Arc;

/// How a parameter starts, before training.
#[derive(Debug, Clone, PartialEq)]
pub enum Initialisation {
    /// Independent standard normal entries.
    StandardNormal,
    /// Independent uniform entries in `[-bound, bound]`.
    Uniform {
        /// Half width of the interval.
        bound: f64,
    },
    /// Given values, row-major.
    Values(Arc<[f32]>),
}

/// A view of one parameter in the arena: `[outputs, inputs]`, row-major. Biases have one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamView {
    /// Position of the parameter in the layout.
    pub index: usize,
    /// First element in the arena.
    pub offset: usize,
    /// Rows (outputs; cardinality for an embedding).
    pub rows: usize,
    /// Columns (inputs; embedding width for an embedding; 1 for a bias).
    pub columns: usize,
}

impl ParamView {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of this parameter in an arena.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// A named parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Name, as in the state dict of mostlyai-engine.
    pub name: String,
    /// Shape as stored in files: two entries for weights, one for biases.
    pub shape: Vec<usize>,
    /// Where it lies in the arena.
    pub view: ParamView,
    /// How it starts.
    pub initialisation: Initialisation,
}

/// The layout of an arena.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParamLayout {
    params: Vec<Param>,
    len: usize,
}

impl ParamLayout {
    /// Parameters in arena order.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Number of elements in the arena.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the arena is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameter called `name`.
    pub fn find(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|p| p.name == name)
    }
}

/// Lays parameters out one after another; asking for a name twice gives the same view.
#[derive(Debug, Default)]
pub struct ParamLayoutBuilder {
    layout: ParamLayout,
    by_name: HashMap<String, ParamView>,
}

impl ParamLayoutBuilder {
    /// An empty arena.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a weight `[rows, columns]`.
    pub fn weight(
        &mut self,
        name: String,
        rows: usize,
        columns: usize,
        initialisation: Initialisation,
    ) -> ParamView {
        self.add(name, vec![rows, columns], rows, columns, initialisation)
    }

    /// Adds a bias of `rows` entries.
    pub fn bias(&mut self, name: String, rows: usize, initialisation: Initialisation) -> ParamView {
        self.add(name, vec![rows], rows, 1, initialisation)
    }

    fn add(
        &mut self,
        name: String,
        shape: Vec<usize>,
        rows: usize,
        columns: usize,
        initialisation: Initialisation,
    ) -> ParamView {
        if let Some(view) = self.by_name.get(&name) {
            return *view;
        }
        let view = ParamView {
            index: self.layout.params.len(),
            offset: self.layout.len,
            rows,
            columns,
        };
        self.layout.len += view.len();
        self.by_name.insert(name.clone(), view);
        self.layout.params.push(Param {
            name,
            shape,
            view,
            initialisation,
        });
        view
    }

    /// The finished layout.
    pub fn finish(self) -> ParamLayout {
        self.layout
    }
}
