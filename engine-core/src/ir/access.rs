//! What ops do to resources: transforms and backends go by what an op declares here, never by its name or its type.

use std::ops::Range;

use super::params::ParamView;
use super::resource::ResourceId;

/// What an op does to elements of a resource.
///
/// An op that changes elements in place, by their old values, declares both [`Self::Read`] and [`Self::Overwrite`]. One that gives
/// elements a sum of its own, whatever was there, declares [`Self::Clear`] and then [`Self::Accumulate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessKind {
    /// Its results depend on them.
    Read,
    /// They get values that do not depend on their old ones, unless they are read as well.
    Overwrite,
    /// They become zero. Where the op reads them as well it has used them up; where it accumulates as well it adds to the zeros.
    Clear,
    /// A sum over the rows of the batch is added to them. The sums of disjoint parts of the rows add up to that of all rows.
    Accumulate,
}

/// Which elements of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// All of them.
    Whole,
    /// Ranges of the elements of an arena, in the order in which the op names its parameters. Adjacent ranges are merged;
    /// none are left out, and overlapping ones stay apart.
    Elements(Vec<Range<usize>>),
    /// The one whose number is that of the step within its run.
    StepInRun,
}

/// What an op does to a part of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The resource.
    pub resource: ResourceId,
    /// What is done.
    pub kind: AccessKind,
    /// The part.
    pub extent: Extent,
}

impl AccessKind {
    /// Whether elements may change.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

impl Extent {
    /// The elements of some parameters.
    pub fn of(views: impl IntoIterator<Item = ParamView>) -> Self {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for range in views
            .into_iter()
            .map(|view| view.range())
            .filter(|r| !r.is_empty())
        {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        Self::Elements(ranges)
    }

    /// Whether element `i` belongs to it in step `step_in_run` of a run.
    pub fn contains(&self, i: usize, step_in_run: u32) -> bool {
        match self {
            Self::Whole => true,
            Self::Elements(ranges) => ranges.iter().any(|range| range.contains(&i)),
            Self::StepInRun => i == step_in_run as usize,
        }
    }
}

impl Access {
    /// All elements of `resource` are read.
    pub fn reads(resource: ResourceId) -> Self {
        Self::new(resource, AccessKind::Read, Extent::Whole)
    }

    /// The elements of some parameters in the arena `resource` are read.
    pub fn reads_params(resource: ResourceId, views: impl IntoIterator<Item = ParamView>) -> Self {
        Self::new(resource, AccessKind::Read, Extent::of(views))
    }

    /// A sum over rows is added to the elements of some parameters in the arena `resource`.
    pub fn accumulates(resource: ResourceId, views: impl IntoIterator<Item = ParamView>) -> Self {
        Self::new(resource, AccessKind::Accumulate, Extent::of(views))
    }

    /// All elements of `resource` are changed by their old values.
    pub fn updates(resource: ResourceId) -> [Self; 2] {
        [AccessKind::Read, AccessKind::Overwrite].map(|kind| Self::new(resource, kind, Extent::Whole))
    }

    /// All elements of `resource` are read and become zero.
    pub fn uses_up(resource: ResourceId) -> [Self; 2] {
        [AccessKind::Read, AccessKind::Clear].map(|kind| Self::new(resource, kind, Extent::Whole))
    }

    /// Those of an op's accesses that add to what is there before.
    pub fn added(accesses: &[Self]) -> impl Iterator<Item = &Self> {
        let is_cleared = |access: &Self| {
            let clear = Self::new(access.resource, AccessKind::Clear, access.extent.clone());
            accesses.contains(&clear)
        };
        accesses
            .iter()
            .filter(move |a| a.kind == AccessKind::Accumulate && !is_cleared(a))
    }

    /// An access.
    pub fn new(resource: ResourceId, kind: AccessKind, extent: Extent) -> Self {
        Self {
            resource,
            kind,
            extent,
        }
    }
}
