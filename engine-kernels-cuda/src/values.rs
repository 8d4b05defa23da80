//! Where the values of a program lie.

use engine_core::ir::{MemoryPlan, Program, Slot, ValueId};

/// Values get memory of their own, so that launches can run beside each other, where that is no more than this.
const OWN_MEMORY: usize = 1 << 30;

/// Where the values lie, and whether each has memory of its own.
pub(crate) fn memory_plan(program: &Program, max_rows: usize) -> (MemoryPlan, bool) {
    let defined = program.nodes().iter().flat_map(|n| n.outputs.iter().copied());
    let values: Vec<ValueId> = program.inputs().iter().map(|i| i.value).chain(defined).collect();
    let bytes = |value: &ValueId| program.shape(*value).groups.total() * max_rows * size_of::<u32>();
    if values.iter().map(bytes).sum::<usize>() > OWN_MEMORY {
        return (MemoryPlan::new(program), false);
    }
    let mut slot_of = vec![usize::MAX; program.value_count()];
    let mut slots = Vec::with_capacity(values.len());
    for value in values {
        let shape = program.shape(value);
        slot_of[value.index()] = slots.len();
        slots.push(Slot {
            rows: shape.rows,
            width: shape.groups.total(),
            dtype: shape.dtype,
        });
    }
    (MemoryPlan { slots, slot_of }, true)
}
