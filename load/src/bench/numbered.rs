//! Events with numbered seats: sections `S0`, `S1`… of rows of fifty.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::Value;

use super::reader::{Answer, Reader};
use super::reserve::shop::{Event, Shop};

/// An event with so many sections of so many seats, and shopping sessions for its shoppers. A seat
/// costs nothing, so that no provider is asked.
pub(super) async fn venue(
    shop: &mut Shop,
    seats: u32,
    sections: u32,
    shoppers: u32,
) -> anyhow::Result<Arc<Event>> {
    let event = shop.event(1, shoppers).await?;
    let number = event.number;
    let sql = format!(
        "DELETE FROM seats WHERE event_id = {number};
         DELETE FROM sections WHERE event_id = {number};
         INSERT INTO sections (event_id, section, kind, capacity, price_minor, position)
         SELECT {number}, 'S' || n, 'seated', {seats}, 0, n
         FROM generate_series(0, {sections} - 1) n;
         INSERT INTO seats (event_id, section, ordinal, row_label, seat_label, x, y, price_minor)
         SELECT {number}, 'S' || n, i, (1 + i / 50)::text, (1 + i % 50)::text, i % 50 * 0.5,
                i / 50, 0
         FROM generate_series(0, {sections} - 1) n, generate_series(0, {seats} - 1) i;
         UPDATE events SET version = version + 1 WHERE event_id = {number}; ANALYZE seats"
    );
    shop.db.batch_execute(&sql).await?;
    Ok(event)
}

/// The request for one seat, (section, ordinal).
pub(super) fn hold_request(event: &Event, cookies: &str, key: &str, at: (u32, u32)) -> Vec<u8> {
    let (row, seat) = (1 + at.1 / 50, 1 + at.1 % 50);
    let body = format!(
        r#"{{"event":"{}","seats":[{{"section":"S{}","row":"{row}","seat":"{seat}"}}]}}"#,
        event.slug, at.0
    );
    post("/api/v1/holds", cookies, key, &body)
}

/// A POST of JSON.
pub(super) fn post(path: &str, cookies: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: shop\r\ncookie: {cookies}\r\nidempotency-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A text of an answer.
pub(super) fn text_of(answer: &Answer, field: &str) -> anyhow::Result<String> {
    let value: Value = serde_json::from_slice(&answer.body)?;
    let text = value[field].as_str().map(str::to_owned);
    text.with_context(|| format!("no {field} in {value}"))
}

/// Holds one seat; the hold's id.
///
/// # Errors
/// When it is not granted.
pub(super) async fn hold(
    reader: &mut Reader,
    event: &Event,
    cookies: &str,
    at: (u32, u32),
) -> anyhow::Result<String> {
    let key = rand::random::<u64>().to_string();
    let request = hold_request(event, cookies, &key, at);
    let answer = reader.send(&request, true).await?;
    let body = String::from_utf8_lossy(&answer.body);
    anyhow::ensure!(answer.status == 201, "a hold: {} {body}", answer.status);
    text_of(&answer, "hold")
}

/// The request to give a hold back.
pub(super) fn release_request(cookies: &str, hold: &str) -> Vec<u8> {
    let line = format!("DELETE /api/v1/holds/{hold} HTTP/1.1");
    format!("{line}\r\nhost: shop\r\ncookie: {cookies}\r\n\r\n").into_bytes()
}

/// Gives it back.
///
/// # Errors
/// When it is refused.
pub(super) async fn release(reader: &mut Reader, cookies: &str, hold: &str) -> anyhow::Result<()> {
    let request = release_request(cookies, hold);
    let answer = reader.send(&request, true).await?;
    let body = String::from_utf8_lossy(&answer.body);
    anyhow::ensure!(answer.status == 204, "a release: {} {body}", answer.status);
    Ok(())
}

/// Whether a core shows every seat as it is, and not as it was.
///
/// # Errors
/// When the core or the database does not answer.
pub(super) async fn shows_the_truth(
    core: SocketAddr,
    shop: &Shop,
    event: &Event,
    sections: u32,
) -> anyhow::Result<bool> {
    let mut reader = Reader::connect(core).await?;
    let mut right = true;
    for section in 0..sections {
        let name = format!("S{section}");
        let path = format!("/api/v1/events/{}/sections/{name}/seats", event.slug);
        let body: Value = serde_json::from_slice(&reader.get(&path).await?.body)?;
        let seats = body["seats"].as_array().into_iter().flatten();
        let shown: String = seats
            .filter_map(|seat| seat["state"].as_str()?.get(..1))
            .collect();
        let sql = "SELECT string_agg(CASE WHEN state = 'held' AND held_until < now() THEN 'f'
                       ELSE left(state, 1) END, '' ORDER BY ordinal)
                   FROM seats WHERE event_id = $1 AND section = $2";
        let row = shop.db.query_one(sql, &[&event.number, &name]).await?;
        let stored: String = row.get(0);
        if stored != shown {
            println!("section {name} of {} is shown wrong", event.slug);
            right = false;
        }
    }
    Ok(right)
}
