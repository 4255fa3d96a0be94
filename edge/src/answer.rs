//! Responses: problems, JSON, pages, cookies.

use crate::holder::Holder;
use crate::runtime::below;
use catraca_domain::ids::RoomName;
use catraca_domain::problem::{self, Kind, Problem};
use serde::Serialize;
use std::borrow::Cow;
use worker::{Headers, Response, Result};

/// Life of the place cookie, in seconds: outlives any on-sale.
const PLACE_COOKIE_SECONDS: u64 = 7 * 24 * 3600;
/// Retry-After of everything that is unavailable, in seconds: spread over this range, so that those
/// turned away together don't come back together.
const RETRY_SECONDS: std::ops::RangeInclusive<u32> = 2..=6;

fn retry_after() -> String {
    let width = RETRY_SECONDS.end() - RETRY_SECONDS.start() + 1;
    (RETRY_SECONDS.start() + below(width)).to_string()
}
/// Where Turnstile's script and its frame come from.
const TURNSTILE: &str = " https://challenges.cloudflare.com";
/// What a web worker of ours may do: nothing but run our wasm.
pub(crate) const WORKER_POLICY: &str =
    "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/// What a browser may do with our pages. Only the page that needs Turnstile may load it.
fn page_policy(turnstile: bool) -> String {
    let also = if turnstile { TURNSTILE } else { "" };
    format!(
        "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'{also}; \
         connect-src 'self'; font-src 'self'; worker-src 'self'; frame-src {}; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
        if turnstile {
            TURNSTILE.trim()
        } else {
            "'none'"
        }
    )
}

const JSON: &str = "application/json";

/// The one cookie that carries an admission.
pub(crate) const ADMISSION_COOKIE: &str = "__Host-admission";

/// The one cookie that says whose a browser's places are.
pub(crate) const HOLDER_COOKIE: &str = "__Host-holder";

/// `Set-Cookie` with the holder's secret.
pub(crate) fn holder_cookie(holder: &Holder) -> String {
    cookie(HOLDER_COOKIE, &holder.to_cookie(), PLACE_COOKIE_SECONDS)
}

/// The cookie that carries a place in `room`.
pub(crate) fn place_cookie_name(room: &RoomName) -> String {
    format!("__Host-place-{room}")
}

/// `Set-Cookie` with the place.
pub(crate) fn place_cookie(room: &RoomName, token: &str) -> String {
    cookie(&place_cookie_name(room), token, PLACE_COOKIE_SECONDS)
}

/// `Set-Cookie` that takes the place back.
pub(crate) fn no_place_cookie(room: &RoomName) -> String {
    cookie(&place_cookie_name(room), "", 0)
}

/// `Set-Cookie` with the admission, for as long as it lives.
pub(crate) fn admission_cookie(token: &str, seconds: u64) -> String {
    cookie(ADMISSION_COOKIE, token, seconds)
}

/// The cookie that keeps a lane pass until the visitor joins `room`.
pub(crate) fn lane_cookie_name(room: &RoomName) -> String {
    format!("__Host-lane-{room}")
}

/// `Set-Cookie` with a lane pass, for so many seconds; 0 takes it back.
pub(crate) fn lane_cookie(room: &RoomName, pass: &str, seconds: u64) -> String {
    cookie(&lane_cookie_name(room), pass, seconds)
}

fn cookie(name: &str, value: &str, max_age_seconds: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={max_age_seconds}; Secure; HttpOnly; SameSite=Lax")
}

/// A problem of a kind, in words.
pub(crate) fn problem(kind: Kind, detail: &str) -> Result<Response> {
    problem_document(&Problem::new(kind, detail))
}

/// A problem document. 503 says when to try again.
pub(crate) fn problem_document(document: &Problem) -> Result<Response> {
    let headers = Headers::new();
    for (name, value) in problem_headers(document) {
        headers.set(name, &value)?;
    }
    Ok(Response::builder()
        .with_status(document.status)
        .with_headers(headers)
        .fixed(document.to_json().into_bytes()))
}

