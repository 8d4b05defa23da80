//! The core of the engine, free of devices, file formats and the disk. A table comes in as borrowed columns with validity ([`schema::Table`]).
//! Its encodings turn every column into sub-columns of integer codes and keep the statistics to decode them ([`encode`]). A model is an
//! autoregressive network over these codes: a layout of parameters and a few static programs ([`argn`]) of a tensor IR with autodiff ([`ir`]).
//! Training minimises the losses of the model ([`train`]), generation samples codes or computes their probabilities ([`generate`]), and
//! decoding makes values of them. [`privacy`] has the mechanisms of differential privacy.
//!
//! Everything that must be fast runs behind the trait [`backend::Backend`], which is as coarse as a program. [`interpreter`] implements it
//! with plain loops in f64, and [`conformance`] compares every other backend with that, so a device is added as a crate of its own, without a
//! change here. Every random number but the noise of privacy mechanisms is a function of seed and position ([`random`]): results do not
//! depend on threads, batches or devices, but for the rounding of sums.

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
