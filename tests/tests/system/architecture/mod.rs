//! The rules of the architecture that a compiler does not check: who may depend on whom, who touches the disk, where an op's kernel lives.

mod circles;
mod orphans;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, PackageId};

/// Which of our crates a crate may use. Backends never know each other; tests, benches and examples may use everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("engine-core", &[]),
    ("engine-cpu", &["engine-core"]),
    ("engine-kernels-cuda", &["engine-core"]),
    ("engine-kernels-wgpu", &["engine-core"]),
    (
        "engine-api",
        &[
            "engine-core",
            "engine-cpu",
            "engine-kernels-cuda",
            "engine-kernels-wgpu",
        ],
    ),
    ("engine-cli", &["engine-api"]),
];

/// Crates that use the others and are used by nobody.
const OUTSIDE: &[&str] = &["engine-benches", "engine-tests", "engine-examples"];

/// What the core must be free of, beside the backends.
const FOREIGN_TO_THE_CORE: &[&str] = &[
    "arrow",
    "arrow-array",
    "arrow-schema",
    "arrow2",
    "parquet",
    "csv",
    "clap",
    "wgpu",
    "cudarc",
    "ndarray",
];

/// What is compiled on request only.
const OPT_IN: &[&str] = &["wgpu", "cudarc", "arrow2"];

/// What the features of the command line bring.
const DRIVERS: &[(&str, &str)] = &[("engine-cli/cuda", "cudarc"), ("engine-cli/wgpu", "wgpu")];

/// Crates that must not touch the disk.
const DISKLESS: &[&str] = &[
    "engine-core",
    "engine-cpu",
    "engine-kernels-cuda",
    "engine-kernels-wgpu",
];

/// Files of those that may all the same: compiled kernels are kept between runs, which the backend alone can name.
const DISK: &[&str] = &[
    "engine-kernels-cuda/src/driver/cache/cleaning.rs",
    "engine-kernels-cuda/src/driver/cache/mod.rs",
    "engine-kernels-cuda/src/driver/nccl.rs",
    "engine-kernels-cuda/src/driver/nvrtc.rs",
];

/// Lines of a file, tests included.
const MAX_LINES: usize = 700;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metadata(features: CargoOpt) -> Metadata {
    MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .features(features)
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap()
}

