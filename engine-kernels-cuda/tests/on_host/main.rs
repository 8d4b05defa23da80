//! The kernels compiled as C++ and run on this machine. One program, so that they are compiled once.

#[path = "../host/mod.rs"]
mod host;

mod conformance;
mod general_paths;
mod ranks;
mod selftest;
mod streaming;
