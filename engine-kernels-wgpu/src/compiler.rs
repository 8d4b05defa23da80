//! From a program to the work of a step: kernels in order, with their pipelines, grids and buffers.

use std::sync::Arc;

use bytemuck::Pod;
use engine_core::backend::BackendError;
use engine_core::ir::ops::batch::GatherRows;
use engine_core::ir::ops::optimizer::AdamW;
use engine_core::ir::ops::sampling::Cell;
use engine_core::ir::{
    Access, Groups, MemoryPlan, Node, Program, ResourceId, ResourceKind, Rows, Slot, ValueId,
};

use crate::error::NAME;
use crate::gpu::{Gpu, Pipeline};
use crate::grid::Grid;
use crate::kernel::{Binding, Kernel, Source};
use crate::step::MAX_OPTIMIZERS;

/// A kernel that is ready to be launched.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) name: &'static str,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) grid: Grid,
    /// Rows of the values that it works on.
    pub(crate) rows: Rows,
}

/// A part of a step.
#[derive(Debug)]
pub(crate) enum Work {
    /// A kernel.
    Dispatch(Dispatch),
    /// The kernel that reads the table on the device, or rows from the host where the table is streamed.
    Gather {
        dispatch: Dispatch,
        op: GatherRows,
        slot: usize,
    },
    /// Copies the rows of a value into another buffer.
    Copy {
        slot: usize,
        to: wgpu::Buffer,
        offset: u64,
        row_bytes: u64,
        rows: Rows,
    },
    /// A kernel that prepares what others read of a resource, launched when the host has replaced its contents.
    Prepare { dispatch: Dispatch, resource: usize },
}

/// Where codes come from that are looked up in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeSource {
    /// An input of the program.
    Input(usize),
    /// A table, read by rows.
    Table(usize),
}

/// Codes that must lie below cardinalities. They are checked where they come from, on the host: a kernel could only tell afterwards.
#[derive(Debug)]
pub(crate) struct CodeCheck {
    pub(crate) source: CodeSource,
    pub(crate) cardinalities: Vec<usize>,
    /// Whether the elements are cells.
    pub(crate) cells: bool,
    /// Stamp of the contents that were found to be right.
    pub(crate) checked: Option<u64>,
}

impl CodeCheck {
    /// The code of an element, if it has one.
    pub(crate) fn code(&self, element: u32) -> Option<u32> {
        if !self.cells {
            return Some(element);
        }
        match Cell::from_bits(element) {
            Cell::TeacherForced(code) | Cell::Observed(code) => Some(code),
            Cell::Sampled | Cell::Masked => None,
        }
    }
}

/// What the columns of ordered layers see, made once for all ops that need it.
#[derive(Debug)]
struct Visible {
    ranks: ValueId,
    columns: Groups,
    buffer: wgpu::Buffer,
}

