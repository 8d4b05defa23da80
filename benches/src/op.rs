//! One op on every backend, beside a plain loop over the same data.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use engine_core::backend::{Backend, Buffer, Executable, HostData, Run};
use engine_core::conformance::{Outcome, check_outcome};
use engine_core::ir::{
    Builder, DType, Groups, Op, ParamLayout, Program, ResourceId, ResourceKind, Shape, ValueId,
};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::CodeTable;

use crate::{backends, report};

/// Rows of the case that is checked before anything is timed.
const CHECKED_ROWS: usize = 9;

/// Steps of one run at most; before each run resources are put back to where they began.
pub const STEPS_PER_RUN: u64 = 64;

/// Steps of one run at least, so that what a run costs besides its steps stays small.
const LEAST_STEPS: u64 = 8;

/// Data of a case on the host, row-major: what a plain loop works on.
#[derive(Debug, Clone)]
pub struct Data {
    /// Scalars of the step; `rows` says how many rows there are.
    pub run: Run,
    /// Inputs in the program's order.
    pub inputs: Vec<HostData>,
    /// Resources in the program's order.
    pub resources: Vec<HostData>,
    /// Results in the program's order, all zero at first.
    pub outputs: Vec<HostData>,
}

impl Data {
    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.run.rows as usize
    }
}

/// f32 values of a binding.
///
/// # Panics
/// When it holds something else: the bench is wrong.
pub fn f32_values(data: &HostData) -> &[f32] {
    match data {
        HostData::F32(values) => values,
        _ => panic!("the plain loop reads f32 values where the bench binds u32 values"),
    }
}

/// f32 values of a binding, to be written.
///
/// # Panics
/// When it holds something else: the bench is wrong.
pub fn f32_values_mut(data: &mut HostData) -> &mut [f32] {
    match data {
        HostData::F32(values) => values,
        _ => panic!("the plain loop reads f32 values where the bench binds u32 values"),
    }
}

/// Codes or ranks of a binding.
///
/// # Panics
/// When it holds something else: the bench is wrong.
pub fn u32_values(data: &HostData) -> &[u32] {
    match data {
        HostData::U32(values) => values,
        _ => panic!("the plain loop reads u32 values where the bench binds f32 values"),
    }
}

/// Codes of a binding, to be written.
///
/// # Panics
/// When it holds something else: the bench is wrong.
pub fn u32_values_mut(data: &mut HostData) -> &mut [u32] {
    match data {
        HostData::U32(values) => values,
        _ => panic!("the plain loop reads u32 values where the bench binds f32 values"),
    }
}

/// `len` uniform values in `[low, high)`, the same in every run of a bench.
pub fn random_f32(len: usize, low: f32, high: f32) -> Vec<f32> {
    let stream = Stream::new(2, Purpose::Test, 1);
    let number = |i| low + (high - low) * stream.uniform(i, 0) as f32;
    (0..len as u64).map(number).collect()
}

/// How an input is filled.
#[derive(Debug, Clone)]
enum Fill {
    F32(f32, f32),
    Codes(Vec<usize>),
    Ranks(Vec<u32>),
}

/// An op with all it is bound to.
#[derive(Debug)]
pub struct OpCase {
    label: String,
    rows: usize,
    builder: Builder,
    resources: Vec<HostData>,
    inputs: Vec<Fill>,
}

impl OpCase {
    /// A case of `rows` rows. `label` says what is special about it: numbers of groups, widths.
    pub fn new(op: &str, label: impl Into<String>, rows: usize) -> Self {
        Self {
            label: label.into(),
            rows,
            builder: Builder::new(op),
            resources: Vec::new(),
            inputs: Vec::new(),
        }
    }

    fn resource(&mut self, name: &str, kind: ResourceKind, data: HostData) -> ResourceId {
        self.resources.push(data);
        self.builder.resource(name, kind).expect("names differ")
    }

