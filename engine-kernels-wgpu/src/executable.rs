//! A compiled program: the work of a step and the buffers of its values.

use std::sync::Arc;

use engine_core::backend::{BackendError, Buffer, Executable, HostData, Run};
use engine_core::ir::ops::batch::GatherRows;
use engine_core::ir::ops::optimizer::AdamW;
use engine_core::ir::{DType, MemoryPlan, Program, ResourceKind, Rows};
use engine_core::schema::CodeTable;

use crate::buffer::{Contents, WgpuBuffer};
use crate::compiler::{CodeCheck, CodeSource, Compiler, Dispatch, Work, slot_bytes};
use crate::error::NAME;
use crate::gpu::Gpu;
use crate::kernel::Source;
use crate::kernels;
use crate::step::Step;

/// Steps of one submission.
const STEPS_PER_SUBMISSION: u32 = 16;

/// A program compiled for a wgpu device.
#[derive(Debug)]
pub(crate) struct WgpuExecutable {
    pub(crate) gpu: Arc<Gpu>,
    program: Program,
    plan: MemoryPlan,
    max_rows: usize,
    pub(crate) work: Vec<Work>,
    checks: Vec<CodeCheck>,
    optimizers: Vec<AdamW>,
    slots: Vec<wgpu::Buffer>,
    steps: StepBuffer,
    /// Kinds of rows for which each step has scalars of its own.
    row_kinds: &'static [Rows],
    pub(crate) bound: Bound,
    /// Stamps of the resources that kernels were prepared for.
    prepared: Vec<Option<u64>>,
    last: Option<Run>,
}

/// The scalars of the steps of a run.
#[derive(Debug)]
struct StepBuffer {
    buffer: wgpu::Buffer,
    group: wgpu::BindGroup,
    /// Bytes from one step to the next.
    stride: u64,
    capacity: u32,
}

/// Bind groups of the work, made for the resources of the last run.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    resources: Vec<Option<(wgpu::Buffer, u64)>>,
    pub(crate) groups: Vec<Option<wgpu::BindGroup>>,
}

/// Commands on their way to the device.
pub(crate) struct Recorder<'g> {
    gpu: &'g Gpu,
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: Option<wgpu::CommandEncoder>,
}

impl<'g> Recorder<'g> {
    pub(crate) fn new(gpu: &'g Gpu) -> Self {
        Self {
            gpu,
            pass: None,
            encoder: None,
        }
    }

    /// The encoder, outside of any pass.
    fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        self.pass = None;
        let device = &self.gpu.device;
        self.encoder
            .get_or_insert_with(|| device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))
    }

    fn pass(&mut self) -> &mut wgpu::ComputePass<'static> {
        let pass = match self.pass.take() {
            Some(pass) => pass,
            None => {
                let descriptor = wgpu::ComputePassDescriptor::default();
                self.encoder().begin_compute_pass(&descriptor).forget_lifetime()
            }
        };
        self.pass.insert(pass)
    }

    /// Sends what was recorded.
    pub(crate) fn submit(&mut self) {
        self.pass = None;
        if let Some(encoder) = self.encoder.take() {
            self.gpu.queue.submit([encoder.finish()]);
        }
    }
}

impl StepBuffer {
    fn new(gpu: &Gpu, capacity: u32) -> Result<Self, BackendError> {
        let alignment = u64::from(gpu.limits.min_uniform_buffer_offset_alignment);
        let stride = (size_of::<Step>() as u64).next_multiple_of(alignment.max(4));
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("steps", stride * u64::from(capacity), usage)?;
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("step"),
            layout: &gpu.step_layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &buffer,
                    offset: 0,
                    size: wgpu::BufferSize::new(size_of::<Step>() as u64),
                }),
            }],
        });
        Ok(Self {
            buffer,
            group,
            stride,
            capacity,
        })
    }
}

/// Flat programs have one kind of rows.
fn row_kinds(program: &Program) -> &'static [Rows] {
    let nodes = program.nodes().iter();
    if nodes
        .map(|node| program.rows_of(node))
        .any(|rows| rows == Rows::BatchTime)
    {
        &[Rows::Batch, Rows::BatchTime]
    } else {
        &[Rows::Batch]
    }
}

