//! Names and ids. Each is a type of its own, so that an order is never passed for a hold.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// Longest room name (= event slug), in bytes.
pub const SLUG_BYTES_MAX: usize = 63;
/// Longest lane name, in bytes.
pub const LANE_BYTES_MAX: usize = 72;

/// Why a name was refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum NameError {
    /// Not a slug.
    #[error("must be 1 to {SLUG_BYTES_MAX} of a-z, 0-9 and -, beginning with a letter or digit")]
    Slug,
    /// Not a lane.
    #[error("must be standard, priority or partner:<id>")]
    Lane,
}

/// The slug of an event, which names its room too: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RoomName(String);

impl RoomName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=SLUG_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Slug)
        }
    }
}

/// The class of a place: `standard`, `priority` or `partner:<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Lane(String);

impl Lane {
    /// The lane of whoever comes without a token that names another.
    pub fn standard() -> Self {
        Self("standard".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Lane {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let known = match text.strip_prefix("partner:") {
            Some(partner) => partner.parse::<RoomName>().is_ok(),
            None => matches!(text, "standard" | "priority"),
        };
        if known && text.len() <= LANE_BYTES_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Lane)
        }
    }
}

macro_rules! text_name {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_name!(RoomName, Lane);

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map($name)
            }
        }
    )*};
}
uuid_id!(
    /// Whoever holds a place: random, known to the edge alone.
    VisitorId,
    /// One admission; the shopping session it opens carries the same id.
    Jti,
    /// A logged-in customer.
    AccountId,
    /// A hold. Carries its event's number: see [`EventNumber::scoped_id`].
    HoldId,
    /// An order. Carries its event's number.
    OrderId,
    /// A ticket. Carries its event's number.
    TicketId,
);

/// An event's number in the database: leads the key of every table that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventNumber(pub i32);

impl EventNumber {
    /// A `UUIDv8` (RFC 9562, 5.8) whose first 32 bits are the event's number and the rest,
    /// less version and variant, random: so an id alone tells where its row lives.
    pub fn scoped_id(self, random: [u8; 12]) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.0.to_be_bytes());
        bytes[4..].copy_from_slice(&random);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The event number inside an id made by [`EventNumber::scoped_id`].
    pub fn of(id: Uuid) -> Self {
        let bytes = id.as_bytes();
        Self(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}
