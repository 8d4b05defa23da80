//! What the benches share: models of the census table's shape, random tables, and the backends that are built in.
//!
//! A bench is written once over [`engine_core::backend::Backend`]; [`backends`] says on which it runs. Benches of single ops go through
//! [`OpCase`], which checks the result against the interpreter before it times it.

mod census;
mod layers;
mod op;

pub use census::{Census, census};
pub use layers::{cardinalities, equal_widths, grouped, ordered, shuffled_ranks, tables, unequal_widths};
pub use op::{
    Data, OpCase, STEPS_PER_RUN, f32_values, f32_values_mut, random_f32, u32_values, u32_values_mut,
};

use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;

use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
use engine_core::backend::{Backend, BackendError, Buffer, Executable, HostData, Run};
use engine_core::ir::{Program, ResourceKind, SampleSpec, fold, initialise, sample_program};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};
use engine_cpu::{CpuBackend, CpuOptions};

/// Cardinalities of the census table's fifteen sub-columns.
pub const CENSUS: [usize; 15] = [71, 10, 103, 17, 17, 8, 16, 7, 6, 3, 65, 45, 80, 42, 3];

/// Training rows of the census table at a split of four to one.
pub const CENSUS_ROWS: usize = 39_074;

/// Whether `ENGINE_BENCH_QUICK` is set to 1: small sizes and few samples, to see that every bench runs.
pub fn quick() -> bool {
    std::env::var_os("ENGINE_BENCH_QUICK").is_some_and(|value| value == "1")
}

/// `full`, or `small` when [`quick`].
pub fn sized<T>(full: T, small: T) -> T {
    if quick() { small } else { full }
}

/// Numbers of groups over which the benches of single ops go, with the rows of a batch for each.
pub fn group_counts() -> &'static [(usize, usize)] {
    sized(&[(15, 512), (100, 512), (1000, 64)], &[(15, 64), (100, 32)])
}

/// How long and how often is measured. Options on the command line come after it.
///
/// # Panics
/// When a backend cannot be made.
pub fn criterion() -> Criterion {
    for (device, backend) in backends() {
        let threads = backend.device().parallelism;
        report(
            backend.device().backend,
            &format!("{device}; parallelism {threads}"),
        );
    }
    let (samples, warm_up, measurement) = sized((20, 500, 2_000), (10, 1, 20));
    Criterion::default()
        .sample_size(samples)
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measurement))
}

/// Prints a line about a device or a case beside Criterion's own.
#[expect(clippy::print_stderr, reason = "a bench prints for its user")]
pub fn report(name: &str, text: &str) {
    eprintln!("{name}: {text}");
}

/// Name and backend of each device that is built in.
///
/// # Panics
/// When a backend cannot be made: a bench without a device has nothing to say.
pub fn backends() -> Vec<(String, Box<dyn Backend>)> {
    let cpu = CpuBackend::new(CpuOptions::default()).expect("the CPU backend");
    let all: Vec<Box<dyn Backend>> = vec![
        Box::new(cpu),
        #[cfg(feature = "cuda")]
        Box::new(engine_kernels_cuda::CudaBackend::open(0).expect("the CUDA backend")),
        #[cfg(feature = "wgpu")]
        Box::new(engine_kernels_wgpu::WgpuBackend::new(&Default::default()).expect("the wgpu backend")),
    ];
    all.into_iter().map(|b| (b.device().device, b)).collect()
}

/// A flat model over single-sub-column columns of the given cardinalities.
///
/// # Panics
/// When the heuristics contradict themselves.
pub fn model(size: ModelSize, cardinalities: &[usize]) -> FlatModel {
    let name = |(i, v): (usize, &usize)| (SubColumnName::target(i, i, "cat"), *v);
    let sub_columns: Vec<_> = cardinalities.iter().enumerate().map(name).collect();
    let units = ModelUnits::flat(size, &sub_columns);
    FlatModel::new(sub_columns, &units, None).expect("a model by the heuristics")
}

/// A table of uniform random codes.
///
/// # Panics
/// Never: all columns have `rows` rows.
pub fn table(cardinalities: &[usize], rows: usize) -> Arc<CodeTable> {
    let stream = Stream::new(1, Purpose::Test, 0);
    let column = |(s, v): (usize, &usize)| {
        let codes = (0..rows).map(|r| stream.below(*v as u64, r as u64, s as u32) as u32);
        CodeColumn::from_codes(*v, codes)
    };
    let columns = cardinalities.iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, rows).expect("columns of equal length"))
}

/// A program on a device with all its resources: parameters initialised, other arenas zero.
pub struct Bound {
    executable: Box<dyn Executable>,
    resources: Vec<Box<dyn Buffer>>,
}

impl Bound {
    /// Compiles `program` for `rows` rows and uploads what it needs; `len` is the length of f32 resources without a layout.
    ///
    /// # Errors
    /// What the backend says.
    pub fn new(
        backend: &dyn Backend,
        program: &Program,
        rows: usize,
        table: &Arc<CodeTable>,
        len: usize,
    ) -> Result<Self, BackendError> {
        let upload = |resource: &engine_core::ir::Resource| {
            backend.upload(match &resource.kind {
                ResourceKind::Arena(layout) if resource.name == "params" => {
                    HostData::F32(initialise(layout, 1))
                }
                ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
                ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
                _ => HostData::F32(vec![0.0; len]),
            })
        };
        let resources = program.resources().iter().map(upload).collect::<Result<_, _>>()?;
        Ok(Self {
            executable: backend.compile(program, rows)?,
            resources,
        })
    }

    /// Runs steps.
    ///
    /// # Errors
    /// What the backend says.
    pub fn run(&mut self, run: &Run) -> Result<(), BackendError> {
        let Self {
            executable,
            resources,
        } = self;
        let mut bound: Vec<&mut dyn Buffer> = resources.iter_mut().map(AsMut::as_mut).collect();
        executable.run(run, &mut bound, &[])
    }

    /// The resources, in the order of the program.
    pub fn resources(&mut self) -> Vec<&mut dyn Buffer> {
        self.resources.iter_mut().map(AsMut::as_mut).collect()
    }

    /// Waits until the device has done everything: a backend may return from a run before it has ended.
    ///
    /// # Errors
    /// What the backend says.
    pub fn wait(&self) -> Result<(), BackendError> {
        let last = self.resources.last();
        last.map_or(Ok(()), |buffer| buffer.read().map(drop))
    }
}

/// Steps of an epoch over [`CENSUS_ROWS`] rows at a batch size.
pub fn census_steps(batch: usize) -> u32 {
    (CENSUS_ROWS / batch) as u32
}

/// A program that draws rows, and the folded arena that it reads.
pub type Sampler = (Box<dyn Executable>, Box<dyn Buffer>);

/// The program that draws `rows` rows of a model, and its folded arena on the device.
///
/// # Errors
/// What the core or the backend says.
pub fn sampler(
    backend: &dyn Backend,
    model: &FlatModel,
    rows: usize,
) -> Result<Sampler, Box<dyn std::error::Error>> {
    let order: Vec<usize> = (0..model.columns().len()).collect();
    let params = initialise(model.layout(), 1);
    let folded = fold(
        &model.fold_source(),
        &params,
        &order,
        backend.device().buffer_limit(),
    )?;
    let arena = backend.upload(HostData::F32(folded.arena))?;
    let spec = SampleSpec {
        draws: folded.model.sub_columns_of(&order),
        ..SampleSpec::default()
    };
    let program = sample_program(&folded.model, spec)?;
    Ok((backend.compile(&program, rows)?, arena))
}
