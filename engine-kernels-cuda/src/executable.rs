//! A compiled program: kernels, addresses of values, CUDA graphs of its steps.

use std::ops::Range;
use std::sync::Arc;

use engine_core::backend::{BackendError, Buffer, Executable, HostData, Run};
use engine_core::ir::ops::optimizer::AdamW;
use engine_core::ir::{AccessKind, DType, Program, ResourceId, Rows, Slot};

use crate::backend::CudaBackend;
use crate::bindings::Bindings;
use crate::buffer::CudaBuffer;
use crate::checks;
use crate::driver::{DevicePtr, Driver, Queue};
use crate::error::CudaError;
use crate::fused_nodes::{FusedNode, fused_nodes};
use crate::kernels::CompileContext;
use crate::memory::Memory;
use crate::running::Context;
use crate::schedule::{StreamSlot, Touched, schedule};
use crate::shard::Shard;
use crate::step_graphs::StepGraphs;
use crate::steps;
use crate::streaming::Rings;
use crate::values::memory_plan;

/// A sub-column's code in a fault, above it the number of the sub-column plus one.
const FAULT_SHIFT: u32 = 32;

/// Consecutive nodes of a step, and the resources that are summed over several devices (all-reduce) after them.
#[derive(Debug)]
pub(crate) struct StepSegment {
    pub(crate) nodes: Range<usize>,
    pub(crate) sums: Vec<ResourceId>,
}

/// A program compiled for a GPU.
#[derive(Debug)]
pub(crate) struct CudaExecutable {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) queue: Box<dyn Queue>,
    pub(crate) program: Program,
    pub(crate) max_rows: usize,
    pub(crate) nodes: Vec<FusedNode>,
    pub(crate) stream_slots: Vec<StreamSlot>,
    pub(crate) segments: Vec<StepSegment>,
    /// Resources with an element for each step, which are summed over several devices after the run.
    pub(crate) traces: Vec<ResourceId>,
    pub(crate) optimizer: Option<AdamW>,
    /// Memory of the values.
    slots: Vec<Memory>,
    slot_of: Vec<usize>,
    _kept: Vec<Memory>,
    pub(crate) steps: Memory,
    pub(crate) max_steps: usize,
    pub(crate) fault: Memory,
    pub(crate) graphs: Option<StepGraphs>,
    pub(crate) fetch_ahead: bool,
    pub(crate) rings: Rings,
    /// The last run, with the rows of this device, and where its values lie.
    last: Option<(Run, Vec<DevicePtr>)>,
    pub(crate) table: Vec<u8>,
}

impl CudaExecutable {
    /// Compiles a program for batches of which this device computes `max_rows` rows at most.
    pub(crate) fn new(
        backend: &CudaBackend,
        program: &Program,
        max_rows: usize,
    ) -> Result<Self, BackendError> {
        let driver = &backend.driver;
        checks::check_size(program, max_rows)?;
        let mut kept = Vec::new();
        let mut context = CompileContext::new(driver, &backend.info, max_rows, &mut kept);
        let (plan, has_own) = memory_plan(program, max_rows);
        let nodes = fused_nodes(program, has_own, &mut context)?;
        let touched: Vec<Touched> = nodes.iter().map(|s| s.touched(&plan.slot_of)).collect();
        let slot = |slot: &Slot| {
            let rows = if slot.rows == Rows::One { 1 } else { max_rows };
            Memory::new(driver, rows * slot.width * size_of::<u32>())
        };
        let slots = plan.slots.iter().map(slot).collect::<Result<_, CudaError>>()?;
        Ok(Self {
            queue: driver.queue()?,
            optimizer: nodes.iter().find_map(|s| s.kernel.optimizer()).cloned(),
            steps: Memory::new(driver, steps::table_bytes(1))?,
            max_steps: 1,
            fault: Memory::of(driver, &[0; 8])?,
            driver: Arc::clone(driver),
            program: program.clone(),
            max_rows,
            stream_slots: schedule(&touched),
            segments: vec![StepSegment {
                nodes: 0..nodes.len(),
                sums: Vec::new(),
            }],
            traces: Vec::new(),
            nodes,
            slots,
            slot_of: plan.slot_of,
            _kept: kept,
            graphs: None,
            fetch_ahead: backend.options.fetch_ahead,
            rings: Rings::default(),
            last: None,
            table: Vec::new(),
        })
    }

