//! A training step allocates nothing: all memory is sized when the program is compiled.

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
use engine_core::backend::{Backend, Buffer, HostData, Run};
use engine_core::ir::{ResourceKind, initialise};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};
use engine_cpu::{CpuBackend, CpuOptions};

struct Counting;

/// Runs of which the one with the fewest allocations counts.
const RUNS: usize = 5;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the allocator's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the allocator's contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(size: ModelSize, steps: u32) -> usize {
    let cardinalities = [5, 300, 2, 17, 40];
    let name = |(i, v): (usize, &usize)| (SubColumnName::target(i / 2, i / 2, &format!("E{i}")), *v);
    let sub_columns: Vec<_> = cardinalities.iter().enumerate().map(name).collect();
    let model =
        FlatModel::new(sub_columns.clone(), &ModelUnits::flat(size, &sub_columns), None).expect("a model");
    let program = model
        .train_programs(4)
        .expect("programs")
        .training_step()
        .expect("a training step");
    let columns = cardinalities
        .iter()
        .map(|v| CodeColumn::from_codes(*v, (0..200).map(|r| r % *v as u32)));
    let table = Arc::new(CodeTable::new(columns.collect(), 200).expect("equal lengths"));
    let backend = CpuBackend::new(CpuOptions {
        threads: NonZeroUsize::new(1),
        instruction_set: None,
    })
    .expect("a CPU");
    let upload = |resource: &engine_core::ir::Resource| match &resource.kind {
        ResourceKind::Arena(layout) if resource.name == "params" => HostData::F32(initialise(layout, 1)),
        ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
        ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(&table)),
        _ => HostData::F32(vec![0.0; 64]),
    };
    let mut buffers: Vec<Box<dyn Buffer>> = program
        .resources()
        .iter()
        .map(|r| backend.upload(upload(r)).expect("a buffer"))
        .collect();
    let mut executable = backend.compile(&program, 50).expect("a compiled step");
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    let run = Run {
        steps,
        learning_rate: 1e-3,
        ..Run::evaluate(50)
    };
    executable.run(&run, &mut bound, &[]).expect("a run");
    // Threads that start or wake up meanwhile may allocate too; a step that does so, does so in each run.
    let of_run = |_| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        executable.run(&run, &mut bound, &[]).expect("a run");
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    (0..RUNS).map(of_run).min().unwrap_or(0)
}

#[test]
fn more_steps_do_not_allocate_more() {
    for size in [ModelSize::Small, ModelSize::Medium, ModelSize::Large] {
        assert_eq!(
            allocations_of(size, 2),
            allocations_of(size, 20),
            "{size:?}: allocations of a run"
        );
    }
}
