//! What a kernel is, and what it is made and launched with.

use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;
use engine_core::ir::ops::batch::GatherRows;
use engine_core::ir::ops::optimizer::AdamW;
use engine_core::ir::{Groups, Op, Program, ResourceId, Rows, ValueId};

use crate::buffer::CudaBuffer;
use crate::driver::{DevicePtr, Driver, DriverInfo};
use crate::error::CudaError;
use crate::memory::Memory;
use crate::shard::Shard;
use crate::streaming::RingView;
use crate::table::PackedTable;

/// The kernel of an op if it is a `T`.
pub(super) fn as_op<T: Op + Clone>(op: &dyn Op) -> Option<T> {
    op.as_any().downcast_ref::<T>().cloned()
}

/// An op that is ready to be launched.
pub(crate) trait CudaKernel: Send + fmt::Debug {
    /// Adds the op's launches for batches of `cx.rows` rows.
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches);

    /// Cardinality of a sub-column whose codes the op checks.
    fn cardinality(&self, _sub_column: usize) -> Option<usize> {
        None
    }

    /// Scratch memory that several kernels of this program use, and whether this one writes it.
    fn shared_scratch(&self) -> Option<(DevicePtr, bool)> {
        None
    }

    /// The op, if it reads rows of a table.
    fn gathers(&self) -> Option<&GatherRows> {
        None
    }

    /// The optimiser whose constants of each step the op reads.
    fn optimizer(&self) -> Option<&AdamW> {
        None
    }
}

/// Addresses of the lists of visible features of each column in the column order of the step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Views {
    /// Visible features before each column.
    pub(super) starts: DevicePtr,
    /// The visible features in order; 0 where that would be too many.
    pub(super) features: DevicePtr,
}

/// Visible features are listed where all views together have no more than these; else they are searched for.
const MAX_FEATURES: usize = 16 << 20;

/// What a kernel is made with: the device, and memory for constants and scratch that lives as long as the program.
pub(crate) struct CompileContext<'a> {
    pub(crate) driver: &'a Arc<dyn Driver>,
    pub(crate) info: &'a DriverInfo,
    pub(crate) max_rows: usize,
    /// Inputs of the op whose kernel is made.
    pub(crate) inputs: Vec<ValueId>,
    kept: &'a mut Vec<Memory>,
    /// The visible features of each column in a column order: listed once, for all ops with the same ranks.
    views: Vec<(ValueId, Groups, Views)>,
}

impl<'a> CompileContext<'a> {
    pub(crate) fn new(
        driver: &'a Arc<dyn Driver>,
        info: &'a DriverInfo,
        max_rows: usize,
        kept: &'a mut Vec<Memory>,
    ) -> Self {
        Self {
            driver,
            info,
            max_rows,
            inputs: Vec::new(),
            kept,
            views: Vec::new(),
        }
    }

    /// Scratch memory for the visible features of each of `columns` in the order of the ranks `ranks`, and whether it is new: the first
    /// op that needs it fills it.
    pub(super) fn views(&mut self, ranks: ValueId, columns: &Groups) -> Result<(Views, bool), CudaError> {
        let same = |(value, groups, _): &&(ValueId, Groups, Views)| *value == ranks && groups == columns;
        if let Some((_, _, views)) = self.views.iter().find(same) {
            return Ok((*views, false));
        }
        let (count, features) = (columns.len(), columns.len() * columns.total());
        let views = Views {
            starts: self.scratch(count * (count + 1) * size_of::<u32>())?,
            features: if features <= MAX_FEATURES {
                self.scratch(features * size_of::<u32>())?
            } else {
                0
            },
        };
        self.views.push((ranks, columns.clone(), views));
        Ok((views, true))
    }

    /// Address of a copy of `values`.
    pub(super) fn constants<T: Pod>(&mut self, values: &[T]) -> Result<DevicePtr, CudaError> {
        self.keep(Memory::of(self.driver, bytemuck::cast_slice(values))?)
    }

    /// Address of `bytes` bytes without contents.
    pub(super) fn scratch(&mut self, bytes: usize) -> Result<DevicePtr, CudaError> {
        self.keep(Memory::new(self.driver, bytes)?)
    }

    fn keep(&mut self, memory: Memory) -> Result<DevicePtr, CudaError> {
        let address = memory.address();
        self.kept.push(memory);
        Ok(address)
    }

    /// First feature of each group, and the end of the last.
    pub(super) fn offsets(&mut self, groups: &Groups) -> Result<DevicePtr, CudaError> {
        let ends = (0..groups.len()).map(|g| groups.range(g).end as u32);
        let offsets: Vec<u32> = std::iter::once(0).chain(ends).collect();
        self.constants(&offsets)
    }

    /// Group of each feature.
    pub(super) fn owners(&mut self, groups: &Groups) -> Result<DevicePtr, CudaError> {
        let of_group = |g: usize| std::iter::repeat_n(g as u32, groups.width(g));
        let owners: Vec<u32> = (0..groups.len()).flat_map(of_group).collect();
        self.constants(&owners)
    }
}

