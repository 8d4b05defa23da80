//! A digit for every decimal place.

use indexmap::IndexMap;
use serde::de::Error;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encode::values::decimal::{HIGHEST, LOWEST};
use crate::schema::names;

/// Digits by decimal place, from 10^18 down; in JSON a map `{"E18": 0, ..., "E-8": 0}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits(Vec<u8>);

impl Digits {
    /// Digits from 10^18 down.
    pub(crate) fn from_highest(digits: &[u8]) -> Self {
        Self(digits.to_vec())
    }

    /// The digit of `10^exponent`, 0 for places that are not held.
    pub fn get(&self, exponent: i32) -> u8 {
        let place = usize::try_from(HIGHEST - exponent);
        place
            .ok()
            .and_then(|place| self.0.get(place))
            .copied()
            .unwrap_or(0)
    }

    /// The lowest power of ten that is held.
    pub fn lowest(&self) -> i32 {
        HIGHEST + 1 - self.0.len() as i32
    }

    /// Powers of ten whose digit is not 0, from high to low.
    pub(crate) fn places_in_use(&self) -> impl Iterator<Item = i32> {
        let places = self.0.iter().enumerate().filter(|&(_, &digit)| digit > 0);
        places.map(|(place, _)| HIGHEST - place as i32)
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (place, digit) in self.0.iter().enumerate() {
            map.serialize_entry(&names::digit(HIGHEST - place as i32), digit)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = IndexMap::<String, u8>::deserialize(deserializer)?;
        let mut places = Vec::with_capacity(map.len());
        for (name, digit) in map {
            let exponent = name.strip_prefix('E').and_then(|e| e.parse::<i32>().ok());
            let exponent = exponent.filter(|e| (LOWEST..=HIGHEST).contains(e));
            let exponent =
                exponent.ok_or_else(|| D::Error::custom(format!("{name:?} is not a decimal place")))?;
            if digit > 9 {
                return Err(D::Error::custom(format!(
                    "{name} is {digit}, which is not a digit"
                )));
            }
            places.push((exponent, digit));
        }
        let lowest = places.iter().map(|&(e, _)| e).min().unwrap_or(HIGHEST);
        let mut digits = Self(vec![0; (HIGHEST - lowest + 1) as usize]);
        for (exponent, digit) in places {
            digits.0[(HIGHEST - exponent) as usize] = digit;
        }
        Ok(digits)
    }
}
