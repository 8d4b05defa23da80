//! Drawing rows from folded models.

use std::sync::Arc;

use crate::argn::Model as _;
use crate::backend::Run;
use crate::conformance::case::{Case, CaseError, CaseRows, Rule, Setup};
use crate::conformance::models::small;
use crate::conformance::random_data::{RandomData, TIMES};
use crate::ir::ops::sampling::{
    Cell, FixedProbability, FoldedModel, OrderedSample, Parity, Quantiles, RequestedOutputs, SampleInputs,
    SamplingRules,
};
use crate::ir::{Groups, fold_tables, lay_out};

/// Elements of the largest full table: all tables full, or all that can be factored.
const BUDGETS: [usize; 2] = [usize::MAX, 0];

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(101);
    let mut cases = Vec::new();
    for model in small()? {
        for budget in BUDGETS {
            let layout = model.order(random);
            let source = model.flat.fold_source();
            let folded = Arc::new(lay_out(&source, &layout, budget)?);
            let params = model.params(random.seed);
            let label = format!(
                "{}, {} tables, seed {}",
                model.label,
                if budget == 0 { "factored" } else { "full" },
                random.seed
            );
            let draws = Draws {
                folded: &folded,
                layout: folded.sub_columns_of(&layout),
                other: folded.sub_columns_of(&model.order(random)),
                arena: fold_tables(&source, &folded, &params, |x| x as f32)?,
                label,
            };
            draws.push_cases(random, &mut cases)?;
        }
    }
    Ok(cases)
}

/// A folded model to draw from.
struct Draws<'a> {
    folded: &'a Arc<FoldedModel>,
    /// Sub-columns in the order of the hidden units, and in another one.
    layout: Vec<usize>,
    other: Vec<usize>,
    arena: Vec<f32>,
    label: String,
}

/// What is special about a case of drawing.
struct Special {
    name: &'static str,
    rules: SamplingRules,
    cells: bool,
    uniforms: bool,
    requested: RequestedOutputs,
    draws: Vec<usize>,
    extent: CaseRows,
    /// Factor of all elements of the folded arena.
    scale: f32,
}

