//! Selling from a counter: one row per event that says how many places are left, locked by every
//! buyer in turn. It does over HTTP what the core's hold does over HTTP, as far as a counter can:
//! admission token, login, JSON, a row of its own for each hold.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Args;
use deadpool_postgres::{Manager, Pool};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::bench::token;

/// As many as the core has.
const CONNECTIONS: usize = 24;

/// Where, and whom to trust.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[arg(long, env = "CATRACA_LISTEN")]
    listen: SocketAddr,
    #[arg(long, env = "CATRACA_DATABASE_URL", hide_env_values = true)]
    postgres: String,
    /// The admission key, in base64url.
    #[arg(long, env = "CATRACA_PEER_ADMISSION_KEY", hide_env_values = true)]
    admission_key: String,
}

struct Shop {
    db: Pool,
    key: token::Key,
}

/// The core's request, and only that.
#[derive(Debug, Deserialize)]
struct Wish {
    event: String,
    quantity: i32,
}

type Answer = (StatusCode, Json<Value>);

/// Serves until it is killed.
///
/// # Errors
/// When it can't listen or the settings are wrong.
pub(crate) async fn main(options: Options) -> anyhow::Result<bool> {
    let manager = Manager::new(options.postgres.parse()?, NoTls);
    let shop = Shop {
        db: Pool::builder(manager).max_size(CONNECTIONS).build()?,
        key: token::Key::parse(&options.admission_key)?,
    };
    let router = Router::new()
        .route("/readyz", get(|| async { "ready\n" }))
        .route("/api/v1/holds", post(hold))
        .with_state(Arc::new(shop));
    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    axum::serve(listener, router).await.context("serving")?;
    Ok(true)
}

async fn hold(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Result<Answer, (StatusCode, String)> {
    let cookies = headers
        .get(header::COOKIE)
        .and_then(|value| value.to_str().ok());
    let cookie = |name: &str| {
        let pairs = cookies.into_iter().flat_map(|line| line.split("; "));
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
    };
    let admitted = cookie("__Host-admission").and_then(|(_, text)| shop.key.open(text));
    let (Some(claims), Some((_, login))) = (admitted, cookie("__Host-login")) else {
        return Err((StatusCode::UNAUTHORIZED, "no admission or login".to_owned()));
    };
    if claims["aud"] != wish.event.as_str() {
        return Err((
            StatusCode::UNAUTHORIZED,
            "another event's admission".to_owned(),
        ));
    }
    let reserved = reserve(&shop.db, &wish, login).await;
    let reserved = reserved.map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, format!("{e:#}")))?;
    Ok(match reserved {
        Some(hold) => (
            StatusCode::CREATED,
            Json(json!({"hold": hold, "event": wish.event})),
        ),
        None => (StatusCode::CONFLICT, Json(json!({"title": "sold out"}))),
    })
}

async fn reserve(db: &Pool, wish: &Wish, login: &str) -> anyhow::Result<Option<Uuid>> {
    let mut client = db.get().await?;
    let tx = client.transaction().await?;
    let lock = tx
        .prepare_cached("SELECT remaining FROM peer_counter WHERE event = $1 FOR UPDATE")
        .await?;
    let remaining: i32 = tx.query_one(&lock, &[&wish.event]).await?.get(0);
    if remaining < wish.quantity {
        return Ok(None);
    }
    let take = tx
        .prepare_cached("UPDATE peer_counter SET remaining = remaining - $2 WHERE event = $1")
        .await?;
    tx.execute(&take, &[&wish.event, &wish.quantity]).await?;
    let hold = Uuid::new_v4();
    let write = tx
        .prepare_cached(
            "INSERT INTO peer_holds (hold, event, login, quantity) VALUES ($1, $2, $3, $4)",
        )
        .await?;
    tx.execute(&write, &[&hold, &wish.event, &login, &wish.quantity])
        .await?;
    tx.commit().await?;
    Ok(Some(hold))
}
