//! Prometheus, and whether this process is well: `/metrics`, `/healthz`, `/readyz`.

use crate::app::App;
use crate::error::ApiError;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Handle to what has been counted.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder; once a process, later calls share it.
    ///
    /// # Errors
    /// When the recorder can't be installed.
    pub fn install() -> anyhow::Result<Self> {
        // Held while it is installed: of two that come at once only one may.
        static HANDLE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
        let mut installed = HANDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = match installed.take() {
            Some(handle) => handle,
            None => PrometheusBuilder::new().install_recorder()?,
        };
        *installed = Some(handle.clone());
        Ok(Self(handle))
    }
}

/// `/healthz`: the process runs. `/readyz`: it can sell.
pub fn router() -> Router<App> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(|State(app): State<App>| async move { app.metrics.0.render() }),
        )
}

async fn ready(State(app): State<App>) -> Result<&'static str, ApiError> {
    app.db.get().await?.query_one("SELECT 1", &[]).await?;
    Ok("ready\n")
}

/// Counts and times every request by route, method and status.
pub async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().as_str().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let labels = [
        ("route", route),
        ("method", method),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("catraca_http_requests_total", &labels).increment(1);
    metrics::histogram!("catraca_http_request_seconds", &labels)
        .record(started.elapsed().as_secs_f64());
    response
}
