//! The automatic choice among the numeric encodings: discrete numbers where few different ones hold nearly all rows, digits where
//! there are few of them, bins otherwise.

use super::binned::{Binned, BinnedStats};
use super::digit::{Digit, DigitStats};
use super::discrete::{Discrete, DiscreteStats};
use super::encoding::NumericEncoding;
use super::partial::NumericPartial;
use super::private::{Range, are_nearly_all, categories};
use super::summary::{MAX_DIGITS, Summary};
use crate::encode::encodings::column::EncodingStats;
use crate::encode::encodings::encoding::{ColumnKind, Counting, Coverage, PublicFacts, Reason};
use crate::encode::protection::{ColumnMechanism, ColumnProtection};
use crate::encode::{EncodeError, EncodingType};

/// From this many distinct values on in one part the automatic choice does not consider discrete numbers.
const MAX_DISTINCT: usize = 100;

impl EncodingType {
    /// A numeric encoding chosen by the values: discrete, binned or digit.
    pub const NUMERIC_AUTO: Self = Self::named("TABULAR_NUMERIC_AUTO");
}

/// The automatic choice.
pub(crate) struct Auto;

impl NumericEncoding for Auto {
    const TYPE: EncodingType = EncodingType::NUMERIC_AUTO;
    const QUANTILES: bool = true;
    const RECORDS_PROTECTION: bool = false;
    const HAS_DOMAIN: bool = true;
    // Texts may hold numbers; for numbers the choice has been made.
    const SUITS: ColumnKind = ColumnKind::Texts;

    fn counts_values(distinct: usize, counting: Counting) -> bool {
        distinct < MAX_DISTINCT || counting == Counting::Budget
    }

    fn reduce(
        column: &str,
        summary: Summary,
        partials: &[&NumericPartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        match summary.choice(protection) {
            Reason::FewValues { .. } => Discrete::reduce(column, summary, partials, protection),
            Reason::FewDigits { .. } => Digit::reduce(column, summary, partials, protection),
            _ => Binned::reduce(column, summary, partials, protection),
        }
    }

    /// A third of the share each goes to the values, to range (with nulls) and to decimals. With public values there is nothing to choose.
    fn reduce_private(
        partials: &[&NumericPartial],
        public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        if public.domain.is_some() {
            return Discrete::reduce_private(partials, public, mechanism);
        }
        let share = mechanism.epsilon / 3.0;
        let (numbers, has_nan) = categories(partials, share, mechanism)?;
        let range = Range::release(partials, share, mechanism)?;
        if are_nearly_all(&numbers, range.present(public.rows), range.magnitudes.deviation()) {
            let numbers = numbers.into_iter().map(|(number, _)| number).collect();
            return Ok(DiscreteStats::of_public(numbers, has_nan).into());
        }
        Ok(match range.max_decimal - range.min_decimal < MAX_DIGITS as i32 {
            true => DigitStats::of_range(&range).into(),
            false => BinnedStats::of_range(&range).into(),
        })
    }

    fn reason(partials: &[&NumericPartial], protection: &ColumnProtection) -> Reason {
        match partials {
            [] => Reason::NoRows,
            partials => Summary::of(partials, protection).choice(protection),
        }
    }

    fn coverage(partial: &NumericPartial, stats: &EncodingStats) -> Option<Coverage> {
        Discrete::coverage(partial, stats)
            .or_else(|| Digit::coverage(partial, stats))
            .or_else(|| Binned::coverage(partial, stats))
    }
}
