//! A slice that several tasks write at once, each its own part.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice that hands out parts to parallel tasks.
#[derive(Debug)]
pub(crate) struct Shared<'a, T> {
    data: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: `Shared` gives out `&mut` parts only through `part`, whose callers vouch that parts do not overlap; sending such parts to
// other threads is sound when `T` is `Send`.
unsafe impl<T: Send> Sync for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            data: slice.as_mut_ptr(),
            len: slice.len(),
            owner: PhantomData,
        }
    }

    /// The part `range`; panics when it is out of bounds.
    ///
    /// # Safety
    /// No two parts that are alive at the same time may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "part {range:?} of {}",
            self.len
        );
        // SAFETY: in bounds by the assertion; the slice is borrowed mutably for 'a, and callers keep parts apart.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }
}
