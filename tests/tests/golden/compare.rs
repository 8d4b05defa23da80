//! How closely numbers must agree, and messages that say where they do not.

use std::fmt::Debug;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::files;

/// Result of a comparison or of something that it needs.
pub(crate) type Outcome<T = ()> = Result<T, Failed>;

/// `|got - want| <= absolute + relative * |want|`
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tolerance {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
}

/// A tolerance.
pub(crate) const fn within(relative: f64, absolute: f64) -> Tolerance {
    Tolerance { relative, absolute }
}

impl Tolerance {
    fn accepts(self, got: f64, want: f64) -> bool {
        (got.is_nan() && want.is_nan()) || got == want || self.share(got, want) <= 1.0
    }

    /// The difference as a share of what is allowed.
    fn share(self, got: f64, want: f64) -> f64 {
        let allowed = self.absolute + self.relative * want.abs();
        let share = (got - want).abs() / allowed;
        if share.is_nan() { f64::INFINITY } else { share }
    }
}

/// Gathers comparisons and says in the end whether all held.
#[derive(Debug, Default)]
pub(crate) struct Report {
    compared: usize,
    failed: usize,
    messages: Vec<String>,
}

/// Mismatches that a message shows; the others are counted.
const SHOWN: usize = 6;

impl Report {
    /// Compares element by element.
    pub(crate) fn close(&mut self, what: &str, got: &[f64], want: &[f64], tolerance: Tolerance) {
        if !self.same_length(what, got.len(), want.len()) {
            return;
        }
        self.compared += want.len();
        let far: Vec<usize> = (0..want.len())
            .filter(|i| !tolerance.accepts(got[*i], want[*i]))
            .collect();
        let share = |i: &usize| tolerance.share(got[*i], want[*i]);
        if let Some(worst) = far.iter().copied().max_by(|a, b| share(a).total_cmp(&share(b))) {
            let (count, all, got, want) = (far.len(), want.len(), got[worst], want[worst]);
            let times = tolerance.share(got, want);
            self.fail(format!(
                "{what}: {count} of {all} are too far off, the worst at {worst}: {got:e} instead of {want:e} ({times:.1} times \
                 what is allowed)"
            ));
        }
    }

    /// Compares a tensor as a whole (norm of the difference against its norm) and by element (against its largest).
    pub(crate) fn tensor(&mut self, what: &str, got: &[f64], want: &[f64], tolerance: Tolerance) {
        if !self.same_length(what, got.len(), want.len()) {
            return;
        }
        let difference: Vec<f64> = got.iter().zip(want).map(|(g, w)| g - w).collect();
        let (off, size) = (norm(&difference), norm(want));
        self.require(off <= tolerance.absolute + tolerance.relative * size, || {
            format!("{what}: the difference has norm {off:e}, the tensor {size:e}")
        });
        let largest = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        let by_element = within(0.0, tolerance.absolute + tolerance.relative * largest);
        self.close(what, got, want, by_element);
    }

    /// Compares a tensor with a fingerprint: its shape, norm, sum, first and last eight values.
    ///
    /// Fingerprints were recorded in single precision. Where the terms of a sum cancel, as the gradients of a predictor do, what
    /// was recorded are the rounding errors of its n terms. Devices of single precision share them; an `exact` result does not,
    /// and such errors grow with the root of n.
    pub(crate) fn fingerprint(
        &mut self,
        what: &str,
        (shape, got): (&[usize], &[f64]),
        want: &Value,
        exact: bool,
    ) -> Outcome {
        let wanted_shape: Vec<usize> = files::numbers(want, "shape")?
            .iter()
            .map(|n| *n as usize)
            .collect();
        self.equal(&format!("{what}: shape"), shape, &wanted_shape[..]);
        let size = files::number(want, "norm")?;
        let by_size = within(1e-4, 1e-4 * size);
        let by_terms = within(1e-4, 1e-4 * size * (got.len() as f64).sqrt());
        let of_sum = if exact { by_terms } else { by_size };
        let ends = got.len().min(8);
        for (key, got, tolerance) in [
            ("norm", &[norm(got)][..], by_size),
            ("sum", &[got.iter().sum()], of_sum),
            ("first", &got[..ends], by_size),
            ("last", &got[got.len() - ends..], by_size),
        ] {
            let want = match &want[key] {
                Value::Number(_) => vec![files::number(want, key)?],
                _ => files::numbers(want, key)?,
            };
            self.close(&format!("{what}: {key}"), got, &want, tolerance);
        }
        Ok(())
    }

    /// Compares for equality.
    pub(crate) fn equal<T: PartialEq + Debug + ?Sized>(&mut self, what: &str, got: &T, want: &T) {
        self.require(got == want, || {
            format!("{what}: {} instead of {}", shown(got), shown(want))
        });
    }

    /// Counts a condition, and fails with `message` when it does not hold.
    pub(crate) fn require(&mut self, holds: bool, message: impl FnOnce() -> String) {
        self.compared += 1;
        if !holds {
            self.fail(message());
        }
    }

    /// Whether all held; nothing compared is a failure too.
    pub(crate) fn finish(self) -> Outcome {
        if self.compared == 0 {
            return Err("nothing was compared".into());
        }
        if self.failed == 0 {
            return Ok(());
        }
        let mut text = self.messages.join("\n");
        if self.failed > self.messages.len() {
            text += &format!("\nand {} more", self.failed - self.messages.len());
        }
        Err(text.into())
    }

    fn same_length(&mut self, what: &str, got: usize, want: usize) -> bool {
        self.require(got == want, || format!("{what}: {got} numbers instead of {want}"));
        got == want
    }

    fn fail(&mut self, message: String) {
        self.failed += 1;
        if self.messages.len() < SHOWN {
            self.messages.push(message);
        }
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn shown<T: Debug + ?Sized>(value: &T) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
