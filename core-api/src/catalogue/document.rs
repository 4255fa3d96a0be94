//! Bodies, ready to be sent: encoded once for all who read them.

use super::plan::{Plan, SectionPlan};
use super::states::{self, NAMES};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// Shortest time between two encodings of one document, and so the longest it lags behind.
const LAG: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_millis(80);
/// ... and so many times what one takes: a twentieth of one thread at most.
const LAG_SHARE: u32 = 20;

/// A body, and its headers.
#[derive(Debug, Clone)]
pub(super) struct Document {
    body: Bytes,
    headers: HeaderMap,
}

impl Document {
    /// `tagged` is what the tag stands for: the content less the time at which it was looked up.
    pub(super) fn new(body: Vec<u8>, tagged: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in tagged {
            hash.update(part);
            hash.update([0]);
        }
        let tag = format!("W/\"{}\"", hex::encode(&hash.finalize()[..12]));
        let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\""));
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::ETAG, tag);
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, no-cache"),
        );
        Self {
            body: Bytes::from(body),
            headers,
        }
    }

    pub(super) fn json(body: &Value, tagged: &[&[u8]]) -> Self {
        Self::new(serde_json::to_vec(body).unwrap_or_default(), tagged)
    }

    /// 200, or 304 to whoever has it already.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.headers.clone();
        if self.is_known(request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(header::CONTENT_TYPE);
        } else {
            *response.body_mut() = Body::from(self.body.clone());
        }
        response
    }

    fn is_known(&self, request: &HeaderMap) -> bool {
        let Some(etag) = self.headers.get(header::ETAG) else {
            return false;
        };
        request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|tag| tag.trim() == "*" || same(tag.trim(), etag))
    }
}

/// Weak comparison (RFC 9110, 8.8.3.2).
fn same(tag: &str, etag: &HeaderValue) -> bool {
    let bare = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).as_bytes().to_vec();
    etag.to_str().is_ok_and(|etag| bare(etag) == bare(tag))
}

/// A document that follows what it is made of.
#[derive(Debug, Default)]
pub(super) struct Slot {
    latest: RwLock<Option<Arc<Encoded>>>,
    encoding: Mutex<()>,
}

/// A document as it was at one revision of what it is made of.
#[derive(Debug)]
struct Encoded {
    document: Document,
    revision: u64,
    made_at: Instant,
    took: Duration,
}

impl Slot {
    /// The document, of this revision or at most [`LAG`] behind it, passed to `with`.
    pub(super) fn read<T>(
        &self,
        revision: u64,
        encode: impl FnOnce() -> Document,
        with: impl FnOnce(&Document) -> T,
    ) -> T {
        if let Some(encoded) = self.latest()
            && encoded.serves(revision)
        {
            return with(&encoded.document);
        }
        let turn = self.encoding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(encoded) = self.latest()
            && encoded.serves(revision)
        {
            return with(&encoded.document);
        }
        let began = Instant::now();
        let encoded = Arc::new(Encoded {
            document: encode(),
            revision,
            made_at: Instant::now(),
            took: began.elapsed(),
        });
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Arc::clone(&encoded));
        drop(latest);
        drop(turn);
        with(&encoded.document)
    }

    fn latest(&self) -> Option<Arc<Encoded>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        latest.clone()
    }
}

impl Encoded {
    fn serves(&self, revision: u64) -> bool {
        let lag = (self.took * LAG_SHARE).clamp(*LAG.start(), *LAG.end());
        self.revision == revision || self.made_at.elapsed() < lag
    }
}

/// `2026-01-01T12:00:00.000Z`: always as long.
pub(super) fn timestamp(at: OffsetDateTime) -> String {
    let date = at.date();
    let (hour, minute, second, milli) = at.time().as_hms_milli();
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// A section's seat map with every seat free, and where in it the states are.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    as_of: usize,
    states: Vec<usize>,
}

impl Template {
    pub(super) fn new(plan: &Plan, section: &SectionPlan) -> Self {
        let json = |value: Value| value.to_string();
        let mut text = String::from(r#"{"as_of":""#);
        let as_of = text.len();
        text.push_str(&timestamp(OffsetDateTime::UNIX_EPOCH));
        text.push_str(r#"","kind":"#);
        text.push_str(&json(section.kind.as_str().into()));
        text.push_str(r#","section":"#);
        text.push_str(&json(section.name.as_str().into()));
        text.push_str(r#","seats":["#);
        let mut states = Vec::with_capacity(section.seats.len());
        for (index, seat) in section.seats.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            let parts = [
                (r#"{"row":"#, json(seat.row.as_deref().into())),
                (r#","seat":"#, json(seat.seat.as_deref().into())),
                (r#","x":"#, json(seat.x.into())),
                (r#","y":"#, json(seat.y.into())),
                (
                    r#","price":"#,
                    json(serde_json::json!(plan.money(seat.price_minor))),
                ),
            ];
            for (key, value) in parts {
                text.push_str(key);
                text.push_str(&value);
            }
            text.push_str(r#","state":""#);
            states.push(text.len());
            text.push_str(r#"free"}"#);
        }
        text.push_str("]}");
        Self {
            bytes: text.into_bytes(),
            as_of,
            states,
        }
    }

    /// The map with these states.
    pub(super) fn fill(
        &self,
        plan: &Plan,
        section: &SectionPlan,
        seats: &[u8],
        as_of: OffsetDateTime,
    ) -> Document {
        let mut bytes = self.bytes.clone();
        let as_of = timestamp(as_of);
        bytes[self.as_of..self.as_of + as_of.len()].copy_from_slice(as_of.as_bytes());
        for (at, state) in self.states.iter().zip(seats) {
            let name = NAMES.get(usize::from(*state)).copied().unwrap_or(NAMES[1]);
            bytes[*at..*at + name.len()].copy_from_slice(name);
        }
        let (number, version) = (plan.number.0.to_be_bytes(), plan.version.to_be_bytes());
        let packed = states::pack(seats);
        Document::new(
            bytes,
            &[&number, &version, section.name.as_bytes(), &packed],
        )
    }
}
