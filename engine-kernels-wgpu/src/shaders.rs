//! The shaders: one file per family of ops, composed with pieces that several of them use.

/// A family of ops in WGSL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shader {
    Activation,
    Batch,
    Embedding,
    GroupedLinear,
    OrderedLinear,
    Optimizer,
    Privacy,
    Reduce,
    Sampling,
    Softmax,
}

const STEP: &str = include_str!("shaders/prelude/step.wgsl");
const PHILOX: &str = include_str!("shaders/prelude/philox.wgsl");
const DROPOUT: &str = include_str!("shaders/prelude/dropout.wgsl");
const LANES: &str = include_str!("shaders/prelude/lanes.wgsl");
const MATH: &str = include_str!("shaders/prelude/math.wgsl");
const TILE: &str = include_str!("shaders/prelude/tile.wgsl");
const SLICES: &str = include_str!("shaders/prelude/slices.wgsl");

impl Shader {
    /// The pieces of its source, in order.
    pub(crate) fn pieces(self) -> &'static [&'static str] {
        match self {
            Self::Activation => &[STEP, PHILOX, DROPOUT, include_str!("shaders/activation.wgsl")],
            Self::Batch => &[STEP, PHILOX, include_str!("shaders/batch.wgsl")],
            Self::Embedding => &[STEP, LANES, TILE, SLICES, include_str!("shaders/embedding.wgsl")],
            Self::GroupedLinear => &[
                STEP,
                LANES,
                TILE,
                SLICES,
                include_str!("shaders/linear/grouped.wgsl"),
            ],
            Self::OrderedLinear => &[
                STEP,
                PHILOX,
                DROPOUT,
                LANES,
                TILE,
                SLICES,
                include_str!("shaders/linear/ordered.wgsl"),
                include_str!("shaders/linear/ordered_grad.wgsl"),
            ],
            Self::Optimizer => &[STEP, include_str!("shaders/optimizer.wgsl")],
            Self::Privacy => &[STEP, include_str!("shaders/privacy.wgsl")],
            Self::Reduce => &[STEP, LANES, include_str!("shaders/reduce.wgsl")],
            Self::Sampling => &[
                STEP,
                PHILOX,
                LANES,
                MATH,
                include_str!("shaders/sampling/descriptor.wgsl"),
                include_str!("shaders/sampling/rules.wgsl"),
                include_str!("shaders/sampling/ordered_sample.wgsl"),
                include_str!("shaders/sampling/pack.wgsl"),
            ],
            Self::Softmax => &[STEP, LANES, MATH, include_str!("shaders/softmax.wgsl")],
        }
    }
}