impl Draws<'_> {
    fn push_cases(&self, random: &mut RandomData, cases: &mut Vec<Case>) -> Result<(), CaseError> {
        for special in self
            .plain()
            .into_iter()
            .chain(self.subsets())
            .chain(self.timed())
            .chain(self.ruled(random))
        {
            cases.push(self.case(random, special)?);
        }
        Ok(())
    }

    /// All sub-columns in the order of the layout, everything requested.
    fn special(&self, name: &'static str, cells: bool, uniforms: bool, rows: usize) -> Special {
        Special {
            name,
            rules: SamplingRules::default(),
            cells,
            uniforms,
            requested: RequestedOutputs::all(self.layout.len()),
            draws: self.layout.clone(),
            extent: CaseRows::flat(rows),
            scale: 1.0,
        }
    }

    fn plain(&self) -> Vec<Special> {
        let silent = RequestedOutputs::default;
        vec![
            self.special("no rules", false, false, 33),
            self.special("no rows", false, false, 0),
            Special {
                requested: silent(),
                ..self.special("one row", false, false, 1)
            },
            Special {
                requested: silent(),
                ..self.special("nothing requested", false, false, 100)
            },
            Special {
                scale: 20.0,
                ..self.special("extreme logits", true, true, 31)
            },
            self.special("cells and uniforms", true, true, 64),
            self.special("cells", true, false, 31),
            self.special("uniforms", false, true, 33),
        ]
    }

    /// Other orders, fewer draws, fewer requested outputs.
    fn subsets(&self) -> Vec<Special> {
        let count = self.layout.len();
        let half = self.other[count / 2..].to_vec();
        vec![
            Special {
                draws: self.other.clone(),
                ..self.special("another order", true, true, 65)
            },
            Special {
                draws: self.other.clone(),
                requested: RequestedOutputs {
                    log_probs: true,
                    ..RequestedOutputs::default()
                },
                ..self.special("logarithms alone", true, true, 33)
            },
            Special {
                requested: RequestedOutputs {
                    probs: half.clone(),
                    ..RequestedOutputs::default()
                },
                draws: half.clone(),
                ..self.special("half of the draws", true, true, 33)
            },
            Special {
                requested: RequestedOutputs {
                    weights: vec![half[0]],
                    ..RequestedOutputs::default()
                },
                draws: vec![half[0]],
                ..self.special("one draw", true, true, 33)
            },
            Special {
                draws: Vec::new(),
                requested: RequestedOutputs::default(),
                ..self.special("no draws", true, false, 33)
            },
        ]
    }

    /// Sequences, whose draws have addresses with time.
    fn timed(&self) -> Vec<Special> {
        let of = |name, cells, uniforms, batch, time| Special {
            extent: CaseRows::timed(batch, time),
            ..self.special(name, cells, uniforms, 0)
        };
        vec![
            of("cells, time length 1", true, false, 9, TIMES[0]),
            of("cells, time length 3", true, false, 11, TIMES[1]),
            of("cells, time length 17", true, false, 3, TIMES[2]),
            of("uniforms, time length 3", false, true, 7, TIMES[1]),
        ]
    }

    fn ruled(&self, random: &mut RandomData) -> Vec<Special> {
        let none = SamplingRules::default;
        let cards = &self.folded.cardinalities;
        let tempered = |t| SamplingRules {
            temperature: Some(t),
            ..none()
        };
        let cut = SamplingRules {
            top_p: Some(0.8),
            ..none()
        };
        let fixed = SamplingRules {
            fixed: fixed(random, cards),
            ..none()
        };
        let all = SamplingRules {
            temperature: Some(1.3),
            top_p: Some(0.95),
            ..fixed.clone()
        };
        let mut specials = vec![
            (self.special("temperature", false, true, 33), tempered(0.7)),
            (self.special("nearly greedy", false, true, 33), tempered(0.0)),
            (self.special("top-p", false, false, 33), cut),
            (self.special("fixed codes", true, false, 33), fixed),
            (self.special("all rules", false, false, 100), all),
        ];
        if self.layout.len() > 1 {
            let parity = SamplingRules {
                parity: Some(Arc::new(parity(random, cards, &self.layout))),
                ..none()
            };
            specials.push((self.special("parity", true, true, 65), parity));
        }
        specials
            .into_iter()
            .map(|(special, rules)| Special { rules, ..special })
            .collect()
    }

    fn case(&self, random: &mut RandomData, special: Special) -> Result<Case, CaseError> {
        let cards: Vec<usize> = self.folded.cardinalities.widths().collect();
        let (rows, count) = (special.extent.rows(), cards.len());
        let run = Run {
            first_row: [0, 1 << 33][count % 2],
            steps: 1 + rows as u32 % 2,
            ..special.extent.run()
        };
        let label = format!("{}, {}, {rows} rows", self.label, special.name);
        let mut setup = Setup::over("ordered_sample", special.extent.symbol());
        let arena = self.arena.iter().map(|x| special.scale * x).collect();
        let inputs = SampleInputs {
            cells: special.cells,
            uniforms: special.uniforms,
        };
        let op = OrderedSample {
            folded: setup.f32_buffer("folded", arena)?,
            model: Arc::clone(self.folded),
            draws: special.draws.into(),
            rules: Arc::new(special.rules),
            inputs,
            requested: special.requested,
        };
        let mut values = Vec::new();
        if inputs.cells {
            let words = self.cells(random, rows, &cards);
            values.push(setup.codes("cells", count, words)?);
        }
        if inputs.uniforms {
            let uniforms = (0..rows * count).map(|_| random.unit()).collect();
            values.push(setup.value("uniforms", &Groups::ones(count), uniforms)?);
        }
        let mut case = setup.finish(op.clone(), &values, run, label)?;
        case.rule = Rule::Draws(op);
        Ok(case)
    }

    /// Cells of all kinds, each row in its own pattern, columns as a whole; every fourth row is teacher-forced, every seventh observed.
    fn cells(&self, random: &mut RandomData, rows: usize, cards: &[usize]) -> Vec<u32> {
        let mut words = random.codes(rows, cards);
        for (b, row) in words.chunks_exact_mut(cards.len()).enumerate() {
            let mut kind = 0;
            for (s, word) in row.iter_mut().enumerate() {
                let first =
                    s == 0 || self.folded.sub_columns[s].column != self.folded.sub_columns[s - 1].column;
                if first {
                    kind = match b {
                        b if b % 4 == 0 => 1,
                        b if b % 7 == 6 => 2,
                        _ => random.below(4),
                    };
                }
                let cell = match kind {
                    1 => Cell::TeacherForced(*word),
                    2 => Cell::Observed(*word),
                    3 => Cell::Masked,
                    _ => Cell::Sampled,
                };
                *word = cell.to_bits();
            }
        }
        words
    }
}

/// Parity of the last draw over groups of the first one.
fn parity(random: &mut RandomData, cards: &Groups, draws: &[usize]) -> Parity {
    let (sensitive, target) = (draws[0], draws[draws.len() - 1]);
    let groups: Vec<Vec<u32>> = (0..cards.width(sensitive).min(3) as u32)
        .map(|code| vec![code])
        .collect();
    let mut knots = || {
        let low = 0.3 * f64::from(random.unit());
        Quantiles::of((0..=50).map(|i| low + f64::from(i) / 80.0).collect())
    };
    let mut of_codes = || (0..cards.width(target)).map(|_| knots()).collect::<Vec<_>>();
    Parity {
        target,
        sensitive: vec![sensitive],
        marginal: of_codes(),
        by_group: groups.iter().map(|_| of_codes()).collect(),
        groups,
    }
}

/// Fixed codes for every other sub-column: forbidden ones, set ones, both, and all codes forbidden.
fn fixed(random: &mut RandomData, cardinalities: &Groups) -> Vec<Vec<FixedProbability>> {
    let of = |code: usize, probability| FixedProbability {
        code: code as u32,
        probability,
    };
    cardinalities
        .widths()
        .enumerate()
        .map(|(s, v)| match s % 5 {
            1 => vec![of(random.below(v), 0.0)],
            2 => vec![of(0, 0.3)],
            3 => vec![of(0, 0.0), of(v - 1, 0.5)],
            4 => (0..v).map(|code| of(code, 0.0)).collect(),
            _ => Vec::new(),
        })
        .collect()
}
