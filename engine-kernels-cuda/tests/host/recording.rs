//! What a recording holds: launches and which of them wait for which.

use std::collections::{BTreeMap, BTreeSet};

use super::OwnedLaunch;

/// A recording that is being made.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    launches: Vec<OwnedLaunch>,
    /// For each launch, those right before it.
    before: Vec<BTreeSet<usize>>,
    /// For each lane that is ordered behind lane 0, the launches that its next one waits for.
    lanes: BTreeMap<usize, BTreeSet<usize>>,
}

/// A finished recording.
#[derive(Debug)]
pub(crate) struct Recording {
    launches: Vec<OwnedLaunch>,
    before: Vec<BTreeSet<usize>>,
}

impl Recorder {
    fn lane(&mut self, lane: usize) -> &mut BTreeSet<usize> {
        if lane == 0 {
            self.lanes.entry(0).or_default();
        }
        let found = self.lanes.get_mut(&lane);
        found.unwrap_or_else(|| {
            panic!("lane {lane} is used without being ordered behind lane 0 in this recording")
        })
    }

    /// Puts a launch into a lane.
    pub(crate) fn launch(&mut self, lane: usize, launch: OwnedLaunch) {
        let number = self.launches.len();
        let before = std::mem::replace(self.lane(lane), BTreeSet::from([number]));
        self.before.push(before);
        self.launches.push(launch);
    }

    /// Later launches in a lane wait for the earlier ones in another.
    pub(crate) fn order(&mut self, from: usize, to: usize) {
        let earlier = self.lane(from).clone();
        self.lanes.entry(to).or_default().extend(earlier);
    }

    /// Ends the recording; panics when lane 0 is not behind all others.
    pub(crate) fn finish(mut self) -> Recording {
        let last = self.lane(0).clone();
        let waited_for: BTreeSet<usize> = self.before.iter().flatten().chain(&last).copied().collect();
        for number in 0..self.launches.len() {
            let kernel = self.launches[number].kernel;
            assert!(
                waited_for.contains(&number),
                "lane 0 is not ordered behind launch {number} ({kernel}) at the end of the recording"
            );
        }
        Recording {
            launches: self.launches,
            before: self.before,
        }
    }
}

impl Recording {
    /// The launches in an order that their dependencies allow; which of them, the seed says.
    pub(crate) fn some_order(&self, seed: u64) -> Vec<&OwnedLaunch> {
        let mut random = seed;
        let mut open: Vec<usize> = (0..self.launches.len()).collect();
        let mut done = vec![false; open.len()];
        let mut order = Vec::with_capacity(open.len());
        while !open.is_empty() {
            let is_ready = |number: &usize| self.before[*number].iter().all(|b| done[*b]);
            // Launches are recorded behind what they wait for: the first open one is always ready. Few lanes are open at a time.
            let ready: Vec<usize> = (0..open.len().min(64)).filter(|i| is_ready(&open[*i])).collect();
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = open.remove(ready[(random >> 33) as usize % ready.len()]);
            done[number] = true;
            order.push(&self.launches[number]);
        }
        order
    }
}
