//! How many values of a column its statistics do not know.

/// Values of a column that its statistics do not show, so that they are taken for others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnknownValues {
    /// Rows whose value has no code of its own: unseen, or hidden by value protection.
    pub unseen: u64,
    /// Rows whose number or date lies beyond the range.
    pub outside: u64,
}

impl UnknownValues {
    /// Whether all values are known.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}
