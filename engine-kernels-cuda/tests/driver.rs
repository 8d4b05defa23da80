//! The NVIDIA driver's side without a GPU: what a machine lacks is said in one sentence, and memory, launches, captured graphs and the
//! cache work against a driver and a compiler that replace the real ones.
//!
//! Each case runs in a process of its own, which finds the libraries of the case and no others.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine_core::remedy::with_remedies;
use engine_kernels_cuda::driver::{DevicePtr, Driver, Launch, NvidiaDriver, Queue, devices};
use engine_kernels_cuda::{CudaError, CudaOptions};

/// Tells the process of a case that it is one.
const CASE: &str = "DRIVER_CASE";

/// Libraries and files of a case, removed at its end.
struct Machine {
    folder: PathBuf,
    variables: Vec<(String, String)>,
}

impl Machine {
    /// A machine with a driver and NVRTC, where `variables` say what is special.
    fn new(name: &str, variables: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("driver-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let owned = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let machine = Self {
            folder,
            variables: owned.collect(),
        };
        machine.library("libcuda", &[]);
        machine.library("libnvrtc", &[]);
        machine
    }

    /// Compiles a library, with definitions.
    fn library(&self, name: &str, definitions: &[&str]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/driver/{name}.c"));
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let made = Command::new(&compiler)
            .args(["-std=c11", "-shared", "-fPIC", "-o"])
            .arg(self.folder.join(format!("{name}.so")))
            .args(definitions)
            .arg(source)
            .output()
            .unwrap_or_else(|error| panic!("the tests need a C compiler ({compiler}): {error}"));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Runs a test of this file as the process of a case; what it printed last.
    fn run(&self, test: &str) -> String {
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(CASE, "1")
            .env("LD_LIBRARY_PATH", &self.folder)
            .env("ENGINE_NVRTC", self.folder.join("libnvrtc.so"))
            .env("ENGINE_KERNEL_CACHE", self.folder.join("cache"))
            .env("FAKE_COMPILATIONS", self.folder.join("compilations"))
            .envs(self.variables.iter().map(|(k, v)| (k, v)))
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{text}");
        let message = text.lines().find_map(|line| line.split_once("message: "));
        message
            .unwrap_or_else(|| panic!("there is no message:\n{text}"))
            .1
            .to_owned()
    }

    /// How often NVRTC has compiled.
    fn compilations(&self) -> usize {
        fs::read(self.folder.join("compilations")).map_or(0, |bytes| bytes.len())
    }

    /// The only entry of the cache.
    fn entry(&self) -> PathBuf {
        let entries = fs::read_dir(self.folder.join("cache")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(paths.len(), 1, "{paths:?}");
        paths.remove(0)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What opening says on a machine.
fn opening(name: &str, variables: &[(&str, &str)]) -> String {
    Machine::new(name, variables).run("open_in_process")
}

#[expect(
    clippy::print_stdout,
    reason = "the process of a case speaks to the one that began it"
)]
fn tell(text: &str) {
    println!("message: {text}");
}

/// Options that the case asks for.
fn options() -> CudaOptions {
    CudaOptions {
        tensor_cores: std::env::var_os("TENSOR_CORES").is_some(),
        ..CudaOptions::default()
    }
}

/// Whether this is the process of a case; `--ignored` alone runs nothing.
fn is_case() -> bool {
    std::env::var_os(CASE).is_some()
}

#[test]
#[ignore = "a case runs it in a process of its own"]
fn open_in_process() {
    if is_case() {
        let index = std::env::var("INDEX").map_or(0, |index| index.parse().unwrap());
        match NvidiaDriver::open(index, &options()) {
            Ok(driver) => tell(&format!("{:?}", driver.info())),
            Err(error) => tell(&with_remedies(&error.to_string(), &error.remedies())),
        }
    }
}

#[test]
#[ignore = "a case runs it in a process of its own"]
fn list_in_process() {
    if is_case() {
        let names = devices().map(|all| {
            all.iter()
                .map(|d| format!("{} {}", d.index, d.name))
                .collect::<Vec<_>>()
        });
        tell(&names.map_or_else(|error| error.to_string(), |names| names.join("; ")));
    }
}

#[test]
fn a_device_is_opened_and_described() {
    let message = opening("open", &[("INDEX", "1")]);
    assert!(
        message.contains("Fake GPU 1, driver for CUDA 12.4") && message.contains("(9, 0)"),
        "{message}"
    );
    assert!(
        message.contains("multiprocessors: 132") && message.contains("shared_per_block: 232448"),
        "{message}"
    );
}

#[test]
fn devices_are_listed_without_the_compiler() {
    let machine = Machine::new("list", &[("ENGINE_NVRTC", "/none")]);
    assert_eq!(
        machine.run("list_in_process"),
        "0 Fake GPU 0, driver for CUDA 12.4; 1 Fake GPU 1, driver for CUDA 12.4"
    );
    assert_eq!(
        Machine::new("none", &[("FAKE_INIT", "100")]).run("list_in_process"),
        ""
    );
}

#[test]
fn what_a_machine_lacks_is_reported() {
    for (name, variables, expected) in [
        (
            "old",
            &[("FAKE_VERSION", "11080")][..],
            "the NVIDIA driver knows CUDA 11.8, at least 12.0 is needed; update it, or use the device cpu",
        ),
        (
            "compiler",
            &[("ENGINE_NVRTC", "/none/libnvrtc.so")],
            "the run-time compiler of CUDA (NVRTC) was not found (/none/libnvrtc.so); ",
        ),
        (
            "newer",
            &[("FAKE_NVRTC", "13")],
            "the NVIDIA driver knows CUDA 12.4, at least 13.0 (the version of the NVRTC that was found) is needed; ",
        ),
        (
            "empty",
            &[("FAKE_INIT", "100")],
            "there is no CUDA device 0; use the device cpu",
        ),
        (
            "few",
            &[("INDEX", "2")],
            "there is no CUDA device 2, only cuda:0 to cuda:1; use the device cuda:0, or use the device cpu",
        ),
        (
            "weak",
            &[("FAKE_CAPABILITY", "70")],
            "Fake GPU 0, driver for CUDA 12.4 has compute capability 7.0, at least 7.5 is needed; use the device cpu",
        ),
        (
            "stub",
            &[("FAKE_INIT", "34")],
            "no NVIDIA driver was found (libcuda.so is the toolkit's stub); ",
        ),
        ("init", &[("FAKE_INIT", "3")], "cuInit failed: some error"),
        (
            "mistake",
            &[("FAKE_MISTAKE", "1")],
            "NVRTC cannot compile the kernels for sm_90: kernels.cu(1): error: a mistake",
        ),
        (
            "kernel",
            &[("FAKE_MISSING_KERNEL", "relu")],
            "the compiled kernels lack \"relu\"; remove the kernel cache and try again",
        ),
    ] {
        let message = opening(name, variables);
        assert!(message.starts_with(expected), "{name}: {message}");
    }
}

#[test]
fn a_driver_that_lacks_a_function_is_reported() {
    let machine = Machine::new("symbol", &[]);
    machine.library("libcuda", &["-DWITHOUT_GRAPHS"]);
    assert_eq!(
        machine.run("open_in_process"),
        "the NVIDIA driver lacks cuGraphLaunch; update it, or use the device cpu"
    );
}

#[test]
fn compiled_kernels_are_kept() {
    let machine = Machine::new("cache", &[]);
    let opened = machine.run("open_in_process");
    assert_eq!(machine.run("open_in_process"), opened);
    assert_eq!(machine.compilations(), 1, "the second start finds them");
    let name = machine.entry().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.ends_with("-sm_90-nvrtc12.8.bin"), "{name}");
    fs::write(machine.entry(), "damaged").unwrap();
    assert_eq!(machine.run("open_in_process"), opened);
    assert_eq!(machine.compilations(), 2, "what is damaged is compiled again");
    assert_eq!(machine.run("open_in_process"), opened);
    assert_eq!(machine.compilations(), 2, "and kept");
}

#[test]
fn tensor_cores_are_asked_for_and_have_kernels_of_their_own() {
    let mut machine = Machine::new("tensor", &[]);
    let plain = machine.run("open_in_process");
    machine
        .variables
        .push(("TENSOR_CORES".to_owned(), "1".to_owned()));
    let message = machine.run("open_in_process");
    assert!(
        message.contains(", TF32 tensor cores") && !plain.contains("tensor"),
        "{message}"
    );
    assert_eq!(
        machine.compilations(),
        2,
        "one entry does not serve for the other"
    );
    machine
        .variables
        .push(("FAKE_CAPABILITY".to_owned(), "75".to_owned()));
    assert!(
        !machine.run("open_in_process").contains("tensor"),
        "the device has none"
    );
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let machine = Machine::new("unwritable", &[("ENGINE_KERNEL_CACHE", "/dev/null/cache")]);
    for started in 1..=2 {
        assert!(machine.run("open_in_process").contains("Fake GPU 0"));
        assert_eq!(machine.compilations(), started);
    }
}

#[test]
fn a_newer_device_gets_what_its_driver_compiles() {
    let machine = Machine::new("ptx", &[("FAKE_CAPABILITY", "121")]);
    assert!(machine.run("open_in_process").contains("(12, 1)"));
    assert!(
        machine.entry().to_str().unwrap().contains("-compute_90-"),
        "{:?}",
        machine.entry()
    );
}

/// What a kernel of the driver that replaces the real one takes.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Args {
    to: DevicePtr,
    value: u32,
    reserved: u32,
}

