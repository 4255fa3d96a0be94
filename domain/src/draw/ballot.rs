//! The Room's side of a draw: a secret, and when it may be told.

use super::{Algorithm, Beacon, DrawError, DrawRecord, check_beacon_text};
use crate::feistel::SIZE_MAX;
use crate::hex32::Hex32;
use crate::ids::RoomName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A draw with its secret: to be stored, never to be sent. What may be known
/// is [`Ballot::record`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    secret: Hex32,
    beacon_source: Option<String>,
    stage: Stage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
enum Stage {
    Sealed,
    Frozen {
        count: u64,
    },
    Revealed {
        count: u64,
        beacon_value: Option<String>,
    },
}

impl Ballot {
    /// A draw to come, from 32 fresh random bytes. Store it before publishing its record.
    ///
    /// # Errors
    /// [`DrawError::Beacon`].
    pub fn seal(random: [u8; 32], beacon_source: Option<String>) -> Result<Self, DrawError> {
        if let Some(source) = &beacon_source {
            check_beacon_text(source)?;
        }
        Ok(Self {
            secret: Hex32(random),
            beacon_source,
            stage: Stage::Sealed,
        })
    }

    /// Fixes who takes part: numbers 1 to `count`. Once frozen the first count stays; true when
    /// there is something new to store, which must be before anything is revealed.
    ///
    /// # Errors
    /// [`DrawError::Count`].
    pub fn freeze(&mut self, count: u64) -> Result<bool, DrawError> {
        if count > SIZE_MAX {
            return Err(DrawError::Count);
        }
        let sealed = self.stage == Stage::Sealed;
        if sealed {
            self.stage = Stage::Frozen { count };
        }
        Ok(sealed)
    }

    /// Makes the secret public, with what the beacon said. Once revealed nothing changes; true
    /// when there is something new to store.
    ///
    /// # Errors
    /// [`DrawError::Sealed`] before the freeze; [`DrawError::BeaconValue`] when the declared
    /// beacon has no value yet; [`DrawError::Beacon`].
    pub fn reveal(&mut self, beacon_value: Option<String>) -> Result<bool, DrawError> {
        let count = match self.stage {
            Stage::Sealed => return Err(DrawError::Sealed),
            Stage::Revealed { .. } => return Ok(false),
            Stage::Frozen { count } => count,
        };
        if beacon_value.is_some() != self.beacon_source.is_some() {
            return Err(DrawError::BeaconValue);
        }
        if let Some(value) = &beacon_value {
            check_beacon_text(value)?;
        }
        self.stage = Stage::Revealed {
            count,
            beacon_value,
        };
        Ok(true)
    }

    /// The beacon whose value it waits for.
    pub fn beacon_source(&self) -> Option<&str> {
        self.beacon_source.as_deref()
    }

    /// What everyone may know by now.
    pub fn record(&self, room: &RoomName, epoch: u32) -> DrawRecord {
        let (count, secret, value) = match &self.stage {
            Stage::Sealed => (None, None, None),
            Stage::Frozen { count } => (Some(*count), None, None),
            Stage::Revealed {
                count,
                beacon_value,
            } => (Some(*count), Some(self.secret), beacon_value.clone()),
        };
        let beacon = self
            .beacon_source
            .clone()
            .map(|source| Beacon { source, value });
        DrawRecord {
            room: room.clone(),
            epoch,
            commitment: Hex32::sha256(&[&self.secret.0]),
            secret,
            beacon,
            count,
            algorithm: Algorithm::FeistelSha256V1,
        }
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ballot")
            .field("secret", &"REDACTED")
            .field("beacon_source", &self.beacon_source)
            .field("stage", &self.stage)
            .finish()
    }
}
