//! The host check itself: right kernels run right, in any order, and it finds what it is meant to find.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

use crate::host::HostDriver;
use engine_kernels_cuda::driver::{DevicePtr, Driver, Launch, Queue};
use engine_kernels_cuda::error::CudaError;
use engine_kernels_cuda::source::{FILES, kernel_names};

/// As `Values` in selftest.cu.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Values {
    from: DevicePtr,
    to: DevicePtr,
    len: u32,
    reserved: u32,
}

struct Check {
    driver: HostDriver,
    queue: Box<dyn Queue>,
}

impl Check {
    fn new() -> Self {
        let files = [FILES[0], ("selftest.cu", include_str!("../host/selftest.cu"))];
        let driver = HostDriver::with(&files, 1 << 20);
        let queue = driver.queue().unwrap();
        Self { driver, queue }
    }

    fn f32_buffer(&self, values: &[f32]) -> DevicePtr {
        let at = self.unwritten(values.len());
        // SAFETY: it has just been allocated.
        unsafe { self.driver.upload(at, bytemuck::cast_slice(values)) }.unwrap();
        at
    }

    fn unwritten(&self, len: usize) -> DevicePtr {
        self.driver.allocate(len * 4).unwrap()
    }

    fn read(&self, at: DevicePtr, len: usize) -> Vec<f32> {
        let mut values = vec![0.0; len];
        // SAFETY: all tests read what they allocated.
        unsafe { self.driver.download(at, bytemuck::cast_slice_mut(&mut values)) }.unwrap();
        values
    }

    /// A launch with shared memory of 16 bytes.
    fn launch_in(
        &mut self,
        stream: usize,
        kernel: &'static str,
        grid: u32,
        block: u32,
        buffers: (DevicePtr, DevicePtr, usize),
    ) {
        let (from, to, len) = buffers;
        let args = Values {
            from,
            to,
            len: len as u32,
            reserved: 0,
        };
        let launch = Launch {
            kernel,
            grid: [grid, 1, 1],
            block,
            shared: if kernel == "add_one" { block * 4 } else { 16 },
            args: bytemuck::bytes_of(&args),
        };
        // SAFETY: the struct is that of all kernels here; what it points to lives until the end of the test.
        unsafe { self.queue.launch(stream, &launch) }.unwrap();
    }

    fn launch(
        &mut self,
        kernel: &'static str,
        grid: u32,
        block: u32,
        buffers: (DevicePtr, DevicePtr, usize),
    ) {
        self.launch_in(0, kernel, grid, block, buffers);
    }
}

/// Launches a kernel with four values on one block.
fn fault(kernel: &'static str, block: u32) -> f32 {
    let mut check = Check::new();
    let (from, to) = (check.f32_buffer(&[1.0; 4]), check.f32_buffer(&[0.0; 4]));
    check.launch(kernel, 1, block, (from, to, 4));
    check.queue.synchronize().unwrap();
    check.read(to, 1)[0]
}

fn count(len: usize) -> Vec<f32> {
    (0..len).map(|i| i as f32).collect()
}

#[test]
fn a_reduction_sums() {
    let mut check = Check::new();
    let values = count(1000);
    let (from, to) = (check.f32_buffer(&values), check.unwritten(4));
    check.launch("sum_blocks", 4, 256, (from, to, 1000));
    let sums: Vec<f32> = values.chunks(256).map(|block| block.iter().sum()).collect();
    assert_eq!(check.read(to, 4), sums);
}

#[test]
fn a_missing_barrier_shows_as_nan_in_some_order() {
    let mut check = Check::new();
    let (from, to) = (check.f32_buffer(&count(256)), check.unwritten(1));
    let wrong = (0..50).filter(|_| {
        check.launch("sum_blocks_without_barrier", 1, 256, (from, to, 256));
        check.read(to, 1)[0].is_nan()
    });
    assert!(wrong.count() > 10);
}

#[test]
fn dynamic_shared_memory_and_ragged_blocks() {
    let mut check = Check::new();
    for (len, block) in [(1, 1), (77, 33), (4000, 1024), (50, 7)] {
        let (from, to) = (check.f32_buffer(&count(len)), check.unwritten(len));
        check.launch(
            "add_one",
            len.div_ceil(block as usize) as u32,
            block,
            (from, to, len),
        );
        let expected: Vec<f32> = count(len).iter().map(|x| x + 1.0).collect();
        assert_eq!(check.read(to, len), expected, "{len} in blocks of {block}");
    }
}

