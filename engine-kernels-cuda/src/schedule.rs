//! Which launches of a captured step may run concurrently: nodes that access the same memory keep their order, the others are assigned to
//! several streams.

use std::collections::BTreeMap;

/// Streams of a captured graph.
pub(crate) const STREAMS: usize = 4;

/// A region of memory that a node accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MemoryRegion {
    /// A slot of values.
    Slot(usize),
    /// A whole resource.
    Resource(usize),
    /// Elements of a resource, from the first to the one behind the last.
    Elements(usize, usize, usize),
    /// Scratch memory that several kernels of a program use.
    Kept(u64),
}

/// The memory that a node accesses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touched {
    pub(crate) reads: Vec<MemoryRegion>,
    pub(crate) writes: Vec<MemoryRegion>,
}

/// The stream of a node, and the streams whose earlier launches it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamSlot {
    pub(crate) stream: usize,
    pub(crate) after: Vec<usize>,
}

/// Earlier nodes that a new one has to wait for.
#[derive(Default)]
struct History {
    writers: BTreeMap<MemoryRegion, usize>,
    readers: BTreeMap<MemoryRegion, Vec<usize>>,
}

impl History {
    /// The nodes that a node depends on; it becomes part of the history.
    fn depend(&mut self, node: usize, touched: &Touched) -> Vec<usize> {
        let mut earlier = Vec::new();
        for region in touched.reads.iter().chain(&touched.writes) {
            earlier.extend(region.overlapping(&self.writers).copied());
        }
        for region in &touched.writes {
            earlier.extend(region.overlapping(&self.readers).flatten().copied());
        }
        for region in &touched.reads {
            self.readers.entry(*region).or_default().push(node);
        }
        for region in &touched.writes {
            self.writers.insert(*region, node);
            self.readers.retain(|other, _| other != region);
        }
        earlier.sort_unstable();
        earlier.dedup();
        earlier
    }
}

impl MemoryRegion {
    /// The entries of regions that overlap this one.
    fn overlapping<T>(self, known: &BTreeMap<Self, T>) -> impl Iterator<Item = &T> {
        let (whole, from, to) = match self {
            Self::Resource(resource) => (self, (resource, 0), (resource, usize::MAX)),
            // What begins behind its end has nothing in common with it.
            Self::Elements(resource, _, end) => (Self::Resource(resource), (resource, 0), (resource, end)),
            Self::Slot(_) | Self::Kept(_) => (self, (usize::MAX, 0), (usize::MAX, 0)),
        };
        let begins = move |other: &Self| match (self, other) {
            (Self::Elements(_, start, _), Self::Elements(_, _, end)) => *end > start,
            _ => true,
        };
        let elements = known.range(Self::Elements(from.0, from.1, 0)..Self::Elements(to.0, to.1, 0));
        let elements = elements.filter(move |(other, _)| begins(other));
        known
            .get(&whole)
            .into_iter()
            .chain(elements.map(|(_, value)| value))
    }
}

/// Streams for all nodes. A node continues the stream of the last node that it waits for if nothing was enqueued there since, else it gets
/// an idle stream.
pub(crate) fn schedule(nodes: &[Touched]) -> Vec<StreamSlot> {
    let mut history = History::default();
    // The last node of each stream, and for each stream the nodes of the others that it has waited for.
    let mut last: [Option<usize>; STREAMS] = [None; STREAMS];
    let mut seen = [[None::<usize>; STREAMS]; STREAMS];
    let mut stream_slots: Vec<StreamSlot> = Vec::with_capacity(nodes.len());
    for (node, touched) in nodes.iter().enumerate() {
        let earlier = history.depend(node, touched);
        let follows = earlier
            .iter()
            .rev()
            .find(|e| last[stream_slots[**e].stream] == Some(**e));
        let idle = || (0..STREAMS).find(|stream| last[*stream].is_none());
        let stream = match follows {
            Some(e) => stream_slots[*e].stream,
            None => idle().unwrap_or_else(|| (0..STREAMS).min_by_key(|stream| last[*stream]).unwrap_or(0)),
        };
        let mut after = Vec::new();
        for e in earlier {
            let other = stream_slots[e].stream;
            if other != stream && seen[stream][other].is_none_or(|s| s < e) {
                seen[stream][other] = last[other];
                after.push(other);
            }
        }
        after.sort_unstable();
        after.dedup();
        last[stream] = Some(node);
        stream_slots.push(StreamSlot { stream, after });
    }
    stream_slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(reads: &[MemoryRegion], writes: &[MemoryRegion]) -> Touched {
        Touched {
            reads: reads.to_vec(),
            writes: writes.to_vec(),
        }
    }

    #[test]
    fn a_chain_stays_in_one_lane_and_a_branch_leaves_it() {
        use MemoryRegion::{Elements, Resource, Slot};
        let stream_slots = schedule(&[
            touched(&[], &[Slot(0)]),
            touched(&[Slot(0)], &[Slot(1)]),
            touched(&[Slot(0)], &[Elements(0, 5, 9)]),
            touched(&[Slot(1)], &[Elements(0, 9, 12)]),
            touched(&[Resource(0)], &[Resource(1)]),
        ]);
        let slot = |stream, after: &[usize]| StreamSlot {
            stream,
            after: after.to_vec(),
        };
        assert_eq!(
            stream_slots,
            [
                slot(0, &[]),
                slot(0, &[]),
                slot(1, &[0]),
                slot(0, &[]),
                slot(0, &[1])
            ]
        );
    }

    #[test]
    fn memory_is_not_written_while_it_is_read() {
        use MemoryRegion::Slot;
        let stream_slots = schedule(&[
            touched(&[], &[Slot(0)]),
            touched(&[Slot(0)], &[Slot(1)]),
            touched(&[], &[Slot(2)]),
            touched(&[Slot(2)], &[Slot(0)]),
        ]);
        assert_eq!(stream_slots[3].stream, stream_slots[2].stream);
        assert_eq!(stream_slots[3].after, [0], "slot 0 is still read by node 1");
    }
    #[test]
    fn elements_wait_for_those_that_they_share() {
        use MemoryRegion::{Elements, Resource};
        let nodes = [
            touched(&[], &[Elements(1, 0, 8)]),
            touched(&[], &[Elements(1, 8, 10)]),
            touched(&[], &[Elements(2, 0, 8)]),
            touched(&[], &[Elements(1, 7, 9)]),
            touched(&[Elements(2, 9, 10)], &[]),
            touched(&[Elements(2, 7, 9)], &[]),
            touched(&[], &[Resource(2)]),
        ];
        let mut history = History::default();
        let earlier: Vec<Vec<usize>> = nodes
            .iter()
            .enumerate()
            .map(|(node, touched)| history.depend(node, touched))
            .collect();
        let expected = [vec![], vec![], vec![], vec![0, 1], vec![], vec![2], vec![2, 4, 5]];
        assert_eq!(earlier, expected);
    }
}
