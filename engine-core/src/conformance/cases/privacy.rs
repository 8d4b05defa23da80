//! Clip factors: norms of zero, below, at and far above the bound.

use crate::conformance::case::{Case, CaseError, Setup, rows};
use crate::conformance::random_data::RandomData;
use crate::ir::Groups;
use crate::ir::ops::privacy::ClipFactor;

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(61);
    let mut cases = Vec::new();
    for (count, max_grad_norm) in [(0, 1.0), (1, 1.0), (31, 0.1), (33, 1.0), (64, 5.0), (100, 1e-3)] {
        let bound = (max_grad_norm * max_grad_norm) as f32;
        let norms: Vec<f32> = (0..count)
            .map(|b| [0.0, bound, 1e-12, 1e20, 4.0 * bound * random.unit()][b % 5])
            .collect();
        let mut setup = Setup::new("clip_factor");
        let x = setup.value("per_sample_sq_norm", &Groups::single(1), norms)?;
        let label = format!("{count} rows, bound {max_grad_norm}, seed {}", random.seed);
        cases.push(setup.finish(ClipFactor { max_grad_norm }, &[x], rows(count), label)?);
    }
    Ok(cases)
}
