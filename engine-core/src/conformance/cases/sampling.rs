//! Folding a model, and drawing rows from it.

use std::sync::Arc;

use crate::backend::Run;
use crate::conformance::case::{Case, CaseError, Rule, Setup, rows};
use crate::conformance::dice::Dice;
use crate::conformance::models::{Model, small};
use crate::ir::ops::sampling::{
    FixedProbability, FoldSource, FoldTables, FoldedModel, GIVEN_NOTHING, OrderedSample, SampleInputs,
    SamplingRules,
};
use crate::ir::{Groups, fold_inference};

/// Elements of the largest full table: all tables full, or all that can be factored.
const BUDGETS: [usize; 2] = [usize::MAX, 0];

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let dice = &mut Dice::new(101);
    let mut cases = Vec::new();
    for model in small()? {
        for budget in BUDGETS {
            let order = model.order(dice);
            let source = source(&model, &order)?;
            let folded = Arc::new(FoldedModel::new(&source, &order, budget));
            let label = format!(
                "{}, {} tables, seed {}",
                model.label,
                if budget == 0 { "factored" } else { "full" },
                dice.seed
            );
            let fold = fold_case(&model, source, &folded, label.clone(), dice.seed)?;
            let draws = Draws {
                folded: &folded,
                arena: fold.reference_numbers(1)?,
                label,
            };
            cases.push(fold);
            draws.push_cases(dice, &mut cases)?;
        }
    }
    Ok(cases)
}

/// The layers of a model as folding finds them.
fn source(model: &Model, order: &[usize]) -> Result<FoldSource, CaseError> {
    let forward = model.flat.forward()?;
    let folded = fold_inference(
        &forward,
        order,
        SamplingRules::default(),
        SampleInputs::default(),
        false,
    )?;
    let node = &folded.prepare.nodes()[0];
    let tables = node.op.as_any().downcast_ref::<FoldTables>();
    let tables = tables.unwrap_or_else(|| unreachable!("folding begins with its tables"));
    Ok(tables.source.clone())
}

fn fold_case(
    model: &Model,
    source: FoldSource,
    folded: &Arc<FoldedModel>,
    label: String,
    seed: u64,
) -> Result<Case, CaseError> {
    let mut setup = Setup::new("fold_tables");
    let op = FoldTables {
        params: setup.arena("params", model.flat.layout(), model.params(seed))?,
        folded: setup.numbers("folded", vec![0.5; folded.len])?,
        source,
        model: Arc::clone(folded),
    };
    Ok(setup.finish(op, &[], rows(1), label)?)
}

/// A folded model to draw from.
struct Draws<'a> {
    folded: &'a Arc<FoldedModel>,
    arena: Vec<f32>,
    label: String,
}

impl Draws<'_> {
    fn push_cases(&self, dice: &mut Dice, cases: &mut Vec<Case>) -> Result<(), CaseError> {
        let inputs = |given, uniforms| SampleInputs { given, uniforms };
        let none = SamplingRules::default;
        let count = self.folded.cardinalities.len();
        let tempered = SamplingRules {
            temperature: Some(0.7),
            ..none()
        };
        let greedy = SamplingRules {
            temperature: Some(0.0),
            ..none()
        };
        let cut = SamplingRules {
            top_p: Some(0.8),
            ..none()
        };
        let fixed = SamplingRules {
            fixed: fixed(dice, &self.folded.cardinalities),
            ..none()
        };
        let all = SamplingRules {
            temperature: Some(1.3),
            top_p: Some(0.95),
            ..fixed.clone()
        };
        for (name, rules, inputs, report, batch, scale) in [
            ("no rules", none(), inputs(false, false), true, 33, 1.0),
            ("no rows", none(), inputs(false, false), true, 0, 1.0),
            ("one row", none(), inputs(false, false), false, 1, 1.0),
            ("no report", none(), inputs(false, false), false, 100, 1.0),
            ("extreme logits", none(), inputs(true, true), true, 31, 20.0),
            ("given and uniforms", none(), inputs(true, true), true, 64, 1.0),
            ("given", none(), inputs(true, false), true, 31, 1.0),
            ("uniforms", none(), inputs(false, true), true, 33, 1.0),
            ("temperature", tempered, inputs(false, true), true, 33, 1.0),
            ("nearly greedy", greedy, inputs(false, true), true, 33, 1.0),
            ("top-p", cut, inputs(false, false), true, 33, 1.0),
            ("fixed codes", fixed, inputs(true, false), true, 33, 1.0),
            ("all rules", all, inputs(false, false), true, 100, 1.0),
        ] {
            let run = Run {
                first_row: [0, 1 << 33][count % 2],
                steps: 1 + batch as u32 % 2,
                ..rows(batch)
            };
            let label = format!("{}, {name}, {batch} rows", self.label);
            cases.push(self.case(dice, rules, inputs, report, run, scale, label)?);
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn case(
        &self,
        dice: &mut Dice,
        rules: SamplingRules,
        inputs: SampleInputs,
        report: bool,
        run: Run,
        scale: f32,
        label: String,
    ) -> Result<Case, CaseError> {
        let cards: Vec<usize> = self.folded.cardinalities.widths().collect();
        let (rows, count) = (run.rows as usize, cards.len());
        let mut setup = Setup::new("ordered_sample");
        let arena = self.arena.iter().map(|x| scale * x).collect();
        let op = OrderedSample {
            folded: setup.numbers("folded", arena)?,
            model: Arc::clone(self.folded),
            rules: Arc::new(rules),
            inputs,
            report,
        };
        let mut values = Vec::new();
        if inputs.given {
            let mut given = dice.codes(rows, &cards);
            // A third is drawn, and every fourth row is given as a whole.
            for (i, code) in given.iter_mut().enumerate() {
                if i % 3 == 0 && (i / count) % 4 != 0 {
                    *code = GIVEN_NOTHING;
                }
            }
            values.push(setup.codes("given", count, given)?);
        }
        if inputs.uniforms {
            let uniforms = (0..rows * count).map(|_| dice.uniform()).collect();
            values.push(setup.value("uniforms", &Groups::ones(count), uniforms)?);
        }
        let mut case = setup.finish(op.clone(), &values, run, label)?;
        case.rule = Rule::Draws(op);
        Ok(case)
    }
}

/// Fixed codes for every other sub-column: forbidden ones, set ones, both, and all codes forbidden.
fn fixed(dice: &mut Dice, cardinalities: &Groups) -> Vec<Vec<FixedProbability>> {
    let of = |code: usize, probability| FixedProbability {
        code: code as u32,
        probability,
    };
    cardinalities
        .widths()
        .enumerate()
        .map(|(s, v)| match s % 5 {
            1 => vec![of(dice.below(v), 0.0)],
            2 => vec![of(0, 0.3)],
            3 => vec![of(0, 0.0), of(v - 1, 0.5)],
            4 => (0..v).map(|code| of(code, 0.0)).collect(),
            _ => Vec::new(),
        })
        .collect()
}
