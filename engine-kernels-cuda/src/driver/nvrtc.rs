//! NVRTC, the compiler of CUDA as a library. Bound here, as its functions are few and the same in all versions: the crate that
//! binds the driver knows one version of NVRTC only, and panics without it.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::path::{Path, PathBuf};

use libloading::Library;

use crate::error::CudaError;

/// A file of NVRTC, or a folder that holds it or Python packages with it.
pub(crate) const LIBRARY_VARIABLE: &str = "ENGINE_NVRTC";

/// Options of every compilation. Fast mathematics stays off: results would depend on it.
const OPTIONS: &[&str] = &["--std=c++17", "--generate-line-info", "--fmad=true"];

type Program = *mut std::ffi::c_void;

/// The functions that are called.
#[derive(Clone, Copy)]
struct Functions {
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    architecture_count: unsafe extern "C" fn(*mut c_int) -> c_int,
    architectures: unsafe extern "C" fn(*mut c_int) -> c_int,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    cubin_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    cubin: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    ptx_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    ptx: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
}

/// What a compilation makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Machine code of an architecture, `90` for `sm_90`.
    Cubin(u32),
    /// An intermediate language, which the driver compiles for a device that NVRTC does not know.
    Ptx(u32),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cubin(architecture) => write!(f, "sm_{architecture}"),
            Self::Ptx(architecture) => write!(f, "compute_{architecture}"),
        }
    }
}

/// Compiled kernels.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What the driver loads.
    pub image: Vec<u8>,
    /// What the compiler says, warnings included.
    pub log: String,
}

/// The loaded compiler.
pub struct Nvrtc {
    functions: Functions,
    version: (u32, u32),
    architectures: Vec<u32>,
    path: String,
    /// Keeps the functions valid.
    _library: Library,
}

impl fmt::Debug for Nvrtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = (&self.path, self.version, &self.architectures);
        f.debug_tuple("Nvrtc").field(&fields).finish()
    }
}

/// Names of the library by major version of CUDA, the wanted one first.
fn names(major: u32) -> Vec<&'static str> {
    let (new, old) = if cfg!(windows) {
        ("nvrtc64_130_0.dll", "nvrtc64_120_0.dll")
    } else {
        ("libnvrtc.so.13", "libnvrtc.so.12")
    };
    if major >= 13 {
        vec![new, old]
    } else {
        vec![old, new]
    }
}

/// Where a folder that was named may hold the library: itself, or a Python package in it.
fn inside(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    let folders =
        ["", "lib64", "lib", "nvidia/cuda_nvrtc/lib", "nvidia/cu13/lib"].map(|part| folder.join(part));
    let files = folders
        .iter()
        .flat_map(|f| names.iter().map(move |name| f.join(name)));
    files.filter(|file| file.is_file()).collect()
}

/// What is tried, in this order: the variable alone, else the system's libraries, else the toolkit's folders.
fn candidates(major: u32, variable: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let names = names(major);
    if let Some(named) = variable(LIBRARY_VARIABLE).map(PathBuf::from) {
        let found = inside(&named, &names);
        return if found.is_empty() { vec![named] } else { found };
    }
    let mut all: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
    let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(variable);
    for folder in toolkits.chain(["/usr/local/cuda".to_owned()]) {
        all.extend(inside(Path::new(&folder), &names));
    }
    all
}

/// Looks all functions up.
fn functions(library: &Library) -> Result<Functions, libloading::Error> {
    // SAFETY: the types are those of NVRTC's documentation, the same since CUDA 11.2.
    unsafe {
        Ok(Functions {
            error_string: *library.get(b"nvrtcGetErrorString")?,
            version: *library.get(b"nvrtcVersion")?,
            architecture_count: *library.get(b"nvrtcGetNumSupportedArchs")?,
            architectures: *library.get(b"nvrtcGetSupportedArchs")?,
            create: *library.get(b"nvrtcCreateProgram")?,
            destroy: *library.get(b"nvrtcDestroyProgram")?,
            compile: *library.get(b"nvrtcCompileProgram")?,
            log_size: *library.get(b"nvrtcGetProgramLogSize")?,
            log: *library.get(b"nvrtcGetProgramLog")?,
            cubin_size: *library.get(b"nvrtcGetCUBINSize")?,
            cubin: *library.get(b"nvrtcGetCUBIN")?,
            ptx_size: *library.get(b"nvrtcGetPTXSize")?,
            ptx: *library.get(b"nvrtcGetPTX")?,
        })
    }
}

/// A program of NVRTC, destroyed when it goes out of scope.
struct Owned<'a> {
    program: Program,
    compiler: &'a Nvrtc,
}

