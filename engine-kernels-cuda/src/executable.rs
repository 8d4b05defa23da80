//! A compiled program: kernels, addresses of values, recordings of its steps.

use std::ops::Range;
use std::sync::Arc;

use engine_core::backend::{BackendError, Buffer, Executable, HostData, Run};
use engine_core::ir::ops::batch::{GatherRows, Reading};
use engine_core::ir::ops::optimizer::AdamW;
use engine_core::ir::{DType, Op, Program, ResourceKind, Rows, Slot};

use crate::backend::CudaBackend;
use crate::bindings::Bindings;
use crate::buffer::CudaBuffer;
use crate::driver::{DevicePtr, Driver, Queue};
use crate::error::CudaError;
use crate::kernels::{Bound, Launches, Room, next_step};
use crate::memory::Memory;
use crate::recorded::{Recorded, submit};
use crate::schedule::{Touched, Turn, schedule};
use crate::stages::{Stage, stages};
use crate::steps;
use crate::values::memory_plan;

/// Steps that one recording holds where a run is long enough.
const STEPS_RECORDED: u32 = 8;
/// A sub-column's code in a fault, above it the number of the sub-column plus one.
const FAULT_SHIFT: u32 = 32;

/// A program compiled for a GPU.
#[derive(Debug)]
pub(crate) struct CudaExecutable {
    driver: Arc<dyn Driver>,
    pub(crate) queue: Box<dyn Queue>,
    program: Program,
    max_rows: usize,
    pub(crate) stages: Vec<Stage>,
    turns: Vec<Turn>,
    optimizer: Option<AdamW>,
    /// Memory of the values, and what the kernels keep.
    slots: Vec<Memory>,
    slot_of: Vec<usize>,
    _kept: Vec<Memory>,
    steps: Memory,
    most_steps: usize,
    fault: Memory,
    recorded: Option<Recorded>,
    /// The last run, and where its values lie.
    last: Option<(Run, Vec<DevicePtr>)>,
    table: Vec<u8>,
}

/// What launches are made for.
pub(crate) struct Context<'a> {
    pub(crate) run: &'a Run,
    pub(crate) values: &'a [DevicePtr],
    pub(crate) resources: &'a [&'a CudaBuffer],
}

impl CudaExecutable {
    pub(crate) fn new(
        backend: &CudaBackend,
        program: &Program,
        max_rows: usize,
    ) -> Result<Self, BackendError> {
        let driver = &backend.driver;
        check_size(program, max_rows)?;
        let mut kept = Vec::new();
        let mut room = Room::new(driver, &backend.info, max_rows, &mut kept);
        let (plan, has_own) = memory_plan(program, max_rows);
        let stages = stages(program, has_own, &mut room)?;
        let touched: Vec<Touched> = stages.iter().map(|s| s.touched(&plan.slot_of)).collect();
        let slot = |slot: &Slot| {
            let rows = if slot.rows == Rows::One { 1 } else { max_rows };
            Memory::new(driver, rows * slot.width * size_of::<u32>())
        };
        let slots = plan.slots.iter().map(slot).collect::<Result<_, CudaError>>()?;
        let adamw = |op: &dyn Op| op.as_any().downcast_ref::<AdamW>().cloned();
        Ok(Self {
            queue: driver.queue()?,
            optimizer: program.nodes().iter().find_map(|node| adamw(node.op.as_ref())),
            steps: Memory::new(driver, steps::table_bytes(1))?,
            most_steps: 1,
            fault: Memory::of(driver, &[0; 8])?,
            driver: Arc::clone(driver),
            program: program.clone(),
            max_rows,
            turns: schedule(&touched),
            stages,
            slots,
            slot_of: plan.slot_of,
            _kept: kept,
            recorded: None,
            last: None,
            table: Vec::new(),
        })
    }

    fn mismatch(&self, binding: &str, expected: String, got: String) -> BackendError {
        let (program, binding) = (self.program.name().to_owned(), binding.to_owned());
        BackendError::BufferMismatch {
            program,
            binding,
            expected,
            got,
        }
    }

    /// Checks rows and resources, so that kernels can rely on them.
    fn check(&self, run: &Run, resources: &[&mut CudaBuffer], inputs: usize) -> Result<(), BackendError> {
        let rows = u64::from(run.rows) * u64::from(run.time);
        if rows > self.max_rows as u64 {
            return Err(BackendError::Limit {
                backend: "cuda",
                what: format!("a batch of program {:?}", self.program.name()),
                needed: rows,
                allowed: self.max_rows as u64,
            });
        }
        if inputs != self.program.inputs().len() {
            let expected = format!("{} inputs", self.program.inputs().len());
            return Err(self.mismatch("inputs", expected, format!("{inputs}")));
        }
        for (resource, buffer) in self.program.resources().iter().zip(resources) {
            let (fits, expected) = match &resource.kind {
                ResourceKind::Arena(layout) => (
                    buffer.numbers().is_some_and(|(_, len)| len == layout.len()),
                    format!("{} numbers", layout.len()),
                ),
                ResourceKind::Codes { columns } => (
                    buffer
                        .table()
                        .is_some_and(|t| t.codes.columns().len() == *columns),
                    format!("codes of {columns} sub-columns"),
                ),
                _ => (buffer.numbers().is_some(), "numbers".to_owned()),
            };
            if !fits {
                return Err(self.mismatch(&resource.name, expected, buffer.describe()));
            }
        }
        self.check_reading(run, resources)
    }

