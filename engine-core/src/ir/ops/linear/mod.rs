//! Linear layers of all sub-columns at once: grouped (each group its own layer) and ordered (each sub-column sees the columns
//! before its own in the column order).

mod grouped;
mod ordered;

pub use grouped::{
    GroupedLinear, GroupedLinearGradInput, GroupedLinearGradParams, GroupedLinearSqNorm, LinearGroups,
};
pub use ordered::{
    Block, BlockSource, OrderedLinear, OrderedLinearGradInput, OrderedLinearGradParams, OrderedLinearSqNorm,
    OrderedSpec,
};

use crate::ir::params::ParamView;
use crate::ir::resource::{Resource, ResourceId, ResourceKind};
use crate::ir::shape::ShapeError;

/// Weight `[outputs, inputs]` and bias `[outputs]` of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Weight.
    pub weight: ParamView,
    /// Bias.
    pub bias: ParamView,
}

impl Layer {
    /// Weight and bias.
    pub(super) fn params(&self) -> [ParamView; 2] {
        [self.weight, self.bias]
    }

    fn check(
        &self,
        group: usize,
        outputs: usize,
        inputs: usize,
        arena: ResourceId,
        resources: &[Resource],
    ) -> Result<(), ShapeError> {
        for (role, view, expected) in [
            ("weight", &self.weight, (outputs, inputs)),
            ("bias", &self.bias, (outputs, 1)),
        ] {
            let got = (view.rows, view.columns);
            if got != expected {
                return Err(ShapeError::Parameter {
                    role,
                    group,
                    expected,
                    got,
                });
            }
            check_view(view, group, arena, resources)?;
        }
        Ok(())
    }
}

/// Checks that a view lies inside its arena.
pub(super) fn check_view(
    view: &ParamView,
    group: usize,
    arena: ResourceId,
    resources: &[Resource],
) -> Result<(), ShapeError> {
    let resource = &resources[arena.index()];
    let ResourceKind::Arena(layout) = &resource.kind else {
        return Err(ShapeError::Resource {
            resource: resource.name.clone(),
            expected: "an arena",
        });
    };
    let (end, len) = (view.range().end, layout.len());
    if end > len {
        Err(ShapeError::OutsideArena { group, end, len })
    } else {
        Ok(())
    }
}
