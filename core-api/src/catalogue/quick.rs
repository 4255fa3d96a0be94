//! Availability and seat maps, which are asked for more than all else: answered from memory before
//! the router, the tracing and the metrics' labels. Whatever is not at hand goes the long way.

use super::{AGE_MAX, Catalogue, Entry, refresh_soon};
use crate::app::App;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;
use tower::Service;

/// Of so many answers one is timed for the histogram; all are counted.
const TIMED: u64 = 64;

/// The router, and before it the short way.
#[derive(Clone)]
pub(crate) struct Front {
    app: App,
    router: Router,
}

impl Front {
    pub(crate) fn new(app: App) -> Self {
        let router = app.router();
        Self { app, router }
    }
}

type Long = <Router as Service<Request>>::Future;

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = futures::future::Either<Ready<Result<Response, Infallible>>, Long>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.method() == Method::GET
            && let Some(asked) = Asked::parse(request.uri().path())
            && let Some(response) = self.app.catalogue.answer(&self.app, &asked, &request)
        {
            return futures::future::Either::Left(ready(Ok(response)));
        }
        futures::future::Either::Right(Service::call(&mut self.router, request))
    }
}

/// What a path asks for.
struct Asked<'a> {
    slug: &'a str,
    /// None: availability.
    section: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Only what needs no decoding.
    fn parse(path: &'a str) -> Option<Self> {
        let (slug, rest) = path.strip_prefix("/api/v1/events/")?.split_once('/')?;
        if rest == "availability" {
            return Some(Self {
                slug,
                section: None,
            });
        }
        let section = rest.strip_prefix("sections/")?.strip_suffix("/seats")?;
        let plain = !section.bytes().any(|byte| matches!(byte, b'/' | b'%'));
        plain.then_some(Self {
            slug,
            section: Some(section),
        })
    }
}

impl Catalogue {
    /// The answer, if it is at hand and young enough.
    fn answer(&self, app: &App, asked: &Asked<'_>, request: &Request) -> Option<Response> {
        let entry = {
            let slugs = self.by_slug.read().unwrap_or_else(PoisonError::into_inner);
            slugs.get(asked.slug).map(Arc::clone)
        }?;
        let counters = self.quick.of(asked.section.is_some());
        let began = counters.is_timed().then(Instant::now);
        let board = Entry::good(&entry)?;
        refresh_soon(app, board.plan.number, &entry, &board);
        let headers = request.headers();
        let response = match asked.section {
            None => board.availability(|document| document.answer(headers)),
            Some(section) => board.seats(section, |document| document.answer(headers))?,
        };
        debug_assert!(board.verified().taken_at.elapsed() < AGE_MAX * 4);
        counters.count(response.status(), began);
        Some(response)
    }
}

/// The metrics of [`crate::metrics::observe`], looked up once.
#[derive(Default)]
pub(super) struct Counters {
    availability: OnceLock<Counted>,
    seats: OnceLock<Counted>,
}

struct Counted {
    ok: metrics::Counter,
    not_modified: metrics::Counter,
    seconds: metrics::Histogram,
    answers: std::sync::atomic::AtomicU64,
}

impl Counters {
    fn of(&self, seats: bool) -> &Counted {
        if seats {
            self.seats
                .get_or_init(|| Counted::new("/api/v1/events/{event}/sections/{section}/seats"))
        } else {
            self.availability
                .get_or_init(|| Counted::new("/api/v1/events/{event}/availability"))
        }
    }
}

impl Counted {
    fn new(route: &'static str) -> Self {
        let counter = |status: &'static str| {
            metrics::counter!("catraca_http_requests_total",
                "route" => route, "method" => "GET", "status" => status)
        };
        Self {
            ok: counter("200"),
            not_modified: counter("304"),
            seconds: metrics::histogram!("catraca_http_request_seconds",
                "route" => route, "method" => "GET", "status" => "200"),
            answers: std::sync::atomic::AtomicU64::new(0),
        }
    }

    fn is_timed(&self) -> bool {
        let before = self
            .answers
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        before.is_multiple_of(TIMED)
    }

    fn count(&self, status: StatusCode, began: Option<Instant>) {
        if status == StatusCode::NOT_MODIFIED {
            self.not_modified.increment(1);
        } else {
            self.ok.increment(1);
        }
        if let Some(began) = began {
            self.seconds.record(began.elapsed().as_secs_f64());
        }
    }
}