/// Adds the kernels of a node to the step; `false` when it has none for its op.
pub(crate) type Make = fn(&Node, &mut Compiler<'_>) -> Result<bool, BackendError>;

/// A program while it is compiled.
#[derive(Debug)]
pub(crate) struct Compiler<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) max_rows: usize,
    /// Whether folded models are kept in half precision.
    pub(crate) half_tables: bool,
    program: &'a Program,
    plan: &'a MemoryPlan,
    pub(crate) work: Vec<Work>,
    pub(crate) optimizers: Vec<AdamW>,
    pub(crate) checks: Vec<CodeCheck>,
    visible: Vec<Visible>,
    /// Rows of the values of the node that is compiled.
    pub(crate) rows: Rows,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(
        gpu: &'a Gpu,
        program: &'a Program,
        plan: &'a MemoryPlan,
        (max_rows, half_tables): (usize, bool),
    ) -> Self {
        Self {
            gpu,
            max_rows,
            half_tables,
            program,
            plan,
            work: Vec::new(),
            optimizers: Vec::new(),
            checks: Vec::new(),
            visible: Vec::new(),
            rows: Rows::Batch,
        }
    }

    /// Compiles all nodes. `make` adds the kernels of one, or returns false when there are none for its op.
    pub(crate) fn compile(&mut self, make: Make) -> Result<(), BackendError> {
        let program = self.program;
        program.nodes().iter().try_for_each(|node| self.node(node, make))
    }

    fn node(&mut self, node: &Node, make: Make) -> Result<(), BackendError> {
        self.check_buffers(node)?;
        self.rows = self.program.rows_of(node);
        if make(node, self)? {
            return Ok(());
        }
        Err(BackendError::UnsupportedOp {
            backend: NAME,
            op: node.op.name().to_owned(),
            program: self.program.name().to_owned(),
        })
    }

    /// Checks that all values and resources of a node can be bound to one kernel.
    fn check_buffers(&self, node: &Node) -> Result<(), BackendError> {
        let mut resources: Vec<usize> = node.op.accesses().iter().map(|a| a.resource.index()).collect();
        resources.sort_unstable();
        resources.dedup();
        let needed = node.inputs.len() + node.outputs.len() + resources.len();
        let allowed = self.gpu.limits.max_storage_buffers_per_shader_stage as usize;
        if needed <= allowed {
            return Ok(());
        }
        Err(BackendError::TooManyValues {
            backend: NAME,
            op: node.op.name().to_owned(),
            program: self.program.name().to_owned(),
            what: "inputs, outputs and resources",
            needed,
            allowed,
        })
    }

    /// The slot of a value.
    pub(crate) fn slot(&self, value: ValueId) -> usize {
        self.plan.slot_of[value.index()]
    }

    /// The slot of a value, to be bound.
    pub(crate) fn value(&self, value: ValueId) -> Source {
        Source::Slot(self.slot(value))
    }

    /// A resource, to be bound.
    pub(crate) fn resource(&self, id: ResourceId) -> Source {
        Source::Resource(id.index())
    }

    /// Columns of a value.
    pub(crate) fn width(&self, value: ValueId) -> usize {
        self.program.shape(value).groups.total()
    }

    /// Elements of an arena.
    pub(crate) fn arena_len(&self, id: ResourceId) -> usize {
        match &self.program.resources()[id.index()].kind {
            ResourceKind::Arena(layout) => layout.len(),
            ResourceKind::Codes { .. } | ResourceKind::F32 | ResourceKind::U32 => 0,
        }
    }

    /// A buffer with structures that a kernel reads.
    pub(crate) fn descriptor<T: Pod>(&self, items: &[T]) -> Result<Source, BackendError> {
        let bytes = bytemuck::cast_slice(items);
        self.gpu.storage_of("a descriptor", bytes).map(Source::Own)
    }

    /// Scratch memory of so many 32-bit elements.
    pub(crate) fn scratch(&self, len: usize) -> Result<wgpu::Buffer, BackendError> {
        self.gpu.storage("scratch memory", 4 * len as u64)
    }

    /// Makes a kernel ready to be launched.
    pub(crate) fn dispatch(&self, kernel: Kernel, grid: Grid) -> Result<Dispatch, BackendError> {
        let max_groups = self.gpu.limits.max_compute_workgroups_per_dimension;
        let largest = grid
            .size(self.max_rows, max_groups)
            .into_iter()
            .max()
            .unwrap_or(0);
        if largest > u64::from(max_groups) {
            let what = format!("the grid of {}, in workgroups,", kernel.name);
            return Err(self.gpu.limit(what, largest, max_groups.into()));
        }
        let longest = self.gpu.longest_loop();
        if kernel.max_iterations > longest {
            let what = format!("a thread of {}, in iterations of its loops,", kernel.name);
            return Err(self.gpu.limit(what, kernel.max_iterations as u64, longest as u64));
        }
        Ok(Dispatch {
            name: kernel.name,
            pipeline: self.gpu.pipeline(&kernel)?,
            bindings: kernel.bindings,
            grid,
            rows: self.rows,
        })
    }

    /// Adds a kernel to the step.
    pub(crate) fn push(&mut self, kernel: Kernel, grid: Grid) -> Result<(), BackendError> {
        let dispatch = self.dispatch(kernel, grid)?;
        self.work.push(Work::Dispatch(dispatch));
        Ok(())
    }

    /// Remembers that the codes of a value are looked up in tables of the given cardinalities.
    pub(crate) fn check_codes(&mut self, value: ValueId, cardinalities: Vec<usize>, cells: bool) {
        let input = self.program.inputs().iter().position(|i| i.value == value);
        let gathered = || {
            let node = self.program.nodes().iter().find(|n| n.outputs.contains(&value))?;
            let resources = self.program.resources();
            let is_table =
                |a: &Access| matches!(resources[a.resource.index()].kind, ResourceKind::Codes { .. });
            let table = node.op.accesses().into_iter().find(is_table)?;
            Some(CodeSource::Table(table.resource.index()))
        };
        if let Some(source) = input.map(CodeSource::Input).or_else(gathered) {
            self.checks.push(CodeCheck {
                source,
                cardinalities,
                cells,
                checked: None,
            });
        }
    }

    /// Registers an optimiser; returns the index of its constants.
    pub(crate) fn optimizer(&mut self, op: &AdamW) -> Result<usize, BackendError> {
        let number = self.optimizers.len();
        if number == MAX_OPTIMIZERS {
            let what = format!("program {:?}, in optimisers,", self.program.name());
            return Err(self.gpu.limit(what, number as u64 + 1, MAX_OPTIMIZERS as u64));
        }
        self.optimizers.push(op.clone());
        Ok(number)
    }

    /// The buffer with what columns see in the order of `ranks`; `make` adds the kernel that fills it.
    pub(crate) fn visible(
        &mut self,
        ranks: ValueId,
        columns: &Groups,
        make: impl FnOnce(&mut Self) -> Result<wgpu::Buffer, BackendError>,
    ) -> Result<Source, BackendError> {
        let found = self
            .visible
            .iter()
            .find(|v| v.ranks == ranks && v.columns == *columns);
        if let Some(visible) = found {
            return Ok(Source::Own(visible.buffer.clone()));
        }
        let buffer = make(self)?;
        self.visible.push(Visible {
            ranks,
            columns: columns.clone(),
            buffer: buffer.clone(),
        });
        Ok(Source::Own(buffer))
    }
}

/// Bytes of a slot.
pub(crate) fn slot_bytes(slot: &Slot, max_rows: usize) -> u64 {
    let rows = if slot.rows == Rows::One { 1 } else { max_rows };
    4 * rows as u64 * slot.width as u64
}
