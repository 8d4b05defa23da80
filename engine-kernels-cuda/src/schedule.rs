//! Which launches of a recorded step may run beside each other: stages that touch the same memory keep their order, the others
//! are spread over lanes.

use std::collections::BTreeMap;

/// Lanes of a recording.
pub(crate) const LANES: usize = 4;

/// A piece of memory that a stage touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A slot of values.
    Slot(usize),
    /// A whole resource.
    Resource(usize),
    /// Elements of a resource, from the first to the one behind the last.
    Elements(usize, usize, usize),
    /// What the kernels of a program keep between each other.
    Kept(u64),
}

/// What a stage touches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touched {
    pub(crate) reads: Vec<Place>,
    pub(crate) writes: Vec<Place>,
}

/// Lane of a stage, and the lanes whose earlier launches it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) lane: usize,
    pub(crate) after: Vec<usize>,
}

/// Earlier stages that a new one has to wait for.
#[derive(Default)]
struct History {
    writers: BTreeMap<Place, usize>,
    readers: BTreeMap<Place, Vec<usize>>,
}

impl History {
    /// The stages that a stage depends on; it becomes part of the history.
    fn depend(&mut self, stage: usize, touched: &Touched) -> Vec<usize> {
        let mut earlier = Vec::new();
        for place in touched.reads.iter().chain(&touched.writes) {
            earlier.extend(place.overlapping(&self.writers).copied());
        }
        for place in &touched.writes {
            earlier.extend(place.overlapping(&self.readers).flatten().copied());
        }
        for place in &touched.reads {
            self.readers.entry(*place).or_default().push(stage);
        }
        for place in &touched.writes {
            self.writers.insert(*place, stage);
            self.readers.retain(|other, _| other != place);
        }
        earlier.sort_unstable();
        earlier.dedup();
        earlier
    }
}

impl Place {
    /// What is known of the places that have memory in common with this one.
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

/// Lanes for all stages. A stage goes on in the lane of the last stage that it waits for if nothing came there since, else into
/// an idle lane.
pub(crate) fn schedule(stages: &[Touched]) -> Vec<Turn> {
    let mut history = History::default();
    // The last stage of each lane, and for each lane the stages of the others that it has waited for.
    let mut last: [Option<usize>; LANES] = [None; LANES];
    let mut seen = [[None::<usize>; LANES]; LANES];
    let mut turns: Vec<Turn> = Vec::with_capacity(stages.len());
    for (stage, touched) in stages.iter().enumerate() {
        let earlier = history.depend(stage, touched);
        let follows = earlier.iter().rev().find(|e| last[turns[**e].lane] == Some(**e));
        let idle = || (0..LANES).find(|lane| last[*lane].is_none());
        let lane = match follows {
            Some(e) => turns[*e].lane,
            None => idle().unwrap_or_else(|| (0..LANES).min_by_key(|lane| last[*lane]).unwrap_or(0)),
        };
        let mut after = Vec::new();
        for e in earlier {
            let other = turns[e].lane;
            if other != lane && seen[lane][other].is_none_or(|s| s < e) {
                seen[lane][other] = last[other];
                after.push(other);
            }
        }
        after.sort_unstable();
        after.dedup();
        last[lane] = Some(stage);
        turns.push(Turn { lane, after });
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(reads: &[Place], writes: &[Place]) -> Touched {
        Touched {
            reads: reads.to_vec(),
            writes: writes.to_vec(),
        }
    }

    #[test]
    fn a_chain_stays_in_one_lane_and_a_branch_leaves_it() {
        use Place::{Elements, Resource, Slot};
        let turns = schedule(&[
            touched(&[], &[Slot(0)]),
            touched(&[Slot(0)], &[Slot(1)]),
            touched(&[Slot(0)], &[Elements(0, 5, 9)]),
            touched(&[Slot(1)], &[Elements(0, 9, 12)]),
            touched(&[Resource(0)], &[Resource(1)]),
        ]);
        let turn = |lane, after: &[usize]| Turn {
            lane,
            after: after.to_vec(),
        };
        assert_eq!(
            turns,
            [
                turn(0, &[]),
                turn(0, &[]),
                turn(1, &[0]),
                turn(0, &[]),
                turn(0, &[1])
            ]
        );
    }

    #[test]
    fn memory_is_not_written_while_it_is_read() {
        use Place::Slot;
        let turns = schedule(&[
            touched(&[], &[Slot(0)]),
            touched(&[Slot(0)], &[Slot(1)]),
            touched(&[], &[Slot(2)]),
            touched(&[Slot(2)], &[Slot(0)]),
        ]);
        assert_eq!(turns[3].lane, turns[2].lane);
        assert_eq!(turns[3].after, [0], "slot 0 is still read by stage 1");
    }
    #[test]
    fn elements_wait_for_those_that_they_share() {
        use Place::{Elements, Resource};
        let stages = [
            touched(&[], &[Elements(1, 0, 8)]),
            touched(&[], &[Elements(1, 8, 10)]),
            touched(&[], &[Elements(2, 0, 8)]),
            touched(&[], &[Elements(1, 7, 9)]),
            touched(&[Elements(2, 9, 10)], &[]),
            touched(&[Elements(2, 7, 9)], &[]),
            touched(&[], &[Resource(2)]),
        ];
        let mut history = History::default();
        let earlier: Vec<Vec<usize>> = stages
            .iter()
            .enumerate()
            .map(|(stage, touched)| history.depend(stage, touched))
            .collect();
        let expected = [vec![], vec![], vec![], vec![0, 1], vec![], vec![2], vec![2, 4, 5]];
        assert_eq!(earlier, expected);
    }
}
