//! Launches of `sampling.cu`.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use engine_core::ir::ops::sampling::{Contribution, OrderedSample, SamplingRules};
use engine_core::ir::{Groups, Op};

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

/// Rows that a block draws, one per lane.
const SAMPLE_ROWS: usize = 32;
/// Distance of two codes of one row.
const COLUMN: usize = 33;
/// Codes of the widest sub-column that is drawn in registers.
const NARROW: usize = 128;
/// Threads of a block.
const SAMPLE_THREADS: u32 = 512;
/// A sub-column that is not requested, a draw without parity.
const NONE: u32 = u32::MAX;
/// Blocks of a launch on each multiprocessor; they go on to further rows.
const BLOCKS: usize = 4;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SampleSubColumn {
    cardinality: u32,
    hidden: u32,
    units: u32,
    factored: u32,
    table: u32,
    embedding: u32,
    width: u32,
    head_weight: u32,
    head_bias: u32,
    probs: u32,
    weights: u32,
    fixed: u32,
    fixed_count: u32,
    plain: u32,
}
layout!(SampleSubColumn, 56);

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SampleDraw {
    sub: u32,
    first: u32,
    end: u32,
    reserved: u32,
}
layout!(SampleDraw, 16);

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FixedProbability {
    code: u32,
    probability: f32,
}
layout!(FixedProbability, 8);

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Rules {
    temperature: f32,
    top_p: f32,
    parity_target: u32,
    group_count: u32,
    sensitive_count: u32,
    reserved: u32,
    sensitive: u64,
    groups: u64,
    marginal: u64,
    by_group: u64,
    fixed: u64,
}
layout!(Rules, 64);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct OrderedSampleArgs {
    folded: u64,
    subs: u64,
    draws: u64,
    cells: u64,
    uniforms: u64,
    steps: u64,
    codes: u64,
    probs: u64,
    weights: u64,
    log_probs: u64,
    hidden_scratch: u64,
    probs_scratch: u64,
    fault: u64,
    rules: Rules,
    rows: u32,
    count: u32,
    draw_count: u32,
    hidden: u32,
    first: u32,
    end: u32,
    probs_width: u32,
    weights_width: u32,
    widest: u32,
    with_odds: u32,
}
layout!(OrderedSampleArgs, 208);

/// Where a block keeps its hidden units and probabilities: in global memory, or in shared memory where the address is 0.
#[derive(Debug, Clone, Copy)]
struct BlockScratch {
    hidden_scratch: DevicePtr,
    probs_scratch: DevicePtr,
    shared: u32,
    max_blocks: u32,
}

#[derive(Debug)]
struct Draws {
    op: OrderedSample,
    subs: DevicePtr,
    draws: DevicePtr,
    rules: Rules,
    span: Range<usize>,
    block_scratch: BlockScratch,
    with_odds: bool,
}

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    let Some(op) = as_op::<OrderedSample>(op) else {
        return Ok(None);
    };
    let rules = rules(&op.rules, context)?;
    let with_odds = op.rules.fixed.iter().any(|f| !f.is_empty());
    let (draws, span) = draws(&op);
    Ok(Some(Box::new(Draws {
        subs: context.constants(&sub_columns(&op))?,
        draws: context.constants(&draws)?,
        block_scratch: block_scratch(&op, with_odds, context)?,
        op,
        rules,
        span,
        with_odds,
    })))
}

/// Each draw with the hidden units that later ones need, and those that any needs.
fn draws(op: &OrderedSample) -> (Vec<SampleDraw>, Range<usize>) {
    let mut later = 0..0;
    let mut draws = Vec::with_capacity(op.draws.len());
    for s in op.draws.iter().rev() {
        draws.push(SampleDraw {
            sub: *s as u32,
            first: later.start as u32,
            end: later.end as u32,
            reserved: 0,
        });
        let own = op.model.sub_columns[*s].hidden.clone();
        later = if later.is_empty() {
            own
        } else {
            later.start.min(own.start)..later.end.max(own.end)
        };
    }
    draws.reverse();
    (draws, later)
}

/// Column of each sub-column in a requested output.
fn columns_of(requested: &[usize], groups: &Groups, sub_columns: usize) -> Vec<u32> {
    let mut columns = vec![NONE; sub_columns];
    for (i, s) in requested.iter().enumerate() {
        columns[*s] = groups.offset(i) as u32;
    }
    columns
}

fn sub_columns(op: &OrderedSample) -> Vec<SampleSubColumn> {
    let count = op.model.sub_columns.len();
    let column = |requested: &[usize]| columns_of(requested, &op.requested_groups(requested), count);
    let (probs, weights) = (column(&op.requested.probs), column(&op.requested.weights));
    let mut fixed = 0;
    let mut sub_column = |s: usize| {
        let sub = &op.model.sub_columns[s];
        let fixed_count = op.rules.fixed_of(s).len() as u32;
        let (factored, table, embedding, width) = match sub.contribution {
            Contribution::Table { offset } => (0, offset, 0, 0),
            Contribution::Factored {
                embedding,
                width,
                offset,
            } => (1, offset, embedding, width),
        };
        let entry = SampleSubColumn {
            cardinality: sub.cardinality as u32,
            hidden: sub.hidden.start as u32,
            units: sub.hidden.len() as u32,
            factored,
            table: table as u32,
            embedding: embedding as u32,
            width: width as u32,
            head_weight: sub.head_weight as u32,
            head_bias: sub.head_bias as u32,
            probs: probs[s],
            weights: weights[s],
            fixed,
            fixed_count,
            plain: u32::from(
                sub.cardinality <= NARROW
                    && probs[s] == NONE
                    && weights[s] == NONE
                    && op.rules.only_forbids(s),
            ),
        };
        fixed += fixed_count;
        entry
    };
    (0..count).map(&mut sub_column).collect()
}

