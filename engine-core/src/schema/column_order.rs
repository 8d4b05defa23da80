//! In which orders of its columns a model is trained.

use serde::{Deserialize, Serialize};

/// In which orders of the columns a model is trained. Files hold it as a boolean: whether any order is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "bool", into = "bool")]
pub enum ColumnOrderKind {
    /// Each batch draws its own order: an any-order model, whose rows can be generated in every order.
    #[default]
    Any,
    /// The order of the model only: a fixed-order model.
    Fixed,
}

impl ColumnOrderKind {
    /// Whether every order of the columns is known.
    pub fn is_any(self) -> bool {
        self == Self::Any
    }
}

impl From<bool> for ColumnOrderKind {
    fn from(any: bool) -> Self {
        if any { Self::Any } else { Self::Fixed }
    }
}

impl From<ColumnOrderKind> for bool {
    fn from(kind: ColumnOrderKind) -> Self {
        kind.is_any()
    }
}