/// Launches `to = 31 * to + value`.
fn launch(queue: &mut dyn Queue, stream: usize, to: DevicePtr, value: u32) -> Result<(), CudaError> {
    let args = Args {
        to,
        value,
        reserved: 0,
    };
    let launch = Launch {
        kernel: "relu",
        grid: [1; 3],
        block: 32,
        shared: 0,
        args: bytemuck::bytes_of(&args),
    };
    // SAFETY: this is what the kernels of the driver that replaces the real one take; the memory lives.
    unsafe { queue.launch(stream, &launch) }
}

fn read(driver: &NvidiaDriver, from: DevicePtr) -> u32 {
    let mut bytes = [0; 4];
    // SAFETY: all of it is live memory of at least four bytes.
    unsafe { driver.download(from, &mut bytes) }.unwrap();
    u32::from_le_bytes(bytes)
}

#[test]
#[ignore = "a case runs it in a process of its own"]
fn use_in_process() {
    if !is_case() {
        return;
    }
    let driver = NvidiaDriver::open(0, &options()).unwrap();
    memory(&driver);
    // A context is current in the thread that makes it current: another one has to do so as well.
    std::thread::scope(|scope| scope.spawn(|| graphs(&driver)).join().unwrap());
    refusals(&driver);
    drop(driver);
    // SAFETY: the library is the one that is loaded already, and the function has this type.
    let live = unsafe {
        let library = libloading::Library::new("libcuda.so").unwrap();
        library
            .get::<unsafe extern "C" fn() -> i32>(b"fake_live")
            .unwrap()()
    };
    tell(&format!("{live} objects are left"));
}

