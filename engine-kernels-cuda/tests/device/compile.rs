//! All kernels, compiled by NVRTC for the architectures that are supported, without a GPU: their registers, spills and shared memory.
//!
//! `ENGINE_NVRTC` names the library or a folder with it.

use std::collections::BTreeMap;

use engine_kernels_cuda::CudaError;
use engine_kernels_cuda::driver::nvrtc::{Nvrtc, Target};
use engine_kernels_cuda::source::{FILES, TENSOR_CORES, kernel_names};
use libtest_mimic::{Completion, Trial};

use crate::without_compiler;

/// Architectures that are compiled for, beside the newest that NVRTC knows.
const ARCHITECTURES: &[u32] = &[75, 80, 90];

/// Bytes that a thread of a kernel may spill to local memory, stores and loads together: two values around a loop, none in it.
const MAX_SPILLED: u32 = 16;

/// Static shared memory that every device gives without being asked.
const MAX_SHARED: u32 = 48 << 10;

/// What the assembler says of a kernel.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Usage {
    registers: u32,
    shared: u32,
    stack: u32,
    spilled: u32,
}

/// The number right before a word.
fn number_before(line: &str, word: &str) -> u32 {
    let before = line.split(word).next().filter(|before| before.len() < line.len());
    let number = before.and_then(|before| before.split_whitespace().last());
    number.map_or(0, |number| number.parse().unwrap())
}

/// What the assembler says, by kernel.
fn usages(log: &str) -> BTreeMap<String, Usage> {
    let mut found: BTreeMap<String, Usage> = BTreeMap::new();
    let mut kernel = String::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            kernel = rest.split('\'').next().unwrap().to_owned();
            found.insert(kernel.clone(), Usage::default());
        }
        let Some(usage) = found.get_mut(&kernel) else {
            continue;
        };
        if line.contains("bytes stack frame") {
            usage.stack += number_before(line, " bytes stack frame");
            usage.spilled +=
                number_before(line, " bytes spill stores") + number_before(line, " bytes spill loads");
        }
        if line.contains("Used ") {
            usage.registers = number_before(line, " registers");
            usage.shared = number_before(line, " bytes smem");
        }
    }
    found
}

fn compile(nvrtc: &Nvrtc, target: Target, definitions: &[&str]) -> String {
    let options: Vec<&str> = definitions
        .iter()
        .copied()
        .chain(["--ptxas-options=-v"])
        .collect();
    let compiled = nvrtc.compile(FILES, target, &options).unwrap();
    let is_cubin = compiled.image.starts_with(b"\x7fELF");
    assert_eq!(is_cubin, matches!(target, Target::Cubin(_)), "{target}");
    compiled.log
}

/// A test with the compiler, ignored without one.
fn with_compiler(name: &str, test: fn(&Nvrtc)) -> Trial {
    Trial::ignorable_test(name, move || match Nvrtc::load(12) {
        Ok(nvrtc) => {
            test(&nvrtc);
            Ok(Completion::Completed)
        }
        Err(error) => without_compiler(&error),
    })
}

/// A test that needs nothing.
fn always(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_compiler(
            "every_kernel_compiles_and_keeps_its_registers",
            every_kernel_compiles_and_keeps_its_registers,
        ),
        with_compiler(
            "a_device_that_the_compiler_does_not_know_gets_what_its_driver_compiles",
            a_device_that_the_compiler_does_not_know_gets_what_its_driver_compiles,
        ),
        with_compiler(
            "a_mistake_is_told_with_its_place",
            a_mistake_is_told_with_its_place,
        ),
        always(
            "the_list_of_files_is_that_of_the_folder",
            the_list_of_files_is_that_of_the_folder,
        ),
        always(
            "usage_is_read_from_the_assembler",
            usage_is_read_from_the_assembler,
        ),
    ]
}

fn every_kernel_compiles_and_keeps_its_registers(nvrtc: &Nvrtc) {
    let newest = *nvrtc.architectures().last().unwrap();
    let mut architectures = ARCHITECTURES.to_vec();
    architectures.extend((newest > 90).then_some(newest));
    println!("NVRTC {:?} knows {:?}", nvrtc.version(), nvrtc.architectures());
    let mut complaints = Vec::new();
    let with_tensor_cores = architectures
        .iter()
        .map(|architecture| (*architecture, &[TENSOR_CORES][..]));
    let plain = architectures.iter().map(|architecture| (*architecture, &[][..]));
    for (architecture, definitions) in plain.chain(with_tensor_cores) {
        let log = compile(nvrtc, Target::Cubin(architecture), definitions);
        let usages = usages(&log);
        println!(
            "sm_{architecture:<29} registers  shared   stack  spilled {}",
            definitions.join(" ")
        );
        for kernel in kernel_names(FILES) {
            let usage = usages.get(kernel);
            let usage = usage.unwrap_or_else(|| panic!("sm_{architecture} lacks {kernel}:\n{log}"));
            println!(
                "{kernel:<32} {:>9} {:>7} {:>7} {:>8}",
                usage.registers, usage.shared, usage.stack, usage.spilled
            );
            assert!((1..=255).contains(&usage.registers), "{kernel}: {usage:?}");
            if usage.spilled > MAX_SPILLED || usage.shared > MAX_SHARED {
                complaints.push(format!("sm_{architecture} {definitions:?} {kernel}: {usage:?}"));
            }
        }
    }
    assert!(
        complaints.is_empty(),
        "too much is spilled or shared: {complaints:#?}"
    );
}

fn a_device_that_the_compiler_does_not_know_gets_what_its_driver_compiles(nvrtc: &Nvrtc) {
    let newest = *nvrtc.architectures().last().unwrap();
    assert_eq!(nvrtc.target((9, 0)), Target::Cubin(90));
    assert_eq!(nvrtc.target((7, 5)), Target::Cubin(75));
    let later = nvrtc.target((newest / 10 + 1, 0));
    assert_eq!(later, Target::Ptx(newest));
    let compiled = nvrtc.compile(FILES, later, &[]).unwrap();
    assert_eq!(compiled.image.last(), Some(&0), "text ends with zero");
    let text = String::from_utf8(compiled.image).unwrap();
    for kernel in kernel_names(FILES) {
        assert!(text.contains(&format!(".entry {kernel}(")), "{kernel}");
    }
}

fn a_mistake_is_told_with_its_place(nvrtc: &Nvrtc) {
    let files = [(
        "broken.cu",
        "extern \"C\" __global__ void broken() {\n  missing();\n}\n",
    )];
    let error = nvrtc.compile(&files, Target::Cubin(90), &[]).unwrap_err();
    assert!(matches!(error, CudaError::Compile { .. }));
    let text = error.to_string();
    assert!(text.contains("sm_90") && text.contains("broken.cu(2)"), "{text}");
}

fn the_list_of_files_is_that_of_the_folder() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut there: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut listed: Vec<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    there.sort();
    listed.sort();
    assert_eq!(listed, there);
}

fn usage_is_read_from_the_assembler() {
    let log = "ptxas info    : Compiling entry function 'relu' for 'sm_90'\n\
        ptxas info    : Function properties for relu\n\
        \x20   16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n\
        ptxas info    : Used 33 registers, used 1 barriers, 16 bytes stack, 2048 bytes smem, 376 bytes cmem[0]\n";
    let expected = Usage {
        registers: 33,
        shared: 2048,
        stack: 16,
        spilled: 12,
    };
    assert_eq!(usages(log), BTreeMap::from([("relu".to_owned(), expected)]));
}
