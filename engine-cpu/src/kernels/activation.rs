//! Relu and dropout.

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::activation::{DropoutOp, Relu, ReluGrad};

use super::linear::Mask;
use super::{Context, CpuKernel, Value, as_op, block_of};
use crate::isa::{Isa, Kernel, half, half_mut};
use crate::lanes::Lanes;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if as_op::<Relu>(op).is_some() {
        return Some(Box::new(ReluKernel));
    }
    if as_op::<ReluGrad>(op).is_some() {
        return Some(Box::new(ReluGradKernel));
    }
    as_op::<DropoutOp>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

#[derive(Debug)]
struct ReluKernel;

#[derive(Debug)]
struct ReluGradKernel;

/// Applies `f` to all lanes of two values; which kernels are element-wise over whole slots.
fn zip_lanes(cx: &mut Context<'_, '_>, f: impl Fn(&Lanes, &Lanes) -> Lanes + Sync + Send) {
    let (a, b) = match (cx.inputs[0], cx.inputs[1]) {
        (Value::Numbers(a), Value::Numbers(b)) => (a, b),
        (Value::Numbers(a), _) => (a, a),
        _ => unreachable!("the program was checked: element-wise ops take numbers"),
    };
    let mut out = cx.take_numbers(0);
    let width = cx.width;
    let len = cx.blocks() * width;
    let (a, b) = (&a[..len], &b[..len]);
    const CHUNK: usize = 512;
    let shared = crate::shared::Shared::new(&mut out[..len]);
    cx.parallel(len.div_ceil(CHUNK), |task| {
        let range = task * CHUNK..((task + 1) * CHUNK).min(len);
        // SAFETY: each task writes its own range.
        let out = unsafe { shared.part(range.clone()) };
        for ((out, a), b) in out.iter_mut().zip(&a[range.clone()]).zip(&b[range]) {
            *out = f(a, b);
        }
    });
    cx.put(0, Value::Numbers(out));
}

impl CpuKernel for ReluKernel {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        zip_lanes(cx, |x, _| Lanes(x.0.map(|x| if x < 0.0 { 0.0 } else { x })));
        Ok(())
    }
}

impl CpuKernel for ReluGradKernel {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        zip_lanes(cx, |y, d| {
            Lanes(std::array::from_fn(|l| if y.0[l] > 0.0 { d.0[l] } else { 0.0 }))
        });
        Ok(())
    }
}

struct DropoutTask<'a> {
    op: &'a DropoutOp,
    mask: Mask,
    x: &'a [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for DropoutTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for g in 0..self.op.groups.len() {
            let range = self.op.groups.range(g);
            let mut words = [[I::splat_u(0); 4]; 2];
            for (position, (x, out)) in self.x[range.clone()].iter().zip(&mut self.out[range]).enumerate() {
                if position % 16 == 0 {
                    words = self.mask.words::<I>(g, position);
                }
                let y = self
                    .mask
                    .apply::<I>(&words, position, [I::load(half(x, 0)), I::load(half(x, 1))]);
                I::store(y[0], half_mut(out, 0));
                I::store(y[1], half_mut(out, 1));
            }
        }
    }
}

impl CpuKernel for DropoutOp {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let width = self.groups.total();
        let (x, set, run) = (cx.numbers(0, width), cx.set, cx.run);
        cx.fill_blocks(0, width, |block, out| {
            let mask = Mask::new(self.dropout, &run, block);
            set.dispatch(DropoutTask {
                op: self,
                mask,
                x: block_of(x, block, width),
                out,
            });
        });
        Ok(())
    }
}