fn memory(driver: &NvidiaDriver) {
    let all = driver.free_memory().unwrap();
    let at = driver.allocate(1000).unwrap();
    assert_eq!(
        (at % 256, driver.free_memory().unwrap()),
        (0, all - 1024),
        "allocations are rounded up"
    );
    let error = driver.allocate(1 << 20).unwrap_err();
    assert!(
        matches!(error, CudaError::OutOfMemory { bytes: 1_048_576, .. }),
        "{error}"
    );
    let pinned = driver.allocate_pinned(10).unwrap();
    // SAFETY: all of it is live, and nothing runs.
    unsafe {
        driver.upload(at, &[1, 2, 3, 4]).unwrap();
        driver.upload(at, &[]).unwrap();
        driver.download(at, &mut []).unwrap();
        assert_eq!(read(driver, at), 0x0403_0201);
        driver.free(at);
        driver.free_pinned(pinned);
    }
    assert_eq!(driver.free_memory().unwrap(), all);
}

fn graphs(driver: &NvidiaDriver) {
    let at = driver.allocate(4).unwrap();
    let mut queue = driver.queue().unwrap();
    // SAFETY: the memory is live, and nothing else uses it.
    unsafe { queue.upload(at, &1u32.to_le_bytes()) }.unwrap();
    launch(&mut *queue, 0, at, 2).unwrap();
    queue.synchronize().unwrap();
    assert_eq!(read(driver, at), 33, "launched at once");
    let record = |queue: &mut dyn Queue, values: [u32; 2]| {
        queue.begin_capture().unwrap();
        queue.order(0, 1).unwrap();
        launch(queue, 1, at, values[0]).unwrap();
        queue.order(1, 0).unwrap();
        launch(queue, 0, at, values[1]).unwrap();
        queue.end_capture().unwrap()
    };
    let first = record(&mut *queue, [3, 4]);
    let second = record(&mut *queue, [5, 6]);
    assert_eq!(read(driver, at), 33, "captured and not run");
    // SAFETY: as above.
    unsafe {
        for (graph, [one, two]) in [(second, [5, 6]), (first, [3, 4]), (first, [3, 4])] {
            let before = read(driver, at);
            queue.launch_graph(graph).unwrap();
            queue.synchronize().unwrap();
            assert_eq!(
                read(driver, at),
                before
                    .wrapping_mul(31)
                    .wrapping_add(one)
                    .wrapping_mul(31)
                    .wrapping_add(two)
            );
        }
        queue.clear_graphs();
        assert!(queue.launch_graph(first).is_err(), "forgotten");
        drop(queue);
        driver.free(at);
    }
}