    /// An arena of uniform values in `[low, high)`.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn arena(&mut self, name: &str, layout: &Arc<ParamLayout>, (low, high): (f32, f32)) -> ResourceId {
        let data = HostData::F32(random_f32(layout.len(), low, high));
        self.resource(name, ResourceKind::Arena(Arc::clone(layout)), data)
    }

    /// An f32 resource with these values.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn f32_buffer(&mut self, name: &str, data: Vec<f32>) -> ResourceId {
        self.resource(name, ResourceKind::F32, HostData::F32(data))
    }

    /// A table of codes.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn table(&mut self, name: &str, table: &Arc<CodeTable>) -> ResourceId {
        let columns = table.columns().len();
        let data = HostData::Codes(Arc::clone(table));
        self.resource(name, ResourceKind::Codes { columns }, data)
    }

    fn input(&mut self, name: &str, shape: Shape, fill: Fill) -> ValueId {
        self.inputs.push(fill);
        self.builder.input(name, shape).expect("names differ")
    }

    /// An input of uniform values in `[low, high)`.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn value(&mut self, name: &str, groups: &Groups, (low, high): (f32, f32)) -> ValueId {
        self.input(name, Shape::batch(groups.clone()), Fill::F32(low, high))
    }

    /// An input of uniform codes below the cardinalities.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn codes(&mut self, name: &str, cardinalities: &[usize]) -> ValueId {
        let shape = Shape::codes(cardinalities.len());
        self.input(name, shape, Fill::Codes(cardinalities.to_vec()))
    }

    /// The ranks of the columns.
    ///
    /// # Panics
    /// When there are ranks already.
    pub fn ranks(&mut self, ranks: Vec<u32>) -> ValueId {
        self.input("ranks", Shape::ranks(ranks.len()), Fill::Ranks(ranks))
    }

    /// Applies the op, checks every backend and the plain loop against the interpreter on a few rows, then times them in one Criterion
    /// group. `throughput` is that of one step.
    ///
    /// # Panics
    /// When a check fails: a wrong kernel has no speed.
    pub fn bench(
        mut self,
        c: &mut Criterion,
        op: impl Op,
        inputs: &[ValueId],
        throughput: Throughput,
        plain: impl Fn(&mut Data),
    ) {
        let outputs = self
            .builder
            .push(Arc::new(op), inputs)
            .expect("the op fits its inputs");
        for (i, value) in outputs.into_iter().enumerate() {
            self.builder
                .output(&format!("y{i}"), value)
                .expect("names differ");
        }
        let program = std::mem::replace(&mut self.builder, Builder::new("")).finish();
        let devices = backends();
        let small = self.data(&program, self.rows.min(CHECKED_ROWS));
        for (device, backend) in &devices {
            let mut on_device = OnDevice::new(backend.as_ref(), &program, &small);
            on_device.run(&small.run);
            check(device, &program, &small, &on_device.outcome(&program));
        }
        let mut own = small.clone();
        plain(&mut own);
        let outcome = Outcome {
            outputs: own.outputs,
            resources: own.resources,
        };
        check("the plain loop", &program, &small, &outcome);
        self.time(c, &program, &devices, throughput, plain);
    }

    fn time(
        &self,
        c: &mut Criterion,
        program: &Program,
        devices: &[(String, Box<dyn Backend>)],
        throughput: Throughput,
        plain: impl Fn(&mut Data),
    ) {
        let data = self.data(program, self.rows);
        let name = format!("{}/{}", program.name(), self.label);
        report(&name, &format!("{} rows: {}", self.rows, describe(program)));
        let mut group = c.benchmark_group(name);
        group.throughput(throughput.clone());
        for (device, backend) in devices {
            // Made when it is first timed, so that a filter on the command line spares the rest.
            let on_device = RefCell::new(None);
            group.bench_function(device, |b| {
                let mut slot = on_device.borrow_mut();
                let on_device = slot.get_or_insert_with(|| OnDevice::new(backend.as_ref(), program, &data));
                b.iter_custom(|steps| on_device.time(steps, &data));
            });
        }
        group.bench_function("plain loop, 1 thread", |b| {
            let mut own = data.clone();
            b.iter(|| plain(black_box(&mut own)));
        });
        if let Throughput::Bytes(bytes) = throughput {
            let from = vec![1u8; bytes as usize / 2];
            let mut to = vec![0u8; from.len()];
            group.bench_function("copy of as many bytes, 1 thread", |b| {
                b.iter(|| black_box(&mut to).copy_from_slice(black_box(&from)));
            });
        }
        group.finish();
    }

    fn data(&self, program: &Program, rows: usize) -> Data {
        let fill = |(input, fill): (&engine_core::ir::Input, &Fill)| {
            let width = program.shape(input.value).groups.total();
            match fill {
                Fill::F32(low, high) => HostData::F32(random_f32(rows * width, *low, *high)),
                Fill::Codes(cardinalities) => {
                    let table = crate::table(cardinalities, rows);
                    let cell = |i| table.get(i / width, i % width);
                    HostData::U32((0..rows * width).map(cell).collect())
                }
                Fill::Ranks(ranks) => HostData::U32(ranks.clone()),
            }
        };
        let run = Run {
            seed: 1,
            learning_rate: 1e-3,
            ..Run::evaluate(rows as u32)
        };
        let result = |(_, value): &(String, ValueId)| {
            let shape = program.shape(*value);
            let len = shape.rows.count(&run) * shape.groups.total();
            match shape.dtype {
                DType::F32 => HostData::F32(vec![0.0; len]),
                DType::U32 => HostData::U32(vec![0; len]),
            }
        };
        Data {
            run,
            inputs: program.inputs().iter().zip(&self.inputs).map(fill).collect(),
            resources: self.resources.clone(),
            outputs: program.outputs().iter().map(result).collect(),
        }
    }
}

