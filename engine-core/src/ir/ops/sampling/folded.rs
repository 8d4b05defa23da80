//! Layout of a folded model: where the tables lie that draws read.

use std::ops::Range;

use crate::ir::shape::Groups;

/// What a code of a sub-column adds to the hidden units of all others: rows of one number per hidden unit. They are zero for the
/// sub-column itself and for its earlier siblings, which never see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contribution {
    /// A row of a table `[cardinality, hidden units]`.
    Table {
        /// First element.
        offset: usize,
    },
    /// An embedding row times a table `[embedding width, hidden units]`; smaller where the cardinality is large. A row of
    /// constants `[hidden units]` follows the table.
    Factored {
        /// First element of the embedding `[cardinality, width]`.
        embedding: usize,
        /// Embedding width.
        width: usize,
        /// First element of the table.
        offset: usize,
    },
}

/// One sub-column of a folded model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedSubColumn {
    /// The column that it is a part of.
    pub column: usize,
    /// Number of codes.
    pub cardinality: usize,
    /// Its hidden units.
    pub hidden: Range<usize>,
    /// What its code adds to the hidden units.
    pub contribution: Contribution,
    /// First element of the predictor's weight `[cardinality, hidden]`.
    pub head_weight: usize,
    /// First element of the predictor's bias.
    pub head_bias: usize,
}

/// Layout of a folded model. It serves every column order; the hidden units lie in the order in which columns are drawn most of
/// the time, so that what is drawn later lies together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedModel {
    /// Sub-columns in model order.
    pub sub_columns: Vec<FoldedSubColumn>,
    /// Number of hidden units; their initial weights begin at element 0.
    pub hidden: usize,
    /// Cardinalities of the sub-columns in model order.
    pub cardinalities: Groups,
    /// Number of elements of the folded arena.
    pub len: usize,
}

impl FoldedSubColumn {
    /// First element of what belongs to this sub-column alone: its tables, then its predictor.
    pub(crate) fn start(&self) -> usize {
        match self.contribution {
            Contribution::Table { offset } => offset,
            Contribution::Factored { embedding, .. } => embedding,
        }
    }
}

impl FoldedModel {
    /// Bytes of the folded arena in single precision.
    pub fn bytes(&self) -> u64 {
        (self.len * size_of::<f32>()) as u64
    }

    /// The sub-columns of columns, in the order of the columns.
    pub fn sub_columns_of(&self, columns: &[usize]) -> Vec<usize> {
        let of_column = |c: &usize| {
            let c = *c;
            (0..self.sub_columns.len()).filter(move |s| self.sub_columns[*s].column == c)
        };
        columns.iter().flat_map(of_column).collect()
    }
}
