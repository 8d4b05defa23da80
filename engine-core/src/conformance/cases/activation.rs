//! Relu and dropout.

use crate::backend::Run;
use crate::conformance::case::{Case, CaseError};
use crate::conformance::random_data::{RandomData, ragged};
use crate::ir::ops::activation::{Dropout, DropoutOp, Relu, ReluGrad};

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(21);
    let mut cases = Vec::new();
    for (i, shape) in ragged(random).into_iter().enumerate() {
        let (groups, label) = (shape.groups(), format!("{}, seed {}", shape.label, random.seed));
        let mut x = random.uniform(shape.len(), 3.0);
        x.iter_mut().step_by(7).for_each(|x| *x = 0.0);
        x.iter_mut().skip(3).step_by(11).for_each(|x| *x = -0.0);

        let mut setup = shape.setup("relu");
        let value = setup.value("x", &groups, x.clone())?;
        cases.push(setup.finish(Relu, &[value], shape.run(), label.clone())?);

        let mut setup = shape.setup("relu_grad");
        let y = x.iter().map(|x| x.max(0.0)).collect();
        let y = setup.value("y", &groups, y)?;
        let grad = setup.value("grad_output", &groups, random.uniform(shape.len(), 3.0))?;
        cases.push(setup.finish(ReluGrad, &[y, grad], shape.run(), label.clone())?);

        let rate = [0.25, 0.5, 255.0 / 256.0, 1.0 / 256.0][i % 4];
        let Some(dropout) = Dropout::new(rate, i as u32) else {
            continue;
        };
        let run = Run {
            first_step: 3 * i as u32,
            steps: 1 + i as u32 % 3,
            first_row: 17,
            ..shape.run()
        };
        let mut setup = shape.setup("dropout");
        let value = setup.value("x", &groups, x)?;
        let label = format!("{label}, rate {rate}, {} steps", run.steps);
        cases.push(setup.finish(DropoutOp { dropout, groups }, &[value], run, label)?);
    }
    Ok(cases)
}