/// The headers of a problem document.
pub(crate) fn problem_headers(document: &Problem) -> Vec<(&'static str, Cow<'static, str>)> {
    let mut headers = bare("no-store").map(borrowed).to_vec();
    headers.push(borrowed(("content-type", problem::CONTENT_TYPE)));
    if document.status == 503 {
        headers.push(("retry-after", retry_after().into()));
    }
    headers
}

fn borrowed((name, value): (&'static str, &'static str)) -> (&'static str, Cow<'static, str>) {
    (name, value.into())
}

/// 404.
pub(crate) fn not_found() -> Result<Response> {
    problem(Kind::NOT_FOUND, "There is nothing here.")
}

/// 404 for a room.
pub(crate) fn no_such_room() -> Result<Response> {
    problem_document(&no_such_room_problem())
}

/// It says so.
pub(crate) fn no_such_room_problem() -> Problem {
    Problem::new(Kind::NOT_FOUND, "There is no such room.")
}

/// 405, with what would be right.
pub(crate) fn method_not_allowed(allow: &str) -> Result<Response> {
    let response = problem(
        Kind::METHOD_NOT_ALLOWED,
        &format!("This address takes {allow}."),
    )?;
    response.headers().set("allow", allow)?;
    Ok(response)
}

/// 503.
pub(crate) fn unavailable() -> Result<Response> {
    problem_document(&unavailable_problem())
}

/// It says so.
pub(crate) fn unavailable_problem() -> Problem {
    Problem::new(
        Kind::UNAVAILABLE,
        "The waiting room can't be reached just now. Your place is kept.",
    )
}

/// JSON that nobody may keep.
pub(crate) fn json(status: u16, value: &impl Serialize) -> Result<Response> {
    json_text(status, serde_json::to_vec(value)?, "no-store")
}

/// JSON that is text already.
pub(crate) fn json_text(status: u16, text: Vec<u8>, cache_control: &str) -> Result<Response> {
    let headers = bare_headers(cache_control)?;
    headers.set("content-type", JSON)?;
    Ok(Response::builder()
        .with_status(status)
        .with_headers(headers)
        .fixed(text))
}

/// 204.
pub(crate) fn no_content() -> Result<Response> {
    Ok(Response::builder()
        .with_status(204)
        .with_headers(bare_headers("no-store")?)
        .empty())
}

/// 303 to another page of ours.
pub(crate) fn see_other(path: &str) -> Result<Response> {
    let headers = bare_headers("no-store")?;
    headers.set("location", path)?;
    Ok(Response::builder()
        .with_status(303)
        .with_headers(headers)
        .empty())
}

/// A page.
pub(crate) fn page(status: u16, html: String) -> Result<Response> {
    page_with(status, html, false)
}

/// A page that may load Turnstile, or not.
pub(crate) fn page_with(status: u16, html: String, turnstile: bool) -> Result<Response> {
    let headers = bare_headers("no-store")?;
    headers.set("content-type", "text/html; charset=utf-8")?;
    headers.set("content-security-policy", &page_policy(turnstile))?;
    headers.set("referrer-policy", "same-origin")?;
    headers.set("x-frame-options", "DENY")?;
    headers.set("cross-origin-opener-policy", "same-origin")?;
    headers.set(
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=()",
    )?;
    if status == 503 {
        headers.set("retry-after", &retry_after())?;
    }
    Ok(Response::builder()
        .with_status(status)
        .with_headers(headers)
        .fixed(html.into_bytes()))
}

/// The headers that every answer of ours has.
pub(crate) fn bare_headers(cache_control: &str) -> Result<Headers> {
    let headers = Headers::new();
    for (name, value) in bare(cache_control) {
        headers.set(name, value)?;
    }
    Ok(headers)
}

const fn bare(cache_control: &str) -> [(&'static str, &str); 2] {
    [
        ("cache-control", cache_control),
        ("x-content-type-options", "nosniff"),
    ]
}

/// The headers of JSON that nobody may keep.
pub(crate) fn json_headers() -> Vec<(&'static str, &'static str)> {
    let mut headers = bare("no-store").to_vec();
    headers.push(("content-type", JSON));
    headers
}
