//! Linear layers of all sub-columns at once: grouped and ordered.

mod grouped;
mod ordered;

use engine_core::backend::BackendError;
use engine_core::ir::Node;

use crate::compiler::Compiler;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    Ok(grouped::make(node, cx)? || ordered::make(node, cx)?)
}
