//! The trait that an encoding implements, in a file of its own, and its inputs. [`AnyEncoding`] is the same without the type of
//! what is counted, so that a table can hold all encodings; it is implemented for every [`Encoding`] and for nothing else.

use std::any::Any;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::column::{ColumnEncoding, EncodingStats};
use crate::encode::protection::{ColumnMechanism, ColumnProtection};
use crate::encode::values::parse_failures::ParseFailures;
use crate::encode::{Compat, EncodeError, EncodingType};
use crate::schema::Column;

/// What rows are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Value protection that counts rows.
    Rows,
    /// Value protection that counts subjects.
    Subjects,
    /// A privacy budget: every distinct number is counted, for how much is counted must not depend on the
    /// rows.
    Budget,
}

/// Where a column is counted, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountSite<'a> {
    /// Row of the whole table that the first row is.
    pub(crate) first_row: u64,
    /// Subject of each row, where rows name one; given where [`Encoding::needs_subjects`].
    pub(crate) subjects: Option<&'a [u32]>,
    /// What rows are counted for.
    pub(crate) counting: Counting,
    /// Whose rules say what a text means as a number or a date.
    pub(crate) compat: Compat,
}

/// What is public of a column under a privacy budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicFacts<'a> {
    /// Values that it can have; only given to encodings that have a domain.
    pub(crate) domain: Option<&'a [String]>,
    /// Noisy number of rows.
    pub(crate) rows: f64,
}

/// What an encoding decodes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// One of several categories.
    Categories,
    /// Numbers.
    Numbers,
    /// Dates and instants.
    Instants,
    /// Texts that need not be any of the table.
    Texts,
}

/// What a column holds, as far as a choice of encodings goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Texts, which may hold anything.
    Texts,
    /// Numbers.
    Numbers,
    /// Dates, instants or times of day.
    Times,
    /// Anything else, such as booleans.
    Others,
}

/// How many rows an encoding shows as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Rows that hold a value.
    pub(crate) rows: u64,
    /// Those whose value is not shown: rare ones, and extremes, which are moved to the nearest value that is.
    pub(crate) protected: u64,
    /// Different values; `None` where they were not counted.
    pub(crate) distinct: Option<u64>,
}

/// How the encoding of a column was found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It is the one that was requested, or that of the column's type: there was nothing to choose.
    Given,
    /// No part of the table had a row.
    NoRows,
    /// Discrete numbers: few different ones that are not rare hold this share of the rows.
    FewValues {
        /// Share of the rows, above 0.999.
        share: f64,
    },
    /// Digits: there are too many different or rare numbers for discrete ones, but few digits.
    FewDigits {
        /// Decimal places in which a digit other than 0 occurs.
        digits: usize,
    },
    /// Bins: neither few different numbers nor few digits.
    ManyDigits {
        /// Decimal places in which a digit other than 0 occurs.
        digits: usize,
    },
}

/// What an encoding counts of a column in a part of a table; private, so without a written form.
pub(crate) trait Partial: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Merges the rows that follow. The statistics of the result are those of the two parts.
    fn merge(&mut self, later: Self);

    /// Texts that could not be read, where texts were read.
    fn parse_failures(&self) -> Option<&ParseFailures> {
        None
    }
}

/// An encoding: its name, what it is for, and how its statistics come about.
pub(crate) trait Encoding: Sync + 'static {
    /// What is counted in a part of a table.
    type Partial: Partial;

    /// Its name.
    fn encoding_type(&self) -> EncodingType;

    /// What it decodes to.
    fn decodes_to(&self) -> ValueKind;

    /// Whether it is worth a try for a column that holds such values.
    fn suits(&self, column: ColumnKind) -> bool;

    /// Whether it needs to know which rows belong to one subject.
    fn needs_subjects(&self) -> bool {
        false
    }

    /// Whether column statistics say if value protection was on.
    fn records_protection(&self) -> bool {
        true
    }

    /// Whether its values are looked for one by one, so that they may be given as a domain.
    fn has_domain(&self) -> bool {
        false
    }

    /// What texts should hold, for messages, for instance `number`.
    fn reads(&self) -> &'static str {
        "value"
    }

    /// Whether what a text means depends on whose rules hold.
    fn reads_by_rules(&self) -> bool {
        false
    }

    /// Counts a column.
    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<Self::Partial, EncodeError>;

    /// The statistics of all parts of a column, with no more in them than may be shown.
    fn reduce(
        &self,
        column: &str,
        partials: &[&Self::Partial],
        protection: &ColumnProtection,
    ) -> EncodingStats;

    /// The statistics under a privacy budget: from noisy counts, and what is public. Those who read texts check first that enough
    /// could be read ([`check_read`]).
    fn reduce_private(
        &self,
        _partials: &[&Self::Partial],
        _public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        Err(EncodeError::EncodingWithoutBudget {
            column: mechanism.column().to_owned(),
            encoding: self.encoding_type(),
        })
    }

    /// Reads statistics from the keys of a column in `stats.json`; `None` of an encoding that none has in the end.
    fn read(&self, _keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        None
    }

    /// How the encoding was found.
    fn reason(&self, _partials: &[&Self::Partial], _protection: &ColumnProtection) -> Reason {
        Reason::Given
    }

    /// How many rows of a part the statistics show as they are; `None` when these are none of its own.
    fn coverage(&self, partial: &Self::Partial, stats: &EncodingStats) -> Option<Coverage>;
}

/// Statistics of one type from the keys of a column.
pub(crate) fn read_stats<T: ColumnEncoding + DeserializeOwned>(
    keys: Value,
) -> Option<serde_json::Result<EncodingStats>> {
    Some(serde_json::from_value::<T>(keys).map(EncodingStats::from))
}

