//! What the numeric encodings have in common: they count the same, and differ in what they make of it.

use serde_json::Value;

use super::partial::{NumericPartial, Wanted, count};
use super::summary::Summary;
use crate::encode::encodings::column::EncodingStats;
use crate::encode::encodings::encoding::{
    ColumnKind, CountSite, Counting, Coverage, Encoding, PublicFacts, Reason, ValueKind, check_read,
};
use crate::encode::protection::{ColumnMechanism, ColumnProtection};
use crate::encode::{EncodeError, EncodingType};
use crate::schema::Column;

/// A numeric encoding.
pub(crate) trait NumericEncoding: Sync + 'static {
    /// Its name.
    const TYPE: EncodingType;
    /// Whether it needs quantiles.
    const QUANTILES: bool;
    /// Whether column statistics say if value protection was on.
    const RECORDS_PROTECTION: bool = true;
    /// Whether its numbers are looked for one by one.
    const HAS_DOMAIN: bool = false;
    /// Columns that it is worth a try for.
    const SUITS: ColumnKind = ColumnKind::Numbers;

    /// Whether who holds each number is counted, when a part has so many distinct ones.
    fn counts_values(_distinct: usize, _counting: Counting) -> bool {
        false
    }

    /// The statistics of a column.
    fn reduce(
        column: &str,
        summary: Summary,
        partials: &[&NumericPartial],
        protection: &ColumnProtection,
    ) -> EncodingStats;

    /// The statistics under a privacy budget.
    fn reduce_private(
        partials: &[&NumericPartial],
        public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError>;

    /// Reads statistics from the keys of a column.
    fn read(_keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        None
    }

    /// How the encoding was found.
    fn reason(_partials: &[&NumericPartial], _protection: &ColumnProtection) -> Reason {
        Reason::Given
    }

    /// How many rows of a part the statistics show as they are; `None` when these are of another encoding.
    fn coverage(partial: &NumericPartial, stats: &EncodingStats) -> Option<Coverage>;
}

impl<T: NumericEncoding> Encoding for T {
    type Partial = NumericPartial;

    fn encoding_type(&self) -> EncodingType {
        T::TYPE
    }

    fn decodes_to(&self) -> ValueKind {
        ValueKind::Numbers
    }

    fn suits(&self, column: ColumnKind) -> bool {
        column == T::SUITS
    }

    fn records_protection(&self) -> bool {
        T::RECORDS_PROTECTION
    }

    fn has_domain(&self) -> bool {
        T::HAS_DOMAIN
    }

    fn reads(&self) -> &'static str {
        "number"
    }

    fn reads_by_rules(&self) -> bool {
        true
    }

    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<NumericPartial, EncodeError> {
        let wanted = Wanted {
            values: T::counts_values,
            quantiles: T::QUANTILES,
        };
        count(column, wanted, site)
    }

    fn reduce(
        &self,
        column: &str,
        partials: &[&NumericPartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        T::reduce(column, Summary::of(partials, protection), partials, protection)
    }

    fn reduce_private(
        &self,
        partials: &[&NumericPartial],
        public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        check_read(self, mechanism.column(), partials)?;
        T::reduce_private(partials, public, mechanism)
    }

    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        T::read(keys)
    }

    fn reason(&self, partials: &[&NumericPartial], protection: &ColumnProtection) -> Reason {
        T::reason(partials, protection)
    }

    fn coverage(&self, partial: &NumericPartial, stats: &EncodingStats) -> Option<Coverage> {
        T::coverage(partial, stats)
    }
}
