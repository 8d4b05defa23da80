//! The descriptor of a sampling op on the device: its layout, its draws, its rules.

use engine_core::ir::ops::sampling::{Contribution, OrderedSample, Parity, Quantiles};

/// No element.
const NONE: u32 = u32::MAX;
/// Elements of a sub-column and of a draw in a descriptor.
const SUB_COLUMN_LENGTH: usize = 13;
const DRAW_LENGTH: usize = 3;
/// Temperatures below this act as this, as in the rules of the core.
const LOWEST_TEMPERATURE: f32 = 1e-3;

/// First elements of a descriptor; `shaders/sampling/descriptor.wgsl` has a constant for each, of the same name and number.
#[derive(Debug, Clone, Copy)]
enum Header {
    SubColumns,
    Hidden,
    Widest,
    Flags,
    ProbsWidth,
    WeightsWidth,
    FirstUniform,
    FirstSubColumn,
    FirstDraw,
    Temperature,
    TopP,
    Parity,
    ParityTarget,
    SpanStart,
    SpanEnd,
    Length,
}

const HAS_CELLS: u32 = 1;
const HAS_UNIFORMS: u32 = 2;
const HAS_LOG_PROBS: u32 = 4;
const HAS_TEMPERATURE: u32 = 8;
const HAS_TOP_P: u32 = 16;

/// A sampling op as the kernel reads it, as one u32 buffer.
pub(super) struct SampleDescriptor {
    pub(super) elements: Vec<u32>,
}

impl SampleDescriptor {
    /// The descriptor of an op whose uniform numbers begin at an element of the input.
    pub(super) fn new(op: &OrderedSample, first_uniform: usize) -> Self {
        let mut descriptor = Self {
            elements: vec![0; Header::Length as usize],
        };
        descriptor.set(Header::SubColumns, op.model.sub_columns.len());
        descriptor.set(Header::Hidden, op.model.hidden);
        descriptor.set(Header::Widest, op.model.cardinalities.max_width());
        descriptor.set(Header::FirstUniform, first_uniform);
        let span = op.span(0);
        descriptor.set(Header::SpanStart, span.start);
        descriptor.set(Header::SpanEnd, span.end);
        descriptor.push_sub_columns(op);
        descriptor.push_draws(op);
        descriptor.set_rules(op);
        descriptor
    }

    fn set(&mut self, field: Header, value: usize) {
        self.elements[field as usize] = value as u32;
    }

    fn push_f32(&mut self, value: f32) {
        self.elements.push(value.to_bits());
    }

    fn push_sub_columns(&mut self, op: &OrderedSample) {
        let first = self.elements.len();
        self.set(Header::FirstSubColumn, first);
        let column = |requested: &[usize], s: usize| {
            let groups = op.requested_groups(requested);
            let at = requested.iter().position(|r| *r == s);
            at.map_or(NONE, |at| groups.offset(at) as u32)
        };
        for (s, sub) in op.model.sub_columns.iter().enumerate() {
            let [table, embedding, width] = match sub.contribution {
                Contribution::Table { offset } => [offset as u32, NONE, 0],
                Contribution::Factored {
                    embedding,
                    width,
                    offset,
                } => [offset as u32, embedding as u32, width as u32],
            };
            self.elements.extend([
                sub.cardinality as u32,
                sub.hidden.start as u32,
                sub.hidden.len() as u32,
                table,
                embedding,
                width,
                sub.head_weight as u32,
                sub.head_bias as u32,
                column(&op.requested.probs, s),
                column(&op.requested.weights, s),
                NONE,
                0,
                0,
            ]);
        }
        self.set(
            Header::ProbsWidth,
            op.requested_groups(&op.requested.probs).total(),
        );
        self.set(
            Header::WeightsWidth,
            op.requested_groups(&op.requested.weights).total(),
        );
    }

