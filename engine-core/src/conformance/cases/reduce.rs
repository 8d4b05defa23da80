//! Sums, broadcasts, scaling and the trace of losses.

use crate::backend::Run;
use crate::conformance::case::{Case, CaseError, Setup};
use crate::conformance::random_data::{Ragged, RandomData, ragged};
use crate::ir::ops::reduce::{Add, BroadcastGroups, FillRows, RecordSum, ScaleRows, SumGroups};
use crate::ir::{Groups, LossWeight};

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(41);
    let mut cases = Vec::new();
    for shape in ragged(random) {
        push_cases(random, &shape, &mut cases)?;
    }
    Ok(cases)
}

fn push_cases(random: &mut RandomData, shape: &Ragged, cases: &mut Vec<Case>) -> Result<(), CaseError> {
    let label = format!("{}, seed {}", shape.label, random.seed);
    let (groups, run, rows, one) = (
        shape.groups(),
        shape.run(),
        shape.extent.symbol(),
        Groups::single(1),
    );
    let mut matrix =
        |setup: &mut Setup, name: &str| setup.value(name, &groups, random.uniform(shape.len(), 2.0));

    let mut setup = shape.setup("add");
    let inputs = [matrix(&mut setup, "a")?, matrix(&mut setup, "b")?];
    cases.push(setup.finish(Add, &inputs, run, label.clone())?);

    let mut setup = shape.setup("sum_groups");
    let x = matrix(&mut setup, "x")?;
    cases.push(setup.finish(SumGroups, &[x], run, label.clone())?);

    let mut setup = shape.setup("scale_rows");
    let x = matrix(&mut setup, "x")?;
    let factor = setup.value("factor", &one, random.uniform(shape.rows(), 1.0))?;
    cases.push(setup.finish(ScaleRows, &[x, factor], run, label.clone())?);

    let mut setup = shape.setup("broadcast_groups");
    let x = setup.value("x", &one, random.uniform(shape.rows(), 2.0))?;
    cases.push(setup.finish(BroadcastGroups { groups }, &[x], run, label.clone())?);

    for weight in [
        LossWeight::Sum,
        LossWeight::Mean { micro_batches: 1 },
        LossWeight::Mean { micro_batches: 3 },
    ] {
        let setup = shape.setup("fill_rows");
        cases.push(setup.finish(
            FillRows { weight, rows },
            &[],
            run,
            format!("{label}, {weight:?}"),
        )?);
    }

    for steps in [1, 3] {
        let mut setup = shape.setup("record_sum");
        let trace = setup.f32_buffer("trace", random.uniform(5, 9.0))?;
        let x = setup.value("x", &one, random.uniform(shape.rows(), 2.0))?;
        let run = Run {
            steps,
            first_step: 40,
            ..run
        };
        cases.push(setup.finish(RecordSum { trace }, &[x], run, format!("{label}, {steps} steps"))?);
    }
    Ok(())
}
