//! Two devices that are one GPU, each with memory and streams of its own: the way of several GPUs where there is one. The test adds up in
//! main memory what NCCL would, as NCCL refuses a device that is named twice.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use engine_core::conformance;
use engine_kernels_cuda::driver::{DevicePtr, Driver, DriverInfo, Launch, NvidiaDriver, Queue};
use engine_kernels_cuda::{CudaError, CudaOptions, CudaRanks};
use libtest_mimic::{Completion, Trial};

use crate::{Outcome, trial, without_gpu};

/// How long a device waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the devices bring to a sum, and the sum for those that have not taken it.
#[derive(Debug, Default)]
struct Exchange {
    brought: Vec<Option<Vec<f32>>>,
    sums: Vec<Option<Vec<f32>>>,
    is_given_up: bool,
}

#[derive(Debug, Default)]
struct Meeting {
    exchange: Mutex<Exchange>,
    changed: Condvar,
}

impl Meeting {
    /// The sum of what all devices bring, in their order.
    fn sum(&self, rank: usize, values: Vec<f32>) -> Result<Vec<f32>, CudaError> {
        let mut exchange = self.exchange.lock().unwrap();
        exchange.brought[rank] = Some(values);
        if exchange.brought.iter().all(Option::is_some) {
            let parts: Vec<Vec<f32>> = exchange.brought.iter_mut().filter_map(Option::take).collect();
            let add = |at: usize| parts.iter().map(|part| part[at]).sum();
            let sum: Vec<f32> = (0..parts[0].len()).map(add).collect();
            exchange.sums.fill(Some(sum));
            self.changed.notify_all();
        }
        loop {
            if let Some(sum) = exchange.sums[rank].take() {
                return Ok(sum);
            }
            if exchange.is_given_up {
                return Err(CudaError::GivenUp);
            }
            let (next, waited) = self.changed.wait_timeout(exchange, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "the other device does not come");
            exchange = next;
        }
    }
}

#[derive(Debug)]
struct RankDriver {
    driver: Arc<NvidiaDriver>,
    meeting: Arc<Meeting>,
    rank: usize,
}

impl Driver for RankDriver {
    fn info(&self) -> DriverInfo {
        self.driver.info()
    }

    fn free_memory(&self) -> Result<u64, CudaError> {
        self.driver.free_memory()
    }

    fn allocate(&self, bytes: usize) -> Result<DevicePtr, CudaError> {
        self.driver.allocate(bytes)
    }

    fn allocate_pinned(&self, bytes: usize) -> Result<DevicePtr, CudaError> {
        self.driver.allocate_pinned(bytes)
    }

    unsafe fn free(&self, memory: DevicePtr) {
        // SAFETY: the caller's, as in all functions below.
        unsafe { self.driver.free(memory) }
    }

    unsafe fn free_pinned(&self, memory: DevicePtr) {
        // SAFETY: as above.
        unsafe { self.driver.free_pinned(memory) }
    }

    unsafe fn upload(&self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError> {
        // SAFETY: as above.
        unsafe { self.driver.upload(to, from) }
    }

    unsafe fn download(&self, from: DevicePtr, to: &mut [u8]) -> Result<(), CudaError> {
        // SAFETY: as above.
        unsafe { self.driver.download(from, to) }
    }

    fn queue(&self) -> Result<Box<dyn Queue>, CudaError> {
        Ok(Box::new(PartQueue {
            queue: self.driver.queue()?,
            driver: Arc::clone(&self.driver),
            meeting: Arc::clone(&self.meeting),
            rank: self.rank,
        }))
    }

    fn give_up_sums(&self) {
        self.meeting.exchange.lock().unwrap().is_given_up = true;
        self.meeting.changed.notify_all();
    }
}

#[derive(Debug)]
struct PartQueue {
    queue: Box<dyn Queue>,
    driver: Arc<NvidiaDriver>,
    meeting: Arc<Meeting>,
    rank: usize,
}

impl Queue for PartQueue {
    unsafe fn launch(&mut self, stream: usize, launch: &Launch<'_>) -> Result<(), CudaError> {
        // SAFETY: the caller's, as in all functions below.
        unsafe { self.queue.launch(stream, launch) }
    }

