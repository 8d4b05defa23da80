//! Buffers that several devices hold.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use engine_core::backend::{BackendError, Buffer, HostData};

use crate::backend::CudaBackend;
use crate::buffer::CudaBuffer;
use crate::error::CudaError;

/// What the devices hold of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Each that has it has all of it.
    Same,
    /// Each has a partial sum of it.
    PartialSums,
}

/// A buffer on the first device, and on the others once they need it.
#[derive(Debug)]
pub(super) struct RanksBuffer {
    ranks: Arc<[CudaBackend]>,
    first: CudaBuffer,
    others: Vec<OnceLock<CudaBuffer>>,
    held: Held,
}

fn upload(rank: &CudaBackend, data: &HostData) -> Result<CudaBuffer, CudaError> {
    CudaBuffer::new(&rank.driver, rank.options, data)
}

impl RanksBuffer {
    pub(super) fn new(ranks: &Arc<[CudaBackend]>, data: &HostData) -> Result<Self, CudaError> {
        Ok(Self {
            first: upload(&ranks[0], data)?,
            others: ranks[1..].iter().map(|_| OnceLock::new()).collect(),
            ranks: Arc::clone(ranks),
            held: Held::Same,
        })
    }

    /// Gives every device all of the buffer.
    pub(super) fn make_same(&mut self) -> Result<(), BackendError> {
        if self.held == Held::PartialSums {
            let whole = self.read()?;
            self.write(&whole)?;
        }
        self.copy_to_others()
    }

    /// A copy that is whole on the first device, where this one is in partial sums.
    pub(super) fn whole(&self) -> Result<Option<Self>, BackendError> {
        match self.held {
            Held::Same => Ok(None),
            Held::PartialSums => Ok(Some(Self::new(&self.ranks, &self.read()?)?)),
        }
    }

    /// Copies the first device's buffer to those that lack it.
    pub(super) fn copy_to_others(&self) -> Result<(), BackendError> {
        for (rank, other) in self.ranks[1..].iter().zip(&self.others) {
            if other.get().is_none() {
                // Nobody else fills it meanwhile: programs run one at a time.
                let _ = other.set(self.first.on(&rank.driver)?);
            }
        }
        Ok(())
    }

    /// Makes the buffer a sum over the devices: the first one keeps its values, the others get zeros.
    pub(super) fn make_partial_sums(&mut self) -> Result<(), BackendError> {
        if self.held == Held::PartialSums {
            return Ok(());
        }
        let len = self.first.f32().map_or(0, |(_, len)| len);
        let zeros = HostData::F32(vec![0.0; len]);
        for (rank, other) in self.ranks[1..].iter().zip(&mut self.others) {
            match other.get_mut() {
                Some(buffer) => buffer.write(&zeros)?,
                None => *other = OnceLock::from(upload(rank, &zeros)?),
            }
        }
        self.held = Held::PartialSums;
        Ok(())
    }

    /// The buffer on the first device alone; the others forget theirs where it `will_change`.
    pub(super) fn on_first(&mut self, will_change: bool) -> Result<&mut CudaBuffer, BackendError> {
        if self.held == Held::PartialSums {
            let whole = self.read()?;
            self.write(&whole)?;
        }
        if will_change {
            self.forget_others();
        }
        Ok(&mut self.first)
    }

    fn forget_others(&mut self) {
        self.others.iter_mut().for_each(|other| drop(other.take()));
    }

    /// The buffers of all devices that have one, in their order.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut CudaBuffer> {
        let others = self.others.iter_mut().filter_map(OnceLock::get_mut);
        std::iter::once(&mut self.first).chain(others)
    }

    /// As [`Self::all_mut`].
    pub(super) fn all(&self) -> impl Iterator<Item = &CudaBuffer> {
        std::iter::once(&self.first).chain(self.others.iter().filter_map(OnceLock::get))
    }
}

impl Buffer for RanksBuffer {
    fn read(&self) -> Result<HostData, BackendError> {
        let mut data = self.first.read()?;
        if self.held == Held::Same {
            return Ok(data);
        }
        for other in self.others.iter().filter_map(OnceLock::get) {
            if let (HostData::F32(sums), HostData::F32(parts)) = (&mut data, other.read()?) {
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
        }
        Ok(data)
    }

    fn write(&mut self, data: &HostData) -> Result<(), BackendError> {
        if self.first.table().is_some() {
            // They may share its memory.
            self.forget_others();
        }
        for buffer in self.all_mut() {
            buffer.write(data)?;
        }
        self.held = Held::Same;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
