//! The backend as the core sees it. One program but for the count of allocations, which replaces the allocator.

mod conformance;
mod inference;
mod rows;
