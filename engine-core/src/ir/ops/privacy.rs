//! Per-sample clipping (Abadi et al. 2016, "Deep learning with differential privacy", arXiv 1607.00133).

use std::any::Any;

use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::Op;
use crate::ir::resource::Resource;
use crate::ir::shape::{Groups, Shape, ShapeError, expect_inputs, expect_shape};
use crate::ir::tensor::Tensor;

/// `factor[b] = min(1, max_grad_norm / (sqrt(per_sample_sq_norm[b]) + 1e-6))`
///
/// per_sample_sq_norm `f32[B, 1]` -> factor `f32[B, 1]`.
#[derive(Debug, Clone)]
pub struct ClipFactor {
    /// Bound on the norm of a sample's gradient.
    pub max_grad_norm: f64,
}

/// What is added to the norm before dividing.
pub const CLIP_EPS: f64 = 1e-6;

impl Op for ClipFactor {
    fn name(&self) -> &'static str {
        "clip_factor"
    }

    fn attributes(&self) -> String {
        format!("max_grad_norm {}", self.max_grad_norm)
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let shape = Shape::batch(Groups::single(1));
        expect_shape(inputs, 0, "per_sample_sq_norm", &shape)?;
        Ok(vec![shape])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let norms = cx.inputs[0];
        let factor = |sq: &f64| (self.max_grad_norm / (sq.sqrt() + CLIP_EPS)).min(1.0);
        Ok(vec![Tensor::from_data(
            norms.rows,
            1,
            norms.data.iter().map(factor).collect(),
        )])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
