//! What a buyer asks for, checked as far as it can be without the database.

use crate::error::ApiError;
use catraca_domain::reservation::SEATS_PER_HOLD_MAX;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use utoipa::ToSchema;

/// Longest section, row or seat label, in characters.
pub const LABEL_CHARS_MAX: usize = 64;

/// `POST /api/v1/holds`: `section` and `quantity`, or `seats`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct HoldRequest {
    /// The event's slug: the one that the admission is for.
    pub event: String,
    /// Any places of this section.
    pub section: Option<String>,
    /// How many of them.
    pub quantity: Option<u32>,
    /// These very seats.
    pub seats: Option<Vec<SeatName>>,
}

/// A numbered seat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct SeatName {
    /// Section.
    pub section: String,
    /// Row label.
    pub row: String,
    /// Seat label.
    pub seat: String,
}

/// A request that makes sense.
#[derive(Debug)]
pub(super) enum Wish {
    /// So many of a section.
    Quantity { section: String, quantity: u32 },
    /// These, each named once.
    Chosen(Vec<SeatName>),
}

impl Wish {
    /// # Errors
    /// 422, naming the field.
    pub(super) fn parse(request: HoldRequest) -> Result<Self, ApiError> {
        match (request.section, request.quantity, request.seats) {
            (Some(section), Some(quantity), None) => {
                counted("quantity", quantity as usize)?;
                labelled("section", &section)?;
                Ok(Self::Quantity { section, quantity })
            }
            (None, None, Some(seats)) => {
                counted("seats", seats.len())?;
                let mut seen = HashSet::new();
                for (index, seat) in seats.iter().enumerate() {
                    labelled(&format!("seats[{index}].section"), &seat.section)?;
                    labelled(&format!("seats[{index}].row"), &seat.row)?;
                    labelled(&format!("seats[{index}].seat"), &seat.seat)?;
                    if !seen.insert(seat) {
                        return Err(ApiError::field(format!("seats[{index}]"), "is named twice"));
                    }
                }
                Ok(Self::Chosen(seats))
            }
            (Some(_), None, None) => Err(ApiError::field("quantity", "is missing")),
            (None, Some(_), None) => Err(ApiError::field("section", "is missing")),
            (None, None, None) => Err(ApiError::field(
                "seats",
                "is missing: send seats, or section and quantity",
            )),
            (_, _, Some(_)) => Err(ApiError::field(
                "seats",
                "can't come together with section or quantity",
            )),
        }
    }

    /// Number of seats asked for.
    pub(super) fn quantity(&self) -> u32 {
        match self {
            Self::Quantity { quantity, .. } => *quantity,
            Self::Chosen(seats) => u32::try_from(seats.len()).unwrap_or(u32::MAX),
        }
    }
}

fn counted(field: &str, count: usize) -> Result<(), ApiError> {
    if (1..=SEATS_PER_HOLD_MAX as usize).contains(&count) {
        return Ok(());
    }
    Err(ApiError::field(
        field,
        format!("must be 1 to {SEATS_PER_HOLD_MAX} seats"),
    ))
}

/// PostgreSQL's text can't carry NUL; nothing that we imported is longer.
fn labelled(field: &str, label: &str) -> Result<(), ApiError> {
    let fits = (1..=LABEL_CHARS_MAX).contains(&label.chars().count());
    if fits && !label.contains('\0') {
        return Ok(());
    }
    Err(ApiError::field(
        field,
        format!("must be 1 to {LABEL_CHARS_MAX} characters"),
    ))
}
