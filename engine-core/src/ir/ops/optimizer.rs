//! The optimiser: one pass over the arena.

use std::any::Any;

use crate::ir::access::Access;
use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::Op;
use crate::ir::resource::{Resource, ResourceId, ResourceKind};
use crate::ir::shape::{Shape, ShapeError, expect_inputs};
use crate::ir::tensor::Tensor;

/// AdamW (Loshchilov, Hutter 2019, "Decoupled weight decay regularization", arXiv 1711.05101), with t = step + 1:
///
/// `w <- w (1 - learning_rate weight_decay)`, `m <- m + (1 - beta1) (g - m)`, `v <- beta2 v + (1 - beta2) g^2`,
/// `w <- w - learning_rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + adam_eps)`, `g <- 0`
///
/// nothing -> nothing; reads and writes four arenas of one layout. The gradients are cleared for the next step.
#[derive(Debug, Clone)]
pub struct AdamW {
    /// Weights w.
    pub params: ResourceId,
    /// Gradients g.
    pub grads: ResourceId,
    /// First moments m.
    pub first_moments: ResourceId,
    /// Second moments v.
    pub second_moments: ResourceId,
    /// Decay of the first moments.
    pub beta1: f64,
    /// Decay of the second moments.
    pub beta2: f64,
    /// Keeps the denominator above zero.
    pub adam_eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// What AdamW needs to know of a step, in the precision that kernels use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// `1 - learning_rate weight_decay`
    pub decay: f32,
    /// `learning_rate / (1 - beta1^t)`
    pub step_size: f32,
    /// `1 / sqrt(1 - beta2^t)`
    pub inverse_sqrt_correction: f32,
}

impl AdamW {
    /// The constants of a step.
    pub fn step(&self, step: u32, learning_rate: f32) -> AdamWStep {
        let (t, learning_rate) = (f64::from(step) + 1.0, f64::from(learning_rate));
        AdamWStep {
            decay: (1.0 - learning_rate * self.weight_decay) as f32,
            step_size: (learning_rate / (1.0 - self.beta1.powf(t))) as f32,
            inverse_sqrt_correction: (1.0 / (1.0 - self.beta2.powf(t)).sqrt()) as f32,
        }
    }
}

impl Op for AdamW {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn attributes(&self) -> String {
        let Self {
            beta1,
            beta2,
            adam_eps,
            weight_decay,
            ..
        } = self;
        format!("beta1 {beta1}, beta2 {beta2}, adam_eps {adam_eps:e}, weight_decay {weight_decay}")
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 0)?;
        let first = &resources[self.params.index()].kind;
        for id in [self.params, self.grads, self.first_moments, self.second_moments] {
            let resource = &resources[id.index()];
            if !matches!(resource.kind, ResourceKind::Arena(_)) || resource.kind != *first {
                let expected = "an arena laid out as the parameters";
                return Err(ShapeError::Resource {
                    resource: resource.name.clone(),
                    expected,
                });
            }
        }
        Ok(Vec::new())
    }

    fn accesses(&self) -> Vec<Access> {
        let moments = [self.first_moments, self.second_moments].map(Access::updates);
        let accesses = [Access::updates(self.params), Access::uses_up(self.grads)];
        accesses.into_iter().chain(moments).flatten().collect()
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (t, rate) = (
            f64::from(cx.run.first_step) + 1.0,
            f64::from(cx.run.learning_rate),
        );
        let (correction1, correction2) = (1.0 - self.beta1.powf(t), 1.0 - self.beta2.powf(t));
        for i in 0..cx.f64(self.params)?.len() {
            let w = cx.f64(self.params)?[i];
            let g = cx.f64(self.grads)?[i];
            let (m0, v0) = (cx.f64(self.first_moments)?[i], cx.f64(self.second_moments)?[i]);
            let m = m0 + (1.0 - self.beta1) * (g - m0);
            let v = self.beta2 * v0 + (1.0 - self.beta2) * g * g;
            let update = rate / correction1 * m / ((v / correction2).sqrt() + self.adam_eps);
            // What earlier steps rounded away stays in the moments, even where they cancel.
            let carried = cx.terms(self.first_moments, i).max(m0.abs());
            let terms = self.beta1 * carried + (1.0 - self.beta1) * g.abs();
            let largest =
                rate / correction1 * (carried + g.abs()) / ((v / correction2).sqrt() + self.adam_eps);
            cx.set(
                self.params,
                i,
                w * (1.0 - rate * self.weight_decay) - update,
                w.abs() + largest,
            );
            cx.set(self.first_moments, i, m, terms);
            cx.set(self.second_moments, i, v, v);
            cx.set(self.grads, i, 0.0, 0.0);
        }
        Ok(Vec::new())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
