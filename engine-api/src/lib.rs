//! What users import: tables in and out, and atomic files.

pub mod data;
pub mod files;
