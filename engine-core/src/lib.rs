//! The backend-agnostic heart of the engine: the schema of a table, its encodings, the tensor IR and its reference
//! interpreter, the ARGN graphs, training and generation, and the [`backend::Backend`] seam that devices plug into.
//!
//! This crate knows no device, no file format and no disk. Tables come in as slices of columns with validity
//! ([`schema::Table`]); everything that must be fast happens behind [`backend::Backend`].

pub mod argn;
pub mod backend;
pub mod calendar;
pub mod conformance;
mod device_buffers;
pub mod encode;
#[cfg(test)]
mod fixtures;
pub mod generate;
pub mod interpreter;
pub mod ir;
pub mod privacy;
pub mod random;
pub mod remedy;
pub mod schema;
pub mod train;