impl Owned<'_> {
    /// Bytes that one function counts and another writes.
    fn bytes(
        &self,
        call: &'static str,
        size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
        read: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    ) -> Result<Vec<u8>, CudaError> {
        let mut len = 0;
        // SAFETY: the program lives as long as `self`.
        let status = unsafe { size(self.program, &raw mut len) };
        self.compiler.check(call, status)?;
        let mut bytes = vec![0u8; len];
        // SAFETY: as above; NVRTC writes as many bytes as it has counted.
        let status = unsafe { read(self.program, bytes.as_mut_ptr().cast()) };
        self.compiler.check(call, status)?;
        Ok(bytes)
    }

    fn log(&self) -> Result<String, CudaError> {
        let functions = self.compiler.functions;
        let bytes = self.bytes("nvrtcGetProgramLog", functions.log_size, functions.log)?;
        Ok(String::from_utf8_lossy(&bytes)
            .trim_end_matches('\0')
            .trim()
            .to_owned())
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the program was created and is destroyed once.
        let status = unsafe { (self.compiler.functions.destroy)(&raw mut self.program) };
        if let Err(error) = self.compiler.check("nvrtcDestroyProgram", status) {
            tracing::warn!(%error, "a program of NVRTC stays in memory");
        }
    }
}

impl Nvrtc {
    /// Loads the compiler of the major version of CUDA that is wanted, else another.
    ///
    /// # Errors
    /// [`CudaError::NoCompiler`].
    pub fn load(major: u32) -> Result<Self, CudaError> {
        Self::load_from(&candidates(major, |name| std::env::var(name).ok()))
    }

    fn load_from(candidates: &[PathBuf]) -> Result<Self, CudaError> {
        let mut tried = Vec::new();
        for path in candidates {
            // SAFETY: the names are NVRTC's, or the user named the file.
            let library = unsafe { Library::new(path) };
            let bound = library.and_then(|library| functions(&library).map(|f| (library, f)));
            match bound {
                Ok((library, functions)) => return Self::new(library, functions, path),
                Err(error) => tracing::debug!(path = %path.display(), %error, "no NVRTC here"),
            }
            tried.push(path.display().to_string());
        }
        Err(CudaError::NoCompiler {
            tried: tried.join(", "),
        })
    }

    fn new(library: Library, functions: Functions, path: &Path) -> Result<Self, CudaError> {
        let mut this = Self {
            functions,
            version: (0, 0),
            architectures: Vec::new(),
            path: path.display().to_string(),
            _library: library,
        };
        let (mut major, mut minor, mut count) = (0, 0, 0);
        // SAFETY: the pointers are valid for the calls.
        this.check("nvrtcVersion", unsafe {
            (functions.version)(&raw mut major, &raw mut minor)
        })?;
        // SAFETY: as above.
        let status = unsafe { (functions.architecture_count)(&raw mut count) };
        this.check("nvrtcGetNumSupportedArchs", status)?;
        let mut architectures = vec![0; count.max(0) as usize];
        // SAFETY: the buffer is as long as the counts say.
        let status = unsafe { (functions.architectures)(architectures.as_mut_ptr()) };
        this.check("nvrtcGetSupportedArchs", status)?;
        this.version = (major.unsigned_abs(), minor.unsigned_abs());
        this.architectures = architectures.into_iter().map(c_int::unsigned_abs).collect();
        this.architectures.sort_unstable();
        tracing::debug!(path = this.path, version = ?this.version, "NVRTC");
        Ok(this)
    }

    /// Major and minor version of CUDA.
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// Architectures that it compiles for, ascending: 90 for `sm_90`.
    #[must_use]
    pub fn architectures(&self) -> &[u32] {
        &self.architectures
    }

    /// What to compile for a device: its machine code, else the intermediate language of the newest architecture before it.
    #[must_use]
    pub fn target(&self, compute_capability: (u32, u32)) -> Target {
        let device = compute_capability.0 * 10 + compute_capability.1;
        let before = self.architectures.iter().rev().find(|a| **a <= device);
        match before {
            Some(known) if *known < device => Target::Ptx(*known),
            _ => Target::Cubin(device),
        }
    }

    /// All options of a compilation.
    #[must_use]
    pub fn options(target: Target) -> Vec<String> {
        let mut options = vec![format!("--gpu-architecture={target}")];
        options.extend(OPTIONS.iter().map(|&option| option.to_owned()));
        options
    }

