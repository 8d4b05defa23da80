//! Reading batches, masking sequences and drawing column orders.

use crate::backend::Run;
use crate::conformance::case::{Case, CaseError, Setup, rows};
use crate::conformance::random_data::{RandomData, ragged};
use crate::ir::ops::batch::{ColumnOrder, GatherRows, MaskRows, OrderDraw, Reading};
use crate::schema::{CodeColumn, CodeTable};

/// A table of random codes in the narrowest types.
pub(in crate::conformance) fn table(
    random: &mut RandomData,
    len: usize,
    cardinalities: &[usize],
) -> CodeTable {
    let column = |v: &usize| CodeColumn::from_codes(*v, (0..len).map(|_| random.below(*v) as u32));
    let columns = cardinalities.iter().map(column).collect();
    CodeTable::new(columns, len).unwrap_or_else(|| unreachable!("all columns have {len} rows"))
}

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let mut cases = gather_cases()?;
    cases.extend(order_cases()?);
    cases.extend(mask_cases()?);
    Ok(cases)
}

fn gather_cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(71);
    let mut cases = Vec::new();
    let cardinalities: [&[usize]; 4] = [&[1], &[5], &[2, 300, 1, 70_000, 256, 257, 65_536], &[3; 40]];
    let shuffled = |steps_per_epoch| Reading::Shuffled { steps_per_epoch };
    for (i, cards) in cardinalities.into_iter().enumerate() {
        for (len, count, reading, first_row, first_step, steps) in [
            (9, 0, Reading::Sequential, 0, 0, 1),
            (1, 1, Reading::Sequential, 0, 0, 1),
            (1, 1, shuffled(1), 0, 3, 2),
            (300, 31, Reading::Sequential, 100, 4, 1),
            (300, 33, Reading::Sequential, 7, 0, 3),
            (300, 64, shuffled(4), 0, 0, 1),
            (300, 64, shuffled(4), 0, 3, 3),
            (250, 100, shuffled(2), 5, 1_000_001, 1),
        ] {
            let mut setup = Setup::new("gather_rows");
            let op = GatherRows {
                table: setup.table("table", table(random, len, cards))?,
                columns: cards.len(),
                reading,
            };
            let run = Run {
                first_row,
                first_step,
                steps,
                seed: (1 << 40) + i as u64,
                ..rows(count)
            };
            let label = format!(
                "{count} of {len} rows, {} sub-columns, {reading:?}, {steps} steps from {first_step}, seed {}",
                cards.len(),
                random.seed
            );
            cases.push(setup.finish(op, &[], run, label)?);
        }
    }
    Ok(cases)
}

/// Ragged lengths: of no time step, of all, of one more, and others between.
pub(in crate::conformance) fn lengths(random: &mut RandomData, count: usize, time: usize) -> Vec<u32> {
    let length = |i: usize| match i % 5 {
        0 => 0,
        1 => time + 2,
        2 => time + 3,
        _ => random.below(time + 3),
    };
    (0..count).map(length).map(|length| length as u32).collect()
}

fn mask_cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(72);
    let mut cases = Vec::new();
    for shape in ragged(random) {
        for (reading, first_row, steps) in [
            (Reading::Sequential, 0, 1),
            (Reading::Sequential, 11, 3),
            (Reading::Shuffled { steps_per_epoch: 2 }, 0, 3),
        ] {
            let mut setup = shape.setup("mask_rows");
            let run = Run {
                first_row,
                steps,
                first_step: 1,
                ..shape.run()
            };
            let count = first_row as usize + 3 * run.rows as usize + 1;
            let op = MaskRows {
                lengths: setup.u32_buffer("lengths", lengths(random, count, run.time as usize))?,
                reading,
            };
            let groups = shape.groups();
            let x = setup.value("x", &groups, random.uniform(shape.len(), 2.0))?;
            let label = format!(
                "{}, {reading:?}, {steps} steps, seed {}",
                shape.label, random.seed
            );
            cases.push(setup.finish(op, &[x], run, label)?);
        }
    }
    Ok(cases)
}

fn order_cases() -> Result<Vec<Case>, CaseError> {
    let mut cases = Vec::new();
    for columns in [1, 2, 7, 15, 33, 100, 1000] {
        for draw in [OrderDraw::Training, OrderDraw::Validation, OrderDraw::Fixed] {
            for (first_step, steps, count) in [(0, 1, 0), (5, 1, 33), (1_000_000, 3, 1)] {
                let run = Run {
                    first_step,
                    steps,
                    seed: 0xABCD_0000_1234 + columns as u64,
                    ..rows(count)
                };
                let label = format!("{columns} columns, {draw:?}, {steps} steps from {first_step}");
                let setup = Setup::new("column_order");
                cases.push(setup.finish(ColumnOrder { columns, draw }, &[], run, label)?);
            }
        }
    }
    Ok(cases)
}
