//! An open device: its queue, its pipelines, and what went wrong on it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine_core::backend::BackendError;

use crate::adapter::{AdapterChoice, AdapterDescription, find};
use crate::error::{NAME, WgpuError};
use crate::kernel::{Access, Kernel};
use crate::shaders::Shader;
use crate::step::Step;

/// Bytes of the smallest buffer: one structure of any descriptor.
const SMALLEST_BUFFER: u64 = 64;
/// Mesa's software drivers end the loops of a thread after 65,535 iterations altogether, whatever the loops say.
const SOFTWARE_LOOP: usize = 60_000;
/// Other drivers take a kernel for hung when it runs for seconds.
const HARDWARE_LOOP: usize = 1 << 22;
/// What buffers of this backend are used for.
const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// A compiled kernel with the layout of its own buffers.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) pipeline: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

/// Entry point and constants, by their bits.
type PipelineKey = (Shader, &'static str, Vec<(&'static str, u64)>);

/// An open device.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) limits: wgpu::Limits,
    pub(crate) description: AdapterDescription,
    pub(crate) step_layout: wgpu::BindGroupLayout,
    modules: Mutex<HashMap<Shader, wgpu::ShaderModule>>,
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    failure: Arc<Mutex<Option<WgpuError>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The limits that are asked for: those that every device has, with the largest buffers that this one allows.
fn wanted_limits(adapter: &AdapterDescription, has: &wgpu::Limits) -> Result<wgpu::Limits, WgpuError> {
    let wanted = wgpu::Limits {
        max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
        max_buffer_size: has.max_buffer_size,
        ..wgpu::Limits::defaults()
    }
    .using_alignment(has.clone());
    let needs = [
        (
            "storage buffers in a shader",
            wanted.max_storage_buffers_per_shader_stage,
            has.max_storage_buffers_per_shader_stage,
        ),
        (
            "threads in a workgroup",
            wanted.max_compute_invocations_per_workgroup,
            has.max_compute_invocations_per_workgroup,
        ),
        (
            "bytes of workgroup memory",
            wanted.max_compute_workgroup_storage_size,
            has.max_compute_workgroup_storage_size,
        ),
    ];
    for (what, needed, has) in needs {
        if needed > has {
            return Err(WgpuError::TooSmall {
                adapter: adapter.name.clone(),
                what,
                needed: needed.into(),
                has: has.into(),
            });
        }
    }
    Ok(wanted)
}

