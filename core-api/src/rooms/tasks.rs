//! The worker's part: whatever the edge has not acknowledged is sent again, and rooms hear what is
//! left ([`super::stock`]).

use super::edge;
use super::stock::{self, Entrances};
use super::store::{change, push};
use crate::app::App;
use crate::error::ApiError;
use crate::worker::every;
use catraca_domain::ids::{EventNumber, Jti, RoomName};
use catraca_domain::room::{DEPARTURES_MAX, Departures};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Time between two looks at what the edge lacks.
const PUSH_ROUND: Duration = Duration::from_millis(250);
/// Time between two looks at what is left.
const STOCK_ROUND: Duration = Duration::from_millis(500);
/// Most rooms in one round.
const ROOMS_MAX: i64 = 100;

/// Runs the three tasks until stopped.
pub async fn run(app: App, stop: CancellationToken) {
    let entrances = Arc::new(Entrances::default());
    tokio::join!(
        every(stop.clone(), PUSH_ROUND, "room_push", || push_all(
            app.clone()
        )),
        every(stop.clone(), PUSH_ROUND, "departures", || departures(
            app.clone()
        )),
        every(stop.clone(), STOCK_ROUND, "sold_out", || stock(app.clone())),
        every(stop, STOCK_ROUND, "stock", || stock::round(
            app.clone(),
            Arc::clone(&entrances)
        )),
    );
}

/// Pushes a new room's first configuration without making its creator wait.
pub(crate) fn push_soon(app: &App, event: EventNumber) {
    let app = app.clone();
    tokio::spawn(async move {
        if let Ok((config, false)) = super::store::read(&app, event).await
            && let Err(error) = push(&app, event, &config).await
        {
            tracing::debug!(?error, "a new room is not at the edge yet");
        }
    });
}

/// One round of pushing. One room's failure does not stop the others.
async fn push_all(app: App) -> Result<(), ApiError> {
    let db = app.db.get().await?;
    let rows = db
        .query(
            "SELECT event_id FROM rooms WHERE pushed_version < version ORDER BY event_id LIMIT $1",
            &[&ROOMS_MAX],
        )
        .await?;
    drop(db);
    let mut outcome = Ok(());
    for row in &rows {
        let event = EventNumber(row.get(0));
        let (config, _) = super::store::read(&app, event).await?;
        let pushed = push(&app, event, &config).await;
        outcome = outcome.and(pushed);
    }
    outcome
}

/// One round of telling the edge whose slot is free again.
async fn departures(app: App) -> Result<(), ApiError> {
    let db = app.db.get().await?;
    let most = i64::try_from(DEPARTURES_MAX).unwrap_or(0);
    let rows = db
        .query(
            "SELECT s.event_id, e.slug, array_agg(s.jti)
             FROM (SELECT event_id, jti FROM shopping_sessions
                   WHERE ended_at IS NOT NULL AND departure_acknowledged_at IS NULL
                   ORDER BY event_id, ended_at LIMIT $1) s
             JOIN events e USING (event_id) GROUP BY s.event_id, e.slug",
            &[&most],
        )
        .await?;
    drop(db);
    let mut outcome = Ok(());
    for row in &rows {
        let jtis: Vec<Uuid> = row.get(2);
        let told = depart(&app, EventNumber(row.get(0)), row.get(1), jtis).await;
        outcome = outcome.and(told);
    }
    outcome
}

async fn depart(
    app: &App,
    event: EventNumber,
    slug: &str,
    jtis: Vec<Uuid>,
) -> Result<(), ApiError> {
    let room: RoomName = slug
        .parse()
        .map_err(|error| ApiError::internal(format!("stored slug: {error}")))?;
    let body = edge::json(&Departures {
        jtis: jtis.iter().copied().map(Jti).collect(),
    })?;
    // An edge that has no such room has no slot to free either.
    edge::call(app, reqwest::Method::POST, &room, "departures", body).await?;
    let db = app.db.get().await?;
    db.execute(
        "WITH gone AS MATERIALIZED (
             SELECT s.at FROM unnest($2::uuid[]) AS t (jti)
             CROSS JOIN LATERAL (
                 SELECT ctid AS at, departure_acknowledged_at FROM shopping_sessions
                 WHERE event_id = $1 AND jti = t.jti OFFSET 0 FOR UPDATE) s
             WHERE s.departure_acknowledged_at IS NULL)
         UPDATE shopping_sessions s SET departure_acknowledged_at = now()
         FROM gone WHERE s.ctid = gone.at",
        &[&event.0, &jtis],
    )
    .await?;
    metrics::counter!("catraca_departures_total").increment(jtis.len() as u64);
    Ok(())
}

/// One round of comparing what rooms say with what is left.
///
/// A room is *selling out* when all that is left could be bought by those shopping now and those let in
/// within half a minute; then those waiting ask more often, and so hear of the last seat in time. Once it
/// is, it takes twice as much for it not to be: nobody gains from a word that changes every second.
async fn stock(app: App) -> Result<(), ApiError> {
    let db = app.db.get().await?;
    let rows = db
        .query(
            "WITH live AS (
                 SELECT event_id, count(*) AS sessions FROM shopping_sessions
                 WHERE ended_at IS NULL GROUP BY event_id),
             rooms_now AS (
                 SELECT r.event_id, (r.config ->> 'sold_out')::boolean AS was_sold_out,
                        coalesce((r.config ->> 'selling_out')::boolean, false) AS was_selling_out,
                        e.max_seats_per_buyer
                            * (live.sessions + (r.config ->> 'rate_per_minute')::bigint / 2) AS reach
                 FROM rooms r JOIN events e USING (event_id) LEFT JOIN live USING (event_id)
                 WHERE e.starts_at > now() - interval '1 day'),
             stock AS (
                 SELECT r.*,
                        EXISTS (SELECT 1 FROM sections c WHERE c.event_id = r.event_id)
                        AND NOT EXISTS (SELECT 1 FROM seats s WHERE s.event_id = r.event_id
                                        AND s.state <> 'sold') AS sold_out,
                        reach IS NOT NULL
                        AND (SELECT count(*) FROM (
                                 SELECT FROM seats s
                                 WHERE s.event_id = r.event_id AND s.state <> 'sold'
                                 LIMIT 2 * r.reach + 1) left_over)
                            <= r.reach * CASE WHEN was_selling_out THEN 2 ELSE 1 END AS selling_out
                 FROM rooms_now r)
             SELECT event_id, sold_out, selling_out FROM stock
             WHERE was_sold_out <> sold_out OR was_selling_out <> selling_out",
            &[],
        )
        .await?;
    drop(db);
    for row in &rows {
        let (event, sold_out, selling_out) = (EventNumber(row.get(0)), row.get(1), row.get(2));
        let config = change(&app, event, move |config| {
            (config.sold_out, config.selling_out) = (sold_out, selling_out);
            Ok(())
        })
        .await?;
        tracing::info!(room = %config.room, sold_out, selling_out, "the stock of a room changed");
        push(&app, event, &config).await?;
    }
    Ok(())
}
