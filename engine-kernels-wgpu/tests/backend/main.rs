//! The backend as the core sees it, on the first adapter: a graphics device, or a driver in software.

mod common;
mod conformance;
mod dispatches;
mod half_tables;
mod refusals;
mod slices;
mod streaming;