    /// Compiles files as one program, with further options.
    ///
    /// # Errors
    /// [`CudaError::Compile`] with the compiler's log.
    pub fn compile(
        &self,
        files: &[(&str, &str)],
        target: Target,
        more: &[&str],
    ) -> Result<Compiled, CudaError> {
        let program = self.create(files)?;
        let mut options = Self::options(target);
        options.extend(more.iter().map(|&option| option.to_owned()));
        let options = c_strings(options.iter().map(String::as_str));
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: the program and the options live through the call.
        let status =
            unsafe { (self.functions.compile)(program.program, pointers.len() as c_int, pointers.as_ptr()) };
        let log = program.log()?;
        if let Err(error) = self.check("nvrtcCompileProgram", status) {
            let log = if log.is_empty() { error.to_string() } else { log };
            let architecture = target.to_string();
            return Err(CudaError::Compile { architecture, log });
        }
        let f = self.functions;
        let image = match target {
            Target::Cubin(_) => program.bytes("nvrtcGetCUBIN", f.cubin_size, f.cubin)?,
            Target::Ptx(_) => program.bytes("nvrtcGetPTX", f.ptx_size, f.ptx)?,
        };
        Ok(Compiled { image, log })
    }

    /// A program of files that include each other by name.
    fn create(&self, files: &[(&str, &str)]) -> Result<Owned<'_>, CudaError> {
        let main = c_strings([crate::source::program(files).as_str(), "kernels.cu"]);
        let names = c_strings(files.iter().map(|(name, _)| *name));
        let texts = c_strings(files.iter().map(|(_, text)| *text));
        let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let text_pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let mut program: Program = std::ptr::null_mut();
        // SAFETY: all strings end with zero and live through the call, which copies them.
        let status = unsafe {
            (self.functions.create)(
                &raw mut program,
                main[0].as_ptr(),
                main[1].as_ptr(),
                files.len() as c_int,
                text_pointers.as_ptr(),
                names.as_ptr(),
            )
        };
        self.check("nvrtcCreateProgram", status)?;
        Ok(Owned {
            program,
            compiler: self,
        })
    }

    fn check(&self, call: &'static str, status: c_int) -> Result<(), CudaError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the function takes any number and returns a text that stays.
        let reason = unsafe { CStr::from_ptr((self.functions.error_string)(status)) };
        Err(CudaError::Driver {
            call,
            reason: reason.to_string_lossy().into_owned(),
        })
    }
}

/// Texts as C has them. None of ours holds a zero; what follows one would be lost.
fn c_strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<CString> {
    let until_zero = |text: &str| text.split('\0').next().unwrap_or_default().to_owned();
    let made = texts.into_iter().map(|text| CString::new(until_zero(text)));
    made.map(Result::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| Some(set.iter().find(|(key, _)| *key == name)?.1.to_owned())
    }

    fn file_names(paths: &[PathBuf]) -> Vec<&str> {
        paths
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect()
    }

    #[test]
    fn the_driver_decides_which_version_is_tried_first() {
        let (old, new) = (candidates(12, environment(&[])), candidates(13, environment(&[])));
        assert_eq!(old[0], Path::new(names(12)[0]));
        assert_eq!(new[0], Path::new(names(13)[0]));
        assert_eq!(old[1], new[0]);
    }

    #[test]
    fn a_named_file_is_the_only_one_that_is_tried() {
        let named = candidates(12, environment(&[(LIBRARY_VARIABLE, "/none/libnvrtc.so")]));
        assert_eq!(named, [Path::new("/none/libnvrtc.so")]);
        let error = Nvrtc::load_from(&named).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the run-time compiler of CUDA (NVRTC) was not found (/none/libnvrtc.so)"
        );
        assert_eq!(error.remedies().len(), 2, "{error}");
    }

    #[test]
    fn a_folder_of_python_packages_is_searched() {
        let folder = std::env::temp_dir().join(format!("site-packages-{}", std::process::id()));
        let [old, new] = ["nvidia/cuda_nvrtc/lib", "nvidia/cu13/lib"].map(|part| folder.join(part));
        for (part, name) in [(&old, names(12)[0]), (&new, names(13)[0])] {
            std::fs::create_dir_all(part).unwrap();
            std::fs::write(part.join(name), "no library").unwrap();
        }
        let named = folder.to_str().unwrap().to_owned();
        let found = candidates(12, |name| (name == LIBRARY_VARIABLE).then(|| named.clone()));
        let error = Nvrtc::load_from(&found).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(file_names(&found), [names(12)[0], names(13)[0]]);
        assert!(
            matches!(error, CudaError::NoCompiler { .. }),
            "files that are no libraries are ignored"
        );
    }

    #[test]
    fn a_library_that_is_no_compiler_is_passed_over() {
        let other = [PathBuf::from("libm.so.6")];
        assert!(matches!(
            Nvrtc::load_from(&other),
            Err(CudaError::NoCompiler { .. })
        ));
    }

    #[test]
    fn options_say_all_that_changes_results() {
        let options = Nvrtc::options(Target::Ptx(90));
        assert_eq!(options[0], "--gpu-architecture=compute_90");
        assert!(
            options.iter().all(|option| !option.contains("fast")),
            "{options:?}"
        );
    }

    #[test]
    fn texts_end_at_a_zero() {
        assert_eq!(c_strings(["a\0b"]), [CString::new("a").unwrap()]);
    }
}
