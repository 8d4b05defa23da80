//! What belongs together: each product of a stage has an identity and names those of what it was made from.
//!
//! The marker of the workspace (`ModelStore/argn.json`) names the split and the statistics that hold. It is written before either
//! is replaced, so that what is older is recognised wherever a run was killed:
//!
//! ```text
//! table --digest--> split.json --split--> analysis.json --statistics--> _codes.json --codes--> training.json --training--> state
//! ```
//!
//! Identities are random or follow from random ones and reveal nothing of the table. The digest of the table lies among its rows and
//! is keyed: it goes with them.

mod belonging;
mod siphash;
mod table_digest;

use std::fmt;

pub(crate) use belonging::{
    CODES_FILE, CodesRecord, check_model, current_codes, current_split, current_statistics, has_current_model,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub(crate) use table_digest::Digester;
pub use table_digest::TableDigest;

use crate::EngineError;
use crate::seed::draw_seed;

/// Identity of one split, analysis, encoding or training. It is written as hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(u64);

impl Identity {
    /// One that nothing else has.
    pub(crate) fn draw() -> Result<Self, EngineError> {
        draw_seed().map(Self)
    }

    /// The one of what follows from others and a seed: made again from the same it is the same.
    pub(crate) fn derived(from: &[Self], seed: u64) -> Self {
        let mut hasher = siphash::SipHasher128::new([0; 16]);
        for id in from {
            hasher.write(&id.0.to_le_bytes());
        }
        hasher.write(&seed.to_le_bytes());
        Self(hasher.finish() as u64)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        u64::from_str_radix(&digits, 16)
            .map(Self)
            .map_err(|_| D::Error::custom("an identity is up to 16 hexadecimal digits"))
    }
}