/// The op line of a printed program, which names groups and widths.
fn describe(program: &Program) -> String {
    let node = &program.nodes()[0];
    let shapes = |values: &[ValueId]| {
        let shapes: Vec<String> = values.iter().map(|v| program.shape(*v).to_string()).collect();
        if shapes.is_empty() {
            "resources".to_owned()
        } else {
            shapes.join(", ")
        }
    };
    format!("{} -> {}", shapes(&node.inputs), shapes(&node.outputs))
}

fn check(who: &str, program: &Program, before: &Data, outcome: &Outcome) {
    let Data {
        run,
        inputs,
        resources,
        ..
    } = before;
    if let Err(error) = check_outcome(program, run, resources, inputs, outcome) {
        panic!("{} by {who}: {error}", program.name());
    }
}

/// A compiled program with its buffers.
struct OnDevice {
    executable: Box<dyn Executable>,
    resources: Vec<Box<dyn Buffer>>,
    inputs: Vec<Box<dyn Buffer>>,
    written: Vec<usize>,
}

impl OnDevice {
    fn new(backend: &dyn Backend, program: &Program, data: &Data) -> Self {
        let upload = |data: &Vec<HostData>| -> Vec<Box<dyn Buffer>> {
            let one = |data: &HostData| backend.upload(data.clone()).expect("memory on the device");
            data.iter().map(one).collect()
        };
        let accesses = program.nodes().iter().flat_map(|n| n.op.accesses());
        Self {
            executable: backend
                .compile(program, data.rows())
                .expect("a kernel for the op"),
            resources: upload(&data.resources),
            inputs: upload(&data.inputs),
            written: accesses
                .filter(|a| a.kind.writes())
                .map(|a| a.resource.index())
                .collect(),
        }
    }

    fn run(&mut self, run: &Run) {
        let mut resources: Vec<&mut dyn Buffer> = self.resources.iter_mut().map(AsMut::as_mut).collect();
        let inputs: Vec<&dyn Buffer> = self.inputs.iter().map(AsRef::as_ref).collect();
        self.executable.run(run, &mut resources, &inputs).expect("a run");
    }

    fn outcome(&self, program: &Program) -> Outcome {
        let output = |(name, _): &(String, ValueId)| self.executable.output(name).expect("a result");
        Outcome {
            outputs: program.outputs().iter().map(output).collect(),
            resources: self
                .resources
                .iter()
                .map(|r| r.read().expect("a resource"))
                .collect(),
        }
    }

    /// Time of `steps` steps, in runs of many, so that the way of the inputs into the device's layout hardly counts.
    fn time(&mut self, steps: u64, data: &Data) -> Duration {
        let taken = steps.max(LEAST_STEPS);
        let mut time = Duration::ZERO;
        let mut next = 0;
        while next < taken {
            let count = (taken - next).min(STEPS_PER_RUN);
            for resource in &self.written {
                self.resources[*resource]
                    .write(&data.resources[*resource])
                    .expect("a resource");
            }
            let run = Run {
                first_step: next as u32,
                steps: count as u32,
                ..data.run
            };
            let start = Instant::now();
            self.run(&run);
            time += start.elapsed();
            next += count;
        }
        time.mul_f64(steps as f64 / taken as f64)
    }
}
