//! The name of a device: a backend, and which of its devices.

use std::fmt;
use std::str::FromStr;

use super::cpu;
use crate::EngineError;

/// Characters of a name that are shown in errors.
const SHOWN_CHARS: usize = 40;

/// A backend that this program knows.
pub(super) struct BackendEntry {
    /// Its name, and that of the feature with which it is built in.
    pub(super) name: &'static str,
    /// Whether it is.
    pub(super) built: bool,
    /// What may follow the name.
    which: &'static str,
}

/// In the order in which `auto` tries them.
pub(super) const BACKENDS: [BackendEntry; 3] = [
    BackendEntry {
        name: "cuda",
        built: cfg!(feature = "cuda"),
        which: "[:INDEX[,INDEX]|:all]",
    },
    BackendEntry {
        name: "wgpu",
        built: cfg!(feature = "wgpu"),
        which: "[:INDEX|:NAME]",
    },
    BackendEntry {
        name: "cpu",
        built: cfg!(feature = "cpu"),
        which: "[:INSTRUCTION_SET]",
    },
];

/// Which of several GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gpus {
    /// All that there are.
    All,
    /// Those with these numbers, each once, at least one.
    Numbers(Vec<usize>),
}

/// A device as it was requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// The first backend that has a device which is worth it.
    #[default]
    Auto,
    /// The processor, with its best instruction set or one by name, in lower case.
    Cpu(Option<String>),
    /// NVIDIA GPUs of this machine.
    Cuda(Gpus),
    /// A graphics device: the best, or by its number or a part of its name.
    Wgpu(Option<String>),
}

impl FromStr for Choice {
    type Err = EngineError;

    /// Reads `auto`, the name of a backend, or the name and which of its devices, as `cuda:1`.
    fn from_str(text: &str) -> Result<Self, EngineError> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let (name, which) = text.split_once(':').map_or((text, None), |(n, w)| (n, Some(w)));
        let backend = BACKENDS.iter().find(|b| name.eq_ignore_ascii_case(b.name));
        let Some(backend) = backend.filter(|_| which.is_none_or(|w| !w.is_empty())) else {
            return Err(unknown(text));
        };
        match backend.name {
            name if !backend.built => Err(not_built(name)),
            "cuda" => gpus(which.unwrap_or("0"))
                .map(Self::Cuda)
                .ok_or_else(|| unknown(text)),
            "wgpu" => Ok(Self::Wgpu(which.map(str::to_owned))),
            _ if which.is_some_and(|w| !cpu::knows(w)) => Err(unknown(text)),
            _ => Ok(Self::Cpu(which.map(str::to_lowercase))),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu(None) => f.write_str("cpu"),
            Self::Cpu(Some(which)) => write!(f, "cpu:{which}"),
            Self::Cuda(Gpus::All) => f.write_str("cuda:all"),
            Self::Cuda(Gpus::Numbers(numbers)) => {
                let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
                write!(f, "cuda:{}", numbers.join(","))
            }
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Wgpu(Some(which)) => write!(f, "wgpu:{which}"),
        }
    }
}

/// `all`, or numbers with commas between them, none of them twice.
fn gpus(text: &str) -> Option<Gpus> {
    if text.eq_ignore_ascii_case("all") {
        return Some(Gpus::All);
    }
    let numbers: Vec<usize> = text.split(',').map(index).collect::<Option<_>>()?;
    let is_repeated = |(at, number): (usize, &usize)| numbers[..at].contains(number);
    let are_distinct = !numbers.iter().enumerate().any(is_repeated);
    are_distinct.then_some(Gpus::Numbers(numbers))
}

/// The number of a device: digits alone.
fn index(text: &str) -> Option<usize> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// The error of a backend that is not built in.
pub(super) fn not_built(device: &'static str) -> EngineError {
    EngineError::DeviceNotBuilt {
        device,
        known: known(),
    }
}

fn unknown(text: &str) -> EngineError {
    EngineError::UnknownDevice {
        device: text.chars().take(SHOWN_CHARS).collect(),
        known: known(),
    }
}

/// Devices for a message: `auto or cpu`.
pub(super) fn known() -> String {
    let built = BACKENDS.iter().filter(|b| b.built);
    let names = built.map(|b| format!("{}{}", b.name, b.which));
    let names: Vec<String> = std::iter::once("auto".to_owned()).chain(names).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Choice>().unwrap_err().to_string()
    }

    #[test]
    fn devices_are_found_by_name() {
        assert_eq!("auto".parse::<Choice>().unwrap(), Choice::Auto);
        assert_eq!("CPU".parse::<Choice>().unwrap(), Choice::Cpu(None));
        for text in ["gpu", "", ":", "cpu:0", "cpu:", "auto:0", "cuda:"] {
            assert_eq!(
                error(text),
                format!("there is no device {text:?}; use {}", known())
            );
        }
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn a_processor_has_instruction_sets() {
        let choice: Choice = "cpu:Portable".parse().unwrap();
        assert_eq!(choice, Choice::Cpu(Some("portable".to_owned())));
        assert_eq!(choice.to_string(), "cpu:portable");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_that_is_not_built_in_names_its_feature() {
        for text in ["cuda", "CUDA", "cuda:1"] {
            assert_eq!(
                error(text),
                format!(
                    "the device \"cuda\" is not built into this program; use {}, or build it with the feature `cuda`",
                    known()
                )
            );
        }
    }

    #[cfg(feature = "cuda")]
    #[test]
    fn gpus_have_numbers() {
        assert_eq!("CUDA".parse::<Choice>().unwrap().to_string(), "cuda:0");
        for (text, gpus, shown) in [
            ("cuda:12", Gpus::Numbers(vec![12]), "cuda:12"),
            ("cuda:1,0,12", Gpus::Numbers(vec![1, 0, 12]), "cuda:1,0,12"),
            ("Cuda:ALL", Gpus::All, "cuda:all"),
        ] {
            let choice: Choice = text.parse().unwrap();
            assert_eq!(choice, Choice::Cuda(gpus));
            assert_eq!(choice.to_string(), shown);
        }
        for text in [
            "cuda:-1",
            "cuda:+1",
            "cuda:one",
            "cuda:0:1",
            "cuda:0,",
            "cuda:0,0",
            "cuda:0,all",
            "cuda:0, 1",
            "cuda:99999999999999999999",
        ] {
            assert!(error(text).starts_with(&format!(
                "there is no device {text:?}; use auto or cuda[:INDEX[,INDEX]|:all] or "
            )));
        }
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn graphics_devices_have_numbers_and_names() {
        for (text, which) in [
            ("wgpu", None),
            ("WGPU:1", Some("1")),
            ("wgpu:RTX 4090", Some("RTX 4090")),
        ] {
            let choice: Choice = text.parse().unwrap();
            assert_eq!(choice, Choice::Wgpu(which.map(str::to_owned)));
            assert_eq!(choice.to_string().to_lowercase(), text.to_lowercase());
        }
        assert!(error("wgpu:").starts_with("there is no device \"wgpu:\"; use auto or wgpu[:INDEX|:NAME]"));
    }

    #[cfg(not(feature = "wgpu"))]
    #[test]
    fn wgpu_that_is_not_built_in_names_its_feature() {
        assert!(error("wgpu:0").ends_with("or build it with the feature `wgpu`"));
    }
}
