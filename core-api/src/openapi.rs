//! `GET /api/openapi.json`: the core's calls as an `OpenAPI` document.

use crate::app::App;
use crate::{admin, holds};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr,
    Required, ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

/// Routes.
pub fn router() -> Router<App> {
    Router::new().route("/api/openapi.json", get(|| async { Json(document()) }))
}

/// One call: method, path, what it does, its status when it goes well, and its body's schema.
struct Call(
    HttpMethod,
    &'static str,
    &'static str,
    u16,
    Option<&'static str>,
);

use HttpMethod::{Delete, Get, Patch, Post, Put};

const CALLS: &[Call] = &[
    Call(Get, "/api/v1/events", "Events on sale", 200, None),
    Call(
        Get,
        "/api/v1/events/{event}",
        "One event and its sections",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/events/{event}/availability",
        "Free places by section",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/events/{event}/sections/{section}/seats",
        "Seats and their state",
        200,
        None,
    ),
    Call(Get, "/api/v1/me", "Who is logged in", 200, None),
    Call(
        Get,
        "/api/v1/session",
        "The shopping session and its limit",
        200,
        None,
    ),
    Call(
        Delete,
        "/api/v1/session",
        "Leave: holds go free, and the slot",
        204,
        None,
    ),
    Call(
        Post,
        "/api/v1/holds",
        "Hold places, by quantity or by name",
        201,
        Some("HoldRequest"),
    ),
    Call(Get, "/api/v1/holds/{hold}", "One's own hold", 200, None),
    Call(
        Delete,
        "/api/v1/holds/{hold}",
        "Give a hold back",
        204,
        None,
    ),
    Call(
        Post,
        "/api/v1/orders",
        "Order what is held",
        202,
        Some("OrderRequest"),
    ),
    Call(Get, "/api/v1/orders/{order}", "One's own order", 200, None),
    Call(
        Get,
        "/api/v1/orders/{order}/events",
        "The same, as an event stream",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/tickets/{ticket}",
        "One's own ticket; also .svg and .pdf",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/ticket-keys",
        "The keys of ticket codes, a JSON Web Key Set",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/door/{event}",
        "What a door keeps: the void tickets",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/payment-providers",
        "Payment providers; ?currency= leaves out those that don't take it",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/orders/{order}/pay.svg",
        "The code to pay an order by",
        200,
        None,
    ),
    Call(Get, "/auth/login", "Log in by OpenID Connect", 303, None),
    Call(Get, "/auth/callback", "Back from the provider", 303, None),
    Call(Post, "/auth/logout", "Log out", 204, None),
    Call(Get, "/auth/providers", "Providers of logins", 200, None),
    Call(
        Post,
        "/webhooks/{provider}",
        "A payment provider's news",
        200,
        None,
    ),
    Call(Get, "/api/v1/admin/events", "Every event", 200, None),
    Call(
        Post,
        "/api/v1/admin/events",
        "Create an event and its room",
        201,
        Some("NewEvent"),
    ),
    Call(Get, "/api/v1/admin/events/{event}", "One event", 200, None),
    Call(
        Patch,
        "/api/v1/admin/events/{event}",
        "Change an event",
        200,
        Some("EventChange"),
    ),
    Call(
        Post,
        "/api/v1/admin/events/{event}/seats:import",
        "Import a plan, text/csv",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/admin/rooms/{room}",
        "A room's settings",
        200,
        None,
    ),
    Call(
        Put,
        "/api/v1/admin/rooms/{room}",
        "Change them; absent ones stay",
        200,
        Some("RoomSettings"),
    ),
    Call(
        Post,
        "/api/v1/admin/rooms/{room}/open",
        "Open a room now",
        200,
        None,
    ),
    Call(
        Post,
        "/api/v1/admin/rooms/{room}/pause",
        "Stop the line",
        200,
        None,
    ),
    Call(
        Post,
        "/api/v1/admin/rooms/{room}/resume",
        "Let it move again",
        200,
        None,
    ),
    Call(
        Post,
        "/api/v1/admin/rooms/{room}/close",
        "Close a room",
        200,
        None,
    ),
    Call(
        Post,
        "/api/v1/admin/rooms/{room}/message",
        "Tell those waiting",
        200,
        Some("RoomMessage"),
    ),
    Call(
        Post,
        "/api/v1/admin/rooms/{room}/passes",
        "Passes into a lane, each good once",
        201,
        Some("LanePasses"),
    ),
    Call(
        Get,
        "/api/v1/admin/rooms/{room}/live",
        "Live numbers, as an event stream",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/admin/dead-letters",
        "Purchases that could not be worked off",
        200,
        None,
    ),
    Call(
        Post,
        "/api/v1/admin/dead-letters/{event}/{letter}/retry",
        "Try it again",
        200,
        Some("Decision"),
    ),
    Call(
        Post,
        "/api/v1/admin/dead-letters/{event}/{letter}/drop",
        "Leave the order as it is",
        200,
        Some("Decision"),
    ),
    Call(
        Get,
        "/api/v1/admin/quarantine",
        "Orders that wait for a person",
        200,
        None,
    ),
    Call(
        Post,
        "/api/v1/admin/orders/{order}/resolve",
        "Decide what becomes of such an order",
        202,
        Some("ResolveRequest"),
    ),
    Call(
        Get,
        "/api/v1/admin/orders/{order}",
        "An order and its money",
        200,
        None,
    ),
    Call(
        Get,
        "/api/v1/admin/ledger",
        "Every account's balance",
        200,
        None,
    ),
    Call(
        Post,
        "/api/v1/admin/orders/{order}/refund",
        "Refund an order, or a part of it, once",
        202,
        Some("RefundRequest"),
    ),
];

