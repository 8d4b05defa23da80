//! The kernels, one file per op family with the name that the core gives it.

mod activation;
mod batch;
mod embedding;
mod linear;
mod optimizer;
mod privacy;
mod reduce;
mod sampling;
mod softmax;

use std::fmt;

use engine_core::backend::{BackendError, Run};
use engine_core::ir::{Op, ResourceId};
use engine_core::schema::CodeTable;
use rayon::prelude::*;

use crate::buffer::CpuBuffer;
use crate::isa::InstructionSet;
use crate::lanes::{CodeLanes, Lanes, blocks};
use crate::scratch::{ScratchPool, ScratchSize};

/// Makes the kernel of an op, or nothing when the op is of another type.
type Make = fn(&dyn Op) -> Option<Box<dyn CpuKernel>>;

const MAKERS: &[Make] = &[
    batch::make,
    embedding::make,
    linear::make,
    activation::make,
    softmax::make,
    reduce::make,
    privacy::make,
    optimizer::make,
    sampling::make,
];

/// The kernel of `op`, if there is one.
pub(crate) fn kernel(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    MAKERS.iter().find_map(|make| make(op))
}

/// The kernel of an op if it is a `T`.
fn as_op<T: Op + Clone>(op: &dyn Op) -> Option<T> {
    op.as_any().downcast_ref::<T>().cloned()
}

/// An op that is ready to run.
pub(crate) trait CpuKernel: Send + fmt::Debug {
    /// Scratch memory that one task needs.
    fn scratch(&self) -> ScratchSize {
        ScratchSize::default()
    }

    /// Runs one step.
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError>;
}

/// A value in its slot; a slot may be larger than the value.
#[derive(Debug)]
pub(crate) enum Value {
    /// Numbers, feature-major in blocks of rows.
    Numbers(Vec<Lanes>),
    /// Codes, likewise.
    Codes(Vec<CodeLanes>),
    /// A single row of words.
    Words(Vec<u32>),
}

impl Default for Value {
    fn default() -> Self {
        Self::Words(Vec::new())
    }
}

/// Most inputs and outputs that an op has.
pub(crate) const MAX_INPUTS: usize = 4;
pub(crate) const MAX_OUTPUTS: usize = 4;

/// What a kernel works on.
pub(crate) struct Context<'a, 'r> {
    pub run: Run,
    pub step_in_run: usize,
    pub set: InstructionSet,
    pub threads: usize,
    pub scratch: &'a ScratchPool,
    /// Width of the first output, for ops that keep their input's width.
    pub width: usize,
    /// Width of the first input, for ops that reduce it.
    pub input_width: usize,
    /// Rows of the values of an op that works row by row.
    pub rows: usize,
    pub inputs: [&'a Value; MAX_INPUTS],
    pub outputs: [Value; MAX_OUTPUTS],
    pub resources: &'a mut [&'r mut CpuBuffer],
}

impl<'a> Context<'a, '_> {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn blocks(&self) -> usize {
        blocks(self.rows())
    }

    /// Input `i`, `width` features.
    pub(crate) fn numbers(&self, i: usize, width: usize) -> &'a [Lanes] {
        match self.inputs[i] {
            Value::Numbers(v) => &v[..self.blocks() * width],
            _ => unreachable!("the program was checked: input {i} holds numbers"),
        }
    }

    /// Input `i`, `width` columns of codes.
    pub(crate) fn codes(&self, i: usize, width: usize) -> &'a [CodeLanes] {
        match self.inputs[i] {
            Value::Codes(v) => &v[..self.blocks() * width],
            _ => unreachable!("the program was checked: input {i} holds codes"),
        }
    }

    /// Input `i`, one row of `width` words.
    pub(crate) fn words(&self, i: usize, width: usize) -> &'a [u32] {
        match self.inputs[i] {
            Value::Words(v) => &v[..width],
            _ => unreachable!("the program was checked: input {i} holds a row of words"),
        }
    }

    /// Takes the numbers of a resource out, so that several can be borrowed at once; [`Self::put_arena`] brings them back.
    pub(crate) fn take_arena(&mut self, id: ResourceId) -> Vec<f32> {
        match &mut *self.resources[id.index()] {
            CpuBuffer::F32(v) => std::mem::take(v),
            _ => unreachable!("bindings were checked: resource {} holds numbers", id.index()),
        }
    }

    pub(crate) fn put_arena(&mut self, id: ResourceId, numbers: Vec<f32>) {
        *self.resources[id.index()] = CpuBuffer::F32(numbers);
    }

    /// The unsigned integers of a resource.
    pub(crate) fn integers(&self, id: ResourceId) -> &[u32] {
        match &*self.resources[id.index()] {
            CpuBuffer::U32(v) => v,
            _ => unreachable!("bindings were checked: resource {} holds integers", id.index()),
        }
    }

    /// The codes of a resource.
    pub(crate) fn table(&self, id: ResourceId) -> &CodeTable {
        match &*self.resources[id.index()] {
            CpuBuffer::Codes(table) => table,
            _ => unreachable!("bindings were checked: resource {} holds codes", id.index()),
        }
    }

    /// Takes output `i` out of its slot; [`Self::put`] brings it back.
    pub(crate) fn take_numbers(&mut self, i: usize) -> Vec<Lanes> {
        match std::mem::take(&mut self.outputs[i]) {
            Value::Numbers(v) => v,
            _ => unreachable!("the program was checked: output {i} holds numbers"),
        }
    }

    /// Takes output `i` out of its slot; [`Self::put`] brings it back.
    pub(crate) fn take_codes(&mut self, i: usize) -> Vec<CodeLanes> {
        match std::mem::take(&mut self.outputs[i]) {
            Value::Codes(v) => v,
            _ => unreachable!("the program was checked: output {i} holds codes"),
        }
    }

    /// Takes output `i` out of its slot; [`Self::put`] brings it back.
    pub(crate) fn take_words(&mut self, i: usize) -> Vec<u32> {
        match std::mem::take(&mut self.outputs[i]) {
            Value::Words(v) => v,
            _ => unreachable!("the program was checked: output {i} holds a row of words"),
        }
    }

    /// Brings output `i` back.
    pub(crate) fn put(&mut self, i: usize, value: Value) {
        self.outputs[i] = value;
    }

    /// Runs `tasks` independent tasks on the backend's threads. What a task does may not depend on the others, so the
    /// result does not depend on the number of threads.
    pub(crate) fn parallel(&self, tasks: usize, task: impl Fn(usize) + Sync + Send) {
        if self.threads == 1 || tasks <= 1 {
            (0..tasks).for_each(task);
        } else {
            (0..tasks).into_par_iter().with_max_len(1).for_each(task);
        }
    }

    /// Fills output `i` block by block: `fill(block, features of the block)`.
    pub(crate) fn fill_blocks(
        &mut self,
        i: usize,
        width: usize,
        fill: impl Fn(usize, &mut [Lanes]) + Sync + Send,
    ) {
        let mut out = self.take_numbers(i);
        if width > 0 {
            let used = &mut out[..self.blocks() * width];
            if self.threads == 1 || used.len() <= width {
                used.chunks_exact_mut(width)
                    .enumerate()
                    .for_each(|(block, lanes)| fill(block, lanes));
            } else {
                used.par_chunks_exact_mut(width)
                    .enumerate()
                    .for_each(|(block, lanes)| fill(block, lanes));
            }
        }
        self.put(i, Value::Numbers(out));
    }
}

/// The features of `block` in a value of `width` features.
pub(crate) fn block_of<T>(value: &[T], block: usize, width: usize) -> &[T] {
    &value[block * width..(block + 1) * width]
}
