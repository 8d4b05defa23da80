//! How fast is one pass of AdamW over the arena of the census model, by the bytes that must move?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{CENSUS, Data, OpCase, criterion, f32_values_mut, model};
use engine_core::argn::{Model, ModelSize};
use engine_core::ir::ops::optimizer::AdamW;

fn adamw(c: &mut Criterion) {
    for size in [ModelSize::Small, ModelSize::Medium, ModelSize::Large] {
        let model = model(size, &CENSUS);
        let layout = model.layout();
        let mut case = OpCase::new("adamw", format!("{size:?}, {} parameters", layout.len()), 1);
        let op = AdamW {
            params: case.arena("params", layout, (-1.0, 1.0)),
            grads: case.arena("params.grads", layout, (-1.0, 1.0)),
            first_moments: case.arena("first_moments", layout, (-1.0, 1.0)),
            second_moments: case.arena("second_moments", layout, (0.0, 1.0)),
            beta1: 0.9,
            beta2: 0.999,
            adam_eps: 1e-8,
            weight_decay: 0.01,
        };
        // Four arenas are read and written.
        let work = Throughput::Bytes(8 * 4 * layout.len() as u64);
        case.bench(c, op.clone(), &[], work, |data| update(data, &op));
    }
}

fn update(data: &mut Data, op: &AdamW) {
    let step = op.step(data.run.first_step, data.run.learning_rate);
    let [params, grads, first, second] = &mut data.resources[..] else {
        return;
    };
    let first = f32_values_mut(first).iter_mut().zip(f32_values_mut(second));
    let pairs = f32_values_mut(params).iter_mut().zip(f32_values_mut(grads));
    for ((w, g), (m, v)) in pairs.zip(first) {
        *m += (1.0 - op.beta1 as f32) * (*g - *m);
        *v = op.beta2 as f32 * *v + (1.0 - op.beta2) as f32 * *g * *g;
        let denominator = v.sqrt() * step.inverse_sqrt_correction + op.adam_eps as f32;
        *w = *w * step.decay - step.step_size * *m / denominator;
        *g = 0.0;
    }
}

criterion_group!(name = benches; config = criterion(); targets = adamw);
criterion_main!(benches);