impl WgpuExecutable {
    pub(crate) fn new(
        gpu: &Arc<Gpu>,
        program: &Program,
        max_rows: usize,
        half_tables: bool,
    ) -> Result<Self, BackendError> {
        let plan = MemoryPlan::new(program);
        let mut compiler = Compiler::new(gpu, program, &plan, (max_rows, half_tables));
        compiler.compile(kernels::make)?;
        let (work, checks, optimizers) = (compiler.work, compiler.checks, compiler.optimizers);
        let slot = |s| gpu.storage("a value", slot_bytes(s, max_rows));
        let slots = plan.slots.iter().map(slot).collect::<Result<_, _>>()?;
        gpu.check()?;
        Ok(Self {
            slots,
            steps: StepBuffer::new(gpu, 1)?,
            row_kinds: row_kinds(program),
            gpu: Arc::clone(gpu),
            program: program.clone(),
            plan,
            max_rows,
            work,
            checks,
            optimizers,
            bound: Bound::default(),
            prepared: vec![None; program.resources().len()],
            last: None,
        })
    }

    /// Kernels that a step launches.
    pub(crate) fn dispatches(&self) -> usize {
        let launched = |w: &&Work| matches!(w, Work::Dispatch(_) | Work::Gather { .. });
        self.work.iter().filter(launched).count()
    }

    fn mismatch(&self, binding: &str, expected: String, got: String) -> BackendError {
        BackendError::BufferMismatch {
            program: self.program.name().to_owned(),
            binding: binding.to_owned(),
            expected,
            got,
        }
    }