/// Everything that a package compiles into itself, by name: normal dependencies of normal dependencies.
fn compiled_into(metadata: &Metadata, package: &str) -> BTreeSet<String> {
    let names: HashMap<&PackageId, &str> = metadata
        .packages
        .iter()
        .map(|p| (&p.id, p.name.as_str()))
        .collect();
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let nodes: HashMap<&PackageId, _> = nodes.iter().map(|n| (&n.id, n)).collect();
    let root = metadata
        .workspace_packages()
        .into_iter()
        .find(|p| p.name.as_str() == package);
    let mut open = vec![&root.unwrap().id];
    let mut seen: HashSet<&PackageId> = HashSet::new();
    while let Some(id) = open.pop() {
        for dependency in &nodes[id].deps {
            let is_normal = dependency
                .dep_kinds
                .iter()
                .any(|k| k.kind == DependencyKind::Normal);
            if is_normal && seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

/// Files with the given extension below a folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

/// Folders of the crates of the workspace, by name.
fn crates() -> Vec<(String, PathBuf)> {
    let metadata = metadata(CargoOpt::AllFeatures);
    let packages = metadata.workspace_packages().into_iter();
    let folder = |path: &Path| path.parent().unwrap().to_owned();
    packages
        .map(|p| (p.name.to_string(), folder(p.manifest_path.as_std_path())))
        .collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let metadata = metadata(CargoOpt::AllFeatures);
    let packages = metadata.workspace_packages();
    let ours: HashSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    for package in &packages {
        let name = package.name.as_str();
        if OUTSIDE.contains(&name) {
            continue;
        }
        let allowed = ARROWS.iter().find(|(from, _)| *from == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name} has no place in the design"));
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let is_test_only = dependency.kind == DependencyKind::Development;
            assert!(
                !ours.contains(to) || is_test_only || allowed.contains(&to),
                "{name} must not depend on {to}"
            );
        }
    }
}

#[test]
fn the_core_knows_no_backend_no_file_format_and_no_command_line() {
    let metadata = metadata(CargoOpt::AllFeatures);
    let compiled = compiled_into(&metadata, "engine-core");
    assert!(
        compiled.contains("serde_json"),
        "the walk over the dependencies found {compiled:?}"
    );
    for name in &compiled {
        let foreign = FOREIGN_TO_THE_CORE
            .iter()
            .any(|f| name == f || name.starts_with(&format!("{f}-")));
        assert!(!foreign, "engine-core compiles {name} into itself");
        assert!(!name.starts_with("engine-"), "engine-core depends on {name}");
    }
}

#[test]
fn a_default_build_has_no_graphics_driver_and_no_unmaintained_crate() {
    let metadata = metadata(CargoOpt::SomeFeatures(Vec::new()));
    let compiled = compiled_into(&metadata, "engine-cli");
    assert!(
        compiled.contains("engine-cpu"),
        "the walk over the dependencies found {compiled:?}"
    );
    for name in OPT_IN {
        assert!(
            !compiled.contains(*name),
            "engine-cli compiles {name} without being asked to"
        );
    }
}

#[test]
fn features_of_the_command_line_bring_their_backend() {
    for (feature, driver) in DRIVERS {
        let metadata = metadata(CargoOpt::SomeFeatures(vec![(*feature).to_owned()]));
        let compiled = compiled_into(&metadata, "engine-cli");
        assert!(compiled.contains(*driver), "{feature} does not bring {driver}");
    }
}

#[test]
fn only_the_api_touches_the_disk() {
    for (name, folder) in crates() {
        if !DISKLESS.contains(&name.as_str()) {
            continue;
        }
        for file in files(&folder.join("src"), "rs") {
            if DISK.iter().any(|allowed| file.ends_with(allowed)) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for used in ["std::fs", "std::{fs", "fs::File", "tempfile"] {
                assert!(!text.contains(used), "{} uses {used}", file.display());
            }
        }
    }
}

#[test]
fn files_are_short() {
    for (_, folder) in crates() {
        for part in ["src", "tests", "benches", "examples"] {
            for file in files(&folder.join(part), "rs") {
                let lines = fs::read_to_string(&file).unwrap().lines().count();
                assert!(
                    lines <= MAX_LINES,
                    "{} has {lines} lines; split it",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn every_source_file_is_part_of_its_crate() {
    for (_, folder) in crates() {
        let src = folder.join("src");
        let lost = files(&src, "rs")
            .into_iter()
            .filter(|file| !orphans::is_declared(&src, file));
        let lost: Vec<PathBuf> = lost.collect();
        assert!(lost.is_empty(), "no module names {lost:?}");
    }
}

/// Code of a file: what stands before its tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].to_owned()
}

/// Files of a crate that make or transform programs or run them; not its tests, and not the suite that compares kernels.
fn program_files(crate_folder: &Path) -> Vec<PathBuf> {
    let is_test = |file: &PathBuf| {
        let mut parts = file.strip_prefix(crate_folder).unwrap().iter();
        file.ends_with("tests.rs") || parts.any(|part| part == "tests" || part == "conformance")
    };
    let all = files(&crate_folder.join("src"), "rs");
    all.into_iter().filter(|file| !is_test(file)).collect()
}

/// The backends' own tables of kernels: the only code that may ask what an op is.
const KERNEL_TABLES: &str = "src/kernels";

#[test]
fn only_kernel_tables_ask_what_an_op_is() {
    for name in DISKLESS {
        for file in program_files(&workspace().join(name)) {
            if file.to_string_lossy().contains(KERNEL_TABLES) {
                continue;
            }
            let text = code(&file);
            let asks = |line: &&str| {
                let reads_op = line.contains("op.as_any()") || line.contains("op().as_any()");
                reads_op || line.contains(".op.name() ==") || line.contains("op.name() ==")
            };
            let found = text.lines().find(asks);
            assert_eq!(found, None, "{} asks what an op is", file.display());
        }
    }
}

#[test]
fn no_name_of_a_resource_decides() {
    let matches = [
        ".ends_with(\"",
        ".starts_with(\"",
        ".contains(\"",
        " == \"",
        "strip_suffix(\"",
    ];
    for name in DISKLESS {
        for file in program_files(&workspace().join(name)) {
            for line in code(&file).lines() {
                let is_of_a_resource =
                    line.contains("name") && (line.contains("resource") || line.contains("grads"));
                let decides = is_of_a_resource && matches.iter().any(|m| line.contains(m));
                assert!(!decides, "{}: {line}", file.display());
            }
        }
    }
}

/// Families of ops: the files and folders in the core's `ir/ops`.
fn families(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let stems = entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    // What a kernel is and is given, what shaders share, and what kernels do beside their own op.
    let shared = ["mod", "kernel", "prelude", "fusion"];
    stems.filter(|stem| !shared.contains(&stem.as_str())).collect()
}

/// Folders that hold a file or folder for each family.
const KERNELS: &[&str] = &[
    "engine-cpu/src/kernels",
    "engine-kernels-cuda/src/kernels",
    "engine-kernels-wgpu/src/kernels",
    "engine-kernels-wgpu/src/shaders",
];

#[test]
fn every_family_of_ops_has_its_kernels_under_the_same_name() {
    let core = families(&workspace().join("engine-core/src/ir/ops"));
    assert!(core.contains("embedding"), "{core:?}");
    for folder in KERNELS {
        let kernels = families(&workspace().join(folder));
        assert_eq!(core, kernels, "families of ops in the core and in {folder}");
    }
}

/// Crates whose texts know no command line: errors and notes carry what can be done as data (`engine_core::remedy`).
const WITHOUT_FLAGS: &[&str] = &[
    "engine-core",
    "engine-cpu",
    "engine-kernels-cuda",
    "engine-kernels-wgpu",
    "engine-api",
];

/// Files that speak of the flags of other programs: those of the compiler of CUDA.
const FLAGS_OF_OTHERS: &[&str] = &["engine-kernels-cuda/src/driver/nvrtc.rs"];

/// Whether a line of code, in a text or in its documentation, names a flag (`--seed`) or a command (`argn fit`).
fn names_a_flag(line: &str) -> bool {
    let word = |at: usize| -> String {
        let letters = line[at..].chars();
        letters
            .take_while(|&l| l.is_ascii_lowercase() || l == '-')
            .collect()
    };
    // An arrow is none: `a --is--> b`.
    let is_flag = |word: &str| word.starts_with(|l: char| l != '-') && !word.ends_with('-');
    let flags = line
        .match_indices("--")
        .any(|(at, mark)| is_flag(&word(at + mark.len())));
    let mut commands = line.match_indices("`argn ");
    flags || commands.any(|(at, mark)| !word(at + mark.len()).is_empty())
}

#[test]
fn libraries_name_no_flag_of_the_command_line() {
    assert!(names_a_flag("/// as `--device` says") && names_a_flag("run `argn fit`"));
    assert!(!names_a_flag("a - -b; a -- b; \"argn\"; a --is--> b"));
    for (name, folder) in crates() {
        if !WITHOUT_FLAGS.contains(&name.as_str()) {
            continue;
        }
        for file in files(&folder.join("src"), "rs") {
            if FLAGS_OF_OTHERS.iter().any(|allowed| file.ends_with(allowed)) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for (line, number) in text.lines().zip(1..) {
                assert!(
                    !names_a_flag(line),
                    "{}, line {number} names a flag: {line}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn no_circle_of_imports_is_longer_than_two_files() {
    for (name, folder) in crates() {
        if OUTSIDE.contains(&name.as_str()) {
            continue;
        }
        let imports = circles::imports(&folder.join("src"));
        assert!(
            imports.values().any(|targets| !targets.is_empty()),
            "{name} imports nothing"
        );
        let found = circles::circles(&imports).into_iter();
        let shown: Vec<String> = found
            .map(|circle| {
                circle
                    .iter()
                    .map(|m| m.join("/"))
                    .collect::<Vec<_>>()
                    .join(" -> ")
            })
            .collect();
        assert!(
            shown.is_empty(),
            "circles of imports in {name}:\n{}",
            shown.join("\n")
        );
    }
}
