//! How the backend uses its devices.

/// How the backend uses its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CudaOptions {
    /// Bytes of device memory that a table may take. A larger one stays in page-locked main memory and its batches are streamed; so does
    /// one that would leave less than an eighth of the free memory. `None` sets no limit of its own.
    pub table_memory: Option<u64>,
    /// Whether the batches of such a table are fetched while the steps before them run, instead of being read when they are needed. It
    /// changes the speed, never a result.
    pub fetch_ahead: bool,
}

impl Default for CudaOptions {
    fn default() -> Self {
        Self {
            table_memory: None,
            fetch_ahead: true,
        }
    }
}
