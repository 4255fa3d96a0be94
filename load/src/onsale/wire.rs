//! The answers' shapes, as API.md has them: only what a visitor looks at. Written down here a
//! second time on purpose: this program shares nothing with the one it tries.

#![expect(clippy::struct_field_names, reason = "these names are the contract's")]

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    pub(crate) epoch: u32,
    pub(crate) phase: String,
    pub(crate) rate_per_minute: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Joined {
    pub(crate) number: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) state: String,
    pub(crate) poll_after_ms: u64,
    /// Beyond the contract; the room's phase, when it is told.
    #[serde(default)]
    pub(crate) phase: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) admission_token: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ClaimLater {
    pub(crate) retry_after_ms: u64,
}

/// An admission's claims, read without the key: a visitor can't verify them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Admission {
    pub(crate) jti: Uuid,
    pub(crate) sub: Uuid,
    pub(crate) num: u64,
    pub(crate) epoch: u32,
    /// Unix seconds.
    pub(crate) iat: u64,
    /// Unix seconds.
    pub(crate) exp: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Availability {
    pub(crate) sections: Vec<Section>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Section {
    pub(crate) section: String,
    pub(crate) free: u32,
    /// `seated` or `general`, when it is told.
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SeatPlan {
    pub(crate) seats: Vec<PlanSeat>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PlanSeat {
    pub(crate) row: Option<String>,
    #[serde(alias = "number")]
    pub(crate) seat: Option<String>,
    pub(crate) state: String,
}

/// A seat's name; row and seat are null in general admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) section: String,
    #[serde(default)]
    pub(crate) row: Option<String>,
    #[serde(default)]
    pub(crate) seat: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Money {
    pub(crate) amount_minor: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Hold {
    pub(crate) hold: Uuid,
    pub(crate) seats: Vec<Seat>,
    pub(crate) total: Money,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) order: Uuid,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    pub(crate) status: String,
    pub(crate) next_action: Option<NextAction>,
    #[serde(default)]
    pub(crate) tickets: Vec<TicketRef>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NextAction {
    pub(crate) redirect_url: String,
}

/// A ticket in an order: its id, or an object with it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum TicketRef {
    Id(Uuid),
    Object { ticket: Uuid },
}

impl TicketRef {
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Id(id) | Self::Object { ticket: id } => id,
        }
    }
}
