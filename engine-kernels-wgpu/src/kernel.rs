//! A kernel with its constants and bindings, as ops describe it.

use crate::shaders::Shader;

/// Where a binding's buffer comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A slot of the memory plan.
    Slot(usize),
    /// A resource of the program.
    Resource(usize),
    /// A buffer of the op itself: descriptors, scratch memory.
    Own(wgpu::Buffer),
}

/// What a kernel does with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// Reads it as constants, which do not count among the storage buffers.
    Uniform,
}

/// A buffer at its place in the shader.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) number: u32,
    pub(crate) source: Source,
    pub(crate) access: Access,
}

/// An entry point, what it is specialised for, and its buffers.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) shader: Shader,
    pub(crate) entry: &'static str,
    /// Name in profiles and messages: that of the entry point, unless several ops have one in common.
    pub(crate) name: &'static str,
    pub(crate) constants: Vec<(&'static str, f64)>,
    pub(crate) bindings: Vec<Binding>,
    /// Largest number of loop iterations of a thread, where it grows with the model or the batch.
    pub(crate) max_iterations: usize,
}

impl Kernel {
    pub(crate) fn new(shader: Shader, entry: &'static str) -> Self {
        Self {
            shader,
            entry,
            name: entry,
            constants: Vec::new(),
            bindings: Vec::new(),
            max_iterations: 0,
        }
    }

    /// Sets the largest number of loop iterations of a thread.
    pub(crate) fn max_iterations(mut self, iterations: usize) -> Self {
        self.max_iterations = iterations;
        self
    }

    /// Sets an override constant.
    pub(crate) fn constant(mut self, name: &'static str, value: f64) -> Self {
        self.constants.push((name, value));
        self
    }

    /// Sets an override constant to a size; sizes of nothing count as one, because shaders divide by them.
    pub(crate) fn size(self, name: &'static str, value: usize) -> Self {
        self.constant(name, value.max(1) as f64)
    }

    /// Binds a buffer that is only read.
    pub(crate) fn reads(self, number: u32, source: Source) -> Self {
        self.binds(number, source, Access::Read)
    }

    /// Binds a buffer that is written.
    pub(crate) fn writes(self, number: u32, source: Source) -> Self {
        self.binds(number, source, Access::Write)
    }

    /// Binds a buffer of constants.
    pub(crate) fn uniform(self, number: u32, buffer: wgpu::Buffer) -> Self {
        self.binds(number, Source::Own(buffer), Access::Uniform)
    }

    fn binds(mut self, number: u32, source: Source, access: Access) -> Self {
        self.bindings.push(Binding {
            number,
            source,
            access,
        });
        self
    }
}