/// What a handler reads, for bodies that are parsed elsewhere.
mod shapes {
    #![expect(dead_code, reason = "only their schemas are used")]
    use utoipa::ToSchema;

    /// An order for what is held.
    #[derive(ToSchema)]
    pub(super) struct OrderRequest {
        hold: String,
        /// A payment provider: `card`, `paypal`, `pix`.
        provider: String,
    }

    /// Why, for the record.
    #[derive(ToSchema)]
    pub(super) struct Decision {
        reason: String,
    }

    /// What becomes of an order in quarantine.
    #[derive(ToSchema)]
    pub(super) struct ResolveRequest {
        /// `retry`, `give_back` or `accept`.
        action: String,
        reason: String,
        /// With `accept`: the amount found at the provider.
        amount_minor: Option<i64>,
    }

    /// Neither tickets nor amount: the whole order.
    #[derive(ToSchema)]
    pub(super) struct RefundRequest {
        /// Live tickets of the order.
        tickets: Option<Vec<String>>,
        /// In minor units, less than what is left.
        amount_minor: Option<i64>,
        reason: Option<String>,
    }

    /// A room's settings.
    #[derive(ToSchema)]
    pub(super) struct RoomSettings {
        /// `fifo`, `draw` or `passthrough`.
        method: Option<String>,
        /// `anonymous`; or `account`: log in first, one place an account.
        identity: Option<String>,
        /// `none`, `proof_of_work`; or `turnstile`, where its keys are set up.
        challenge: Option<String>,
        /// RFC 3339; null takes the opening back.
        opens_at: Option<String>,
        rate_per_minute: Option<u32>,
        max_active: Option<u32>,
        session_seconds: Option<u32>,
        claim_window_seconds: Option<u32>,
        /// How many Dispensers share the arrivals, 1 to 64; may change while the room is open.
        dispensers: Option<u32>,
        /// Lanes beside `standard`, which has the share that they leave.
        lanes: Option<Vec<LaneShare>>,
        /// The public value that a draw waits for; null takes it back.
        beacon: Option<Beacon>,
    }

