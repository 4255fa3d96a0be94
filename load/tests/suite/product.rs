//! A stand-in for the product, just enough of it for the crowd to go all the way, and unkind:
//! it answers the first attempt at every hold and order with 503 although it was carried out.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

/// General admission, beside forty numbered seats.
const GENERAL: usize = 200;

/// What the stand-in knows.
#[derive(Default)]
pub(crate) struct World {
    numbers: u64,
    polls: HashMap<String, u32>,
    /// Replies by idempotency key; the first time each is kept back.
    replies: HashMap<String, Value>,
    free: BTreeSet<(u32, u32)>,
    general: usize,
    /// Seats and status of an order.
    orders: HashMap<Uuid, (usize, &'static str)>,
    holds: HashMap<Uuid, usize>,
    pub(crate) tickets: usize,
    /// Whether tickets have no image, to see the crowd complain.
    pub(crate) imageless: bool,
}

pub(crate) type Shared = Arc<Mutex<World>>;

fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts it; its address, and what it knows.
pub(crate) async fn start(imageless: bool) -> anyhow::Result<(String, Shared)> {
    start_on(TcpListener::bind("127.0.0.1:0").await?, imageless)
}

/// Starts it on a listener.
pub(crate) fn start_on(listener: TcpListener, imageless: bool) -> anyhow::Result<(String, Shared)> {
    let free = (1..=4)
        .flat_map(|row| (1..=10).map(move |seat| (row, seat)))
        .collect();
    let world = World {
        free,
        general: GENERAL,
        imageless,
        ..World::default()
    };
    let world = Arc::new(Mutex::new(world));
    let app = Router::new()
        .route("/queue/v1/show/status", get(status))
        .route("/queue/v1/show/join", post(join))
        .route("/queue/v1/show/place", get(place))
        .route("/queue/v1/show/claim", post(claim))
        .route(
            "/queue/v1/show/leave",
            post(async || StatusCode::NO_CONTENT),
        )
        .route("/auth/login", get(login))
        .route("/issuer", get(issuer))
        .route("/auth/callback", get(callback))
        .route("/e/show", get(async || "the shop"))
        .route("/api/v1/session", delete(async || StatusCode::NO_CONTENT))
        .route("/api/v1/events/show/availability", get(availability))
        .route("/api/v1/events/show/sections/A/seats", get(seats))
        .route("/api/v1/holds", post(hold))
        .route("/api/v1/orders", post(order))
        .route("/api/v1/orders/{order}", get(look))
        .route("/pay/{order}", get(async || "<form method=post>").post(pay))
        .route("/api/v1/tickets/{file}", get(ticket))
        .with_state(Arc::clone(&world));
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok((format!("http://{address}"), world))
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get(header::COOKIE)?.to_str().ok()?;
    let mut pairs = all.split("; ").filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

fn set_cookie(name: &str, value: &str) -> [(header::HeaderName, String); 1] {
    let line = format!("__Host-{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax");
    [(header::SET_COOKIE, line)]
}

fn problem(status: StatusCode, name: &str) -> Response {
    (
        status,
        Json(json!({"type": format!("https://catraca.dev/problems/{name}")})),
    )
        .into_response()
}

async fn status() -> Json<Value> {
    Json(json!({"room": "show", "epoch": 1, "phase": "open", "rate_per_minute": 600}))
}

async fn join(State(world): State<Shared>) -> Response {
    let mut world = lock(&world);
    world.numbers += 1;
    let number = world.numbers;
    let body = json!({"place_token": "x", "number": number, "state": "waiting"});
    let cookie = set_cookie("place-show", &number.to_string());
    (StatusCode::CREATED, cookie, Json(body)).into_response()
}

/// Lobby, then waiting, then called.
async fn place(State(world): State<Shared>, headers: HeaderMap) -> Response {
    let Some(number) = cookie(&headers, "__Host-place-show") else {
        return problem(StatusCode::UNAUTHORIZED, "invalid_place");
    };
    let mut world = lock(&world);
    let polls = world.polls.entry(number.clone()).or_default();
    *polls += 1;
    let state = match polls {
        1 => "lobby",
        2 => "waiting",
        _ => "called",
    };
    Json(
        json!({"state": state, "number": number, "ahead": 0, "eta_seconds": null,
        "poll_after_ms": 20}),
    )
    .into_response()
}

/// "You are next" once, then in.
async fn claim(State(world): State<Shared>, headers: HeaderMap) -> Response {
    let Some(number) = cookie(&headers, "__Host-place-show") else {
        return problem(StatusCode::UNAUTHORIZED, "invalid_place");
    };
    let mut world = lock(&world);
    let polls = world.polls.entry(format!("claim {number}")).or_default();
    *polls += 1;
    if *polls == 1 {
        let body = json!({"state": "called", "retry_after_ms": 20});
        return (StatusCode::ACCEPTED, Json(body)).into_response();
    }
    let number: u64 = number.parse().unwrap_or_default();
    let claims = json!({"iss": "catraca", "aud": "show", "sub": Uuid::new_v4(),
        "jti": Uuid::new_v4(), "iat": 1_800_000_000, "nbf": 1_800_000_000,
        "exp": 4_000_000_000_u32, "num": number, "lane": "standard", "epoch": 1});
    let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let body = json!({"admission_token": token, "expires_at": "2096-10-02T07:06:40Z"});
    (set_cookie("admission", &token), Json(body)).into_response()
}

async fn login(Query(query): Query<HashMap<String, String>>) -> Redirect {
    Redirect::to(&format!("/issuer?who={}", query["login_hint"]))
}

async fn issuer(Query(query): Query<HashMap<String, String>>) -> Redirect {
    Redirect::to(&format!("/auth/callback?who={}", query["who"]))
}

async fn callback(Query(query): Query<HashMap<String, String>>) -> Response {
    (set_cookie("login", &query["who"]), Redirect::to("/e/show")).into_response()
}

async fn availability(State(world): State<Shared>) -> Json<Value> {
    let world = lock(&world);
    let price = json!({"amount_minor": 5000, "currency": "BRL"});
    Json(json!({"as_of": "2026-01-01T00:00:00Z", "sections": [
        {"section": "A", "capacity": 40, "free": world.free.len(), "price": price},
        {"section": "P", "kind": "general", "capacity": GENERAL, "free": world.general,
            "price": price}]}))
}

async fn seats(State(world): State<Shared>) -> Json<Value> {
    let world = lock(&world);
    let seats = (1..=4).flat_map(|row| (1..=10).map(move |seat| (row, seat)));
    let seats: Vec<Value> = seats
        .map(|(row, seat)| {
            let state = if world.free.contains(&(row, seat)) {
                "free"
            } else {
                "sold"
            };
            json!({"row": row.to_string(), "seat": seat.to_string(), "x": 0, "y": 0,
                "state": state})
        })
        .collect();
    Json(json!({"section": "A", "seats": seats}))
}

/// Takes what was asked for, all or nothing.
fn take(world: &mut World, wish: &Value) -> Option<Vec<Value>> {
    if let Some(seats) = wish["seats"].as_array() {
        let number = |value: &Value| value.as_str()?.parse().ok();
        let wanted: Option<Vec<(u32, u32)>> = seats
            .iter()
            .map(|seat| Some((number(&seat["row"])?, number(&seat["seat"])?)))
            .collect();
        let wanted = wanted.filter(|wanted| wanted.iter().all(|seat| world.free.contains(seat)))?;
        world.free.retain(|seat| !wanted.contains(seat));
        return Some(seats.clone());
    }
    let quantity = usize::try_from(wish["quantity"].as_u64()?).ok()?;
    if wish["section"] == "P" {
        world.general = world.general.checked_sub(quantity)?;
        return Some(vec![
            json!({"section": "P", "row": null, "seat": null});
            quantity
        ]);
    }
    let taken: Vec<_> = world.free.iter().copied().take(quantity).collect();
    if taken.len() < quantity {
        return None;
    }
    world.free.retain(|seat| !taken.contains(seat));
    let named = |(row, seat): (u32, u32)| json!({"section": "A", "row": row.to_string(), "seat": seat.to_string()});
    Some(taken.into_iter().map(named).collect())
}

/// Refuses whoever is not admitted and logged in; finds the key.
fn allowed(headers: &HeaderMap) -> Result<String, Box<Response>> {
    for (name, refusal) in [
        ("__Host-admission", "no_admission"),
        ("__Host-login", "not_logged_in"),
    ] {
        if cookie(headers, name).is_none() {
            return Err(Box::new(problem(StatusCode::UNAUTHORIZED, refusal)));
        }
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    key.map(str::to_owned)
        .ok_or_else(|| Box::new(problem(StatusCode::BAD_REQUEST, "missing_idempotency_key")))
}

async fn hold(
    State(world): State<Shared>,
    headers: HeaderMap,
    Json(wish): Json<Value>,
) -> Response {
    let key = match allowed(&headers) {
        Ok(key) => key,
        Err(refusal) => return *refusal,
    };
    let mut world = lock(&world);
    if let Some(reply) = world.replies.get(&key) {
        return (StatusCode::CREATED, Json(reply.clone())).into_response();
    }
    let Some(seats) = take(&mut world, &wish) else {
        return problem(StatusCode::CONFLICT, "seats_taken");
    };
    let hold = Uuid::new_v4();
    world.holds.insert(hold, seats.len());
    let total = json!({"amount_minor": 5000 * seats.len(), "currency": "BRL"});
    let reply = json!({"hold": hold, "seats": seats, "total": total,
        "expires_at": "2096-10-02T07:06:40Z"});
    world.replies.insert(key, reply);
    problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
}

async fn order(
    State(world): State<Shared>,
    headers: HeaderMap,
    Json(wish): Json<Value>,
) -> Response {
    let key = match allowed(&headers) {
        Ok(key) => key,
        Err(refusal) => return *refusal,
    };
    let mut world = lock(&world);
    if let Some(reply) = world.replies.get(&key) {
        return (StatusCode::ACCEPTED, Json(reply.clone())).into_response();
    }
    let hold = wish["hold"]
        .as_str()
        .and_then(|hold| hold.parse::<Uuid>().ok());
    let Some(quantity) = hold.and_then(|hold| world.holds.remove(&hold)) else {
        return problem(StatusCode::CONFLICT, "hold_has_order");
    };
    let order = Uuid::new_v4();
    world.orders.insert(order, (quantity, "queued"));
    world
        .replies
        .insert(key, json!({"order": order, "status": "queued"}));
    problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable")
}

async fn look(
    State(world): State<Shared>,
    Path(order): Path<Uuid>,
    headers: HeaderMap,
) -> Response {
    let mut world = lock(&world);
    let Some((quantity, status)) = world.orders.get_mut(&order) else {
        return problem(StatusCode::NOT_FOUND, "order_not_found");
    };
    let host = headers[header::HOST].to_str().unwrap_or_default();
    let (quantity, was) = (*quantity, *status);
    let next = (was == "awaiting_payment")
        .then(|| json!({"redirect_url": format!("http://{host}/pay/{order}")}));
    if was == "queued" {
        *status = "awaiting_payment";
    }
    let tickets = if was == "paid" { quantity } else { 0 };
    let tickets: Vec<Uuid> = (0..tickets).map(|_| Uuid::new_v4()).collect();
    world.tickets += tickets.len();
    Json(json!({"status": was, "next_action": next, "tickets": tickets})).into_response()
}

async fn pay(
    State(world): State<Shared>,
    Path(order): Path<Uuid>,
    Form(form): Form<HashMap<String, String>>,
) -> Redirect {
    if let Some((_, status)) = lock(&world).orders.get_mut(&order) {
        *status = match form["outcome"].as_str() {
            "approve" => "paid",
            "decline" => "failed",
            _ => *status,
        };
    }
    Redirect::to("/e/show")
}

async fn ticket(State(world): State<Shared>, Path(file): Path<String>) -> Response {
    if !file.contains(".svg") {
        return Json(json!({"ticket": file})).into_response();
    }
    if lock(&world).imageless {
        return problem(StatusCode::NOT_FOUND, "not_found");
    }
    "<svg/>".into_response()
}