fn refusals(driver: &NvidiaDriver) {
    let mut queue = driver.queue().unwrap();
    queue.begin_capture().unwrap();
    for refused in [
        // SAFETY: nothing is copied.
        unsafe { queue.upload(0, &[1]) },
        queue.synchronize(),
        queue.begin_capture(),
        driver.allocate(1).map(|_| ()),
    ] {
        assert!(matches!(refused, Err(CudaError::Driver { .. })), "{refused:?}");
    }
    let too_large = Launch {
        kernel: "relu",
        grid: [1; 3],
        block: 257,
        shared: 0,
        args: &[],
    };
    // SAFETY: nothing is launched: debug builds refuse it.
    let refused = unsafe { queue.launch(0, &too_large) }.unwrap_err().to_string();
    let expected = "cuLaunchKernel failed: kernel relu: a block of 257 threads; there may be 256";
    assert!(cfg!(not(debug_assertions)) || refused == expected, "{refused}");
    let unknown = Launch {
        kernel: "nothing",
        ..too_large
    };
    // SAFETY: there is no such kernel.
    let refused = unsafe { queue.launch(0, &unknown) };
    assert!(matches!(
        refused,
        Err(CudaError::UnknownKernel { kernel: "nothing" })
    ));
    // The capture is not ended: the queue has to leave it.
}

#[test]
fn memory_launches_and_graphs_work_and_nothing_is_left() {
    assert_eq!(
        Machine::new("use", &[]).run("use_in_process"),
        "0 objects are left"
    );
}

