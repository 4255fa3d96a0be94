//! The operators' calls on a room. Each is in force at the edge when it is answered, or says that
//! it is not yet; the worker goes on pushing.

use super::edge;
use super::settings::{Settings, message};
use super::store::{change, no_room, put_in_force, read};
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::params::{Path, slug};
use crate::login::Operator;
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use bytes::Bytes;
use catraca_domain::ids::{EventNumber, RoomName};
use catraca_domain::problem::Kind;
use catraca_domain::room::{Control, Phase, RoomConfig, RoomLive};
use futures::{Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::IntervalStream;

/// A room's configuration, and whether the edge has it.
#[derive(Debug, Serialize)]
pub(super) struct RoomView {
    #[serde(flatten)]
    config: RoomConfig,
    in_force: bool,
    /// What the edge is not set up for, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

/// The event that a room belongs to: they have one name.
pub(super) async fn event_of(app: &App, room: &str) -> Result<(EventNumber, RoomName), ApiError> {
    let room = slug(room).map_err(|_| no_room())?;
    let event = app.catalogue.number_of(app, &room).await?;
    Ok((event.ok_or_else(no_room)?, room))
}

/// `GET /api/v1/admin/rooms/{room}`.
pub(super) async fn show(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Json<RoomView>, ApiError> {
    let (event, _) = event_of(&app, &room).await?;
    let (config, in_force) = read(&app, event).await?;
    let faults = Vec::new();
    Ok(Json(RoomView {
        config,
        in_force,
        faults,
    }))
}

/// `PUT /api/v1/admin/rooms/{room}`.
pub(super) async fn put(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
    body: JsonBody<Settings>,
) -> Result<Json<RoomView>, ApiError> {
    let settings = body.parsed;
    let site_key = app.config.turnstile_site_key.as_deref();
    let turnstile = site_key.is_some_and(|key| !key.is_empty());
    alter(&app, &room, |config| settings.apply(config, turnstile)).await
}

/// `POST …/open`: now, whatever the schedule said.
pub(super) async fn open(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Json<RoomView>, ApiError> {
    alter(&app, &room, |config| {
        config.control = Control::Open;
        // A pause later on must not lead back into the lobby.
        if config
            .opens_at
            .is_some_and(|at| at > OffsetDateTime::now_utc())
        {
            config.opens_at = None;
        }
        Ok(())
    })
    .await
}

/// `POST …/pause`: everybody keeps the place.
pub(super) async fn pause(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Json<RoomView>, ApiError> {
    alter(&app, &room, |config| {
        not_closed(config)?;
        config.control = Control::Paused;
        Ok(())
    })
    .await
}

/// `POST …/resume`: back to what was paused.
pub(super) async fn resume(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Json<RoomView>, ApiError> {
    alter(&app, &room, |config| {
        not_closed(config)?;
        if config.control == Control::Paused {
            config.control = match config.opens_at {
                Some(_) => Control::Scheduled,
                None => Control::Open,
            };
        }
        Ok(())
    })
    .await
}

/// `POST …/close`: nobody joins, nobody is called.
pub(super) async fn close(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Json<RoomView>, ApiError> {
    alter(&app, &room, |config| {
        config.control = Control::Closed;
        Ok(())
    })
    .await
}

fn not_closed(config: &RoomConfig) -> Result<(), ApiError> {
    match config.phase(OffsetDateTime::now_utc()) {
        Phase::Closed => Err(ApiError::new(
            Kind::CONFLICT,
            "The room is closed: open it.",
        )),
        Phase::Lobby | Phase::Open | Phase::Paused | Phase::SoldOut => Ok(()),
    }
}

#[derive(Deserialize)]
pub(super) struct Words {
    message: Option<String>,
}

/// `POST …/message`: words to everyone waiting; null takes them back.
pub(super) async fn say(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
    body: JsonBody<Words>,
) -> Result<Json<RoomView>, ApiError> {
    let words = message(body.parsed.message)?;
    alter(&app, &room, |config| {
        config.message = words;
        Ok(())
    })
    .await
}

async fn alter(
    app: &App,
    room: &str,
    edit: impl FnOnce(&mut RoomConfig) -> Result<(), ApiError> + Send,
) -> Result<Json<RoomView>, ApiError> {
    let (event, _) = event_of(app, room).await?;
    let config = change(app, event, edit).await?;
    let pushed = put_in_force(app, event, &config).await;
    if let Err(error) = &pushed {
        tracing::warn!(%room, ?error, "a room's change is not in force yet");
    }
    Ok(Json(RoomView {
        config,
        in_force: pushed.is_ok(),
        faults: pushed.unwrap_or_default(),
    }))
}

/// `GET …/live`: the room's numbers once a second, until the operator looks away.
pub(super) async fn live(
    State(app): State<App>,
    _: Operator,
    Path(room): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let (_, room) = event_of(&app, &room).await?;
    let stopping = app.stopping.clone();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = IntervalStream::new(ticks)
        .then(move |_| {
            let (app, room) = (app.clone(), room.clone());
            async move { Ok(numbers(&app, &room).await) }
        })
        .take_until(stopping.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

async fn numbers(app: &App, room: &RoomName) -> Event {
    let asked = edge::call(app, reqwest::Method::GET, room, "live", Bytes::new()).await;
    let live = match asked {
        Ok(answer) => answer.json::<RoomLive>().await.ok(),
        Err(_) => None,
    };
    live.and_then(|live| Event::default().event("live").json_data(live).ok())
        .unwrap_or_else(|| Event::default().event("unavailable").data("{}"))
}
