//! Resources: the buffers that programs read and write.

use std::sync::Arc;

use super::params::ParamLayout;

/// A buffer that outlives a run: an arena of parameters, the encoded table, a trace of losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceId(pub(crate) u32);

impl ResourceId {
    /// Position in [`super::Program::resources`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a resource holds.
#[derive(Debug, Clone, PartialEq)]
pub enum ResourceKind {
    /// Single precision values laid out as parameters (weights, their gradients, moments).
    Arena(Arc<ParamLayout>),
    /// Codes of a table, `columns` sub-columns, any number of rows.
    Codes {
        /// Number of sub-columns.
        columns: usize,
    },
    /// Single precision values without further structure (traces, masks); the length is fixed by the buffer that is bound.
    F32,
    /// Unsigned integers without further structure (lengths, offsets); the length is fixed by the buffer that is bound.
    U32,
}

/// A resource with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Name, unique within the program.
    pub name: String,
    /// What it holds.
    pub kind: ResourceKind,
}