    /// Rows that are read in order must exist.
    fn check_reading(&self, run: &Run, resources: &[&mut CudaBuffer]) -> Result<(), BackendError> {
        for node in self.program.nodes() {
            let Some(op) = node.op.as_any().downcast_ref::<GatherRows>() else {
                continue;
            };
            let len = resources[op.table.index()]
                .table()
                .map_or(0, |t| t.codes.rows() as u64);
            let rows = u64::from(run.rows) * u64::from(run.steps);
            let needed = match op.reading {
                Reading::Sequential => run.first_row + rows,
                Reading::Shuffled { steps_per_epoch } => {
                    u64::from(steps_per_epoch.max(1).min(run.first_step + run.steps)) * u64::from(run.rows)
                }
            };
            if run.rows > 0 && needed > len {
                let name = &self.program.resources()[op.table.index()].name;
                return Err(self.mismatch(name, format!("{needed} rows"), format!("{len}")));
            }
        }
        Ok(())
    }

    /// The address of input `index`, which is read where it lies.
    fn input(&self, index: usize, run: &Run, buffer: &CudaBuffer) -> Result<DevicePtr, BackendError> {
        let input = &self.program.inputs()[index];
        let shape = self.program.shape(input.value);
        let expected = shape.rows.count(run) * shape.groups.total();
        let found = match shape.dtype {
            DType::F32 => buffer.numbers(),
            DType::U32 => buffer.words(),
        };
        match found {
            Some((address, len)) if len == expected => Ok(address),
            _ => Err(self.mismatch(&input.name, shape.to_string(), buffer.describe())),
        }
    }

    pub(crate) fn values(&self, inputs: &[DevicePtr]) -> Vec<DevicePtr> {
        let address = |slot: &usize| self.slots.get(*slot).map_or(0, Memory::address);
        let mut values: Vec<DevicePtr> = self.slot_of.iter().map(address).collect();
        for (input, address) in self.program.inputs().iter().zip(inputs) {
            values[input.value.index()] = *address;
        }
        values
    }

    /// Puts the scalars of all steps on the device.
    pub(crate) fn begin(&mut self, run: &Run) -> Result<(), CudaError> {
        if run.steps as usize > self.most_steps {
            self.most_steps = (run.steps as usize).next_power_of_two();
            self.steps = Memory::new(&self.driver, steps::table_bytes(self.most_steps))?;
            self.forget();
        }
        steps::table(run, self.optimizer.as_ref(), &mut self.table);
        // SAFETY: the memory has room for all steps of the run, and nothing runs.
        unsafe { self.queue.upload(self.steps.address(), &self.table) }
    }

    fn forget(&mut self) {
        self.recorded = None;
        self.queue.clear_recordings();
    }

    /// The launches of some stages.
    pub(crate) fn launches(&self, cx: &Context<'_>, stages: Range<usize>) -> Launches {
        let mut launches = Launches::default();
        for stage in &self.stages[stages] {
            let bound = Bound {
                program: &self.program,
                run: cx.run,
                values: cx.values,
                resources: cx.resources,
                steps: self.steps.address(),
                fault: self.fault.address(),
                inputs: &stage.inputs,
                outputs: &stage.outputs,
            };
            stage.kernel.launch(&bound, &mut launches);
        }
        launches
    }

    /// Runs all steps by launches, recorded ones where there are several.
    fn run_launches(&mut self, cx: &Context<'_>, bindings: Bindings) -> Result<(), BackendError> {
        let run = cx.run;
        if self.recorded.as_ref().is_none_or(|r| r.bindings != bindings) {
            self.forget();
            let mut end = Launches::default();
            next_step(self.steps.address(), &mut end);
            let launches = |stage| self.launches(cx, stage..stage + 1).0;
            self.recorded = Some(Recorded {
                bindings,
                stages: (0..self.stages.len()).map(launches).collect(),
                end: end.0,
                single: None,
                several: None,
            });
        }
        let Some(recorded) = &mut self.recorded else {
            return Ok(());
        };
        let queue = self.queue.as_mut();
        if run.steps == 1 {
            return Ok(recorded.submit(queue)?);
        }
        let (several, single) = (run.steps / STEPS_RECORDED, run.steps % STEPS_RECORDED);
        if several > 0 && recorded.several.is_none() {
            recorded.several = Some(recorded.record(queue, &self.turns, STEPS_RECORDED)?);
        }
        if single > 0 && recorded.single.is_none() {
            recorded.single = Some(recorded.record(queue, &self.turns, 1)?);
        }
        for (times, recording) in [(several, recorded.several), (single, recorded.single)] {
            for _ in 0..times {
                if let Some(recording) = recording {
                    // SAFETY: the bindings are those of the recording, and their memory is alive.
                    unsafe { queue.replay(recording)? };
                }
            }
        }
        Ok(())
    }

