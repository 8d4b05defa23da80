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
    /// Whether the products of the linear layers run on tensor cores, where the device has them for TF32 (compute capability 8.0 or more): their
    /// factors are rounded to ten bits behind the point, sums stay in single precision. It is decided when the device is opened.
    pub tensor_cores: bool,
}

impl Default for CudaOptions {
    fn default() -> Self {
        Self {
            table_memory: None,
            fetch_ahead: true,
            tensor_cores: false,
        }
    }
}
