//! A step launches as many kernels for fifteen columns as for hundreds.

// This test is run for its figures.
#![allow(clippy::print_stdout)]

use crate::common::{backend, model, training_step};
use engine_core::argn::ModelSize;
use engine_kernels_wgpu::WgpuOptions;

/// Cardinalities of the census table's fifteen sub-columns.
const CENSUS: [usize; 15] = [71, 10, 103, 17, 17, 8, 16, 7, 6, 3, 65, 45, 80, 42, 3];

#[test]
fn a_step_of_the_census_model_is_a_few_dispatches() {
    let backend = backend(&WgpuOptions::default());
    for (size, max_dispatches) in [
        (ModelSize::Small, 40),
        (ModelSize::Medium, 40),
        (ModelSize::Large, 40),
    ] {
        let count = |cardinalities: &[usize]| {
            let program = training_step(&model(size, cardinalities));
            backend.dispatches(&program, 64).expect("a program that compiles")
        };
        let census = count(&CENSUS);
        let many = count(&[7; 60]);
        println!("{size:?}: {census} dispatches a step");
        assert!(
            (20..=max_dispatches).contains(&census),
            "{size:?}: {census} dispatches"
        );
        assert_eq!(census, many, "{size:?}: dispatches for 15 and for 60 columns");
    }
}
