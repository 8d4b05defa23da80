//! What a kernel is and what it is given: inputs, outputs, resources and threads.

use std::fmt;

use engine_core::backend::{BackendError, Run};
use engine_core::ir::{Op, ResourceId};
use engine_core::schema::CodeTable;
use rayon::prelude::*;

use crate::buffer::CpuBuffer;
use crate::isa::InstructionSet;
use crate::lanes::{CodeLanes, Lanes, blocks};
use crate::scratch::{ScratchPool, ScratchSize};

/// The kernel of an op if it is a `T`.
pub(crate) fn as_op<T: Op + Clone>(op: &dyn Op) -> Option<T> {
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
    /// Single precision values, feature-major in blocks of rows.
    F32(Vec<Lanes>),
    /// Codes, likewise.
    Codes(Vec<CodeLanes>),
    /// A single row of 32-bit integers.
    U32(Vec<u32>),
}

impl Default for Value {
    fn default() -> Self {
        Self::U32(Vec::new())
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
    pub(crate) fn f32_input(&self, i: usize, width: usize) -> &'a [Lanes] {
        match self.inputs[i] {
            Value::F32(v) => &v[..self.blocks() * width],
            _ => unreachable!("the program was checked: input {i} holds f32 values"),
        }
    }

    /// Input `i`, `width` columns of codes.
    pub(crate) fn code_input(&self, i: usize, width: usize) -> &'a [CodeLanes] {
        match self.inputs[i] {
            Value::Codes(v) => &v[..self.blocks() * width],
            _ => unreachable!("the program was checked: input {i} holds codes"),
        }
    }

    /// Input `i`, one row of `width` 32-bit integers.
    pub(crate) fn u32_input(&self, i: usize, width: usize) -> &'a [u32] {
        match self.inputs[i] {
            Value::U32(v) => &v[..width],
            _ => unreachable!("the program was checked: input {i} holds a row of 32-bit integers"),
        }
    }

    /// Calls `f` with the f32 resources `ids`, which are moved out of the context for the call: so several can be borrowed at once,
    /// beside the context.
    pub(crate) fn with_arenas<const N: usize, R>(
        &mut self,
        ids: [ResourceId; N],
        f: impl FnOnce(&mut Self, [&mut [f32]; N]) -> R,
    ) -> R {
        let mut arenas = ids.map(|id| match &mut *self.resources[id.index()] {
            CpuBuffer::F32(v) => std::mem::take(v),
            _ => unreachable!("bindings were checked: resource {} holds f32 values", id.index()),
        });
        let result = f(self, arenas.each_mut().map(Vec::as_mut_slice));
        for (id, arena) in ids.into_iter().zip(arenas) {
            *self.resources[id.index()] = CpuBuffer::F32(arena);
        }
        result
    }

    /// The elements of a u32 resource.
    pub(crate) fn u32_resource(&self, id: ResourceId) -> &[u32] {
        match &*self.resources[id.index()] {
            CpuBuffer::U32(v) => v,
            _ => unreachable!(
                "bindings were checked: resource {} holds 32-bit integers",
                id.index()
            ),
        }
    }

    /// The codes of a resource.
    pub(crate) fn table(&self, id: ResourceId) -> &CodeTable {
        match &*self.resources[id.index()] {
            CpuBuffer::Codes(table) => table,
            _ => unreachable!("bindings were checked: resource {} holds codes", id.index()),
        }
    }

    /// Calls `f` with f32 outputs, which are moved out of the context for the call; an output that the op does not have is `None`, and
    /// empty in the call.
    pub(crate) fn with_outputs<const N: usize, R>(
        &mut self,
        outputs: [Option<usize>; N],
        f: impl FnOnce(&mut Self, [&mut [Lanes]; N]) -> R,
    ) -> R {
        let mut values = outputs.map(|i| match i.map(|i| std::mem::take(&mut self.outputs[i])) {
            Some(Value::F32(v)) => v,
            Some(_) => unreachable!("the program was checked: outputs {outputs:?} hold f32 values"),
            None => Vec::new(),
        });
        let result = f(self, values.each_mut().map(Vec::as_mut_slice));
        for (i, value) in outputs.into_iter().zip(values) {
            if let Some(i) = i {
                self.outputs[i] = Value::F32(value);
            }
        }
        result
    }

    /// Calls `f` with output 0, which holds codes and is moved out of the context for the call.
    pub(crate) fn with_codes<R>(&mut self, f: impl FnOnce(&mut Self, &mut [CodeLanes]) -> R) -> R {
        let Value::Codes(mut codes) = std::mem::take(&mut self.outputs[0]) else {
            unreachable!("the program was checked: output 0 holds codes")
        };
        let result = f(self, &mut codes);
        self.outputs[0] = Value::Codes(codes);
        result
    }

    /// Output 0, a row of 32-bit integers.
    pub(crate) fn u32_output(&mut self) -> &mut [u32] {
        match &mut self.outputs[0] {
            Value::U32(v) => v,
            _ => unreachable!("the program was checked: output 0 holds a row of 32-bit integers"),
        }
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
        self.with_outputs([Some(i)], |cx, [out]| {
            if width == 0 {
                return;
            }
            let used = &mut out[..cx.blocks() * width];
            if cx.threads == 1 || used.len() <= width {
                used.chunks_exact_mut(width)
                    .enumerate()
                    .for_each(|(block, lanes)| fill(block, lanes));
            } else {
                used.par_chunks_exact_mut(width)
                    .enumerate()
                    .for_each(|(block, lanes)| fill(block, lanes));
            }
        });
    }
}

/// The features of `block` in a value of `width` features.
pub(crate) fn block_of<T>(value: &[T], block: usize, width: usize) -> &[T] {
    &value[block * width..(block + 1) * width]
}
