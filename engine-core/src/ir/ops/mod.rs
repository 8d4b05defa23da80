//! The ops, one file per family. A file holds equation, shape rule, loops of the interpreter, gradient and per-sample norm rule
//! of each op; the conformance suite holds the cases.
//!
//! Names and families are the same in every crate: who knows one, knows all.
//!
//! Shapes are written with one row per row of the batch, B. An op that works row by row takes the rows of its inputs: with time, where
//! there are T B rows in time-major order, it gives results with time.

pub mod activation;
pub mod batch;
pub mod embedding;
pub mod linear;
pub mod optimizer;
pub mod privacy;
pub mod reduce;
pub mod sampling;
pub mod softmax;

/// Names of all ops; a backend that claims to be complete has a kernel for each.
pub const OP_NAMES: &[&str] = &[
    "gather_rows",
    "column_order",
    "mask_rows",
    "embedding",
    "embedding_grad",
    "embedding_sq_norm",
    "grouped_linear",
    "grouped_linear_grad_input",
    "grouped_linear_grad_params",
    "grouped_linear_sq_norm",
    "ordered_linear",
    "ordered_linear_grad_input",
    "ordered_linear_grad_params",
    "ordered_linear_sq_norm",
    "relu",
    "relu_grad",
    "dropout",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_grad",
    "add",
    "sum_groups",
    "broadcast_groups",
    "fill_rows",
    "scale_rows",
    "record_sum",
    "clip_factor",
    "adamw",
    "ordered_sample",
];