impl Gpu {
    /// Opens the adapter that was chosen.
    pub(crate) fn open(choice: &AdapterChoice) -> Result<Self, WgpuError> {
        let (adapter, description) = find(choice)?;
        let limits = wanted_limits(&description, &adapter.limits())?;
        let refused = |reason: String| WgpuError::Refused {
            adapter: description.name.clone(),
            reason,
        };
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("engine"),
            required_limits: limits.clone(),
            ..wgpu::DeviceDescriptor::default()
        });
        let (device, queue) = pollster::block_on(request).map_err(|e| refused(e.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        watch(&device, &failure);
        let step_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("step"),
            entries: &[wgpu::BindGroupLayoutEntry {
                binding: 0,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Uniform,
                    has_dynamic_offset: true,
                    min_binding_size: wgpu::BufferSize::new(size_of::<Step>() as u64),
                },
                count: None,
            }],
        });
        let gpu = Self {
            device,
            queue,
            limits,
            description,
            step_layout,
            modules: Mutex::default(),
            pipelines: Mutex::default(),
            failure,
        };
        let failed = locked(&gpu.failure).clone();
        failed.map_or(Ok(gpu), Err)
    }

    /// The first failure of the device since it was opened; a lost device stays lost.
    pub(crate) fn check(&self) -> Result<(), BackendError> {
        let mut failure = locked(&self.failure);
        match failure.clone() {
            Some(error) => {
                if !matches!(error, WgpuError::Lost { .. }) {
                    *failure = None;
                }
                Err(error.on(&self.description.name))
            }
            None => Ok(()),
        }
    }

    /// Bytes of the largest buffer that a kernel can use.
    pub(crate) fn largest_buffer(&self) -> u64 {
        self.description.largest_buffer
    }

    /// A limit of the device, as an error.
    pub(crate) fn limit(&self, what: String, needed: u64, allowed: u64) -> BackendError {
        BackendError::Limit {
            backend: NAME,
            what,
            needed,
            allowed,
        }
    }

    /// A storage buffer of at least `bytes` bytes; its contents are zero.
    pub(crate) fn storage(&self, what: &str, bytes: u64) -> Result<wgpu::Buffer, BackendError> {
        let bytes = bytes.next_multiple_of(4).max(SMALLEST_BUFFER);
        if bytes > self.largest_buffer() {
            let what = format!("the buffer of {what}, in bytes,");
            return Err(self.limit(what, bytes, self.largest_buffer()));
        }
        self.buffer(what, bytes, USAGE)
    }

    /// A storage buffer that holds `data`.
    pub(crate) fn storage_of(&self, what: &str, data: &[u8]) -> Result<wgpu::Buffer, BackendError> {
        let buffer = self.storage(what, data.len() as u64)?;
        self.fill(&buffer, data);
        Ok(buffer)
    }

    /// A buffer of constants.
    pub(crate) fn uniform_of(&self, what: &str, data: &[u8]) -> Result<wgpu::Buffer, BackendError> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer(what, data.len() as u64, usage)?;
        self.fill(&buffer, data);
        Ok(buffer)
    }

    /// Loop iterations that a thread may take in one kernel.
    pub(crate) fn longest_loop(&self) -> usize {
        if self.description.is_software() {
            SOFTWARE_LOOP
        } else {
            HARDWARE_LOOP
        }
    }

    /// A buffer for any use.
    pub(crate) fn buffer(
        &self,
        what: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, BackendError> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(WgpuError::from(error).on(&self.description.name)),
            None => Ok(buffer),
        }
    }

    /// Writes 32-bit elements at the start of a buffer; it happens before whatever is submitted next.
    pub(crate) fn fill(&self, buffer: &wgpu::Buffer, data: &[u8]) {
        if !data.is_empty() {
            self.queue.write_buffer(buffer, 0, data);
        }
    }

    /// Waits for everything submitted so far and copies the first `count` 32-bit elements of a buffer to the host.
    pub(crate) fn read<T: bytemuck::Pod>(
        &self,
        buffer: &wgpu::Buffer,
        count: usize,
    ) -> Result<Vec<T>, BackendError> {
        let bytes = (count * size_of::<T>()) as u64;
        if bytes == 0 {
            return self.check().map(|()| Vec::new());
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.buffer("a copy for the host", bytes, usage)?;
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, bytes);
        self.queue.submit([encoder.finish()]);
        // What went wrong is returned by `wait`.
        staging.map_async(wgpu::MapMode::Read, .., |_| ());
        self.wait()?;
        let lost = |reason: String| WgpuError::Lost { reason }.on(&self.description.name);
        let view = staging.get_mapped_range(..).map_err(|e| lost(e.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }

    /// Waits for everything submitted so far.
    pub(crate) fn wait(&self) -> Result<(), BackendError> {
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        let lost = |reason: String| WgpuError::Lost { reason }.on(&self.description.name);
        waited.map(|_| ()).map_err(|e| lost(e.to_string()))
    }

    /// The pipeline of a kernel, compiled when it is first used.
    pub(crate) fn pipeline(&self, kernel: &Kernel) -> Result<Arc<Pipeline>, BackendError> {
        let constants = kernel.constants.iter().map(|(name, v)| (*name, v.to_bits()));
        let key = (kernel.shader, kernel.entry, constants.collect());
        if let Some(pipeline) = locked(&self.pipelines).get(&key) {
            return Ok(Arc::clone(pipeline));
        }
        let pipeline = Arc::new(self.compile(kernel));
        self.check()?;
        locked(&self.pipelines).insert(key, Arc::clone(&pipeline));
        Ok(pipeline)
    }

    fn compile(&self, kernel: &Kernel) -> Pipeline {
        let entries: Vec<wgpu::BindGroupLayoutEntry> = kernel
            .bindings
            .iter()
            .map(|binding| wgpu::BindGroupLayoutEntry {
                binding: binding.number,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match binding.access {
                        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
                        Access::Uniform => wgpu::BufferBindingType::Uniform,
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(kernel.entry),
                entries: &entries,
            });
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(kernel.entry),
                bind_group_layouts: &[Some(&self.step_layout), Some(&layout)],
                immediate_size: 0,
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.entry),
                layout: Some(&pipeline_layout),
                module: &self.module(kernel.shader),
                entry_point: Some(kernel.entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &kernel.constants,
                    // Kernels write workgroup memory before they read it.
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            });
        Pipeline { pipeline, layout }
    }

    fn module(&self, shader: Shader) -> wgpu::ShaderModule {
        let make = || {
            let descriptor = wgpu::ShaderModuleDescriptor {
                label: Some(&format!("{shader:?}")),
                source: wgpu::ShaderSource::Wgsl(Cow::Owned(shader.pieces().concat())),
            };
            // SAFETY: the shaders are ours, not a user's. They index by shapes, which the core has checked, and by codes, which
            // `check_codes` compares with their cardinalities; every loop counts to a bound that is known before it begins. The
            // conformance suite runs all of them. Counters against endless loops would keep compilers from unrolling.
            unsafe {
                self.device
                    .create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
            }
        };
        locked(&self.modules).entry(shader).or_insert_with(make).clone()
    }
}

/// Keeps the first thing that goes wrong on a device; without this, wgpu panics.
fn watch(device: &wgpu::Device, failure: &Arc<Mutex<Option<WgpuError>>>) {
    let errors = Arc::clone(failure);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        locked(&errors).get_or_insert_with(|| error.into());
    }));
    let losses = Arc::clone(failure);
    device.set_device_lost_callback(move |reason, message| {
        // A device that is destroyed at its end was not lost.
        if reason != wgpu::DeviceLostReason::Destroyed {
            *locked(&losses) = Some(WgpuError::Lost { reason: message });
        }
    });
}
