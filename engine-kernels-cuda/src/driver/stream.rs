//! Streams, events and captured graphs of the NVIDIA driver: a [`Queue`].

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUevent_flags, CUevent_wait_flags, CUresult, CUstreamCaptureMode};

use crate::driver::context::{Context, failed};
use crate::driver::nccl::Rank;
use crate::driver::{DevicePtr, Launch, Queue};
use crate::error::CudaError;

/// How launches are captured: other threads may use the driver meanwhile.
const CAPTURE_MODE: CUstreamCaptureMode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;

/// Makes something in a thread that may be capturing, which the driver would otherwise refuse.
fn relaxed<T>(make: impl FnOnce() -> Result<T, DriverError>) -> Result<T, DriverError> {
    let mut mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
    // SAFETY: the pointer is valid; the call swaps this thread's mode with the given one.
    unsafe { sys::cuThreadExchangeStreamCaptureMode(&raw mut mode) }.result()?;
    let made = make();
    // SAFETY: as above.
    unsafe { sys::cuThreadExchangeStreamCaptureMode(&raw mut mode) }.result()?;
    made
}

/// A stream and the event that others wait for.
#[derive(Debug)]
pub(crate) struct Stream {
    context: Arc<Context>,
    stream: sys::CUstream,
    event: sys::CUevent,
}

// SAFETY: handles of the driver may be used from all threads; each call makes the context current first.
unsafe impl Send for Stream {}

impl Stream {
    pub(crate) fn new(context: &Arc<Context>) -> Result<Self, CudaError> {
        context.bind()?;
        let stream = relaxed(|| result::stream::create(result::stream::StreamKind::NonBlocking));
        let stream = stream.map_err(failed("cuStreamCreate"))?;
        let mut made = Self {
            context: Arc::clone(context),
            stream,
            event: std::ptr::null_mut(),
        };
        let event = relaxed(|| result::event::create(CUevent_flags::CU_EVENT_DISABLE_TIMING));
        made.event = event.map_err(failed("cuEventCreate"))?;
        Ok(made)
    }

    pub(crate) fn handle(&self) -> sys::CUstream {
        self.stream
    }

    /// Waits until everything in it has run.
    pub(crate) fn wait(&self) -> Result<(), CudaError> {
        self.context.bind()?;
        // SAFETY: the stream lives as long as `self`.
        unsafe { result::stream::synchronize(self.stream) }.map_err(failed("cuStreamSynchronize"))
    }

    /// What comes later waits for what another stream holds now.
    fn wait_for(&self, other: &Self) -> Result<(), CudaError> {
        // SAFETY: both streams and the event live; an event may be recorded again once its waiters are enqueued.
        unsafe {
            result::event::record(other.event, other.stream).map_err(failed("cuEventRecord"))?;
            result::stream::wait_event(
                self.stream,
                other.event,
                CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT,
            )
            .map_err(failed("cuStreamWaitEvent"))
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let destroy = || {
            self.wait()?;
            // SAFETY: both are ours and are destroyed once; the event is null when it could not be made.
            unsafe {
                if !self.event.is_null() {
                    result::event::destroy(self.event).map_err(failed("cuEventDestroy"))?;
                }
                result::stream::destroy(self.stream).map_err(failed("cuStreamDestroy"))
            }
        };
        if let Err(error) = destroy() {
            tracing::warn!(%error, "a stream is not destroyed");
        }
    }
}

/// A graph that can be launched.
#[derive(Debug)]
struct Graph {
    context: Arc<Context>,
    executable: sys::CUgraphExec,
}

// SAFETY: as for `Stream`.
unsafe impl Send for Graph {}

impl Graph {
    /// Makes a captured graph ready and destroys the description of it.
    fn new(context: &Arc<Context>, graph: sys::CUgraph) -> Result<Self, CudaError> {
        // SAFETY: the graph came from the end of a capture.
        let executable = unsafe { result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0)) };
        // SAFETY: what was made of it does not need it.
        let destroyed = unsafe { result::graph::destroy(graph) };
        let executable = executable.map_err(failed("cuGraphInstantiate"))?;
        let made = Self {
            context: Arc::clone(context),
            executable,
        };
        destroyed.map_err(failed("cuGraphDestroy"))?;
        Ok(made)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let destroy = || {
            self.context.bind()?;
            // SAFETY: it is ours and destroyed once; the driver lets a launch of it end first.
            unsafe { result::graph::exec_destroy(self.executable) }.map_err(failed("cuGraphExecDestroy"))
        };
        if let Err(error) = destroy() {
            tracing::warn!(%error, "a graph is not destroyed");
        }
    }
}

/// Streams that run concurrently, and captured graphs. Streams are made when they are first used.
#[derive(Debug)]
pub(crate) struct NvidiaQueue {
    context: Arc<Context>,
    graphs: BTreeMap<usize, Graph>,
    captured: usize,
    is_capturing: bool,
    streams: Vec<Stream>,
    /// The device's rank among several.
    rank: Option<Rank>,
}

impl NvidiaQueue {
    pub(crate) fn new(context: &Arc<Context>, rank: Option<Rank>) -> Result<Self, CudaError> {
        Ok(Self {
            context: Arc::clone(context),
            graphs: BTreeMap::new(),
            captured: 0,
            is_capturing: false,
            streams: vec![Stream::new(context)?],
            rank,
        })
    }

