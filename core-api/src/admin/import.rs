//! `POST /api/v1/admin/events/{event}/seats:import`: a plan replaces the one before, whole, as
//! long as nobody has anything of it.

use super::event::no_event;
use super::plan::{self, BadPlan, Section};
use crate::app::App;
use crate::db::expect_rows;
use crate::error::ApiError;
use crate::http::body::bytes_rejected;
use crate::http::params::{Path, slug};
use crate::login::Operator;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};
use catraca_domain::ids::EventNumber;
use catraca_domain::problem::{FieldError, Kind, Problem};
use deadpool_postgres::Transaction;
use serde_json::{Value, json};
use std::time::Instant;

/// Largest file, in bytes.
pub(super) const CSV_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Seats in one statement.
const BATCH: usize = 10_000;

pub(super) async fn import(
    State(app): State<App>,
    _: Operator,
    Path(event): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let slug = slug(&event)?;
    let number = app.catalogue.number_of(&app, &slug).await?;
    let number = number.ok_or_else(no_event)?;
    let content_type = headers.get(header::CONTENT_TYPE);
    let essence = content_type.and_then(|value| value.to_str().ok()?.split(';').next());
    if !essence.is_some_and(|text| text.trim().eq_ignore_ascii_case("text/csv")) {
        return Err(ApiError::new(
            Kind::UNSUPPORTED_MEDIA_TYPE,
            "Send text/csv.",
        ));
    }
    let bytes = body.map_err(|rejection| bytes_rejected(&rejection))?;
    let started = Instant::now();
    let sections = tokio::task::spawn_blocking(move || plan::read(&bytes))
        .await
        .map_err(|error| ApiError::internal(format!("reading a plan: {error}")))?
        .map_err(refused)?;
    let mut db = app.db.get().await?;
    let tx = db.transaction().await?;
    tx.batch_execute("SET LOCAL statement_timeout = '60s'")
        .await?;
    clear(&tx, number).await?;
    let mut seats: i64 = 0;
    for (position, section) in sections.iter().enumerate() {
        write(&tx, number, position, section).await?;
        seats += i64::from(section.capacity());
    }
    let bumped = tx
        .execute(
            "UPDATE events SET version = version + 1 WHERE event_id = $1",
            &[&number.0],
        )
        .await?;
    expect_rows(bumped, 1, "the event of a plan")?;
    tx.commit().await?;
    app.catalogue.changed(&app, number);
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(event = %slug, sections = sections.len(), seats, took_ms, "imported a plan");
    Ok(Json(json!({"sections": sections.len(), "seats": seats})))
}

fn refused(bad: BadPlan) -> ApiError {
    let detail = format!("{} bad lines; nothing was imported.", bad.count);
    let mut problem = Problem::new(Kind::INVALID_FIELD, detail).with("bad_lines", bad.count);
    let lines: Vec<Value> = bad
        .lines
        .iter()
        .map(|line| json!({"line": line.line, "reason": line.reason}))
        .collect();
    problem = problem.with("lines", lines);
    problem.errors = bad
        .lines
        .into_iter()
        .map(|line| FieldError {
            field: format!("line {}", line.line),
            reason: line.reason,
        })
        .collect();
    problem.into()
}

/// Removes the plan before. The event's row is locked, so imports follow one another; a seat that
/// somebody claims at this moment is found held once he is done, and stops the import.
async fn clear(tx: &Transaction<'_>, event: EventNumber) -> Result<(), ApiError> {
    let in_use = || {
        ApiError::new(
            Kind::CONFLICT,
            "Seats of this event are held, sold or being paid for: its plan can't be replaced.",
        )
    };
    tx.query_one(
        "SELECT 1 FROM events WHERE event_id = $1 FOR UPDATE",
        &[&event.0],
    )
    .await?;
    let bought: bool = tx
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM tickets WHERE event_id = $1)
                 OR EXISTS (SELECT 1 FROM orders WHERE event_id = $1
                            AND status IN ('queued', 'awaiting_payment', 'paid'))",
            &[&event.0],
        )
        .await?
        .get(0);
    if bought {
        return Err(in_use());
    }
    tx.execute(
        "DELETE FROM seats WHERE event_id = $1
         AND (state = 'free' OR (state = 'held' AND held_until < now()))",
        &[&event.0],
    )
    .await?;
    let left: bool = tx
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM seats WHERE event_id = $1)",
            &[&event.0],
        )
        .await?
        .get(0);
    if left {
        return Err(in_use());
    }
    tx.execute("DELETE FROM sections WHERE event_id = $1", &[&event.0])
        .await?;
    Ok(())
}

async fn write(
    tx: &Transaction<'_>,
    event: EventNumber,
    position: usize,
    section: &Section,
) -> Result<(), ApiError> {
    let position = i32::try_from(position).unwrap_or(i32::MAX);
    tx.execute(
        "INSERT INTO sections (event_id, section, kind, capacity, price_minor, position)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &event.0,
            &section.name,
            &section.kind(),
            &section.capacity(),
            &section.price_minor,
            &position,
        ],
    )
    .await?;
    let mut written = 0;
    if section.general_capacity > 0 {
        written += tx
            .execute(
                "INSERT INTO seats (event_id, section, ordinal, price_minor)
                 SELECT $1, $2, ordinal, $3 FROM generate_series(0, $4::integer - 1) AS ordinal",
                &[
                    &event.0,
                    &section.name,
                    &section.price_minor,
                    &section.general_capacity,
                ],
            )
            .await?;
    }
    for (batch, seats) in section.seats.chunks(BATCH).enumerate() {
        let first = i32::try_from(batch * BATCH).unwrap_or(i32::MAX);
        let rows: Vec<&str> = seats.iter().map(|seat| seat.row.as_str()).collect();
        let labels: Vec<&str> = seats.iter().map(|seat| seat.seat.as_str()).collect();
        let xs: Vec<Option<f64>> = seats.iter().map(|seat| seat.x).collect();
        let ys: Vec<Option<f64>> = seats.iter().map(|seat| seat.y).collect();
        let prices: Vec<i64> = seats.iter().map(|seat| seat.price_minor).collect();
        written += tx
            .execute(
                "INSERT INTO seats (event_id, section, ordinal, row_label, seat_label, x, y,
                                    price_minor)
                 SELECT $1, $2, $3 + (position - 1)::integer, row_label, seat_label, x, y, price
                 FROM unnest($4::text[], $5::text[], $6::float8[], $7::float8[], $8::bigint[])
                      WITH ORDINALITY AS s (row_label, seat_label, x, y, price, position)",
                &[
                    &event.0,
                    &section.name,
                    &first,
                    &rows,
                    &labels,
                    &xs,
                    &ys,
                    &prices,
                ],
            )
            .await?;
    }
    let capacity = u64::try_from(section.capacity()).unwrap_or(0);
    expect_rows(written, capacity, "the seats of a section")
}
