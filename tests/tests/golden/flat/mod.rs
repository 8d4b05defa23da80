//! Kind `flat`: a flat table end to end.

mod clipping;
mod data;
mod forward;
mod generation;
mod gradients;
mod layers;
mod loaded;
mod optimizer;
mod probabilities;
mod recorded;
mod start_values;
mod training;

use crate::devices::Device;
use crate::plan::Plan;

/// Adds all comparisons of a case.
pub(crate) fn plan(plan: &mut Plan, devices: &[Device]) {
    data::plan(plan);
    layers::plan(plan);
    start_values::plan(plan);
    generation::plan(plan);
    for device in devices {
        forward::plan(plan, device);
        gradients::plan(plan, device);
        clipping::plan(plan, device);
        optimizer::plan(plan, device);
        generation::plan_on(plan, device);
        probabilities::plan(plan, device);
        // The log is the same on all devices, and the interpreter is slow.
        if !device.is_exact() {
            training::plan(plan, device);
        }
    }
}
