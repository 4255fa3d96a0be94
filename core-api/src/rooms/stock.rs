//! A seat that comes back goes to those in line: a room lets in no more people than there are
//! seats for those who have come and not chosen yet. With nothing for sale the line stands still,
//! and nobody in it lapses; each seat that is released, expires or is refunded lets the next one
//! in, at the room's pace. Those inside see it too, as they see any other.

use super::edge;
use super::store::{change, push};
use crate::app::App;
use crate::error::ApiError;
use bytes::Bytes;
use catraca_domain::ids::{EventNumber, RoomName};
use catraca_domain::room::RoomLive;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long somebody who has just come is taken to be choosing. Longer than that without a seat,
/// and the next one gets a chance too.
const CHOOSING: Duration = Duration::from_mins(1);

/// How many each room had let in, and when: the last [`CHOOSING`] of it.
#[derive(Default)]
pub(super) struct Entrances(Mutex<HashMap<EventNumber, VecDeque<(Instant, u64)>>>);

impl Entrances {
    /// How many came lately, by the total so far; `None` while this process doesn't know.
    fn lately(&self, event: EventNumber, total: u64) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = all.entry(event).or_default();
        while totals
            .get(1)
            .is_some_and(|(at, _)| at.elapsed() >= CHOOSING)
        {
            totals.pop_front();
        }
        if totals.back().is_none_or(|(_, last)| *last != total) {
            totals.push_back((Instant::now(), total));
        }
        let (at, before) = totals.front()?;
        (at.elapsed() >= CHOOSING).then(|| total.saturating_sub(*before))
    }
}

/// A room, and what the database says about it.
struct Left {
    event: EventNumber,
    slug: String,
    max_active: u64,
    /// Counted up to `max_active`; none while it does not matter.
    for_sale: Option<u64>,
    told_max: Option<u64>,
}

/// One round of comparing what rooms are told with what is for sale.
pub(super) async fn round(app: App, entrances: Arc<Entrances>) -> Result<(), ApiError> {
    let mut outcome = Ok(());
    for left in left(&app).await? {
        let max = match left.for_sale {
            Some(for_sale) if for_sale < left.max_active => {
                match most_inside(&app, &left, &entrances).await {
                    Ok(most) => most.filter(|most| *most < left.max_active),
                    // The edge is away: it could not be told either.
                    Err(error) => {
                        outcome = Err(error);
                        continue;
                    }
                }
            }
            _ => None,
        };
        if max != left.told_max {
            let told = tell(&app, &left, max).await;
            outcome = outcome.and(told);
        }
    }
    outcome
}

async fn tell(app: &App, left: &Left, max: Option<u64>) -> Result<(), ApiError> {
    let config = change(app, left.event, move |config| {
        config.stock_max = max;
        Ok(())
    })
    .await?;
    push(app, left.event, &config).await
}

async fn left(app: &App) -> Result<Vec<Left>, ApiError> {
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT r.event_id, e.slug, (r.config ->> 'max_active')::bigint,
                    (r.config ->> 'stock_max')::bigint,
                    CASE WHEN planned AND r.config ->> 'control' <> 'closed'
                              AND r.config ->> 'sold_out' = 'false' THEN (
                        SELECT count(*) FROM (
                            SELECT 1 FROM seats s
                            WHERE s.event_id = r.event_id AND s.state <> 'sold'
                              AND (s.state = 'free' OR s.held_until < now())
                            LIMIT (r.config ->> 'max_active')::bigint) offered) END
             FROM rooms r JOIN events e USING (event_id),
                  LATERAL (SELECT EXISTS (SELECT 1 FROM sections c WHERE c.event_id = r.event_id)
                           AS planned) plan
             WHERE e.starts_at > now() - interval '1 day'",
        )
        .await?;
    let rows = db.query(&query, &[]).await?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(rows
        .iter()
        .map(|row| Left {
            event: EventNumber(row.get(0)),
            slug: row.get(1),
            max_active: count(row.get(2)),
            told_max: row.get::<_, Option<i64>>(3).map(count),
            for_sale: row.get::<_, Option<i64>>(4).map(count),
        })
        .collect())
}

/// Those inside, and one more for each seat that nobody who came lately is choosing yet. `None`:
/// the edge does not know the room.
async fn most_inside(
    app: &App,
    left: &Left,
    entrances: &Entrances,
) -> Result<Option<u64>, ApiError> {
    let room: RoomName = left
        .slug
        .parse()
        .map_err(|error| ApiError::internal(format!("stored slug: {error}")))?;
    let answer = edge::call(app, reqwest::Method::GET, &room, "live", Bytes::new()).await?;
    if !answer.status().is_success() {
        return Ok(None);
    }
    let live: RoomLive = answer
        .json()
        .await
        .map_err(|error| ApiError::unavailable(format!("edge, live: {error}")))?;
    // After the edge's answer, and all in one look: whoever comes or chooses meanwhile is then
    // counted as inside too late, never too early.
    let shop = shop(app, left).await?;
    // Who was let in and has not shown up here yet is choosing too.
    let unseen = live.active.saturating_sub(shop.sessions);
    let came = entrances.lately(left.event, live.admitted_total);
    let choosing = shop.choosing + came.map_or(unseen, |came| came.min(unseen));
    Ok(Some((live.active + shop.for_sale).saturating_sub(choosing)))
}

/// What the shop knows of a room's visitors.
struct Shop {
    for_sale: u64,
    /// Open ones.
    sessions: u64,
    /// Those of them opened lately that never had a seat.
    choosing: u64,
}

async fn shop(app: &App, left: &Left) -> Result<Shop, ApiError> {
    let db = app.db.get().await?;
    let query = db
        .prepare_cached(
            "SELECT (SELECT count(*) FROM (
                        SELECT 1 FROM seats s
                        WHERE s.event_id = $1 AND s.state <> 'sold'
                          AND (s.state = 'free' OR s.held_until < now())
                        LIMIT $3) offered),
                    count(*),
                    count(*) FILTER (
                        WHERE opened_at > now() - make_interval(secs => $2) AND NOT EXISTS (
                            SELECT 1 FROM holds h WHERE h.event_id = s.event_id
                              AND h.account_id = s.account_id AND h.jti = s.jti))
             FROM shopping_sessions s
             WHERE event_id = $1 AND ended_at IS NULL AND expires_at > now()",
        )
        .await?;
    let limit = i64::try_from(left.max_active).unwrap_or(i64::MAX);
    let row = db
        .query_one(&query, &[&left.event.0, &CHOOSING.as_secs_f64(), &limit])
        .await?;
    let count = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
    Ok(Shop {
        for_sale: count(0),
        sessions: count(1),
        choosing: count(2),
    })
}
