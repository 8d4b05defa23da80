//! The ledger: every mechanism that was run, and what it cost.

use serde::{Deserialize, Serialize};

/// Version of the written ledger.
const VERSION: u32 = 1;

/// Which tables are neighbours: no output distinguishes them by more than epsilon and delta allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighbouringRelation {
    /// One has a row that the other lacks.
    AddOrRemoveOneRow,
}

/// How something was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// Counts of fixed cells, with discrete Laplace noise in each.
    DiscreteLaplaceHistogram,
    /// Counts of categories that are not fixed beforehand, with discrete Laplace noise; only those that reach
    /// a threshold.
    DiscreteLaplaceThreshold,
    /// Categories that the user gave: nothing of the table is in them.
    PublicDomain,
    /// Budget that nothing was done with.
    Unused,
}

/// One mechanism and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The column; `None` for what concerns the table.
    pub column: Option<String>,
    /// What it was run for, for instance `categories and nulls`.
    pub purpose: String,
    /// How.
    pub mechanism: Mechanism,
    /// Share of epsilon.
    pub epsilon: f64,
    /// Share of delta.
    pub delta: f64,
    /// L1 sensitivity: by how much all counts together change between neighbours.
    pub sensitivity: u32,
    /// The neighbouring relation.
    pub neighbours: NeighbouringRelation,
}

/// Every mechanism that was run on a table, in their order. By sequential composition the whole costs the
/// sum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrivacyLedger {
    /// Version of the written form.
    pub version: u32,
    /// Epsilon that was allowed.
    pub epsilon: f64,
    /// Delta that was allowed.
    pub delta: f64,
    /// Epsilon of all entries.
    pub epsilon_spent: f64,
    /// Delta of all entries.
    pub delta_spent: f64,
    /// The mechanisms.
    pub mechanisms: Vec<LedgerEntry>,
}

impl PrivacyLedger {
    /// An empty ledger.
    pub(crate) fn new(epsilon: f64, delta: f64) -> Self {
        Self {
            version: VERSION,
            epsilon,
            delta,
            epsilon_spent: 0.0,
            delta_spent: 0.0,
            mechanisms: Vec::new(),
        }
    }

    /// Records a mechanism.
    pub(crate) fn enter(
        &mut self,
        column: Option<&str>,
        purpose: &str,
        mechanism: Mechanism,
        (epsilon, delta): (f64, f64),
    ) {
        self.epsilon_spent += epsilon;
        self.delta_spent += delta;
        self.mechanisms.push(LedgerEntry {
            column: column.map(str::to_owned),
            purpose: purpose.to_owned(),
            mechanism,
            epsilon,
            delta,
            sensitivity: match mechanism {
                Mechanism::DiscreteLaplaceHistogram | Mechanism::DiscreteLaplaceThreshold => 1,
                Mechanism::PublicDomain | Mechanism::Unused => 0,
            },
            neighbours: NeighbouringRelation::AddOrRemoveOneRow,
        });
    }
}
