//! Softmax and its cross-entropy, from tame to extreme logits.

use crate::conformance::case::{Case, CaseError};
use crate::conformance::random_data::{Ragged, RandomData, ragged};
use crate::ir::Groups;
use crate::ir::ops::softmax::{Softmax, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(31);
    let mut cases = Vec::new();
    for shape in ragged(random) {
        for scale in [0.0, 3.0, 80.0, 200.0] {
            push_cases(random, &shape, scale, &mut cases)?;
        }
    }
    Ok(cases)
}

fn push_cases(
    random: &mut RandomData,
    shape: &Ragged,
    scale: f32,
    cases: &mut Vec<Case>,
) -> Result<(), CaseError> {
    let label = format!("{}, logits up to {scale}, seed {}", shape.label, random.seed);
    let (groups, count) = (shape.groups(), shape.widths.len());
    let mut logits = random.uniform(shape.len(), scale);
    // A few of the largest and smallest, so that whole groups are decided by one code.
    logits.iter_mut().step_by(13).for_each(|l| *l = scale);
    logits.iter_mut().skip(5).step_by(17).for_each(|l| *l = -scale);
    let codes = random.codes(shape.rows(), &shape.widths);

    let mut setup = shape.setup("softmax");
    let x = setup.value("logits", &groups, logits.clone())?;
    let op = Softmax {
        groups: groups.clone(),
    };
    cases.push(setup.finish(op, &[x], shape.run(), label.clone())?);

    let mut setup = shape.setup("softmax_cross_entropy");
    let x = setup.value("logits", &groups, logits.clone())?;
    let v = setup.codes("codes", count, codes.clone())?;
    let op = SoftmaxCrossEntropy {
        groups: groups.clone(),
    };
    cases.push(setup.finish(op, &[x, v], shape.run(), label.clone())?);

    let mut setup = shape.setup("softmax_cross_entropy_grad");
    let p = setup.value("probs", &groups, probabilities(&logits, &groups, shape.rows()))?;
    let v = setup.codes("codes", count, codes)?;
    let d = setup.value(
        "grad_losses",
        &Groups::ones(count),
        random.uniform(shape.rows() * count, 1.0),
    )?;
    let op = SoftmaxCrossEntropyGrad { groups };
    cases.push(setup.finish(op, &[p, v, d], shape.run(), label)?);
    Ok(())
}

fn probabilities(logits: &[f32], groups: &Groups, rows: usize) -> Vec<f32> {
    let mut probs = vec![0.0; logits.len()];
    for b in 0..rows {
        for g in 0..groups.len() {
            let range = b * groups.total() + groups.offset(g)..b * groups.total() + groups.range(g).end;
            let max = logits[range.clone()].iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = logits[range.clone()].iter().map(|l| (l - max).exp()).sum();
            for i in range {
                probs[i] = (logits[i] - max).exp() / sum;
            }
        }
    }
    probs
}
