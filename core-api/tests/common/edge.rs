//! A stand-in for the edge's internal calls: checks signatures, remembers what it was told.

use super::{EDGE_SECRET, listen};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use catraca_domain::ids::Jti;
use catraca_domain::room::{Challenge, Departures, RoomConfig};
use catraca_domain::secret::Secret;
use catraca_domain::signature;
use serde_json::json;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Clone, Default)]
pub(crate) struct Edge {
    pub(crate) url: String,
    /// Answers 503 while set.
    pub(crate) away: Arc<AtomicBool>,
    /// What it lacks for rooms that ask for Turnstile, if anything.
    pub(crate) turnstile_fault: Arc<Mutex<Option<String>>>,
    configs: Arc<Mutex<HashMap<String, RoomConfig>>>,
    departed: Arc<Mutex<Vec<Jti>>>,
}

impl Edge {
    pub(crate) async fn start(tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (listener, url) = listen().await;
        let edge = Self {
            url,
            ..Self::default()
        };
        let router = Router::new()
            .route("/internal/v1/rooms/{room}/config", post(configure))
            .route("/internal/v1/rooms/{room}/departures", post(depart))
            .with_state(edge.clone());
        tasks.spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        });
        edge
    }

    pub(crate) fn config(&self, room: &str) -> Option<RoomConfig> {
        self.configs.lock().unwrap().get(room).cloned()
    }

    pub(crate) fn remember(&self, config: RoomConfig) {
        self.configs
            .lock()
            .unwrap()
            .insert(config.room.to_string(), config);
    }

    pub(crate) fn departed(&self) -> Vec<Jti> {
        self.departed.lock().unwrap().clone()
    }

    fn refuses(&self, headers: &HeaderMap, body: &[u8]) -> Option<StatusCode> {
        if self.away.load(Ordering::Relaxed) {
            return Some(StatusCode::SERVICE_UNAVAILABLE);
        }
        let header = headers
            .get(signature::HEADER)
            .and_then(|value| value.to_str().ok());
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let secrets = [Secret::from(EDGE_SECRET)];
        signature::verify(&secrets, header.unwrap_or(""), body, now)
            .is_err()
            .then_some(StatusCode::BAD_REQUEST)
    }
}

async fn configure(
    State(edge): State<Edge>,
    Path(room): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    if let Some(status) = edge.refuses(&headers, &body) {
        return (status, String::new());
    }
    let config: RoomConfig = serde_json::from_slice(&body).unwrap();
    assert_eq!(config.room.as_str(), room);
    let mut configs = edge.configs.lock().unwrap();
    let kept = configs.entry(room).or_insert_with(|| config.clone());
    if config.version > kept.version {
        *kept = config;
    }
    let mut answer = json!({"version": kept.version});
    // An edge of an older version says nothing of faults.
    if let Some(fault) = edge.turnstile_fault.lock().unwrap().as_ref() {
        let faulty = kept.challenge == Challenge::Turnstile;
        answer["faults"] = json!(Vec::from_iter(faulty.then_some(fault)));
    }
    (StatusCode::OK, answer.to_string())
}

async fn depart(State(edge): State<Edge>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if let Some(status) = edge.refuses(&headers, &body) {
        return status;
    }
    let departures: Departures = serde_json::from_slice(&body).unwrap();
    edge.departed.lock().unwrap().extend(departures.jtis);
    StatusCode::OK
}
