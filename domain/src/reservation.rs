//! A hold and its seats: `Active → Sold | Released | Expired`.
//!
//! Released and expired are final for the buyer. Two things only settlement may do: take the same
//! seats again for money that came late ([`HoldEvent::Retake`]), and undo a sale whose money did
//! not come or went back ([`HoldEvent::GiveBack`]).

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most seats in one hold, whatever the event allows.
pub const SEATS_PER_HOLD_MAX: u32 = 50;
/// How long a hold lives unless the event says otherwise, in seconds.
pub const HOLD_SECONDS_DEFAULT: u32 = 300;

/// What has become of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Its seats are set aside until its deadline.
    Active,
    /// Its seats are sold.
    Sold,
    /// Given back by its owner, or because the payment failed.
    Released,
    /// Its deadline passed.
    Expired,
}

/// What may happen to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldEvent {
    /// The money is certain.
    Sell,
    /// Paid after its end, and every one of its seats was still to be had.
    Retake,
    /// The owner gives up, or the payment failed.
    Release,
    /// Sold, but the money did not come after all, or was refunded.
    GiveBack,
    /// The deadline is past, by the database's clock.
    Expire,
}

/// The hold can't take that step from where it is.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("a hold that is {from:?} can't {event:?}")]
pub struct HoldRefused {
    /// Where it is.
    pub from: HoldState,
    /// What was asked.
    pub event: HoldEvent,
}

impl HoldState {
    /// Its name in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Sold => "sold",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// The next state. The same event again is answered with the same state, so that a repeated
    /// request does no harm.
    ///
    /// # Errors
    /// [`HoldRefused`] when the hold has come to another end.
    pub fn on(self, event: HoldEvent) -> Result<Self, HoldRefused> {
        match (self, event) {
            (Self::Active | Self::Sold, HoldEvent::Sell)
            | (Self::Active | Self::Sold | Self::Released | Self::Expired, HoldEvent::Retake) => {
                Ok(Self::Sold)
            }
            (Self::Active | Self::Released, HoldEvent::Release)
            | (Self::Active | Self::Sold | Self::Released, HoldEvent::GiveBack) => {
                Ok(Self::Released)
            }
            (Self::Active | Self::Expired, HoldEvent::Expire) => Ok(Self::Expired),
            (Self::Released | Self::Expired, HoldEvent::Sell)
            | (Self::Sold | Self::Expired, HoldEvent::Release)
            | (Self::Expired, HoldEvent::GiveBack)
            | (Self::Sold | Self::Released, HoldEvent::Expire) => {
                Err(HoldRefused { from: self, event })
            }
        }
    }
}

impl std::str::FromStr for HoldState {
    type Err = UnknownHoldState;

    fn from_str(text: &str) -> Result<Self, UnknownHoldState> {
        [Self::Active, Self::Sold, Self::Released, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownHoldState)
    }
}

/// The text names no state of a hold.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("unknown hold state")]
pub struct UnknownHoldState;