#[test]
fn warp_operations_follow_their_definition() {
    let mut check = Check::new();
    let to = check.unwritten(256);
    check.launch("warp_operations", 1, 32, (0, to, 0));
    let results = check.read(to, 256);
    for (lane, found) in results.chunks(8).enumerate() {
        let up = if lane < 3 { lane } else { lane - 3 };
        let down = if lane > 28 { lane } else { lane + 3 };
        let high_half = if lane < 16 { 0 } else { 11 };
        let expected = [5, up, down, lane ^ 8, 11, 1, high_half, lane / 8 * 8 + 3];
        assert_eq!(found, expected.map(|x| x as f32), "lane {lane}");
    }
}

#[test]
fn blocks_run_in_random_order() {
    let mut check = Check::new();
    let to = check.f32_buffer(&[0.0; 2]);
    let mut last = std::collections::BTreeSet::new();
    for _ in 0..20 {
        check.launch("depends_on_order", 50, 1, (0, to, 0));
        last.insert(check.read(to, 2)[1] as u32);
    }
    assert_eq!(check.read(to, 1)[0], 1000.0);
    assert!(last.len() > 5, "{last:?}");
}

#[test]
#[should_panic(expected = "threads of a block wait at different barriers")]
fn a_barrier_in_a_branch_is_found() {
    fault("barrier_in_a_branch", 64);
}

#[test]
#[should_panic(expected = "1 threads wait at the barrier at")]
fn a_barrier_against_a_warp_operation_is_found() {
    fault("barrier_against_warp", 32);
}

#[test]
#[should_panic(expected = "have ended that were at an earlier one")]
fn a_loop_with_uneven_barriers_is_found() {
    fault("uneven_loop", 32);
}

#[test]
fn threads_may_leave_before_the_first_barrier() {
    assert_eq!(fault("early_return", 64), 1.0);
}

#[test]
#[should_panic(expected = "reads lane 20, which takes no part")]
fn a_shuffle_from_outside_the_mask_is_found() {
    fault("shuffle_from_outside", 32);
}

#[test]
#[should_panic(expected = "overrun wrote behind the end of an allocation of 16 bytes")]
fn an_overrun_is_found() {
    fault("overrun", 1);
}

#[test]
#[should_panic(expected = "underrun wrote before the beginning of an allocation of 16 bytes")]
fn an_underrun_is_found() {
    fault("underrun", 1);
}

#[test]
#[should_panic(expected = "kernel far_overrun, block (0, 0, 0), thread 0: reads or writes out of bounds")]
fn a_far_overrun_is_found() {
    fault("far_overrun", 1);
}

#[test]
#[should_panic(expected = "an index out of bounds (0x4)")]
fn an_overrun_of_shared_memory_is_found() {
    fault("shared_overrun", 1);
}

#[test]
#[should_panic(expected = "reads or writes out of bounds")]
fn an_overrun_of_dynamic_shared_memory_is_found() {
    fault("dynamic_overrun", 1);
}

#[test]
fn unwritten_memory_is_nan() {
    assert!(fault("unwritten_shared", 1).is_nan());
    let check = Check::new();
    let fresh = check.unwritten(3);
    assert!(check.read(fresh, 3).iter().all(|x| x.is_nan()));
}

#[test]
#[should_panic(expected = "a misaligned address")]
fn a_misaligned_vector_is_found() {
    fault("misaligned", 1);
}

#[test]
#[should_panic(expected = "a division by zero (0x7)")]
fn a_division_by_zero_is_found() {
    let mut check = Check::new();
    check.launch("divides_by_zero", 1, 1, (0, 0, 0));
}

#[test]
#[should_panic(expected = "bytes of stack")]
fn a_deep_stack_is_found() {
    fault("deep_stack", 1);
}

#[test]
#[should_panic(expected = "more threads than its declaration allows")]
fn a_block_beyond_its_launch_bounds_is_found() {
    fault("early_return", 65);
}

