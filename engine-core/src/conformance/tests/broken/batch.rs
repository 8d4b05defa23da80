//! Broken reading and column orders.

use super::{Act, assert_caught, known};
use crate::ir::Tensor;
use crate::ir::ops::batch::{ColumnOrder, GatherRows, MaskRows, OrderDraw, Reading};

#[test]
fn batches() {
    let broken: [(&'static str, &str, Act); 12] = [
        ("gather_rows", "the first row ignored", |op, cx| {
            cx.run.first_row = 0;
            op.interpret(cx)
        }),
        ("gather_rows", "every step at the first rows", |op, cx| {
            cx.run.first_row -= u64::from(cx.step_in_run) * u64::from(cx.run.rows);
            op.interpret(cx)
        }),
        ("gather_rows", "the first epoch over and over", |op, cx| {
            if let Reading::Shuffled { steps_per_epoch } = known::<GatherRows>(op).reading {
                cx.run.first_step %= steps_per_epoch;
            }
            op.interpret(cx)
        }),
        ("gather_rows", "codes cut off at a byte", |op, cx| {
            let codes = &op.interpret(cx)?[0];
            let data = codes.data.iter().map(|c| c % 256.0).collect();
            Ok(vec![Tensor::from_data(codes.rows, codes.width, data)])
        }),
        ("gather_rows", "the upper half of the seed ignored", |op, cx| {
            cx.run.seed &= 0xFFFF_FFFF;
            op.interpret(cx)
        }),
        ("column_order", "the order in place of the ranks", |op, cx| {
            let ranks = &op.interpret(cx)?[0];
            let mut order = Tensor::zeros(1, ranks.width);
            for c in 0..ranks.width {
                order.set(0, ranks.code(0, c), c as f64, 0.0);
            }
            Ok(vec![order])
        }),
        ("column_order", "validation drawn as training", |op, cx| {
            let mut op = known::<ColumnOrder>(op).clone();
            if op.draw == OrderDraw::Validation {
                op.draw = OrderDraw::Training;
            }
            crate::ir::Op::interpret(&op, cx)
        }),
        ("column_order", "one order for all steps of a run", |op, cx| {
            cx.run.first_step -= cx.step_in_run;
            op.interpret(cx)
        }),
        ("mask_rows", "nothing masked", |_, cx| {
            Ok(vec![cx.inputs[0].clone()])
        }),
        ("mask_rows", "the step at the end kept", |op, cx| {
            if let Some(time) = cx.run.first_time.checked_sub(1) {
                cx.run.first_time = time;
            }
            op.interpret(cx)
        }),
        ("mask_rows", "the lengths of the first rows", |op, cx| {
            cx.run.first_row = 0;
            op.interpret(cx)
        }),
        ("mask_rows", "a shuffled table read in order", |op, cx| {
            let reading = Reading::Sequential;
            let op = known::<MaskRows>(op).clone();
            crate::ir::Op::interpret(&MaskRows { reading, ..op }, cx)
        }),
    ];
    assert_caught("batch", "", &broken);
}
