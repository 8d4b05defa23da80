//! Device memory that is given back when it is no longer needed.

use std::sync::Arc;

use crate::driver::{DevicePtr, Driver};
use crate::error::CudaError;

/// An allocation on the device, or of pinned memory that the device reads.
#[derive(Debug)]
pub(crate) struct Memory {
    driver: Arc<dyn Driver>,
    address: DevicePtr,
    bytes: usize,
    pinned: bool,
}

impl Memory {
    /// Reserves `bytes` bytes on the device; their contents are unspecified.
    pub(crate) fn new(driver: &Arc<dyn Driver>, bytes: usize) -> Result<Self, CudaError> {
        let address = driver.allocate(bytes.max(1))?;
        Ok(Self {
            driver: Arc::clone(driver),
            address,
            bytes,
            pinned: false,
        })
    }

    /// Reserves pinned memory of the host.
    pub(crate) fn pinned(driver: &Arc<dyn Driver>, bytes: usize) -> Result<Self, CudaError> {
        let address = driver.allocate_pinned(bytes.max(1))?;
        Ok(Self {
            driver: Arc::clone(driver),
            address,
            bytes,
            pinned: true,
        })
    }

    /// Memory that holds `data`.
    pub(crate) fn of(driver: &Arc<dyn Driver>, data: &[u8]) -> Result<Self, CudaError> {
        let mut memory = Self::new(driver, data.len())?;
        memory.write(data)?;
        Ok(memory)
    }

    pub(crate) fn address(&self) -> DevicePtr {
        self.address
    }

    /// Whether it is of the host.
    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Replaces the first bytes.
    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), CudaError> {
        self.write_at(0, data)
    }

    /// Replaces the bytes from `offset` on.
    pub(crate) fn write_at(&mut self, offset: usize, data: &[u8]) -> Result<(), CudaError> {
        debug_assert!(offset + data.len() <= self.bytes);
        let to = self.address + offset as DevicePtr;
        if self.pinned {
            // SAFETY: page-locked memory is the host's own, at this address; it is long enough, and every run of a program ends with a
            // wait, so nothing reads it now.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), to as *mut u8, data.len()) };
            return Ok(());
        }
        // SAFETY: the allocation is ours and long enough; nothing uses it now, as above.
        unsafe { self.driver.upload(to, data) }
    }

    /// Copies the first bytes to the host.
    pub(crate) fn read(&self, to: &mut [u8]) -> Result<(), CudaError> {
        debug_assert!(to.len() <= self.bytes);
        // SAFETY: as for `write`.
        unsafe { self.driver.download(self.address, to) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the address came from this driver and is given back once; every run ends with a wait.
        unsafe {
            if self.pinned {
                self.driver.free_pinned(self.address);
            } else {
                self.driver.free(self.address);
            }
        }
    }
}