/// Addresses of everything that one op touches in a run.
pub(crate) struct Bound<'a> {
    pub(crate) program: &'a Program,
    pub(crate) shard: Shard,
    /// Address of each value.
    pub(crate) values: &'a [DevicePtr],
    pub(crate) resources: &'a [&'a CudaBuffer],
    pub(crate) steps: DevicePtr,
    pub(crate) fault: DevicePtr,
    /// Values that the op takes and defines.
    pub(crate) inputs: &'a [ValueId],
    pub(crate) outputs: &'a [ValueId],
    /// What lies in front of the table that the op reads.
    pub(crate) ring: Option<RingView>,
}

impl Bound<'_> {
    /// Rows of the op's values that this device computes.
    pub(super) fn rows(&self) -> u32 {
        let values = self.inputs.iter().chain(self.outputs);
        let mut rows = values.map(|v| self.program.shape(*v).rows);
        let rows = rows.find(|rows| *rows != Rows::One).unwrap_or(Rows::Batch);
        self.shard.own_rows(rows)
    }

    pub(super) fn input(&self, i: usize) -> DevicePtr {
        self.values[self.inputs[i].index()]
    }

    /// What the kernel was fused with comes after the inputs of its own op.
    pub(super) fn last_input(&self) -> DevicePtr {
        self.inputs.last().map_or(0, |v| self.values[v.index()])
    }

    pub(super) fn output(&self, i: usize) -> DevicePtr {
        self.values[self.outputs[i].index()]
    }

    /// Width of input `i`.
    pub(super) fn input_width(&self, i: usize) -> u32 {
        self.program.shape(self.inputs[i]).groups.total() as u32
    }

    /// Width of output `i`.
    pub(super) fn width(&self, i: usize) -> u32 {
        self.program.shape(self.outputs[i]).groups.total() as u32
    }

    /// Address of an f32 resource.
    pub(super) fn f32(&self, id: ResourceId) -> DevicePtr {
        match self.resources[id.index()].f32() {
            Some((address, _)) => address,
            None => unreachable!("bindings were checked: resource {} holds f32 values", id.index()),
        }
    }

    /// Length of an f32 resource.
    pub(super) fn len(&self, id: ResourceId) -> u32 {
        self.resources[id.index()].f32().map_or(0, |(_, len)| len as u32)
    }

    /// Address and length of a u32 resource.
    pub(super) fn u32(&self, id: ResourceId) -> (DevicePtr, usize) {
        match self.resources[id.index()].u32() {
            Some(found) => found,
            None => unreachable!("bindings were checked: resource {} holds u32 values", id.index()),
        }
    }

    /// The codes of a resource.
    pub(super) fn table(&self, id: ResourceId) -> &PackedTable {
        match self.resources[id.index()].table() {
            Some(table) => table,
            None => unreachable!("bindings were checked: resource {} holds codes", id.index()),
        }
    }
}

/// A launch with its own copy of the arguments.
#[derive(Debug, Clone)]
pub(crate) struct OwnedLaunch {
    pub(crate) kernel: &'static str,
    pub(crate) grid: [u32; 3],
    pub(crate) block: u32,
    pub(crate) shared: u32,
    pub(crate) args: Vec<u8>,
}

/// The launches of a step, in order.
#[derive(Debug, Default)]
pub(crate) struct Launches(pub(crate) Vec<OwnedLaunch>);

impl Launches {
    /// Adds a launch; one without blocks does nothing.
    pub(super) fn push<T: Pod>(&mut self, kernel: &'static str, grid: [u32; 3], block: u32, args: &T) {
        self.push_with_shared(kernel, grid, block, 0, args);
    }

    /// As [`Self::push`], with dynamic shared memory.
    pub(super) fn push_with_shared<T: Pod>(
        &mut self,
        kernel: &'static str,
        grid: [u32; 3],
        block: u32,
        shared: u32,
        args: &T,
    ) {
        if grid.contains(&0) {
            return;
        }
        let args = bytemuck::bytes_of(args).to_vec();
        self.0.push(OwnedLaunch {
            kernel,
            grid,
            block,
            shared,
            args,
        });
    }

    /// A thread for each of `items` items.
    pub(super) fn per_thread<T: Pod>(&mut self, kernel: &'static str, items: u32, args: &T) {
        self.push(kernel, [items.div_ceil(THREADS), 1, 1], THREADS, args);
    }

    /// A warp for each of `items` items.
    pub(super) fn per_warp<T: Pod>(&mut self, kernel: &'static str, items: u32, args: &T) {
        self.push(kernel, [items.div_ceil(THREADS / WARP), 1, 1], THREADS, args);
    }
}

/// Threads of a block of most kernels.
pub(super) const THREADS: u32 = 256;
pub(super) const WARP: u32 = 32;

/// Asserts the size of an argument struct, as the `.cu` file does.
macro_rules! layout {
    ($name:ty, $bytes:literal) => {
        const _: () = assert!(size_of::<$name>() == $bytes);
    };
}
pub(super) use layout;
