//! A backend, and models with everything that their training step binds.

use std::sync::Arc;

use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
use engine_core::backend::{Backend, Buffer, HostData};
use engine_core::ir::{Program, Resource, ResourceKind, initialise};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};
use engine_kernels_wgpu::{WgpuBackend, WgpuOptions};

/// A backend on the best adapter; a machine without one fails with a sentence.
pub(crate) fn backend(options: &WgpuOptions) -> WgpuBackend {
    WgpuBackend::new(options).unwrap_or_else(|error| panic!("{error}"))
}

/// A model over columns of one sub-column each.
pub(crate) fn model(size: ModelSize, cardinalities: &[usize]) -> FlatModel {
    let name = |(i, v): (usize, &usize)| (SubColumnName::target(i, i, "cat"), *v);
    let sub_columns: Vec<_> = cardinalities.iter().enumerate().map(name).collect();
    FlatModel::new(sub_columns.clone(), &ModelUnits::flat(size, &sub_columns), None).expect("a model")
}

/// Its training step, of four steps an epoch.
#[allow(dead_code, reason = "not all tests train")]
pub(crate) fn training_step(model: &FlatModel) -> Program {
    model
        .train_programs(4)
        .expect("programs")
        .training_step()
        .expect("a training step")
}

/// A table of `rows` rows for a model of the given cardinalities.
#[allow(dead_code, reason = "not all tests read a table")]
pub(crate) fn table(cardinalities: &[usize], rows: usize) -> Arc<CodeTable> {
    let column = |(s, v): (usize, &usize)| {
        CodeColumn::from_codes(*v, (0..rows).map(|row| ((row * (s + 7) + row / 3) % v) as u32))
    };
    let columns = cardinalities.iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, rows).expect("columns of one length"))
}

/// The resources of a program over a table, with initial weights.
#[allow(dead_code, reason = "not all tests run a program")]
pub(crate) fn upload(
    backend: &WgpuBackend,
    program: &Program,
    table: &Arc<CodeTable>,
) -> Vec<Box<dyn Buffer>> {
    let data = |resource: &Resource| match &resource.kind {
        ResourceKind::Arena(layout) if resource.name == "params" => HostData::F32(initialise(layout, 1)),
        ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
        ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
        ResourceKind::F32 => HostData::F32(vec![0.0; 64]),
        ResourceKind::U32 => HostData::U32(vec![0; 64]),
    };
    let resources = program.resources().iter();
    resources
        .map(|r| backend.upload(data(r)).expect("a buffer"))
        .collect()
}
