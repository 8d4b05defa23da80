//! Seeded random test data: values, codes, permutations, ragged widths. A seed and the order of the calls decide everything.

use super::case::{CaseRows, Setup};
use crate::backend::Run;
use crate::ir::Groups;
use crate::random::{Purpose, Stream, uniform_f32};

/// A seeded source of test data.
#[derive(Debug)]
pub(super) struct RandomData {
    stream: Stream,
    next: u32,
    /// The seed, for the name of a case.
    pub(super) seed: u64,
}

impl RandomData {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            stream: Stream::new(seed, Purpose::Test, 0),
            next: 0,
            seed,
        }
    }

    fn word(&mut self) -> u32 {
        self.next += 1;
        self.stream.block(0, self.next, 0)[0]
    }

    /// An integer in `0..bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u64::from(self.word()) * bound as u64) >> 32) as usize
    }

    /// An integer in `low..=high`.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// A number in [0, 1).
    pub(super) fn unit(&mut self) -> f32 {
        uniform_f32(self.word())
    }

    /// A number in [-1, 1).
    pub(super) fn symmetric(&mut self) -> f32 {
        2.0 * self.unit() - 1.0
    }

    /// `len` uniform values in `[-scale, scale)`.
    pub(super) fn uniform(&mut self, len: usize, scale: f32) -> Vec<f32> {
        (0..len).map(|_| scale * self.symmetric()).collect()
    }

    /// `rows` rows of codes below the cardinalities, row-major.
    pub(super) fn codes(&mut self, rows: usize, cardinalities: &[usize]) -> Vec<u32> {
        (0..rows)
            .flat_map(|_| cardinalities)
            .map(|v| self.below(*v) as u32)
            .collect()
    }

    /// A permutation of `0..len`.
    pub(super) fn permutation(&mut self, len: usize) -> Vec<u32> {
        let mut items: Vec<u32> = (0..len as u32).collect();
        for i in (1..len).rev() {
            items.swap(i, self.below(i + 1));
        }
        items
    }

    /// Between 1 and `max_count` widths, each between 1 and `widest`.
    pub(super) fn widths(&mut self, max_count: usize, widest: usize) -> Vec<usize> {
        (0..self.between(1, max_count))
            .map(|_| self.between(1, widest))
            .collect()
    }
}

/// Time lengths of the cases with time.
pub(super) const TIMES: [usize; 3] = [1, 3, 17];

/// Rows and ragged widths of one case.
#[derive(Debug, Clone)]
pub(super) struct Ragged {
    /// What is special about it.
    pub(super) label: String,
    /// Widths of the groups.
    pub(super) widths: Vec<usize>,
    /// Rows of its values.
    pub(super) extent: CaseRows,
}

impl Ragged {
    pub(super) fn groups(&self) -> Groups {
        Groups::from_widths(self.widths.iter().copied())
    }

    /// Rows of a matrix of this shape.
    pub(super) fn rows(&self) -> usize {
        self.extent.rows()
    }

    /// A run of one step.
    pub(super) fn run(&self) -> Run {
        self.extent.run()
    }

    /// A case of an op over these rows.
    pub(super) fn setup(&self, op: &'static str) -> Setup {
        Setup::over(op, self.extent.symbol())
    }

    /// Elements of a matrix of this shape.
    pub(super) fn len(&self) -> usize {
        self.rows() * self.widths.iter().sum::<usize>()
    }
}

/// The shapes that every op meets, without time and with it: no row and one row, one group, width one, a very wide group among narrow ones, offsets and rows
/// that are no multiple of a vector width or a block, and some random ones.
pub(super) fn ragged(random: &mut RandomData) -> Vec<Ragged> {
    let named: [(&str, &[usize], usize); 9] = [
        ("no rows", &[3, 1, 7], 0),
        ("one row", &[3, 1, 7], 1),
        ("width one", &[1], 33),
        ("one group", &[19], 31),
        ("a wide group", &[3, 1, 700, 2], 33),
        ("a wide group, one row", &[3, 1, 700, 2], 1),
        ("odd offsets", &[7, 9, 1, 13, 5], 64),
        ("many groups of width one", &[1; 17], 100),
        ("whole vectors", &[16, 8, 24], 100),
    ];
    let mut shapes: Vec<Ragged> = named
        .into_iter()
        .map(|(label, widths, rows)| Ragged {
            label: label.to_owned(),
            widths: widths.to_vec(),
            extent: CaseRows::flat(rows),
        })
        .collect();
    for i in 0..4 {
        let widths = random.widths(12, 40);
        let rows = random.between(2, 70);
        shapes.push(Ragged {
            label: format!("random {i}"),
            widths,
            extent: CaseRows::flat(rows),
        });
    }
    let timed: [(&[usize], usize, usize); 7] = [
        (&[7, 9, 1, 13, 5], 35, TIMES[0]),
        (&[3, 1, 70, 2], 11, TIMES[1]),
        (&[1], 7, TIMES[1]),
        (&[16, 8, 24], 5, TIMES[2]),
        (&[3, 1, 7], 1, TIMES[2]),
        (&[3, 1, 7], 0, TIMES[1]),
        (&[3, 1, 7], 4, 0),
    ];
    shapes.extend(timed.into_iter().map(|(widths, batch, time)| Ragged {
        label: format!("{batch} rows, time length {time}"),
        widths: widths.to_vec(),
        extent: CaseRows::timed(batch, time),
    }));
    shapes
}
