//! The state of a cell before its row is drawn, packed into 32 bits.

/// The state of one sub-column of one row in ancestral sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cell {
    /// Its code is drawn at its step; later draws are conditioned on it.
    #[default]
    Sampled,
    /// It is not drawn, and no draw is conditioned on it.
    Masked,
    /// Its step takes this code in place of a draw; later draws are conditioned on it.
    TeacherForced(u32),
    /// Its code is known: all draws of other columns are conditioned on it, whatever the column order. The sub-columns of a column
    /// should be observed together: draws would be conditioned on a single one without its siblings.
    Observed(u32),
}

impl Cell {
    const SAMPLED: u32 = u32::MAX;
    const MASKED: u32 = u32::MAX - 1;
    const OBSERVED: u32 = 1 << 31;
    /// Codes lie below this.
    pub const CODES: u32 = (1 << 31) - 2;

    /// The cell as an element of the input `cells`. Codes from [`Self::CODES`] on, which no model has, are clamped.
    #[inline]
    pub fn to_bits(self) -> u32 {
        match self {
            Self::Sampled => Self::SAMPLED,
            Self::Masked => Self::MASKED,
            Self::TeacherForced(code) => code.min(Self::CODES),
            Self::Observed(code) => Self::OBSERVED | code.min(Self::CODES - 1),
        }
    }

    /// The cell of such an element.
    #[inline]
    pub fn from_bits(bits: u32) -> Self {
        match bits {
            Self::SAMPLED => Self::Sampled,
            Self::MASKED => Self::Masked,
            bits if bits >= Self::OBSERVED => Self::Observed(bits & !Self::OBSERVED),
            bits => Self::TeacherForced(bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_cells() {
        for cell in [
            Cell::Sampled,
            Cell::Masked,
            Cell::TeacherForced(0),
            Cell::TeacherForced(70_000),
            Cell::TeacherForced(Cell::CODES),
            Cell::Observed(0),
            Cell::Observed(70_000),
            Cell::Observed(Cell::CODES - 1),
        ] {
            assert_eq!(Cell::from_bits(cell.to_bits()), cell);
        }
    }
}
