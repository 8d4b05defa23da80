//! What a capture holds, or what was enqueued in several streams: work, and which of it waits for which.

use std::collections::{BTreeMap, BTreeSet};

/// A capture in progress, of some kind of work.
#[derive(Debug)]
pub(crate) struct Capture<W> {
    work: Vec<W>,
    /// For each piece of work, those right before it.
    before: Vec<BTreeSet<usize>>,
    /// For each stream that is ordered behind stream 0, the work that its next piece waits for.
    streams: BTreeMap<usize, BTreeSet<usize>>,
}

/// A captured graph.
#[derive(Debug)]
pub(crate) struct Graph<W> {
    work: Vec<W>,
    before: Vec<BTreeSet<usize>>,
}

impl<W> Default for Capture<W> {
    fn default() -> Self {
        Self {
            work: Vec::new(),
            before: Vec::new(),
            streams: BTreeMap::new(),
        }
    }
}

impl<W> Capture<W> {
    fn stream(&mut self, stream: usize) -> &mut BTreeSet<usize> {
        if stream == 0 {
            self.streams.entry(0).or_default();
        }
        let found = self.streams.get_mut(&stream);
        found.unwrap_or_else(|| {
            panic!("stream {stream} is used without being ordered behind stream 0 in this capture")
        })
    }

    /// Enqueues work in a stream.
    pub(crate) fn push(&mut self, stream: usize, work: W) {
        let number = self.work.len();
        let before = std::mem::replace(self.stream(stream), BTreeSet::from([number]));
        self.before.push(before);
        self.work.push(work);
    }

    /// Later work in a stream waits for the earlier one in another.
    pub(crate) fn order(&mut self, from: usize, to: usize) {
        let earlier = self.stream(from).clone();
        self.streams.entry(to).or_default().extend(earlier);
    }

    /// Ends the capture; panics when stream 0 is not behind all others.
    pub(crate) fn finish(mut self, name: impl Fn(&W) -> String) -> Graph<W> {
        let last = self.stream(0).clone();
        let waited_for: BTreeSet<usize> = self.before.iter().flatten().chain(&last).copied().collect();
        for (number, work) in self.work.iter().enumerate() {
            assert!(
                waited_for.contains(&number),
                "stream 0 is not ordered behind launch {number} ({}) at the end of the capture",
                name(work)
            );
        }
        self.all()
    }

    /// All work so far, whatever stream 0 waits for.
    pub(crate) fn all(self) -> Graph<W> {
        Graph {
            work: self.work,
            before: self.before,
        }
    }
}

impl<W> Graph<W> {
    /// The work in an order that its dependencies allow; which of them, the seed says.
    pub(crate) fn some_order(&self, seed: u64) -> Vec<&W> {
        let mut random = seed;
        let mut open: Vec<usize> = (0..self.work.len()).collect();
        let mut done = vec![false; open.len()];
        let mut order = Vec::with_capacity(open.len());
        while !open.is_empty() {
            let is_ready = |number: &usize| self.before[*number].iter().all(|b| done[*b]);
            // Work is put in behind what it waits for: the first open piece is always ready. Few streams are open at a time.
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