fn rules(rules: &SamplingRules, context: &mut CompileContext<'_>) -> Result<Rules, CudaError> {
    let fixed: Vec<FixedProbability> = rules
        .fixed
        .iter()
        .flatten()
        .map(|f| FixedProbability {
            code: f.code,
            probability: f.probability,
        })
        .collect();
    let mut packed = Rules {
        temperature: rules.temperature.unwrap_or(1.0),
        top_p: rules.top_p.unwrap_or(1.0),
        parity_target: NONE,
        group_count: 0,
        sensitive_count: 0,
        reserved: 0,
        sensitive: 0,
        groups: 0,
        marginal: 0,
        by_group: 0,
        fixed: context.constants(&fixed)?,
    };
    let Some(parity) = &rules.parity else {
        return Ok(packed);
    };
    let sensitive: Vec<u32> = parity.sensitive.iter().map(|s| *s as u32).collect();
    let groups: Vec<u32> = parity.groups.iter().flatten().copied().collect();
    let quantiles = |of: &mut dyn Iterator<Item = &engine_core::ir::ops::sampling::Quantiles>| {
        of.flat_map(|k| k.values().to_vec()).collect::<Vec<f64>>()
    };
    packed.parity_target = parity.target as u32;
    packed.group_count = parity.groups.len() as u32;
    packed.sensitive_count = sensitive.len() as u32;
    packed.sensitive = context.constants(&sensitive)?;
    packed.groups = context.constants(&groups)?;
    packed.marginal = context.constants(&quantiles(&mut parity.marginal.iter()))?;
    packed.by_group = context.constants(&quantiles(&mut parity.by_group.iter().flatten()))?;
    Ok(packed)
}

/// Hidden units and probabilities lie in shared memory where they fit, else in global memory.
fn block_scratch(
    op: &OrderedSample,
    with_odds: bool,
    context: &mut CompileContext<'_>,
) -> Result<BlockScratch, CudaError> {
    let element = size_of::<f32>();
    let hidden = SAMPLE_ROWS * (op.model.hidden | 1) * element;
    let probs = op.model.cardinalities.max_width() * COLUMN * element * if with_odds { 2 } else { 1 };
    let limit = context.info.shared_per_block as usize;
    let (hidden_shared, probs_shared) = (hidden + probs <= limit || hidden <= limit / 2, true);
    let left = limit - if hidden_shared { hidden } else { 0 };
    let probs_shared = probs_shared && probs <= left;
    let blocks = context.max_rows.div_ceil(SAMPLE_ROWS);
    let max_blocks = blocks.min(BLOCKS * context.info.multiprocessors as usize).max(1);
    let mut outside = |inside: bool, bytes: usize| {
        if inside {
            Ok(0)
        } else {
            context.scratch(max_blocks * bytes)
        }
    };
    Ok(BlockScratch {
        hidden_scratch: outside(hidden_shared, hidden)?,
        probs_scratch: outside(probs_shared, probs)?,
        shared: (if hidden_shared { hidden } else { 0 } + if probs_shared { probs } else { 0 }) as u32,
        max_blocks: max_blocks as u32,
    })
}

impl CudaKernel for Draws {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let (op, scratch) = (&self.op, &self.block_scratch);
        let input = |i: Option<usize>| i.map_or(0, |i| cx.input(i));
        let names = op.requested.names();
        let output = |name: &str| {
            let at = names.iter().position(|n| *n == name);
            at.map_or((0, 0), |i| (cx.output(i), cx.width(i)))
        };
        let ((probs, probs_width), (weights, weights_width)) = (output("probs"), output("weights"));
        let args = OrderedSampleArgs {
            folded: cx.f32(op.folded),
            subs: self.subs,
            draws: self.draws,
            cells: input(op.cells_input()),
            uniforms: input(op.uniforms_input()),
            steps: cx.steps,
            codes: cx.output(0),
            probs,
            weights,
            log_probs: output("log_probs").0,
            hidden_scratch: scratch.hidden_scratch,
            probs_scratch: scratch.probs_scratch,
            fault: cx.fault,
            rules: self.rules,
            rows: cx.rows(),
            count: op.model.cardinalities.len() as u32,
            draw_count: op.draws.len() as u32,
            hidden: op.model.hidden as u32,
            first: self.span.start as u32,
            end: self.span.end as u32,
            probs_width,
            weights_width,
            widest: op.model.cardinalities.max_width() as u32,
            with_odds: u32::from(self.with_odds),
        };
        let blocks = cx.rows().div_ceil(SAMPLE_ROWS as u32).min(scratch.max_blocks);
        launches.push_with_shared(
            "ordered_sample",
            [blocks, 1, 1],
            SAMPLE_THREADS,
            scratch.shared,
            &args,
        );
    }

    fn cardinality(&self, sub_column: usize) -> Option<usize> {
        self.op.model.sub_columns.get(sub_column).map(|s| s.cardinality)
    }
}
