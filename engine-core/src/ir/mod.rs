//! The tensor IR: a [`Program`] is a static SSA graph whose ops act on the layers of *all* sub-columns at once.
//!
//! A value is a matrix `[rows, sum of widths]` with a [`Groups`] descriptor; the number of ops does not grow with the
//! number of columns. A program is checked while it is built, differentiated by [`differentiate`], executed by the
//! reference interpreter ([`Interpreter`], the oracle) or by a [`crate::backend::Backend`], and prints as text.

mod access;
mod autodiff;
mod display;
mod fold;
mod initialise;
mod interpret;
mod op;
pub mod ops;
mod params;
mod plan;
mod program;
mod sample;
mod shape;
mod tensor;

pub use access::{Access, AccessKind, Extent};
pub use autodiff::{GradError, Gradient, LossWeight, differentiate};
pub use fold::{FoldError, FoldSource, Folded, fold};
pub(crate) use fold::{fold_tables, lay_out};
pub use initialise::initialise;
pub use interpret::{InterpretError, Interpreter, RefBuffer, Reference};
pub use op::{Clipping, Op, ShapeError};
pub use params::{Initialisation, Param, ParamLayout, ParamLayoutBuilder, ParamView};
pub use plan::{MemoryPlan, Slot};
pub use program::{BuildError, Builder, Input, Node, Program, Resource, ResourceId, ResourceKind, ValueId};
pub use sample::{SampleSpec, sample_program};
pub use shape::{DType, Groups, Rows, Shape};
pub use tensor::Tensor;
