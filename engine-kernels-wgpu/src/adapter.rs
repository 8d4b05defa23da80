//! Adapters: the graphics devices of this machine, real ones and such in software.

use std::fmt;

use engine_core::backend::DeviceInfo;

use crate::error::{NAME, WgpuError};

/// Interfaces that are asked for adapters.
const APIS: wgpu::Backends = wgpu::Backends::VULKAN
    .union(wgpu::Backends::METAL)
    .union(wgpu::Backends::DX12);

/// Which adapter to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterChoice {
    /// The best: a card of its own before one inside the processor, and software last.
    #[default]
    Best,
    /// By its number in [`adapters`].
    Index(usize),
    /// The first whose name contains this, whatever the case.
    Name(String),
}

impl fmt::Display for AdapterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Best => f.write_str("best"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What an adapter is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A card with memory of its own.
    Discrete,
    /// A GPU that shares memory with the processor.
    Integrated,
    /// Part of a GPU, assigned to a virtual machine.
    Virtual,
    /// Anything else.
    Other,
    /// A driver that computes on the processor; slower than the CPU backend.
    Software,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Other => "other device",
            Self::Software => "software",
        })
    }
}

/// An adapter as users see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterDescription {
    /// Its number, for [`AdapterChoice::Index`].
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: AdapterKind,
    /// The interface: Vulkan, Metal or Direct3D 12.
    pub api: &'static str,
    /// Name and version of the driver, as far as it tells.
    pub driver: String,
    /// Bytes of the largest buffer that a kernel can use.
    pub largest_buffer: u64,
}

impl AdapterDescription {
    fn new(index: usize, adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let limits = adapter.limits();
        let driver = format!("{} {}", info.driver, info.driver_info);
        Self {
            index,
            name: info.name,
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
                wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
                wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
                wgpu::DeviceType::Other => AdapterKind::Other,
                wgpu::DeviceType::Cpu => AdapterKind::Software,
            },
            api: match info.backend {
                wgpu::Backend::Vulkan => "Vulkan",
                wgpu::Backend::Metal => "Metal",
                wgpu::Backend::Dx12 => "Direct3D 12",
                _ => "another interface",
            },
            driver: driver.trim().to_owned(),
            largest_buffer: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        }
    }

    /// The adapter as a device.
    pub fn info(&self) -> DeviceInfo {
        DeviceInfo {
            backend: NAME,
            device: self.to_string(),
            // One queue takes all work; more threads would not make it faster.
            parallelism: 1,
            memory: None,
            largest_buffer: Some(self.largest_buffer),
        }
    }

    /// Whether it computes on the processor.
    pub fn is_software(&self) -> bool {
        self.kind == AdapterKind::Software
    }
}

impl fmt::Display for AdapterDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            kind,
            api,
            driver,
            largest_buffer,
            ..
        } = self;
        write!(
            f,
            "{name}, {kind}, {api}, {driver}, buffers up to {} MiB",
            largest_buffer >> 20
        )
    }
}

/// The adapters of this machine; empty when no driver offers one.
pub fn adapters() -> Vec<AdapterDescription> {
    let all = enumerate();
    all.iter()
        .enumerate()
        .map(|(i, a)| AdapterDescription::new(i, a))
        .collect()
}

fn enumerate() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = APIS;
    // Layers that check every call are for those who write drivers; kernels are checked by wgpu itself.
    descriptor.flags = wgpu::InstanceFlags::empty();
    pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(APIS))
}

/// Finds the adapter that was chosen.
pub(crate) fn find(choice: &AdapterChoice) -> Result<(wgpu::Adapter, AdapterDescription), WgpuError> {
    let all = enumerate();
    let described: Vec<AdapterDescription> = all
        .iter()
        .enumerate()
        .map(|(i, a)| AdapterDescription::new(i, a))
        .collect();
    let at = position(&described, choice)?;
    all.into_iter().zip(described).nth(at).ok_or(WgpuError::NoAdapter)
}

fn position(described: &[AdapterDescription], choice: &AdapterChoice) -> Result<usize, WgpuError> {
    if described.is_empty() {
        return Err(WgpuError::NoAdapter);
    }
    let found = match choice {
        AdapterChoice::Best => (0..described.len()).min_by_key(|i| described[*i].kind),
        AdapterChoice::Index(index) => Some(*index).filter(|i| *i < described.len()),
        AdapterChoice::Name(name) => {
            let wanted = name.to_lowercase();
            described
                .iter()
                .position(|d| d.name.to_lowercase().contains(&wanted))
        }
    };
    found.ok_or_else(|| WgpuError::UnknownAdapter {
        wanted: choice.to_string(),
        known: described
            .iter()
            .map(|d| format!("{}: {}", d.index, d.name))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(kinds: &[(AdapterKind, &str)]) -> Vec<AdapterDescription> {
        let one = |(index, (kind, name)): (usize, &(AdapterKind, &str))| AdapterDescription {
            index,
            name: (*name).to_owned(),
            kind: *kind,
            api: "Vulkan",
            driver: String::new(),
            largest_buffer: 128 << 20,
        };
        kinds.iter().enumerate().map(one).collect()
    }

    #[test]
    fn hardware_comes_before_software() {
        let all = described(&[
            (AdapterKind::Software, "llvmpipe"),
            (AdapterKind::Integrated, "Iris"),
            (AdapterKind::Discrete, "Radeon"),
        ]);
        let at = |choice| position(&all, &choice);
        assert_eq!(at(AdapterChoice::Best), Ok(2));
        assert_eq!(at(AdapterChoice::Index(1)), Ok(1));
        assert_eq!(at(AdapterChoice::Name("LLVM".to_owned())), Ok(0));
        assert_eq!(position(&all[..1], &AdapterChoice::Best), Ok(0));
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let all = described(&[(AdapterKind::Software, "llvmpipe")]);
        let error = |choice| position(&all, &choice).unwrap_err().to_string();
        assert_eq!(
            error(AdapterChoice::Index(3)),
            "there is no adapter \"3\"; there are: 0: llvmpipe"
        );
        assert_eq!(
            error(AdapterChoice::Name("Radeon".to_owned())),
            "there is no adapter \"Radeon\"; there are: 0: llvmpipe"
        );
        assert_eq!(position(&[], &AdapterChoice::Best), Err(WgpuError::NoAdapter));
    }
}
