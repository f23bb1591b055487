//! Where a leaf stands: its shard, and the directory with the shard's data.

use std::env::VarError;
use std::path::{Path, PathBuf};

use longshore_contract::env;

use crate::error::AnswerError;

/// The shard a process answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Number of the shard, from 0.
    pub shard: u32,
    /// How many shards there are, at least 1.
    pub shards: u32,
    /// The shard's data, read-only; `None` when the service has none.
    pub data: Option<PathBuf>,
}

/// The environment does not say a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A variable is not a number.
    #[error("environment variable {name} is not a number: {value:?}")]
    NotANumber {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// The shard's number is not below the number of shards.
    #[error("LONGSHORE_SHARD is {shard}, but LONGSHORE_SHARDS is {shards}")]
    NoSuchShard {
        /// From `LONGSHORE_SHARD`.
        shard: u32,
        /// From `LONGSHORE_SHARDS`.
        shards: u32,
    },
}

impl Default for Place {
    fn default() -> Self {
        Self { shard: 0, shards: 1, data: None }
    }
}

impl Place {
    /// Reads `LONGSHORE_SHARD` (0 when unset), `LONGSHORE_SHARDS` (the shard's number + 1 when unset) and
    /// `LONGSHORE_DATA`.
    ///
    /// # Errors
    /// When a number is none, or the shard's is not below the number of shards.
    pub fn from_env() -> Result<Self, PlaceError> {
        let data = std::env::var_os(env::DATA).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self::new(variable(env::SHARD)?, variable(env::SHARDS)?, data)
    }

    fn new(shard: Option<u32>, shards: Option<u32>, data: Option<PathBuf>) -> Result<Self, PlaceError> {
        let shard = shard.unwrap_or(0);
        let shards = shards.unwrap_or(shard.saturating_add(1));
        if shard >= shards {
            return Err(PlaceError::NoSuchShard { shard, shards });
        }
        Ok(Self { shard, shards, data })
    }

    /// The directory with the shard's data.
    ///
    /// # Errors
    /// [`AnswerError::Failed`] when the service names no data.
    pub fn data_dir(&self) -> Result<&Path, AnswerError> {
        let missing = || AnswerError::Failed(format!("{} is not set: the service names no data", env::DATA));
        self.data.as_deref().ok_or_else(missing)
    }
}

fn variable(name: &'static str) -> Result<Option<u32>, PlaceError> {
    match std::env::var(name) {
        Ok(value) => value.parse().map(Some).map_err(|_| PlaceError::NotANumber { name, value }),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(value)) => {
            Err(PlaceError::NotANumber { name, value: value.to_string_lossy().into_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_anything_it_is_the_only_shard() {
        assert_eq!(Place::new(None, None, None), Ok(Place::default()));
    }

    #[test]
    fn a_shard_outside_the_shards_is_refused() {
        assert_eq!(Place::new(Some(4), Some(4), None), Err(PlaceError::NoSuchShard { shard: 4, shards: 4 }));
        assert!(Place::new(None, Some(0), None).is_err());
        assert!(Place::new(Some(u32::MAX), None, None).is_err());
    }
}
