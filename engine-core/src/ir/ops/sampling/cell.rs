//! What is given of a cell before its row is drawn, as one word.

/// What is given of one sub-column of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cell {
    /// Nothing: its code is drawn at its turn, and seen from then on.
    #[default]
    Drawn,
    /// Nothing, and nothing is asked: it is neither drawn nor ever seen.
    Hidden,
    /// Its code is taken, in place of a draw, at its turn, and seen from then on.
    Given(u32),
    /// Its code is known and seen by all other columns from the start, whatever the order. The sub-columns of a column should be
    /// known together: a sub-column alone would be seen without its siblings.
    Known(u32),
}

impl Cell {
    const DRAWN: u32 = u32::MAX;
    const HIDDEN: u32 = u32::MAX - 1;
    const KNOWN: u32 = 1 << 31;
    /// Codes lie below this.
    pub const CODES: u32 = (1 << 31) - 2;

    /// The cell as an input of the draw. Codes from [`Self::CODES`] on, which no model has, come out as others.
    #[inline]
    pub fn word(self) -> u32 {
        match self {
            Self::Drawn => Self::DRAWN,
            Self::Hidden => Self::HIDDEN,
            Self::Given(code) => code.min(Self::CODES),
            Self::Known(code) => Self::KNOWN | code.min(Self::CODES - 1),
        }
    }

    /// The cell of a word.
    #[inline]
    pub fn from_word(word: u32) -> Self {
        match word {
            Self::DRAWN => Self::Drawn,
            Self::HIDDEN => Self::Hidden,
            word if word >= Self::KNOWN => Self::Known(word & !Self::KNOWN),
            word => Self::Given(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cells() {
        for cell in [
            Cell::Drawn,
            Cell::Hidden,
            Cell::Given(0),
            Cell::Given(70_000),
            Cell::Given(Cell::CODES),
            Cell::Known(0),
            Cell::Known(70_000),
            Cell::Known(Cell::CODES - 1),
        ] {
            assert_eq!(Cell::from_word(cell.word()), cell);
        }
    }
}
