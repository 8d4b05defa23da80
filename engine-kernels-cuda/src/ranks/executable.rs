//! A program on several devices.

use std::sync::{Arc, Mutex, PoisonError};

use engine_core::backend::{BackendError, Buffer, Executable, HostData, Run};
use engine_core::ir::{Program, Rows};

use crate::backend::CudaBackend;
use crate::buffer::CudaBuffer;
use crate::checks::{check_counts, foreign};
use crate::driver::Driver;
use crate::executable::CudaExecutable;
use crate::ranks::buffer::RanksBuffer;
use crate::ranks::data_parallel::{DataParallel, data_parallel, written};
use crate::shard::Shard;

/// A program compiled for each of the devices that compute it.
#[derive(Debug)]
pub(super) struct RanksExecutable {
    program: Program,
    max_rows: usize,
    /// How it runs data-parallel on all devices; without it the first one computes all.
    data_parallel: Option<DataParallel>,
    written: Vec<bool>,
    ranks: Vec<CudaExecutable>,
}

impl RanksExecutable {
    pub(super) fn new(
        ranks: &Arc<[CudaBackend]>,
        program: &Program,
        max_rows: usize,
    ) -> Result<Self, BackendError> {
        let data_parallel = data_parallel(program);
        let ranks = if data_parallel.is_some() {
            ranks
        } else {
            &ranks[..1]
        };
        let rows = max_rows.div_ceil(ranks.len());
        let compiled = ranks.iter().map(|rank| {
            let executable = CudaExecutable::new(rank, program, rows)?;
            Ok(match &data_parallel {
                Some(data_parallel) => executable.sharded(&data_parallel.is_summed, &data_parallel.traces),
                None => executable,
            })
        });
        Ok(Self {
            ranks: compiled.collect::<Result<_, BackendError>>()?,
            program: program.clone(),
            max_rows,
            written: written(program),
            data_parallel,
        })
    }

    /// Runs the program on the first device.
    fn run_on_first(
        &mut self,
        run: &Run,
        resources: Vec<&mut RanksBuffer>,
        inputs: &[&RanksBuffer],
    ) -> Result<(), BackendError> {
        let buffers = resources.into_iter().zip(&self.written);
        let buffers = buffers.map(|(buffer, written)| buffer.on_first(*written));
        let mut buffers = buffers.collect::<Result<Vec<_>, BackendError>>()?;
        let inputs: Vec<&CudaBuffer> = inputs.iter().filter_map(|input| input.all().next()).collect();
        self.ranks[0].run_shard(run, Shard::whole(run), &mut buffers, &inputs)
    }

    /// Runs a shard of the rows on each device, in a thread of its own.
    fn run_on_all(
        &mut self,
        run: &Run,
        resources: Vec<&mut RanksBuffer>,
        inputs: &[&RanksBuffer],
    ) -> Result<(), BackendError> {
        let count = self.ranks.len();
        let mut buffers: Vec<Vec<&mut CudaBuffer>> = (0..count).map(|_| Vec::new()).collect();
        for resource in resources {
            for (of_rank, buffer) in buffers.iter_mut().zip(resource.all_mut()) {
                of_rank.push(buffer);
            }
        }
        let mut jobs = Vec::with_capacity(count);
        for (rank, (executable, buffers)) in self.ranks.iter_mut().zip(buffers).enumerate() {
            let inputs: Vec<&CudaBuffer> = inputs.iter().filter_map(|i| i.all().nth(rank)).collect();
            let shard = Shard::of(run, rank, count);
            // What does not fit is found before any device begins: none of them would wait for one that does not.
            executable.bind(run, shard, &buffers, &inputs)?;
            jobs.push((executable, shard, buffers, inputs));
        }
        let failure = Failure::default();
        std::thread::scope(|scope| {
            let mut first = None;
            for (executable, shard, mut buffers, inputs) in jobs {
                let failure = &failure;
                let job = move || {
                    let guard = Guard::new(&executable.driver);
                    let ended = executable.run_shard(run, shard, &mut buffers, &inputs);
                    let has_sums = has_made_its_sums(&ended);
                    failure.note(ended);
                    guard.end(has_sums);
                };
                if first.is_none() {
                    first = Some(job);
                } else {
                    scope.spawn(job);
                }
            }
            if let Some(mut job) = first {
                job();
            }
        });
        failure.first()
    }
}

/// The failure that came first: the others follow from it.
#[derive(Default)]
struct Failure(Mutex<Option<BackendError>>);

impl Failure {
    fn note(&self, ended: Result<(), BackendError>) {
        if let Err(error) = ended {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(error);
        }
    }

    fn first(self) -> Result<(), BackendError> {
        let failure = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), Err)
    }
}

/// Ends the waiting of the other devices when this one does not come to its sums.
struct Guard {
    driver: Arc<dyn Driver>,
    has_ended: bool,
}

impl Guard {
    fn new(driver: &Arc<dyn Driver>) -> Self {
        Self {
            driver: Arc::clone(driver),
            has_ended: false,
        }
    }

    fn end(mut self, has_sums: bool) {
        self.has_ended = has_sums;
    }
}

/// Whether the others have what they need of this device: a code outside its cardinality is found after all sums.
fn has_made_its_sums(ended: &Result<(), BackendError>) -> bool {
    matches!(ended, Ok(()) | Err(BackendError::CodeOutOfRange { .. }))
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.has_ended {
            self.driver.give_up_sums();
        }
    }
}

impl Executable for RanksExecutable {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        check_counts(&self.program, resources.len(), inputs.len())?;
        self.program.check_rows("cuda", run, self.max_rows)?;
        let mut buffers: Vec<&mut RanksBuffer> = Vec::with_capacity(resources.len());
        for (buffer, resource) in resources.iter_mut().zip(self.program.resources()) {
            let found = buffer.as_any_mut().downcast_mut();
            buffers.push(found.ok_or_else(|| foreign(&self.program, &resource.name))?);
        }
        let mut given: Vec<&RanksBuffer> = Vec::with_capacity(inputs.len());
        for (buffer, input) in inputs.iter().zip(self.program.inputs()) {
            let found = buffer.as_any().downcast_ref();
            given.push(found.ok_or_else(|| foreign(&self.program, &input.name))?);
        }
        let whole = given.iter().map(|input| input.whole());
        let whole = whole.collect::<Result<Vec<_>, BackendError>>()?;
        let given = given
            .into_iter()
            .zip(&whole)
            .map(|(input, whole)| whole.as_ref().unwrap_or(input));
        let given: Vec<&RanksBuffer> = given.collect();
        let Some(data_parallel) = &self.data_parallel else {
            return self.run_on_first(run, buffers, &given);
        };
        for (buffer, is_summed) in buffers.iter_mut().zip(&data_parallel.is_summed) {
            if *is_summed {
                buffer.make_partial_sums()?;
            } else {
                buffer.make_same()?;
            }
        }
        for input in &given {
            input.copy_to_others()?;
        }
        self.run_on_all(run, buffers, &given)
    }

    fn output(&self, name: &str) -> Result<HostData, BackendError> {
        let mut whole = self.ranks[0].output(name)?;
        let rows = self
            .program
            .output(name)
            .map(|value| self.program.shape(value).rows);
        if rows == Some(Rows::One) {
            return Ok(whole);
        }
        for rank in &self.ranks[1..] {
            match (&mut whole, rank.output(name)?) {
                (HostData::F32(whole), HostData::F32(more)) => whole.extend(more),
                (HostData::U32(whole), HostData::U32(more)) => whole.extend(more),
                _ => {}
            }
        }
        Ok(whole)
    }
}