    fn own<'b>(&self, buffer: &'b dyn Buffer, binding: &str) -> Result<&'b WgpuBuffer, BackendError> {
        buffer.as_any().downcast_ref().ok_or_else(|| {
            let (expected, got) = ("a buffer of the wgpu backend", "another's");
            self.mismatch(binding, expected.to_owned(), got.to_owned())
        })
    }

    /// Checks rows and bindings, so that kernels can rely on them.
    fn check(
        &self,
        run: &Run,
        resources: &[&WgpuBuffer],
        inputs: &[&WgpuBuffer],
    ) -> Result<(), BackendError> {
        self.program.check_rows(NAME, run, self.max_rows)?;
        for (resource, buffer) in self.program.resources().iter().zip(resources) {
            let (fits, expected) = match (&resource.kind, &buffer.contents) {
                (ResourceKind::Arena(layout), contents) => (
                    matches!(contents, Contents::F32(len) if *len == layout.len()),
                    format!("{} f32 values", layout.len()),
                ),
                (ResourceKind::Codes { columns }, contents) => (
                    matches!(contents, Contents::Table(t) if t.columns().len() == *columns),
                    format!("codes of {columns} sub-columns"),
                ),
                (ResourceKind::F32, contents) => {
                    (matches!(contents, Contents::F32(_)), "an f32 buffer".to_owned())
                }
                (ResourceKind::U32, contents) => {
                    (matches!(contents, Contents::U32(_)), "a u32 buffer".to_owned())
                }
            };
            if !fits {
                return Err(self.mismatch(&resource.name, expected, buffer.describe()));
            }
        }
        for (input, buffer) in self.program.inputs().iter().zip(inputs) {
            let shape = self.program.shape(input.value);
            let len = shape.rows.count(run) * shape.groups.total();
            let fits = match (shape.dtype, &buffer.contents) {
                (DType::F32, Contents::F32(got)) => *got == len,
                (DType::U32, Contents::U32(values)) => values.len() == len,
                _ => false,
            };
            if !fits {
                return Err(self.mismatch(&input.name, shape.to_string(), buffer.describe()));
            }
        }
        self.program
            .check_reading(run, |id| resources[id.index()].contents.rows())
    }

    /// Checks codes against their cardinalities, once for each content.
    fn check_codes(&mut self, resources: &[&WgpuBuffer], inputs: &[&WgpuBuffer]) -> Result<(), BackendError> {
        for check in &mut self.checks {
            let buffer = match check.source {
                CodeSource::Input(i) => inputs[i],
                CodeSource::Table(i) => resources[i],
            };
            if check.checked == Some(buffer.stamp()) {
                continue;
            }
            match &buffer.contents {
                Contents::U32(values) => check_u32(check, values)?,
                Contents::Table(table) => check_table(check, table)?,
                Contents::F32(_) => {}
            }
            check.checked = Some(buffer.stamp());
        }
        Ok(())
    }

    /// Makes the bind groups, unless those of the last run fit.
    fn bind(&mut self, resources: &[&WgpuBuffer]) {
        let buffers: Vec<Option<(wgpu::Buffer, u64)>> = resources.iter().map(|b| b.binding()).collect();
        if self.bound.resources == buffers && self.bound.groups.len() == self.work.len() {
            return;
        }
        let group = |work: &Work| match work {
            Work::Dispatch(dispatch) | Work::Gather { dispatch, .. } | Work::Prepare { dispatch, .. } => {
                self.group(dispatch, &buffers)
            }
            Work::Copy { .. } => None,
        };
        let groups = self.work.iter().map(group).collect();
        self.bound = Bound {
            resources: buffers,
            groups,
        };
    }

    /// The bind group of a dispatch; none when it reads a table that is not on the device.
    fn group(
        &self,
        dispatch: &Dispatch,
        resources: &[Option<(wgpu::Buffer, u64)>],
    ) -> Option<wgpu::BindGroup> {
        let mut entries = Vec::with_capacity(dispatch.bindings.len());
        for binding in &dispatch.bindings {
            let resource = match &binding.source {
                Source::Slot(slot) => self.slots[*slot].as_entire_binding(),
                Source::Own(buffer) => buffer.as_entire_binding(),
                Source::Resource(i) => {
                    let (buffer, bytes) = resources[*i].as_ref()?;
                    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer,
                        offset: 0,
                        size: wgpu::BufferSize::new(*bytes),
                    })
                }
            };
            entries.push(wgpu::BindGroupEntry {
                binding: binding.number,
                resource,
            });
        }
        Some(self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &dispatch.pipeline.layout,
            entries: &entries,
        }))
    }

    /// Writes the scalars of all steps.
    fn write_steps(&mut self, run: &Run) -> Result<(), BackendError> {
        let count = run.steps as usize * self.row_kinds.len();
        if count > self.steps.capacity as usize {
            self.steps = StepBuffer::new(&self.gpu, count.next_power_of_two() as u32)?;
        }
        let stride = self.steps.stride as usize;
        let mut bytes = vec![0; stride * count];
        let steps = (0..run.steps).flat_map(|index| self.row_kinds.iter().map(move |rows| (index, *rows)));
        for ((index, rows), chunk) in steps.zip(bytes.chunks_exact_mut(stride)) {
            let step = Step::new(run, index, rows, &self.optimizers);
            chunk[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(&step));
        }
        self.gpu.fill(&self.steps.buffer, &bytes);
        Ok(())
    }

    fn copy_inputs(&self, recorder: &mut Recorder<'_>, run: &Run, inputs: &[&WgpuBuffer]) {
        for (input, from) in self.program.inputs().iter().zip(inputs) {
            let shape = self.program.shape(input.value);
            let bytes = 4 * (shape.rows.count(run) * shape.groups.total()) as u64;
            let to = &self.slots[self.plan.slot_of[input.value.index()]];
            if let Some(from) = from.buffer.as_ref().filter(|_| bytes > 0) {
                recorder.encoder().copy_buffer_to_buffer(from, 0, to, 0, bytes);
            }
        }
    }

    fn record_step(&self, recorder: &mut Recorder<'_>, run: &Run, index: u32, resources: &[&WgpuBuffer]) {
        for (work, group) in self.work.iter().zip(&self.bound.groups) {
            match (work, group) {
                (Work::Dispatch(dispatch) | Work::Gather { dispatch, .. }, Some(group)) => {
                    self.launch(recorder, dispatch, group, run, index);
                }
                (Work::Gather { op, slot, .. }, None) => {
                    if let Contents::Table(table) = &resources[op.table.index()].contents {
                        recorder.submit();
                        self.stream(op, &self.slots[*slot], table, &run.single(index));
                    }
                }
                (
                    Work::Copy {
                        slot,
                        to,
                        offset,
                        row_bytes,
                        rows,
                    },
                    _,
                ) => {
                    let bytes = row_bytes * rows.count(run) as u64;
                    if bytes > 0 {
                        recorder
                            .encoder()
                            .copy_buffer_to_buffer(&self.slots[*slot], 0, to, *offset, bytes);
                    }
                }
                (Work::Prepare { dispatch, resource }, Some(group)) => {
                    if self.prepared[*resource] != Some(resources[*resource].stamp()) {
                        self.launch(recorder, dispatch, group, run, index);
                    }
                }
                (Work::Dispatch(_) | Work::Prepare { .. }, None) => {}
            }
        }
    }

    pub(crate) fn launch(
        &self,
        recorder: &mut Recorder<'_>,
        dispatch: &Dispatch,
        group: &wgpu::BindGroup,
        run: &Run,
        index: u32,
    ) {
        let max_groups = self.gpu.limits.max_compute_workgroups_per_dimension;
        let [x, y, z] = dispatch.grid.size(dispatch.rows.count(run), max_groups);
        if x * y * z == 0 {
            return;
        }
        let kind = self.row_kinds.iter().position(|rows| *rows == dispatch.rows);
        let place = self.row_kinds.len() as u32 * index + kind.unwrap_or(0) as u32;
        let offset = self.steps.stride as u32 * place;
        let pass = recorder.pass();
        pass.set_pipeline(&dispatch.pipeline.pipeline);
        pass.set_bind_group(0, &self.steps.group, &[offset]);
        pass.set_bind_group(1, group, &[]);
        pass.dispatch_workgroups(x as u32, y as u32, z as u32);
    }

    /// Reads the rows of a step on the host, for a table that is too large for the device.
    fn stream(&self, op: &GatherRows, to: &wgpu::Buffer, table: &CodeTable, run: &Run) {
        let mut codes = Vec::with_capacity(run.rows as usize * op.columns);
        for b in 0..run.rows {
            let row = op.reading.row(run, b, table.rows());
            codes.extend((0..op.columns).map(|s| table.get(row, s)));
        }
        self.gpu.fill(to, bytemuck::cast_slice(&codes));
    }
}