/// What was counted of a column, by whichever encoding.
pub(crate) struct AnyPartial(Box<dyn ErasedPartial>);

trait ErasedPartial: Any + fmt::Debug + Send + Sync {
    fn cloned(&self) -> Box<dyn ErasedPartial>;
    fn equals(&self, other: &dyn Any) -> bool;
    fn parse_failures(&self) -> Option<&ParseFailures>;
}

impl<P: Partial> ErasedPartial for P {
    fn cloned(&self) -> Box<dyn ErasedPartial> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }

    fn parse_failures(&self) -> Option<&ParseFailures> {
        Partial::parse_failures(self)
    }
}

impl AnyPartial {
    fn get<P: Partial>(&self) -> Option<&P> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }

    /// Texts that could not be read, where texts were read.
    pub(crate) fn parse_failures(&self) -> Option<&ParseFailures> {
        self.0.parse_failures()
    }
}

impl Clone for AnyPartial {
    fn clone(&self) -> Self {
        Self(self.0.cloned())
    }
}

impl fmt::Debug for AnyPartial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for AnyPartial {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

/// An [`Encoding`] without the type of what it counts.
pub(crate) trait AnyEncoding: Sync {
    /// [`Encoding::encoding_type`].
    fn encoding_type(&self) -> EncodingType;
    /// [`Encoding::decodes_to`].
    fn decodes_to(&self) -> ValueKind;
    /// [`Encoding::suits`].
    fn suits(&self, column: ColumnKind) -> bool;
    /// [`Encoding::needs_subjects`].
    fn needs_subjects(&self) -> bool;
    /// [`Encoding::records_protection`].
    fn records_protection(&self) -> bool;
    /// [`Encoding::has_domain`].
    fn has_domain(&self) -> bool;
    /// [`Encoding::reads_by_rules`].
    fn reads_by_rules(&self) -> bool;
    /// [`Encoding::count`].
    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<AnyPartial, EncodeError>;
    /// [`Partial::merge`]; parts of another encoding are left out.
    fn merge(&self, all: &mut AnyPartial, later: AnyPartial);
    /// [`Encoding::reduce`], once it is sure that enough values could be read.
    fn reduce(
        &self,
        column: &str,
        partials: &[&AnyPartial],
        protection: &ColumnProtection,
    ) -> Result<EncodingStats, EncodeError>;
    /// [`Encoding::reduce_private`].
    fn reduce_private(
        &self,
        partials: &[&AnyPartial],
        public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError>;
    /// [`Encoding::read`].
    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>>;
    /// [`Encoding::reason`].
    fn reason(&self, partials: &[&AnyPartial], protection: &ColumnProtection) -> Reason;
    /// [`Encoding::coverage`]; nothing when the part or the statistics are of another encoding.
    fn coverage(&self, partial: &AnyPartial, stats: &EncodingStats) -> Coverage;
}

/// Those parts that are of the encoding.
fn typed<'a, P: Partial>(partials: &[&'a AnyPartial]) -> Vec<&'a P> {
    partials.iter().filter_map(|partial| partial.get()).collect()
}

/// Checks that enough values could be read.
pub(crate) fn check_read<E: Encoding>(
    encoding: &E,
    column: &str,
    partials: &[&E::Partial],
) -> Result<(), EncodeError> {
    let failures = partials
        .iter()
        .filter_map(|partial| Partial::parse_failures(*partial));
    ParseFailures::check(column, encoding.encoding_type(), encoding.reads(), failures)
}

impl<E: Encoding> AnyEncoding for E {
    fn encoding_type(&self) -> EncodingType {
        Encoding::encoding_type(self)
    }

    fn decodes_to(&self) -> ValueKind {
        Encoding::decodes_to(self)
    }

    fn suits(&self, column: ColumnKind) -> bool {
        Encoding::suits(self, column)
    }

    fn needs_subjects(&self) -> bool {
        Encoding::needs_subjects(self)
    }

    fn records_protection(&self) -> bool {
        Encoding::records_protection(self)
    }

    fn has_domain(&self) -> bool {
        Encoding::has_domain(self)
    }

    fn reads_by_rules(&self) -> bool {
        Encoding::reads_by_rules(self)
    }

    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<AnyPartial, EncodeError> {
        let partial = Encoding::count(self, column, site)?;
        Ok(AnyPartial(Box::new(partial)))
    }

    fn merge(&self, all: &mut AnyPartial, later: AnyPartial) {
        let (all, later): (&mut dyn Any, Box<dyn Any>) = (&mut *all.0, later.0);
        if let (Some(all), Ok(later)) = (all.downcast_mut::<E::Partial>(), later.downcast::<E::Partial>()) {
            all.merge(*later);
        }
    }

    fn reduce(
        &self,
        column: &str,
        partials: &[&AnyPartial],
        protection: &ColumnProtection,
    ) -> Result<EncodingStats, EncodeError> {
        let partials = typed(partials);
        check_read(self, column, &partials)?;
        Ok(Encoding::reduce(self, column, &partials, protection))
    }

    fn reduce_private(
        &self,
        partials: &[&AnyPartial],
        public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        Encoding::reduce_private(self, &typed(partials), public, mechanism)
    }

    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        Encoding::read(self, keys)
    }

    fn reason(&self, partials: &[&AnyPartial], protection: &ColumnProtection) -> Reason {
        Encoding::reason(self, &typed(partials), protection)
    }

    fn coverage(&self, partial: &AnyPartial, stats: &EncodingStats) -> Coverage {
        let coverage = partial
            .get()
            .and_then(|partial| Encoding::coverage(self, partial, stats));
        coverage.unwrap_or_default()
    }
}