    /// A lane and its share.
    #[derive(ToSchema)]
    pub(super) struct LaneShare {
        /// `priority` or `partner:<id>`.
        lane: String,
        /// Percent of the claims, from 1; all together at most 99.
        share_percent: u8,
    }

    /// A public random value: which, and what it said.
    #[derive(ToSchema)]
    pub(super) struct Beacon {
        /// Part of the draw's commitment: to be set before the lobby opens.
        source: String,
        /// To be set once it is public. The lobby lasts until it is.
        value: Option<String>,
    }

    /// Passes into a lane.
    #[derive(ToSchema)]
    pub(super) struct LanePasses {
        /// One that the room declares.
        lane: String,
        /// 1 to 1,000.
        count: u32,
        /// 60 to 2,592,000.
        valid_seconds: u32,
    }

    /// Words to those waiting.
    #[derive(ToSchema)]
    pub(super) struct RoomMessage {
        /// Null takes them back.
        message: Option<String>,
    }

    /// One bad field.
    #[derive(ToSchema)]
    pub(super) struct FieldError {
        field: String,
        reason: String,
    }

    /// RFC 9457.
    #[derive(ToSchema)]
    pub(super) struct Problem {
        r#type: String,
        title: String,
        status: u16,
        detail: String,
        errors: Option<Vec<FieldError>>,
    }
}

fn schema<T: ToSchema + PartialSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

/// The document.
pub fn document() -> OpenApi {
    let mut components = ComponentsBuilder::new();
    for (name, schema) in [
        schema::<holds::request::HoldRequest>(),
        schema::<holds::request::SeatName>(),
        schema::<admin::NewEvent>(),
        schema::<admin::EventChange>(),
        schema::<shapes::OrderRequest>(),
        schema::<shapes::RefundRequest>(),
        schema::<shapes::Decision>(),
        schema::<shapes::ResolveRequest>(),
        schema::<shapes::RoomSettings>(),
        schema::<shapes::LaneShare>(),
        schema::<shapes::Beacon>(),
        schema::<shapes::LanePasses>(),
        schema::<shapes::RoomMessage>(),
        schema::<shapes::FieldError>(),
        schema::<shapes::Problem>(),
    ] {
        components = components.schema(name, schema);
    }
    let mut paths = Paths::new();
    for Call(method, path, summary, status, body) in CALLS {
        let operation = operation(method, path, summary, *status, *body);
        paths.add_path_operation(*path, vec![method.clone()], operation);
    }
    let info = InfoBuilder::new()
        .title("Catraca core")
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn operation(
    method: &HttpMethod,
    path: &str,
    summary: &str,
    status: u16,
    body: Option<&str>,
) -> utoipa::openapi::path::Operation {
    let content = |name: &str| {
        ContentBuilder::new()
            .schema(Some(RefOr::Ref(Ref::from_schema_name(name))))
            .build()
    };
    let problem = ResponseBuilder::new()
        .description("A problem")
        .content("application/problem+json", content("Problem"))
        .build();
    let well = ResponseBuilder::new().description(summary).build();
    let mut operation = OperationBuilder::new()
        .summary(Some(summary))
        .response(status.to_string(), well)
        .response("default", problem);
    let names = path
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next());
    for name in names {
        operation = operation.parameter(parameter(name, ParameterIn::Path));
    }
    if *method == Post && matches!(path, "/api/v1/holds" | "/api/v1/orders") {
        operation = operation.parameter(parameter("Idempotency-Key", ParameterIn::Header));
    }
    if let Some(body) = body {
        let body = RequestBodyBuilder::new()
            .content("application/json", content(body))
            .required(Some(Required::True))
            .build();
        operation = operation.request_body(Some(body));
    }
    operation.build()
}

fn parameter(name: &str, place: ParameterIn) -> utoipa::openapi::path::Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::True)
        .schema(Some(String::schema()))
        .build()
}
