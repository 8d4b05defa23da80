//! Compiles kernels with the C++ compiler of the machine, once for each text of them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use engine_kernels_cuda::source;
use libloading::Library;

/// What stands between the kernels and the host.
const HEADERS: &[(&str, &str)] = &[
    ("host.h", include_str!("host.h")),
    ("fibers.h", include_str!("fibers.h")),
    ("grid.h", include_str!("grid.h")),
    ("intrinsics.h", include_str!("intrinsics.h")),
    ("memory.h", include_str!("memory.h")),
    ("sanitizer.h", include_str!("sanitizer.h")),
];

const FLAGS: &[&str] = &[
    "-x",
    "c++",
    "-std=c++17",
    "-O1",
    "-g1",
    "-fPIC",
    "-DENGINE_HOST",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-exceptions",
    "-fsanitize=alignment,bounds,shift-exponent,integer-divide-by-zero,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-Wno-unknown-pragmas",
    "-Wno-unused-function",
];

/// Flags of this processor, without which `fmaf` is a call of a slow function.
fn processor_flags() -> &'static [&'static str] {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        return &["-mfma"];
    }
    &[]
}

/// The compiler that is there.
fn compiler() -> String {
    let asked = std::env::var("CXX").ok();
    let candidates = asked.iter().map(String::as_str).chain(["c++", "g++", "clang++"]);
    let is_there = |name: &&str| {
        Command::new(name)
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let found = candidates.clone().find(is_there);
    let tried = || candidates.clone().collect::<Vec<_>>().join(", ");
    found
        .unwrap_or_else(|| {
            panic!(
                "the host check of the kernels needs a C++ compiler; tried {}",
                tried()
            )
        })
        .to_owned()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the kernels do not compile as C++:\n{log}"
    );
}

/// Compiles and links; the object appears whole or not at all.
fn build(files: &[(&str, &str)], definitions: &[&str], folder: &Path, object: &Path, compiler: &str) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files.iter().chain(HEADERS) {
        fs::write(folder.join(name), text).unwrap();
    }
    let (main, compiled) = (folder.join("main.cpp"), folder.join("main.o"));
    fs::write(&main, source::program(files)).unwrap();
    run(Command::new(compiler)
        .args(FLAGS)
        .args(processor_flags())
        .args(definitions)
        .arg("-I")
        .arg(folder)
        .arg("-c")
        .args([&main, Path::new("-o"), &compiled]));
    let linked = folder.join("linked.so");
    run(Command::new(compiler)
        .arg("-shared")
        .args([&compiled, Path::new("-o"), &linked]));
    fs::rename(&linked, object).unwrap();
    fs::remove_dir_all(folder).unwrap();
}

/// The compiled kernels, loaded for as long as the process lives.
pub(crate) fn library(files: &[(&str, &str)], definitions: &[&str]) -> &'static Library {
    static LOADED: Mutex<Option<HashMap<PathBuf, &'static Library>>> = Mutex::new(None);
    let compiler = compiler();
    let mut hasher = DefaultHasher::new();
    (files, definitions, HEADERS, FLAGS, processor_flags(), &compiler).hash(&mut hasher);
    let name = format!("host-{:016x}", hasher.finish());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let object = target.join(format!("{name}.so"));
    let mut loaded = LOADED.lock().unwrap();
    let loaded = loaded.get_or_insert_default();
    if let Some(library) = loaded.get(&object) {
        return library;
    }
    if !object.exists() {
        let folder = target.join(format!("{name}-{}", std::process::id()));
        build(files, definitions, &folder, &object, &compiler);
    }
    // SAFETY: the library was made from these sources; loading it runs no code of its own.
    let library = Box::leak(Box::new(unsafe { Library::new(&object) }.unwrap()));
    loaded.insert(object, library);
    library
}