    /// The same program on one of several devices, each of which computes a shard of the rows: resources that are sums over the devices are
    /// reduced before an op reads them, and `traces` after the run.
    pub(crate) fn sharded(mut self, is_summed: &[bool], traces: &[ResourceId]) -> Self {
        let read_sums = |node: &FusedNode| -> Vec<ResourceId> {
            let reads = node.accesses.iter().filter(|a| a.kind == AccessKind::Read);
            let summed = reads.filter(|a| is_summed[a.resource.index()]);
            summed.map(|a| a.resource).collect()
        };
        let mut segments = Vec::new();
        let mut first = 0;
        for (at, node) in self.nodes.iter().enumerate() {
            let sums = read_sums(node);
            if !sums.is_empty() {
                segments.push(StepSegment {
                    nodes: first..at,
                    sums,
                });
                first = at;
            }
        }
        segments.push(StepSegment {
            nodes: first..self.nodes.len(),
            sums: Vec::new(),
        });
        self.traces = traces.to_vec();
        self.segments = segments;
        self
    }

    pub(crate) fn values(&self, inputs: &[DevicePtr]) -> Vec<DevicePtr> {
        let address = |slot: &usize| self.slots.get(*slot).map_or(0, Memory::address);
        let mut values: Vec<DevicePtr> = self.slot_of.iter().map(address).collect();
        for (input, address) in self.program.inputs().iter().zip(inputs) {
            values[input.value.index()] = *address;
        }
        values
    }

    /// Runs all steps over this device's shard of each batch, and waits.
    pub(crate) fn run_shard(
        &mut self,
        run: &Run,
        shard: Shard,
        buffers: &mut [&mut CudaBuffer],
        inputs: &[&CudaBuffer],
    ) -> Result<(), BackendError> {
        let inputs = self.bind(run, shard, buffers, inputs)?;
        let values = self.values(&inputs);
        self.begin(run, shard)?;
        let resources: Vec<&CudaBuffer> = buffers.iter().map(|b| &**b).collect();
        self.make_rings(shard, &resources)?;
        let bindings = Bindings::new(shard, &resources, &inputs, &self.rings);
        let cx = Context {
            run,
            shard,
            values: &values,
            resources: &resources,
        };
        self.run_launches(&cx, bindings)?;
        let own = Run {
            rows: shard.rows,
            ..*run
        };
        self.last = Some((own, values));
        self.end()
    }

    /// Waits, and reports a code outside its cardinality.
    fn end(&mut self) -> Result<(), BackendError> {
        self.queue.synchronize()?;
        let mut fault = [0; 8];
        self.fault.read(&mut fault)?;
        let fault = u64::from_le_bytes(fault);
        if fault == 0 {
            return Ok(());
        }
        self.fault.write(&[0; 8])?;
        let sub_column = (fault >> FAULT_SHIFT) as usize - 1;
        Err(BackendError::CodeOutOfRange {
            sub_column,
            code: fault as u32 as usize,
            cardinality: self.cardinality(sub_column),
        })
    }

    /// Copies a value to the host.
    fn read(&self, address: DevicePtr, to: &mut [u8]) -> Result<(), CudaError> {
        // SAFETY: the value lies in this program's memory, which is as long as its shape says; every run ends with a wait.
        unsafe { self.driver.download(address, to) }
    }

    /// Cardinality of a sub-column, as the ops of the program know it.
    fn cardinality(&self, sub_column: usize) -> usize {
        self.nodes
            .iter()
            .find_map(|node| node.kernel.cardinality(sub_column))
            .unwrap_or(0)
    }
}

impl Executable for CudaExecutable {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        checks::check_counts(&self.program, resources.len(), inputs.len())?;
        let mut buffers = checks::buffers(&self.program, resources)?;
        let inputs = checks::inputs(&self.program, inputs)?;
        self.run_shard(run, Shard::whole(run), &mut buffers, &inputs)
    }

    fn output(&self, name: &str) -> Result<HostData, BackendError> {
        let (Some(value), Some((run, values))) = (self.program.output(name), &self.last) else {
            return Err(BackendError::UnknownOutput {
                program: self.program.name().to_owned(),
                name: name.to_owned(),
            });
        };
        let shape = self.program.shape(value);
        let len = shape.rows.count(run) * shape.groups.total();
        let address = values[value.index()];
        Ok(match shape.dtype {
            DType::F32 => {
                let mut out = vec![0.0f32; len];
                self.read(address, bytemuck::cast_slice_mut(&mut out))?;
                HostData::F32(out)
            }
            DType::U32 => {
                let mut out = vec![0u32; len];
                self.read(address, bytemuck::cast_slice_mut(&mut out))?;
                HostData::U32(out)
            }
        })
    }
}
