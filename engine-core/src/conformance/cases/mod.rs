//! The cases, one file per family of ops.

mod activation;
pub(super) mod batch;
pub(super) mod embedding;
pub(super) mod linear;
mod optimizer;
mod privacy;
mod reduce;
mod sampling;
mod softmax;

use super::case::{Case, CaseError};
use super::programs;

/// Makes the cases of a family.
pub(super) type Cases = fn() -> Result<Vec<Case>, CaseError>;

/// All families with their cases, whole programs last.
pub(super) fn families() -> Vec<(&'static str, Cases)> {
    vec![
        ("batch", batch::cases),
        ("embedding", embedding::cases),
        ("linear", linear::cases),
        ("activation", activation::cases),
        ("softmax", softmax::cases),
        ("reduce", reduce::cases),
        ("privacy", privacy::cases),
        ("optimizer", optimizer::cases),
        ("sampling", sampling::cases),
        ("programs", programs::cases),
    ]
}
