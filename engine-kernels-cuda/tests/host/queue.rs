//! Launches that run when they are enqueued, or when the captured graph that they are in is launched. Once a second stream is used, what was
//! enqueued waits for the end and then runs in some order that the streams allow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::ThreadId;

use engine_kernels_cuda::driver::{DevicePtr, Launch, Queue};
use engine_kernels_cuda::error::CudaError;

use super::capture::{Capture, Graph};
use super::ranks::Rank;
use super::{OwnedLaunch, Shared, lock};

/// What a stream holds outside captures.
#[derive(Debug)]
enum Work {
    Launch(OwnedLaunch),
    Upload(DevicePtr, Vec<u8>),
    Graph(usize),
}

/// The streams of a device.
#[derive(Debug)]
pub(crate) struct HostQueue {
    shared: Arc<Shared>,
    rank: Option<Rank>,
    capture: Option<(Capture<OwnedLaunch>, ThreadId)>,
    graphs: BTreeMap<usize, Graph<OwnedLaunch>>,
    made: usize,
    /// What several streams hold.
    waiting: Option<Capture<Work>>,
}

impl HostQueue {
    pub(crate) fn new(shared: &Arc<Shared>, rank: Option<Rank>) -> Self {
        Self {
            shared: Arc::clone(shared),
            rank,
            capture: None,
            graphs: BTreeMap::new(),
            made: 0,
            waiting: None,
        }
    }

    fn leave_capture(&mut self) -> Option<Capture<OwnedLaunch>> {
        let (capture, thread) = self.capture.take()?;
        let mut threads = lock(&self.shared.capturing);
        let place = threads.iter().position(|other| *other == thread)?;
        threads.remove(place);
        Some(capture)
    }

    fn put(&mut self, stream: usize, work: Work) {
        match &mut self.waiting {
            Some(waiting) => waiting.push(stream, work),
            None => {
                assert_eq!(stream, 0, "a stream is used that was not ordered behind stream 0");
                self.run(&work);
            }
        }
    }

    fn run(&self, work: &Work) {
        match work {
            // SAFETY: who put it in promised that its struct is the kernel's.
            Work::Launch(launch) => unsafe { self.shared.run(launch) },
            Work::Upload(to, from) => {
                self.shared.check_live(*to, from.len());
                // SAFETY: `to` is live memory and long enough, and of no allocation of Rust.
                unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), *to as *mut u8, from.len()) };
            }
            Work::Graph(graph) => {
                let graph = self.graphs.get(graph).expect("there is no such graph");
                let seed = self.shared.seed.fetch_add(1, Ordering::Relaxed);
                for launch in graph.some_order(seed) {
                    // SAFETY: as above.
                    unsafe { self.shared.run(launch) };
                }
            }
        }
    }

    /// Runs what waits.
    fn flush(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            let seed = self.shared.seed.fetch_add(1, Ordering::Relaxed);
            for work in waiting.all().some_order(seed) {
                self.run(work);
            }
        }
    }
}

impl Queue for HostQueue {
    unsafe fn launch(&mut self, stream: usize, launch: &Launch<'_>) -> Result<(), CudaError> {
        self.shared.check_launch(launch)?;
        let owned = OwnedLaunch {
            kernel: launch.kernel,
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
            args: launch.args.to_vec(),
        };
        match &mut self.capture {
            Some((capture, _)) => capture.push(stream, owned),
            None => self.put(stream, Work::Launch(owned)),
        }
        Ok(())
    }

    unsafe fn upload(&mut self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError> {
        assert!(self.capture.is_none(), "a copy from the host cannot be captured");
        self.put(0, Work::Upload(to, from.to_vec()));
        Ok(())
    }

    fn order(&mut self, from: usize, to: usize) -> Result<(), CudaError> {
        match &mut self.capture {
            Some((capture, _)) => capture.order(from, to),
            None => self.waiting.get_or_insert_default().order(from, to),
        }
        Ok(())
    }

    fn begin_capture(&mut self) -> Result<(), CudaError> {
        assert!(self.capture.is_none(), "a capture within a capture");
        let thread = std::thread::current().id();
        lock(&self.shared.capturing).push(thread);
        self.capture = Some((Capture::default(), thread));
        Ok(())
    }

    fn end_capture(&mut self) -> Result<usize, CudaError> {
        let capture = self.leave_capture().expect("a capture ends that was not begun");
        let graph = capture.finish(|launch| launch.kernel.to_owned());
        self.graphs.insert(self.made, graph);
        self.made += 1;
        Ok(self.made - 1)
    }

    unsafe fn launch_graph(&mut self, graph: usize) -> Result<(), CudaError> {
        assert!(
            self.capture.is_none(),
            "a graph is launched while another is captured"
        );
        self.put(0, Work::Graph(graph));
        Ok(())
    }

    fn clear_graphs(&mut self) {
        self.flush();
        self.graphs.clear();
    }

    unsafe fn sum_over_ranks(&mut self, values: DevicePtr, len: usize) -> Result<(), CudaError> {
        assert!(self.capture.is_none(), "a sum over devices in a capture");
        self.flush();
        self.shared.check_live(values, len * size_of::<f32>());
        let rank = self.rank.as_ref().expect("the device belongs to others");
        rank.sum(values, len)
    }

    fn synchronize(&mut self) -> Result<(), CudaError> {
        assert!(self.capture.is_none(), "waiting while a graph is captured");
        self.flush();
        self.shared.check_guards("a copy");
        self.rank.as_ref().map_or(Ok(()), Rank::check)
    }
}

impl Drop for HostQueue {
    fn drop(&mut self) {
        self.leave_capture();
    }
}