    /// Runs one node after another where the host computes some of them.
    fn run_nodes(
        &mut self,
        run: &Run,
        values: &[DevicePtr],
        buffers: &mut [&mut CudaBuffer],
    ) -> Result<(), BackendError> {
        for _ in 0..run.steps {
            for at in 0..self.stages.len() {
                if let Some(op) = self.stages[at].kernel.on_host() {
                    self.queue.synchronize()?;
                    op.run(buffers)?;
                    continue;
                }
                let resources: Vec<&CudaBuffer> = buffers.iter().map(|b| &**b).collect();
                let resources = &resources;
                let launches = self.launches(
                    &Context {
                        run,
                        values,
                        resources,
                    },
                    at..at + 1,
                );
                submit(self.queue.as_mut(), 0, &launches.0)?;
            }
            let mut launches = Launches::default();
            next_step(self.steps.address(), &mut launches);
            submit(self.queue.as_mut(), 0, &launches.0)?;
        }
        Ok(())
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
        self.stages
            .iter()
            .find_map(|stage| stage.kernel.cardinality(sub_column))
            .unwrap_or(0)
    }
}

/// Programs that need more elements than a kernel can count are refused.
fn check_size(program: &Program, max_rows: usize) -> Result<(), BackendError> {
    let inputs = program.inputs().iter().map(|i| i.value);
    let values = program
        .nodes()
        .iter()
        .flat_map(|n| n.outputs.iter().copied())
        .chain(inputs);
    let widest = values.map(|v| program.shape(v).groups.total()).max().unwrap_or(0);
    let (needed, allowed) = (widest as u64 * max_rows as u64, 1 << 31);
    if needed > allowed {
        return Err(BackendError::Limit {
            backend: "cuda",
            what: format!("a value of program {:?}", program.name()),
            needed,
            allowed,
        });
    }
    Ok(())
}

impl CudaExecutable {
    /// The buffers behind the bound resources.
    pub(crate) fn buffers<'a>(
        &self,
        resources: &'a mut [&mut dyn Buffer],
    ) -> Result<Vec<&'a mut CudaBuffer>, BackendError> {
        if resources.len() != self.program.resources().len() {
            let expected = format!("{} resources", self.program.resources().len());
            return Err(self.mismatch("resources", expected, format!("{}", resources.len())));
        }
        let mut buffers: Vec<&mut CudaBuffer> = Vec::with_capacity(resources.len());
        for (buffer, resource) in resources.iter_mut().zip(self.program.resources()) {
            let found = buffer.as_any_mut().downcast_mut();
            buffers.push(found.ok_or_else(|| self.foreign(&resource.name))?);
        }
        Ok(buffers)
    }

    /// Checks everything that is bound; gives the addresses of the inputs.
    pub(crate) fn bind(
        &self,
        run: &Run,
        buffers: &[&mut CudaBuffer],
        inputs: &[&dyn Buffer],
    ) -> Result<Vec<DevicePtr>, BackendError> {
        self.check(run, buffers, inputs.len())?;
        let mut addresses = Vec::with_capacity(inputs.len());
        for (i, buffer) in inputs.iter().enumerate() {
            let buffer = buffer.as_any().downcast_ref();
            let buffer = buffer.ok_or_else(|| self.foreign(&self.program.inputs()[i].name))?;
            addresses.push(self.input(i, run, buffer)?);
        }
        Ok(addresses)
    }

    fn foreign(&self, binding: &str) -> BackendError {
        let (expected, got) = ("a buffer of the cuda backend".to_owned(), "another's".to_owned());
        self.mismatch(binding, expected, got)
    }
}

impl Executable for CudaExecutable {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        let mut buffers = self.buffers(resources)?;
        let inputs = self.bind(run, &buffers, inputs)?;
        let values = self.values(&inputs);
        self.begin(run)?;
        if self.stages.iter().any(|s| s.kernel.on_host().is_some()) {
            self.run_nodes(run, &values, &mut buffers)?;
        } else {
            let resources: Vec<&CudaBuffer> = buffers.iter().map(|b| &**b).collect();
            let (bindings, resources) = (Bindings::new(run, &resources, &inputs), &resources);
            let values = &values;
            self.run_launches(
                &Context {
                    run,
                    values,
                    resources,
                },
                bindings,
            )?;
        }
        self.last = Some((*run, values));
        self.end()
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
