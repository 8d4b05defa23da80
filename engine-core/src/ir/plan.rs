//! The memory plan: which values can use the same buffer because their lifetimes do not overlap.

use super::program::Program;
use super::shape::{DType, Rows};

/// A buffer that several values use one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Symbolic rows.
    pub rows: Rows,
    /// Widest value that ever lies in it.
    pub width: usize,
    /// Element type.
    pub dtype: DType,
}

/// Assignment of values to slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The slots.
    pub slots: Vec<Slot>,
    /// Slot of each value.
    pub slot_of: Vec<usize>,
}

impl MemoryPlan {
    /// Plans a program: a value takes the free slot that wastes least, and frees it after its last use. Inputs and
    /// results keep their slots to the end.
    pub fn new(program: &Program) -> Self {
        let mut last_use = vec![0usize; program.value_count()];
        for (position, node) in program.nodes().iter().enumerate() {
            for value in node.inputs.iter().chain(&node.outputs) {
                last_use[value.index()] = position;
            }
        }
        let kept = program.outputs().iter().map(|(_, v)| *v);
        for value in kept.chain(program.inputs().iter().map(|i| i.value)) {
            last_use[value.index()] = usize::MAX;
        }
        let mut plan = Self {
            slots: Vec::new(),
            slot_of: vec![usize::MAX; program.value_count()],
        };
        let mut free: Vec<usize> = Vec::new();
        for input in program.inputs() {
            plan.assign(program, input.value.index(), &mut Vec::new());
        }
        for (position, node) in program.nodes().iter().enumerate() {
            for value in &node.outputs {
                plan.assign(program, value.index(), &mut free);
            }
            for value in node.inputs.iter().chain(&node.outputs) {
                let slot = plan.slot_of[value.index()];
                if last_use[value.index()] == position && !free.contains(&slot) {
                    free.push(slot);
                }
            }
        }
        plan
    }

    fn assign(&mut self, program: &Program, value: usize, free: &mut Vec<usize>) {
        let shape = &program.shapes[value];
        let (rows, width, dtype) = (shape.rows, shape.groups.total(), shape.dtype);
        let fits = |s: &&usize| self.slots[**s].rows == rows && self.slots[**s].dtype == dtype;
        let best = free.iter().filter(fits).min_by_key(|s| {
            let have = self.slots[**s].width;
            if have >= width {
                (0, have - width)
            } else {
                (1, width - have)
            }
        });
        let slot = match best.copied() {
            Some(slot) => {
                free.retain(|s| *s != slot);
                self.slots[slot].width = self.slots[slot].width.max(width);
                slot
            }
            None => {
                self.slots.push(Slot { rows, width, dtype });
                self.slots.len() - 1
            }
        };
        self.slot_of[value] = slot;
    }
}
