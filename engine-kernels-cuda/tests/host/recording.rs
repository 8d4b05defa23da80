//! What a recording holds, or what was put into several lanes: work, and which of it waits for which.

use std::collections::{BTreeMap, BTreeSet};

/// A recording that is being made, of some kind of work.
#[derive(Debug)]
pub(crate) struct Recorder<W> {
    work: Vec<W>,
    /// For each piece of work, those right before it.
    before: Vec<BTreeSet<usize>>,
    /// For each lane that is ordered behind lane 0, the work that its next piece waits for.
    lanes: BTreeMap<usize, BTreeSet<usize>>,
}

/// A finished recording.
#[derive(Debug)]
pub(crate) struct Recording<W> {
    work: Vec<W>,
    before: Vec<BTreeSet<usize>>,
}

impl<W> Default for Recorder<W> {
    fn default() -> Self {
        Self {
            work: Vec::new(),
            before: Vec::new(),
            lanes: BTreeMap::new(),
        }
    }
}

impl<W> Recorder<W> {
    fn lane(&mut self, lane: usize) -> &mut BTreeSet<usize> {
        if lane == 0 {
            self.lanes.entry(0).or_default();
        }
        let found = self.lanes.get_mut(&lane);
        found.unwrap_or_else(|| {
            panic!("lane {lane} is used without being ordered behind lane 0 in this recording")
        })
    }

    /// Puts work into a lane.
    pub(crate) fn push(&mut self, lane: usize, work: W) {
        let number = self.work.len();
        let before = std::mem::replace(self.lane(lane), BTreeSet::from([number]));
        self.before.push(before);
        self.work.push(work);
    }

    /// Later work in a lane waits for the earlier one in another.
    pub(crate) fn order(&mut self, from: usize, to: usize) {
        let earlier = self.lane(from).clone();
        self.lanes.entry(to).or_default().extend(earlier);
    }

    /// Ends the recording; panics when lane 0 is not behind all others.
    pub(crate) fn finish(mut self, name: impl Fn(&W) -> String) -> Recording<W> {
        let last = self.lane(0).clone();
        let waited_for: BTreeSet<usize> = self.before.iter().flatten().chain(&last).copied().collect();
        for (number, work) in self.work.iter().enumerate() {
            assert!(
                waited_for.contains(&number),
                "lane 0 is not ordered behind launch {number} ({}) at the end of the recording",
                name(work)
            );
        }
        self.all()
    }

    /// All work so far, whatever lane 0 waits for.
    pub(crate) fn all(self) -> Recording<W> {
        Recording {
            work: self.work,
            before: self.before,
        }
    }
}

impl<W> Recording<W> {
    /// The work in an order that its dependencies allow; which of them, the seed says.
    pub(crate) fn some_order(&self, seed: u64) -> Vec<&W> {
        let mut random = seed;
        let mut open: Vec<usize> = (0..self.work.len()).collect();
        let mut done = vec![false; open.len()];
        let mut order = Vec::with_capacity(open.len());
        while !open.is_empty() {
            let is_ready = |number: &usize| self.before[*number].iter().all(|b| done[*b]);
            // Work is put in behind what it waits for: the first open piece is always ready. Few lanes are open at a time.
            let ready: Vec<usize> = (0..open.len().min(64)).filter(|i| is_ready(&open[*i])).collect();
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = open.remove(ready[(random >> 33) as usize % ready.len()]);
            done[number] = true;
            order.push(&self.work[number]);
        }
        order
    }
}
