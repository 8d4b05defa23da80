//! The tensor IR. A training step, a forward pass or a draw of rows is a [`Program`]: a static graph in SSA form whose values are
//! matrices, `[rows, sum of widths]`, and whose ops act on the layers of *all* sub-columns at once. A [`Groups`] descriptor gives the
//! offset and width of each sub-column within such a matrix, so a table of 1,000 columns takes as many ops as one of 15. Shapes are
//! checked when an op is added ([`Builder`]), so a program that exists is well formed. [`differentiate`] appends the backward pass to a
//! program. What an op does to parameters and other resources it declares as [`Access`]es, and transforms (gradient clipping, splitting
//! a batch over several GPUs) rely on these alone. The [`Interpreter`] runs any program in f64 with plain loops and is the oracle for
//! every [`crate::backend::Backend`], which compiles a program once, with the buffers of a [`MemoryPlan`], and then runs many steps.
//! [`fold`] precomputes embedding times weight for generation, and [`sample_program`] builds the program that draws rows from the result.

mod access;
mod autodiff;
mod display;
mod fold;
mod initialise;
mod interpret;
mod interpreter;
mod op;
pub mod ops;
mod params;
mod plan;
mod program;
mod resource;
mod run;
mod sample;
mod shape;
mod tensor;

pub use access::{Access, AccessKind, Extent};
pub use autodiff::differentiate;
pub use fold::{FoldError, FoldSource, Folded, fold};
pub(crate) use fold::{fold_tables, lay_out};
pub use initialise::initialise;
pub use interpret::{InterpretError, InterpreterBuffer, InterpreterContext};
pub use interpreter::Interpreter;
pub use op::{Clipping, GradError, Gradient, Op};
pub use ops::reduce::LossWeight;
pub use params::{Initialisation, Param, ParamLayout, ParamLayoutBuilder, ParamView};
pub use plan::{MemoryPlan, Slot};
pub use program::{BuildError, Builder, Input, Node, Program, ValueId};
pub use resource::{Resource, ResourceId, ResourceKind};
pub use run::{MAX_TIME, RowPlace, Run};
pub use sample::{SampleSpec, sample_program};
pub use shape::{DType, Groups, Rows, Shape, ShapeError};
pub use tensor::Tensor;
