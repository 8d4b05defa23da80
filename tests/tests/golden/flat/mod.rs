//! Kind `flat`: a flat table end to end.

mod clipping;
mod data;
mod forward;
mod generation;
mod gradients;
mod initial_weights;
mod layers;
mod loaded;
mod optimizer;
mod probabilities;
mod recorded;
mod training;

use crate::case_tests::CaseTests;
use crate::devices::Device;

/// Adds all comparisons of a case.
pub(crate) fn add_tests(tests: &mut CaseTests, devices: &[Device]) {
    data::add_tests(tests);
    layers::add_tests(tests);
    initial_weights::add_tests(tests);
    generation::add_tests(tests);
    for device in devices {
        forward::add_tests(tests, device);
        gradients::add_tests(tests, device);
        clipping::add_tests(tests, device);
        optimizer::add_tests(tests, device);
        generation::add_device_tests(tests, device);
        probabilities::add_tests(tests, device);
        // The log is the same on all devices, and the interpreter is slow.
        if !device.is_exact() {
            training::add_tests(tests, device);
        }
    }
}
