//! What a run is bound to.

use crate::buffer::CudaBuffer;
use crate::driver::DevicePtr;
use crate::shard::Shard;
use crate::streaming::Rings;

/// Addresses and sizes of a run: launches that were made for one run serve another with equal bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bindings {
    shard: Shard,
    addresses: Vec<(DevicePtr, usize)>,
}

impl Bindings {
    pub(crate) fn new(shard: Shard, resources: &[&CudaBuffer], inputs: &[DevicePtr], rings: &Rings) -> Self {
        let of_resource = |buffer: &&CudaBuffer| match (buffer.f32(), buffer.table()) {
            (Some(f32), _) => [f32, (0, 0)],
            (None, Some(table)) => [
                (table.rows(), table.codes.rows()),
                (table.packed_codes(), table.stride as usize),
            ],
            (None, None) => [buffer.u32().unwrap_or((0, 0)), (0, 0)],
        };
        let resources = resources.iter().flat_map(of_resource);
        let inputs = inputs.iter().map(|input| (*input, 0));
        let rings = rings.all().map(|(_, ring)| (ring.address, ring.steps as usize));
        Self {
            shard,
            addresses: resources.chain(inputs).chain(rings).collect(),
        }
    }
}