fn out_of_range(sub_column: usize, code: u32, cardinality: usize) -> BackendError {
    BackendError::CodeOutOfRange {
        sub_column,
        code: code as usize,
        cardinality,
    }
}

fn check_u32(check: &CodeCheck, values: &[u32]) -> Result<(), BackendError> {
    let width = check.cardinalities.len();
    for row in values.chunks_exact(width.max(1)) {
        for (s, (word, cardinality)) in row.iter().zip(&check.cardinalities).enumerate() {
            if let Some(code) = check.code(*word).filter(|code| *code as usize >= *cardinality) {
                return Err(out_of_range(s, code, *cardinality));
            }
        }
    }
    Ok(())
}

fn check_table(check: &CodeCheck, table: &CodeTable) -> Result<(), BackendError> {
    for (s, (column, cardinality)) in table.columns().iter().zip(&check.cardinalities).enumerate() {
        if let Some(code) = column.max().filter(|code| *code as usize >= *cardinality) {
            return Err(out_of_range(s, code, *cardinality));
        }
    }
    Ok(())
}

impl Executable for WgpuExecutable {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        for (what, expected, got) in [
            ("resources", self.program.resources().len(), resources.len()),
            ("inputs", self.program.inputs().len(), inputs.len()),
        ] {
            if expected != got {
                return Err(self.mismatch(what, format!("{expected} {what}"), got.to_string()));
            }
        }
        let mut bound = Vec::with_capacity(resources.len());
        for (buffer, resource) in resources.iter().zip(self.program.resources()) {
            bound.push(self.own(&**buffer, &resource.name)?);
        }
        let mut values = Vec::with_capacity(inputs.len());
        for (buffer, input) in inputs.iter().zip(self.program.inputs()) {
            values.push(self.own(*buffer, &input.name)?);
        }
        self.check(run, &bound, &values)?;
        self.check_codes(&bound, &values)?;
        self.bind(&bound);
        self.write_steps(run)?;
        let gpu = Arc::clone(&self.gpu);
        let mut recorder = Recorder::new(&gpu);
        self.copy_inputs(&mut recorder, run, &values);
        for index in 0..run.steps {
            self.record_step(&mut recorder, run, index, &bound);
            if index % STEPS_PER_SUBMISSION == STEPS_PER_SUBMISSION - 1 {
                recorder.submit();
            }
        }
        recorder.submit();
        self.prepared = bound.iter().map(|b| Some(b.stamp())).collect();
        self.last = Some(*run);
        gpu.check()
    }

    fn output(&self, name: &str) -> Result<HostData, BackendError> {
        let (Some(value), Some(run)) = (self.program.output(name), &self.last) else {
            return Err(BackendError::UnknownOutput {
                program: self.program.name().to_owned(),
                name: name.to_owned(),
            });
        };
        let shape = self.program.shape(value);
        let count = shape.rows.count(run) * shape.groups.total();
        let slot = &self.slots[self.plan.slot_of[value.index()]];
        match shape.dtype {
            DType::F32 => self.gpu.read(slot, count).map(HostData::F32),
            DType::U32 => self.gpu.read(slot, count).map(HostData::U32),
        }
    }
}