#[test]
#[ignore = "a case runs it in a process of its own"]
fn ranks_in_process() {
    if !is_case() {
        return;
    }
    let drivers = match NvidiaDriver::open_ranks(&[0, 1], &options()) {
        Ok(drivers) => drivers,
        Err(error) => return tell(&with_remedies(&error.to_string(), &error.remedies())),
    };
    let buffer = |driver: &NvidiaDriver, values: [f32; 3]| {
        let at = driver.allocate(12).unwrap();
        // SAFETY: it has just been allocated.
        unsafe { driver.upload(at, bytemuck::cast_slice(&values)) }.unwrap();
        at
    };
    let buffers = [
        buffer(&drivers[0], [1.0, 2.0, 3.0]),
        buffer(&drivers[1], [10.0, 20.0, 30.0]),
    ];
    let sum = |rank: usize, len| {
        let mut queue = drivers[rank].queue().unwrap();
        // SAFETY: the memory is live, and nothing else uses it.
        unsafe { queue.sum_over_ranks(buffers[rank], len) }.and_then(|()| queue.synchronize())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| sum(1, 2).unwrap());
        sum(0, 2).unwrap();
    });
    for (driver, at, third) in [(&drivers[0], buffers[0], 3.0), (&drivers[1], buffers[1], 30.0)] {
        let mut values = [0.0f32; 3];
        // SAFETY: as above.
        unsafe { driver.download(at, bytemuck::cast_slice_mut(&mut values)) }.unwrap();
        assert_eq!(values, [11.0, 22.0, third]);
    }
    // One device does not come to the next sum: the other must not wait for ever.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sum(0, 3).unwrap_err());
        drivers[1].give_up_sums();
        drivers[0].give_up_sums();
        let error = waiting.join().unwrap();
        assert!(
            matches!(error, CudaError::GivenUp | CudaError::Nccl { .. }),
            "{error}"
        );
    });
    assert!(
        matches!(sum(0, 1), Err(CudaError::GivenUp)),
        "there is no sum after that"
    );
    for (driver, at) in drivers.iter().zip(buffers) {
        // SAFETY: nothing runs.
        unsafe { driver.free(at) };
    }
    drop(drivers);
    // SAFETY: the libraries are those that are loaded already, and the functions have this type.
    let live = |library: std::ffi::OsString, name: &[u8]| unsafe {
        let library = libloading::Library::new(library).unwrap();
        library.get::<unsafe extern "C" fn() -> i32>(name).unwrap()()
    };
    let communicators = live(
        std::env::var_os("ENGINE_NCCL").unwrap(),
        b"fake_live_communicators",
    );
    tell(&format!(
        "{communicators} communicators and {} objects are left",
        live("libcuda.so".into(), b"fake_live")
    ));
}

/// What opening two devices says on a machine.
fn opening_two(name: &str, definitions: &[&str], variables: &[(&str, &str)]) -> String {
    let mut machine = Machine::new(name, variables);
    machine.library("libnccl", definitions);
    let library = machine.folder.join("libnccl.so").to_str().unwrap().to_owned();
    machine.variables.push(("ENGINE_NCCL".to_owned(), library));
    machine.run("ranks_in_process")
}

#[test]
fn several_devices_sum_and_never_wait_for_one_that_failed() {
    assert_eq!(
        opening_two("ranks", &[], &[]),
        "0 communicators and 0 objects are left"
    );
}

#[test]
fn what_several_devices_lack_is_reported() {
    assert_eq!(
        Machine::new("nccl", &[]).run("ranks_in_process"),
        "NCCL, which several GPUs need, was not found (libnccl.so.2); install the package libnccl2 or PyPI's nvidia-nccl and name its \
         folder in ENGINE_NCCL, or use the device cuda:0"
    );
    assert_eq!(
        opening_two("abort", &["-DWITHOUT_ABORT"], &[]),
        "ncclCommAbort failed: the library lacks it"
    );
    assert_eq!(
        opening_two("usage", &[], &[("FAKE_NCCL", "5")]),
        "ncclCommInitAll failed: invalid usage"
    );
    assert_eq!(
        opening_two("one", &[], &[("FAKE_DEVICES", "1")]),
        "there is no CUDA device 1, only cuda:0; use the device cuda:0, or use the device cpu"
    );
}
