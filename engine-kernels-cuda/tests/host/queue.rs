//! Launches that run when they are put in, or when the recording that they are in is replayed. Once a second lane is used, what was put
//! in waits for the end and then runs in some order that the lanes allow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::ThreadId;

use engine_kernels_cuda::driver::{DevicePtr, Launch, Queue};
use engine_kernels_cuda::error::CudaError;

use super::ranks::Rank;
use super::recording::{Recorder, Recording};
use super::{OwnedLaunch, Shared, lock};

/// What a lane holds outside recordings.
#[derive(Debug)]
enum Work {
    Launch(OwnedLaunch),
    Upload(DevicePtr, Vec<u8>),
    Replay(usize),
}

/// The lanes of a device.
#[derive(Debug)]
pub(crate) struct HostQueue {
    shared: Arc<Shared>,
    rank: Option<Rank>,
    recorder: Option<(Recorder<OwnedLaunch>, ThreadId)>,
    recordings: BTreeMap<usize, Recording<OwnedLaunch>>,
    made: usize,
    /// What several lanes hold.
    waiting: Option<Recorder<Work>>,
}

impl HostQueue {
    pub(crate) fn new(shared: &Arc<Shared>, rank: Option<Rank>) -> Self {
        Self {
            shared: Arc::clone(shared),
            rank,
            recorder: None,
            recordings: BTreeMap::new(),
            made: 0,
            waiting: None,
        }
    }

    fn leave_recording(&mut self) -> Option<Recorder<OwnedLaunch>> {
        let (recorder, thread) = self.recorder.take()?;
        let mut threads = lock(&self.shared.recording);
        let place = threads.iter().position(|other| *other == thread)?;
        threads.remove(place);
        Some(recorder)
    }

    fn put(&mut self, lane: usize, work: Work) {
        match &mut self.waiting {
            Some(waiting) => waiting.push(lane, work),
            None => {
                assert_eq!(lane, 0, "a lane is used that was not ordered behind lane 0");
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
                // SAFETY: `to` is live memory with room, and of no allocation of Rust.
                unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), *to as *mut u8, from.len()) };
            }
            Work::Replay(recording) => {
                let recording = self
                    .recordings
                    .get(recording)
                    .expect("there is no such recording");
                let seed = self.shared.seed.fetch_add(1, Ordering::Relaxed);
                for launch in recording.some_order(seed) {
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
    unsafe fn launch(&mut self, lane: usize, launch: &Launch<'_>) -> Result<(), CudaError> {
        self.shared.check_launch(launch)?;
        let owned = OwnedLaunch {
            kernel: launch.kernel,
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
            args: launch.args.to_vec(),
        };
        match &mut self.recorder {
            Some((recorder, _)) => recorder.push(lane, owned),
            None => self.put(lane, Work::Launch(owned)),
        }
        Ok(())
    }

    unsafe fn upload(&mut self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError> {
        assert!(self.recorder.is_none(), "a copy from the host cannot be recorded");
        self.put(0, Work::Upload(to, from.to_vec()));
        Ok(())
    }

    fn order(&mut self, from: usize, to: usize) -> Result<(), CudaError> {
        match &mut self.recorder {
            Some((recorder, _)) => recorder.order(from, to),
            None => self.waiting.get_or_insert_default().order(from, to),
        }
        Ok(())
    }

    fn begin_recording(&mut self) -> Result<(), CudaError> {
        assert!(self.recorder.is_none(), "a recording within a recording");
        let thread = std::thread::current().id();
        lock(&self.shared.recording).push(thread);
        self.recorder = Some((Recorder::default(), thread));
        Ok(())
    }

    fn end_recording(&mut self) -> Result<usize, CudaError> {
        let recorder = self
            .leave_recording()
            .expect("a recording ends that was not begun");
        let recording = recorder.finish(|launch| launch.kernel.to_owned());
        self.recordings.insert(self.made, recording);
        self.made += 1;
        Ok(self.made - 1)
    }

    unsafe fn replay(&mut self, recording: usize) -> Result<(), CudaError> {
        assert!(
            self.recorder.is_none(),
            "a recording is replayed while another is made"
        );
        self.put(0, Work::Replay(recording));
        Ok(())
    }

    fn clear_recordings(&mut self) {
        self.flush();
        self.recordings.clear();
    }

    unsafe fn sum_over_ranks(&mut self, numbers: DevicePtr, len: usize) -> Result<(), CudaError> {
        assert!(self.recorder.is_none(), "a sum over devices in a recording");
        self.flush();
        self.shared.check_live(numbers, len * size_of::<f32>());
        let rank = self.rank.as_ref().expect("the device belongs to others");
        rank.sum(numbers, len)
    }

    fn synchronize(&mut self) -> Result<(), CudaError> {
        assert!(self.recorder.is_none(), "waiting while a recording is made");
        self.flush();
        self.shared.check_guards("a copy");
        self.rank.as_ref().map_or(Ok(()), Rank::check)
    }
}

impl Drop for HostQueue {
    fn drop(&mut self) {
        self.leave_recording();
    }
}
