//! The program's parts, and the server that is given its listener and its shutdown.

use crate::config::Config;
use crate::purchase::pace::Pace;
use crate::side::Breaker;
use crate::{
    admin, admission, catalogue, db, error, holds, login, mail, metrics, openapi, orders, purchase,
    rooms, tickets,
};
use anyhow::Context as _;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use catraca_domain::problem::{Kind, Problem};
use catraca_payments::Registry;
use deadpool_postgres::Pool;
use redis::aio::ConnectionManager;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Everything a handler or a task may need. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// See [`App`].
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// PostgreSQL.
    pub db: Pool,
    /// Redis. Every command may fail; nobody may be wrong for it.
    pub redis: ConnectionManager,
    /// Whether Redis is worth asking just now.
    pub breaker: Breaker,
    /// Payment providers.
    pub providers: Registry,
    /// For calls to `OpenID` providers and to the edge.
    pub http: reqwest::Client,
    /// Logins.
    pub login: login::Login,
    /// The way to the mail server, if there is one.
    pub mail: Option<mail::Post>,
    /// Shopping sessions seen lately.
    pub sessions: admission::ShoppingSessions,
    /// Who hears of changed orders.
    pub changes: orders::changes::Changes,
    /// What is on sale, in memory.
    pub catalogue: catalogue::Catalogue,
    /// Sections' plans, in memory.
    pub plans: holds::Plans,
    /// Where holds by quantity wait.
    pub hold_line: holds::Line<holds::Asked>,
    /// Where orders wait.
    pub order_line: holds::Line<orders::Asked>,
    /// Cancelled when the server begins to stop: endless answers end then.
    pub stopping: CancellationToken,
    /// Prometheus.
    pub metrics: metrics::Metrics,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Builds the parts. Waits for neither database nor providers.
    ///
    /// # Errors
    /// When a setting can't be used.
    pub async fn new(config: Config) -> anyhow::Result<Self> {
        let pace = Pace::new(
            &redis(&config)?,
            &config.provider_rates,
            config.provider_processes,
        );
        let providers = Registry::through(&|name| std::env::var(name).ok(), Arc::new(pace))
            .context("payment providers")?;
        Self::with_providers(config, providers).await
    }

    /// [`App::new`] with these payment providers.
    ///
    /// # Errors
    /// When a setting can't be used.
    #[expect(
        clippy::unused_async,
        reason = "the lazy connections need the runtime around them"
    )]
    pub async fn with_providers(config: Config, providers: Registry) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(10))
            // workerd resets whoever sends on a connection that was idle for five seconds.
            .pool_idle_timeout(Duration::from_secs(4))
            .build()?;
        Ok(Self(Arc::new(Parts {
            db: db::pool(&config)?,
            redis: redis(&config)?,
            breaker: Breaker::default(),
            providers,
            login: login::Login::new(&config, http.clone())?,
            mail: mail::Post::new(&config.mail)?,
            http,
            sessions: admission::ShoppingSessions::default(),
            changes: orders::changes::Changes::default(),
            catalogue: catalogue::Catalogue::new(),
            plans: holds::Plans::default(),
            hold_line: holds::Line::default(),
            order_line: holds::Line::default(),
            stopping: CancellationToken::new(),
            metrics: metrics::Metrics::install()?,
            config,
        })))
    }

    /// Every address of the core.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(admin::router())
            .merge(admission::router())
            .merge(catalogue::router())
            .merge(holds::router())
            .merge(login::router())
            .merge(metrics::router())
            .merge(openapi::router())
            .merge(orders::router())
            .merge(purchase::router())
            .merge(rooms::router())
            .merge(tickets::router())
            .fallback(|| async {
                error::problem_response(&Problem::new(Kind::NOT_FOUND, "No such address."))
            })
            .method_not_allowed_fallback(|| async {
                error::problem_response(&Problem::new(Kind::METHOD_NOT_ALLOWED, "See the API."))
            })
            .layer(DefaultBodyLimit::max(crate::http::body::JSON_BYTES_MAX))
            .layer(axum::middleware::from_fn(metrics::observe))
            .layer(tower_http::catch_panic::CatchPanicLayer::custom(|_| {
                error::problem_response(&Problem::new(Kind::INTERNAL, "This is our fault."))
            }))
            .with_state(self.clone())
    }

    /// Serves until `shutdown` resolves, then finishes what is under way.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let listening = tokio::spawn(catalogue::listen(self.clone()));
        // Aborted when dropped, once every request has been answered.
        let _hands = (holds::serve(&self), orders::serve(&self));
        let stopping = self.stopping.clone();
        let front = tower::make::Shared::new(catalogue::quick::Front::new(self.clone()));
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // Small answers go out at once. Not everybody's system lets us: then they wait.
            let _ = stream.set_nodelay(true);
        });
        let served = axum::serve(listener, front)
            .with_graceful_shutdown(async move {
                shutdown.await;
                stopping.cancel();
            })
            .await;
        listening.abort();
        Ok(served?)
    }
}

/// A connection that is made when it is used, and again when it was lost.
fn redis(config: &Config) -> anyhow::Result<ConnectionManager> {
    let client = redis::Client::open(config.redis_url.expose_str()?)
        .context("CATRACA_REDIS_URL is not a Redis address")?;
    let settings = redis::aio::ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(Duration::from_secs(1)))
        .set_number_of_retries(1);
    Ok(ConnectionManager::new_lazy_with_config(client, settings)?)
}