    /// The draws with the hidden units that those after them need.
    fn push_draws(&mut self, op: &OrderedSample) {
        let first = self.elements.len();
        self.set(Header::FirstDraw, first);
        self.elements.resize(first + DRAW_LENGTH * op.draws.len(), 0);
        // Backwards, so that each span extends the one after it.
        let mut span = 0..0;
        for (k, s) in op.draws.iter().enumerate().rev() {
            let draw = [*s as u32, span.start as u32, span.end as u32];
            self.elements[first + DRAW_LENGTH * k..][..DRAW_LENGTH].copy_from_slice(&draw);
            let own = &op.model.sub_columns[*s].hidden;
            span = if span.is_empty() {
                own.clone()
            } else {
                span.start.min(own.start)..span.end.max(own.end)
            };
        }
    }

    fn set_rules(&mut self, op: &OrderedSample) {
        let rules = &op.rules;
        let mut flags = 0;
        for (is_set, flag) in [
            (op.inputs.cells, HAS_CELLS),
            (op.inputs.uniforms, HAS_UNIFORMS),
            (op.requested.log_probs, HAS_LOG_PROBS),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        if let Some(t) = rules.temperature.filter(|t| *t != 1.0) {
            flags |= HAS_TEMPERATURE;
            let t = if t.is_nan() { t } else { t.max(LOWEST_TEMPERATURE) };
            self.elements[Header::Temperature as usize] = t.to_bits();
        }
        if let Some(p) = rules.top_p.filter(|p| *p < 1.0) {
            flags |= HAS_TOP_P;
            self.elements[Header::TopP as usize] = p.to_bits();
        }
        self.set(Header::Flags, flags as usize);
        for s in 0..op.model.sub_columns.len() {
            self.push_fixed(op, s);
        }
        self.elements[Header::ParityTarget as usize] = NONE;
        if let Some(parity) = &rules.parity {
            self.set(Header::ParityTarget, parity.target);
            self.push_parity(parity);
        }
    }

    /// The fixed probabilities of the codes of a sub-column, -1 where a code is open; the last entry of a code counts.
    fn push_fixed(&mut self, op: &OrderedSample, s: usize) {
        let fixed = op.rules.fixed_of(s);
        if fixed.is_empty() {
            return;
        }
        let mut dense = vec![-1.0f32; op.model.sub_columns[s].cardinality];
        for f in fixed {
            if let Some(to) = dense.get_mut(f.code as usize) {
                *to = f.probability;
            }
        }
        let total: f32 = fixed.iter().map(|f| f.probability).sum();
        let all_forbidden = total == 0.0 && dense.iter().all(|p| *p >= 0.0);
        let at = self.elements[Header::FirstSubColumn as usize] as usize + SUB_COLUMN_LENGTH * s;
        let first = self.elements.len() as u32;
        self.elements[at + 10..at + 13].copy_from_slice(&[first, total.to_bits(), u32::from(all_forbidden)]);
        dense.into_iter().for_each(|p| self.push_f32(p));
    }

    /// Groups, sensitive sub-columns, codes of each group, then pieces of the quantile maps by group and code.
    fn push_parity(&mut self, parity: &Parity) {
        let first = self.elements.len();
        self.set(Header::Parity, first);
        let Parity {
            sensitive,
            groups,
            marginal,
            by_group,
            ..
        } = parity;
        self.elements
            .extend([groups.len() as u32, sensitive.len() as u32]);
        self.elements.extend(sensitive.iter().map(|s| *s as u32));
        self.elements.extend(groups.iter().flatten());
        for group in by_group {
            for (from, to) in group.iter().zip(marginal) {
                self.push_pieces(from, to);
            }
        }
    }

    /// Pieces between knots: the first knot in two parts, because their differences need more digits than one f32 has; the
    /// value there; the slope.
    fn push_pieces(&mut self, from: &Quantiles, to: &Quantiles) {
        for (x, y) in from.values().windows(2).zip(to.values().windows(2)) {
            let high = x[0] as f32;
            self.push_f32(high);
            self.push_f32((x[0] - f64::from(high)) as f32);
            self.push_f32(y[0] as f32);
            self.push_f32(((y[1] - y[0]) / (x[1] - x[0] + 1e-10)) as f32);
        }
    }
}
