//! Embedding lookups of all sub-columns at once.

use std::any::Any;
use std::sync::Arc;

use crate::ir::access::Access;
use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::{Clipping, GradError, Gradient, Op};
use crate::ir::params::ParamView;
use crate::ir::resource::{Resource, ResourceId};
use crate::ir::shape::{Groups, Rows, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;

use super::linear::check_view;

/// `y[b, group s] = table_s[codes[b, s]]`
///
/// codes `u32[B, S]` -> y `f32[B, sum of widths in S groups]`; table s is `[cardinality, width]`.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// Arena of the tables.
    pub params: ResourceId,
    /// One table per sub-column.
    pub tables: Arc<[ParamView]>,
}

/// `grads_s[v] += sum over b with codes[b, s] = v of grad_output[b, group s]`
///
/// codes `u32[B, S]`, grad_output `f32[B, sum of widths]` -> nothing; adds to the arena.
#[derive(Debug, Clone)]
pub struct EmbeddingGrad {
    /// Arena of the gradients.
    pub grads: ResourceId,
    /// One table per sub-column.
    pub tables: Arc<[ParamView]>,
}

/// `y[b, s] = |grad_output[b, group s]|^2`: a table is read once per row, so the gradient of one row of the batch has one row of the
/// table. With time it is the norm of one time step, not that of a sample.
///
/// codes `u32[B, S]`, grad_output `f32[B, sum of widths]` -> y `f32[B, S]`.
#[derive(Debug, Clone)]
pub struct EmbeddingSqNorm {
    /// One table per sub-column.
    pub tables: Arc<[ParamView]>,
}

/// Output groups of an embedding.
pub fn embedding_groups(tables: &[ParamView]) -> Groups {
    Groups::from_widths(tables.iter().map(|t| t.columns))
}

/// Checks codes and incoming gradient; returns their rows.
fn expect_pair(tables: &[ParamView], inputs: &[Shape]) -> Result<Rows, ShapeError> {
    expect_inputs(inputs, 2)?;
    let rows = rows_of(inputs, 0);
    expect_shape(inputs, 0, "codes", &Shape::u32(rows, tables.len()))?;
    let grad_output = Shape::f32(rows, embedding_groups(tables));
    expect_shape(inputs, 1, "grad_output", &grad_output)?;
    Ok(rows)
}

fn check_tables(tables: &[ParamView], arena: ResourceId, resources: &[Resource]) -> Result<(), ShapeError> {
    tables
        .iter()
        .enumerate()
        .try_for_each(|(s, t)| check_view(t, s, arena, resources))
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let rows = rows_of(inputs, 0);
        expect_shape(inputs, 0, "codes", &Shape::u32(rows, self.tables.len()))?;
        check_tables(&self.tables, self.params, resources)?;
        Ok(vec![Shape::f32(rows, embedding_groups(&self.tables))])
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads_params(self.params, self.tables.iter().copied())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let groups = embedding_groups(&self.tables);
        let rows = cx.inputs[0].rows;
        let mut y = Tensor::zeros(rows, groups.total());
        let params = cx.f64(self.params)?;
        for b in 0..rows {
            for (s, table) in self.tables.iter().enumerate() {
                let code = cx.code(0, b, s, table.rows)?;
                for k in 0..table.columns {
                    y.add(
                        b,
                        groups.offset(s) + k,
                        params[table.offset + code * table.columns + k],
                    );
                }
            }
        }
        Ok(vec![y])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        if let Some(grad_output) = cx.grad_output(0) {
            let grads = cx.grads_of(self.params)?;
            cx.emit(
                EmbeddingGrad {
                    grads,
                    tables: Arc::clone(&self.tables),
                },
                &[cx.input(0), grad_output],
            )?;
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for EmbeddingGrad {
    fn name(&self) -> &'static str {
        "embedding_grad"
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_pair(&self.tables, inputs)?;
        check_tables(&self.tables, self.grads, resources)?;
        Ok(Vec::new())
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::accumulates(self.grads, self.tables.iter().copied())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let groups = embedding_groups(&self.tables);
        for b in 0..cx.inputs[0].rows {
            for (s, table) in self.tables.iter().enumerate() {
                let code = cx.code(0, b, s, table.rows)?;
                for k in 0..table.columns {
                    let term = cx.inputs[1].at(b, groups.offset(s) + k);
                    cx.add(self.grads, table.offset + code * table.columns + k, term);
                }
            }
        }
        Ok(Vec::new())
    }

    fn clipping(&self) -> Option<Clipping> {
        let norm = EmbeddingSqNorm {
            tables: Arc::clone(&self.tables),
        };
        Some(Clipping {
            norm: Arc::new(norm),
            signal: 1,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for EmbeddingSqNorm {
    fn name(&self) -> &'static str {
        "embedding_sq_norm"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        let rows = expect_pair(&self.tables, inputs)?;
        Ok(vec![Shape::f32(rows, Groups::ones(self.tables.len()))])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let groups = embedding_groups(&self.tables);
        let rows = cx.inputs[1].rows;
        let mut y = Tensor::zeros(rows, groups.len());
        for b in 0..rows {
            for s in 0..groups.len() {
                for k in groups.range(s) {
                    y.add(b, s, cx.inputs[1].at(b, k).powi(2));
                }
            }
        }
        Ok(vec![y])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
