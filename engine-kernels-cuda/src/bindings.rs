//! What a run is bound to.

use engine_core::backend::Run;

use crate::buffer::CudaBuffer;
use crate::driver::DevicePtr;

/// Addresses and sizes of a run: launches that were made for one run serve another with equal bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bindings {
    rows: u32,
    addresses: Vec<(DevicePtr, usize)>,
}

impl Bindings {
    pub(crate) fn new(run: &Run, resources: &[&CudaBuffer], inputs: &[DevicePtr]) -> Self {
        let of_resource = |buffer: &&CudaBuffer| match (buffer.numbers(), buffer.table()) {
            (Some(numbers), _) => numbers,
            (None, Some(table)) => (table.rows(), table.codes.rows()),
            (None, None) => buffer.words().unwrap_or((0, 0)),
        };
        let resources = resources.iter().map(of_resource);
        Self {
            rows: run.rows,
            addresses: resources.chain(inputs.iter().map(|i| (*i, 0))).collect(),
        }
    }
}