#[test]
#[should_panic(expected = "differs from that in Rust")]
fn a_wrong_argument_struct_is_found() {
    let mut check = Check::new();
    let launch = Launch {
        kernel: "overrun",
        grid: [1; 3],
        block: 1,
        shared: 0,
        args: &[0; 16],
    };
    // SAFETY: the launch is refused.
    unsafe { check.queue.launch(0, &launch) }.unwrap();
}

#[test]
fn a_missing_kernel_is_an_error() {
    let mut check = Check::new();
    let launch = Launch {
        kernel: "nothing",
        grid: [1; 3],
        block: 1,
        shared: 0,
        args: &[],
    };
    // SAFETY: there is nothing to launch.
    let result = unsafe { check.queue.launch(0, &launch) };
    assert!(matches!(
        result,
        Err(CudaError::UnknownKernel { kernel: "nothing" })
    ));
}

#[test]
fn memory_is_counted_and_given_back() {
    let check = Check::new();
    let at = check.driver.allocate(1 << 19).unwrap();
    assert_eq!(at % 256, 0);
    assert!(matches!(
        check.driver.allocate((1 << 19) + 1),
        Err(CudaError::OutOfMemory { .. })
    ));
    assert_eq!(check.driver.free_memory().unwrap(), 1 << 19);
    // SAFETY: nothing uses it.
    unsafe { check.driver.free(at) };
    assert_eq!(check.driver.used_memory(), 0);
}

/// Captures `add_one` twice in a second stream and a sum in the main one; `ordered` says whether the streams are.
fn captured(ordered: bool) -> f32 {
    let mut check = Check::new();
    let (from, once, twice) = (
        check.f32_buffer(&[1.0; 8]),
        check.unwritten(8),
        check.f32_buffer(&[0.0; 8]),
    );
    let sum = check.unwritten(1);
    check.queue.begin_capture().unwrap();
    check.queue.order(0, 1).unwrap();
    check.launch_in(1, "add_one", 1, 8, (from, once, 8));
    check.launch_in(1, "add_one", 1, 8, (once, twice, 8));
    if ordered {
        check.queue.order(1, 0).unwrap();
    }
    check.launch_in(0, "sum_blocks", 1, 256, (twice, sum, 8));
    check.queue.order(1, 0).unwrap();
    let graph = check.queue.end_capture().unwrap();
    assert_eq!(check.driver.launches(), 0);
    let mut least = f32::INFINITY;
    for _ in 0..20 {
        // SAFETY: all of it lives until the end of the function.
        unsafe {
            check.driver.upload(twice, &[0; 32]).unwrap();
            check.queue.launch_graph(graph).unwrap();
        }
        least = least.min(check.read(sum, 1)[0]);
    }
    assert_eq!(check.driver.launches(), 60);
    least
}

#[test]
fn captured_graphs_run_in_any_allowed_order() {
    assert_eq!(captured(true), 24.0);
    assert_eq!(
        captured(false),
        0.0,
        "streams that are not ordered run in any order"
    );
}

#[test]
#[should_panic(expected = "stream 1 is used without being ordered behind stream 0")]
fn a_lane_that_is_not_begun_is_found() {
    let mut check = Check::new();
    check.queue.begin_capture().unwrap();
    check.launch_in(1, "overrun", 1, 1, (0, 0, 0));
}

#[test]
#[should_panic(expected = "stream 0 is not ordered behind launch 1 (underrun)")]
fn a_lane_that_is_not_joined_is_found() {
    let mut check = Check::new();
    check.queue.begin_capture().unwrap();
    check.queue.order(0, 1).unwrap();
    check.launch_in(0, "overrun", 1, 1, (0, 0, 0));
    check.launch_in(1, "underrun", 1, 1, (0, 0, 0));
    check.queue.end_capture().unwrap();
}

#[test]
#[should_panic(expected = "an allocation while a graph is being captured")]
fn an_allocation_within_a_capture_is_found() {
    let mut check = Check::new();
    check.queue.begin_capture().unwrap();
    check.unwritten(1);
}

#[test]
fn the_shipped_kernels_compile_as_cpp() {
    let driver = HostDriver::new();
    assert_eq!(driver.launches(), 0);
    assert!(kernel_names(FILES).contains(&"gather_rows"));
}