    /// Makes streams up to the given one.
    fn make_streams(&mut self, last: usize) -> Result<(), CudaError> {
        while self.streams.len() <= last {
            self.streams.push(Stream::new(&self.context)?);
        }
        Ok(())
    }

    fn refuse_while_capturing(&self, call: &'static str) -> Result<(), CudaError> {
        if self.is_capturing {
            let reason = "launches are being captured".to_owned();
            return Err(CudaError::Driver { call, reason });
        }
        Ok(())
    }

    /// Leaves the capture; the graph is null when something in it was refused.
    fn leave_capture(&mut self) -> Result<sys::CUgraph, CudaError> {
        self.is_capturing = false;
        self.context.bind()?;
        // SAFETY: stream 0 is captured.
        let graph = unsafe { result::stream::end_capture(self.streams[0].stream) };
        graph.map_err(failed("cuStreamEndCapture"))
    }
}

impl Queue for NvidiaQueue {
    unsafe fn launch(&mut self, stream: usize, launch: &Launch<'_>) -> Result<(), CudaError> {
        self.context.bind()?;
        self.make_streams(stream)?;
        let function = self.context.kernel(launch.kernel)?;
        if cfg!(debug_assertions) {
            function.bounds.check(launch)?;
        }
        let [x, y, z] = launch.grid;
        let mut parameters = [launch.args.as_ptr().cast_mut().cast::<c_void>()];
        // SAFETY: the caller's; the driver copies the struct before it returns.
        let launched = unsafe {
            result::launch_kernel(
                function.handle,
                (x, y, z),
                (launch.block, 1, 1),
                launch.shared,
                self.streams[stream].stream,
                &mut parameters,
            )
        };
        launched.map_err(|error| {
            let with_kernel = |reason| format!("kernel {}: {reason}", launch.kernel);
            match failed("cuLaunchKernel")(error) {
                CudaError::Driver { call, reason } => CudaError::Driver {
                    call,
                    reason: with_kernel(reason),
                },
                other => other,
            }
        })
    }

    unsafe fn upload(&mut self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError> {
        self.refuse_while_capturing("cuMemcpyHtoDAsync")?;
        if from.is_empty() {
            return Ok(());
        }
        self.context.bind()?;
        // SAFETY: the caller's; the driver has read memory that is not page-locked before it returns.
        unsafe { result::memcpy_htod_async(to, from, self.streams[0].stream) }
            .map_err(failed("cuMemcpyHtoDAsync"))
    }

    fn order(&mut self, from: usize, to: usize) -> Result<(), CudaError> {
        if from == to {
            return Ok(());
        }
        self.context.bind()?;
        self.make_streams(from.max(to))?;
        self.streams[to].wait_for(&self.streams[from])
    }

    fn begin_capture(&mut self) -> Result<(), CudaError> {
        self.refuse_while_capturing("cuStreamBeginCapture")?;
        self.context.bind()?;
        // SAFETY: the stream lives as long as `self`.
        unsafe { result::stream::begin_capture(self.streams[0].stream, CAPTURE_MODE) }
            .map_err(failed("cuStreamBeginCapture"))?;
        self.is_capturing = true;
        Ok(())
    }

    fn end_capture(&mut self) -> Result<usize, CudaError> {
        let captured = self.leave_capture()?;
        let graph = Graph::new(&self.context, captured)?;
        let number = self.captured;
        self.graphs.insert(number, graph);
        self.captured += 1;
        Ok(number)
    }

    unsafe fn launch_graph(&mut self, graph: usize) -> Result<(), CudaError> {
        self.context.bind()?;
        let graph = self.graphs.get(&graph).ok_or_else(|| CudaError::Driver {
            call: "cuGraphLaunch",
            reason: format!("there is no graph {graph}"),
        })?;
        // SAFETY: the caller's; graph and stream live.
        unsafe { result::graph::launch(graph.executable, self.streams[0].stream) }
            .map_err(failed("cuGraphLaunch"))
    }

    fn clear_graphs(&mut self) {
        self.graphs.clear();
    }

    unsafe fn sum_over_ranks(&mut self, values: DevicePtr, len: usize) -> Result<(), CudaError> {
        self.refuse_while_capturing("ncclAllReduce")?;
        let rank = self.rank.as_ref().ok_or_else(|| CudaError::Nccl {
            call: "ncclAllReduce",
            reason: "the device was opened alone".to_owned(),
        })?;
        self.context.bind()?;
        // SAFETY: the caller's; the stream is one of this device, whose context is current.
        unsafe { rank.sum(values, len, self.streams[0].stream.cast()) }
    }

    fn synchronize(&mut self) -> Result<(), CudaError> {
        self.refuse_while_capturing("cuStreamSynchronize")?;
        self.streams.iter().try_for_each(Stream::wait)?;
        // A sum that was given up ends as if it had been made.
        self.rank.as_ref().map_or(Ok(()), Rank::check)
    }
}

impl Drop for NvidiaQueue {
    fn drop(&mut self) {
        if !self.is_capturing {
            return;
        }
        match self.leave_capture() {
            // SAFETY: the graph came from the capture and is used nowhere.
            Ok(graph) => match unsafe { result::graph::destroy(graph) } {
                Ok(()) | Err(DriverError(CUresult::CUDA_ERROR_INVALID_VALUE)) => {}
                Err(error) => tracing::warn!(?error, "a graph is not destroyed"),
            },
            Err(error) => tracing::debug!(%error, "an unfinished capture"),
        }
    }
}