    unsafe fn upload(&mut self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError> {
        // SAFETY: as above.
        unsafe { self.queue.upload(to, from) }
    }

    fn order(&mut self, from: usize, to: usize) -> Result<(), CudaError> {
        self.queue.order(from, to)
    }

    fn begin_capture(&mut self) -> Result<(), CudaError> {
        self.queue.begin_capture()
    }

    fn end_capture(&mut self) -> Result<usize, CudaError> {
        self.queue.end_capture()
    }

    unsafe fn launch_graph(&mut self, graph: usize) -> Result<(), CudaError> {
        // SAFETY: as above.
        unsafe { self.queue.launch_graph(graph) }
    }

    fn clear_graphs(&mut self) {
        self.queue.clear_graphs();
    }

    unsafe fn sum_over_ranks(&mut self, buffer: DevicePtr, len: usize) -> Result<(), CudaError> {
        self.queue.synchronize()?;
        let mut values = vec![0.0f32; len];
        // SAFETY: as above; what was launched has ended.
        unsafe {
            self.driver
                .download(buffer, bytemuck::cast_slice_mut(&mut values))?
        };
        let sum = self.meeting.sum(self.rank, values)?;
        // SAFETY: as above.
        unsafe { self.driver.upload(buffer, bytemuck::cast_slice(&sum)) }
    }

    fn synchronize(&mut self) -> Result<(), CudaError> {
        self.queue.synchronize()
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("two_devices_on_one_gpu_conform", two_devices_on_one_gpu_conform),
        trial("nccl_sums_until_it_is_given_up", nccl_sums_until_it_is_given_up),
    ]
}

fn two_devices_on_one_gpu_conform() -> Outcome {
    let driver = match NvidiaDriver::open(0, &CudaOptions::default()) {
        Ok(driver) => Arc::new(driver),
        Err(error) => return without_gpu(&error),
    };
    let meeting = Arc::new(Meeting::default());
    *meeting.exchange.lock().unwrap() = Exchange {
        brought: vec![None; 2],
        sums: vec![None; 2],
        is_given_up: false,
    };
    let part = |rank| RankDriver {
        driver: Arc::clone(&driver),
        meeting: Arc::clone(&meeting),
        rank,
    };
    let parts = [0, 1].map(|rank| Arc::new(part(rank)) as Arc<dyn Driver>);
    let backend = CudaRanks::with_drivers(parts).unwrap();
    let report = conformance::run(&backend);
    println!("{}: {} cases", report.device.device, report.cases());
    report.assert_complete();
    Ok(Completion::Completed)
}

/// A communicator of one device: it sums until it is given up, and is gone without harm.
fn nccl_sums_until_it_is_given_up() -> Outcome {
    let drivers = match NvidiaDriver::open_ranks(&[0], &CudaOptions::default()) {
        Ok(drivers) => drivers,
        Err(error) => return without_gpu(&error),
    };
    let mut queue = drivers[0].queue().unwrap();
    let at = drivers[0].allocate(12).unwrap();
    let values = [1.0f32, 2.0, 3.0];
    let mut read = [0.0f32; 3];
    // SAFETY: the memory has been allocated with twelve bytes, and nothing else uses it.
    unsafe {
        drivers[0].upload(at, bytemuck::cast_slice(&values)).unwrap();
        queue.sum_over_ranks(at, 3).unwrap();
        queue.synchronize().unwrap();
        drivers[0]
            .download(at, bytemuck::cast_slice_mut(&mut read))
            .unwrap();
        assert_eq!(read, values, "the sum of one");
        drivers[0].give_up_sums();
        assert!(matches!(queue.sum_over_ranks(at, 3), Err(CudaError::GivenUp)));
        assert!(matches!(queue.synchronize(), Err(CudaError::GivenUp)));
        drivers[0].free(at);
    }
    println!("NCCL summed and was given up");
    Ok(Completion::Completed)
}
