use super::*;

/// Evaluates a function of one number on every available set.
struct Map<'a>(&'a [f32], fn_kind::Kind);

mod fn_kind {
    #[derive(Clone, Copy)]
    pub(super) enum Kind {
        Exp,
        Ln,
    }
}

impl Kernel for Map<'_> {
    type Output = Vec<f32>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Vec<f32> {
        let mut out = Vec::new();
        for chunk in self.0.as_chunks::<WIDTH>().0 {
            let x = I::load(chunk);
            let y = match self.1 {
                fn_kind::Kind::Exp => exp::<I>(x),
                fn_kind::Kind::Ln => ln::<I>(x),
            };
            let mut to = [0.0; WIDTH];
            I::store(y, &mut to);
            out.extend(to);
        }
        out
    }
}

fn assert_close(kind: fn_kind::Kind, x: &[f32], want: impl Fn(f64) -> f64) {
    for set in InstructionSet::available() {
        let got = set.dispatch(Map(x, kind));
        assert_eq!(got.len(), x.len());
        for (x, got) in x.iter().zip(got) {
            let want = want(f64::from(*x));
            let allowed = want.abs() * 3.0 * f64::from(f32::EPSILON) + 1e-37;
            let error = (f64::from(got) - want).abs();
            assert!(error <= allowed, "{}: f({x}) = {got}, not {want}", set.name());
        }
    }
}

#[test]
fn exponentials_are_within_three_roundings() {
    let x: Vec<f32> = (0..16_000).map(|i| -86.0 + i as f32 * 0.01).collect();
    assert_close(fn_kind::Kind::Exp, &x, f64::exp);
    for set in InstructionSet::available() {
        let far = set.dispatch(Map(&[-90.0; WIDTH], fn_kind::Kind::Exp));
        assert_eq!(far, [0.0; WIDTH], "{}", set.name());
        assert_eq!(set.dispatch(Map(&[0.0; WIDTH], fn_kind::Kind::Exp)), [1.0; WIDTH]);
    }
}

#[test]
fn logarithms_are_within_three_roundings() {
    let x: Vec<f32> = (0..16_000).map(|i| 1.0 + i as f32 * 0.37).collect();
    assert_close(fn_kind::Kind::Ln, &x, f64::ln);
    assert_close(fn_kind::Kind::Ln, &[1e-30; WIDTH], f64::ln);
}

struct Words;

impl Kernel for Words {
    type Output = Vec<[u32; 4]>;
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Output {
        let rows: [u32; WIDTH] = std::array::from_fn(|i| i as u32 * 977);
        let words = philox_lanes::<I>(5, I::load_u(&rows), 6, I::splat_u(7), [8, 9]);
        let mut out = vec![[0; 4]; WIDTH];
        for (w, word) in words.into_iter().enumerate() {
            let mut lanes = [0; WIDTH];
            I::store_u(word, &mut lanes);
            lanes.iter().zip(&mut out).for_each(|(lane, out)| out[w] = *lane);
        }
        out
    }
}

#[test]
fn philox_lanes_agree_with_the_core() {
    for set in InstructionSet::available() {
        for (i, words) in set.dispatch(Words).into_iter().enumerate() {
            let want = engine_core::random::philox4x32([5, i as u32 * 977, 6, 7], [8, 9]);
            assert_eq!(words, want, "{} lane {i}", set.name());
        }
    }
}

struct Transposed;

impl Kernel for Transposed {
    type Output = [[f32; WIDTH]; WIDTH];
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Output {
        let mut rows = [I::splat(0.0); WIDTH];
        for (i, row) in rows.iter_mut().enumerate() {
            let values: [f32; WIDTH] = std::array::from_fn(|j| (i * WIDTH + j) as f32);
            *row = I::load(&values);
        }
        I::transpose(&mut rows);
        let mut out = [[0.0; WIDTH]; WIDTH];
        for (row, out) in rows.into_iter().zip(&mut out) {
            I::store(row, out);
        }
        out
    }
}

#[test]
fn transposing_swaps_registers_and_lanes() {
    for set in InstructionSet::available() {
        let out = set.dispatch(Transposed);
        for (i, row) in out.iter().enumerate() {
            for (j, x) in row.iter().enumerate() {
                assert_eq!(*x, (j * WIDTH + i) as f32, "{} at [{i}, {j}]", set.name());
            }
        }
    }
}

struct Uniforms(u64, u32);

impl Kernel for Uniforms {
    type Output = crate::lanes::Lanes;
    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Output {
        uniform_lanes::<I>(
            &engine_core::random::Stream::new(3, engine_core::random::Purpose::Draw, 0),
            self.0,
            self.1,
            11,
        )
    }
}

#[test]
fn uniform_lanes_agree_with_the_core_even_where_the_row_number_wraps() {
    use engine_core::ir::ops::sampling::OrderedSample;
    let stream = engine_core::random::Stream::new(3, engine_core::random::Purpose::Draw, 0);
    for set in InstructionSet::available() {
        for first in [0, 1000, u64::from(u32::MAX) - 20, 7 << 32] {
            let time = (first % 3) as u32;
            let got = set.dispatch(Uniforms(first, time));
            for (l, got) in got.0.into_iter().enumerate() {
                assert_eq!(
                    got,
                    OrderedSample::uniform(&stream, first + l as u64, time, 11),
                    "{} lane {l}",
                    set.name()
                );
            }
        }
    }
}
