//! A model of the census table's shape over random codes, and how to time it.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine_core::argn::{FlatModel, ModelSize, ModelUnits};
use engine_core::backend::{Backend, Buffer, Executable, HostData, Run};
use engine_core::ir::{Program, ResourceKind, initialise};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};

/// Cardinalities of the census table's fifteen sub-columns.
pub(crate) const CENSUS: [usize; 15] = [71, 10, 103, 17, 17, 8, 16, 7, 6, 3, 65, 45, 80, 42, 3];
const REPEATS: usize = 5;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A model of the census table's shape.
pub(crate) fn model(size: ModelSize) -> Result<FlatModel> {
    let name = |(i, v): (usize, &usize)| (SubColumnName::target(i, i, "cat"), *v);
    let sub_columns: Vec<_> = CENSUS.iter().enumerate().map(name).collect();
    let units = ModelUnits::flat(size, &sub_columns);
    Ok(FlatModel::new(sub_columns, &units, None)?)
}

/// A table of random codes.
pub(crate) fn table(rows: usize) -> Arc<CodeTable> {
    let column = |(s, v): (usize, &usize)| {
        // Weyl's sequence with a multiplicative hash: fast, and random enough to keep time by.
        let code = |r: usize| {
            let mixed = ((r as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ s as u64)
                .wrapping_mul(0xD6E8_FEB8_6659_FD93);
            (((mixed >> 32) * *v as u64) >> 32) as u32
        };
        CodeColumn::from_codes(*v, (0..rows).map(code))
    };
    let columns = CENSUS.iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, rows).expect("columns of equal length"))
}

/// Buffers for the resources of a program: parameters initialised, other buffers zero.
pub(crate) fn upload(
    backend: &dyn Backend,
    program: &Program,
    table: &Arc<CodeTable>,
    len: usize,
) -> Result<Vec<Box<dyn Buffer>>> {
    let mut buffers = Vec::new();
    for resource in program.resources() {
        buffers.push(backend.upload(match &resource.kind {
            ResourceKind::Arena(layout) if resource.name == "params" => HostData::F32(initialise(layout, 1)),
            ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
            ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
            _ => HostData::F32(vec![0.0; len]),
        })?);
    }
    Ok(buffers)
}

/// The median of a few runs, after one that is not counted.
pub(crate) fn time(
    executable: &mut dyn Executable,
    run: &Run,
    buffers: &mut [Box<dyn Buffer>],
) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..=REPEATS {
        let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
        let begun = Instant::now();
        executable.run(run, &mut bound, &[])?;
        times.push(begun.elapsed());
    }
    times.remove(0);
    times.sort_unstable();
    Ok(times[REPEATS / 2])
}
