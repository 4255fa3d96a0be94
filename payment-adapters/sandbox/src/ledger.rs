//! `GET /sandbox/ledger`: what the "providers" believe, for whoever audits the core against it.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::payment::Payment;

/// All payments, oldest first. Read-only, and without a login: a stand-in has no secrets.
pub(crate) async fn ledger(State(app): State<App>) -> Json<Value> {
    let payments: Vec<Value> = app.read(|world| world.payments().map(line).collect());
    Json(json!({ "payments": payments }))
}

fn line(payment: &Payment) -> Value {
    // Stripe counts these two in hundredths; the ledger is in ISO's minor units like the core.
    let hundredths =
        payment.provider.is_stripe() && matches!(payment.currency.as_str(), "ISK" | "UGX");
    let minor = |amount: i64| if hundredths { amount / 100 } else { amount };
    json!({
        "provider": payment.provider,
        "provider_ref": payment.id,
        "order": payment.order,
        "hold": payment.hold,
        "amount_minor": minor(payment.amount_minor),
        "currency": payment.currency,
        "captured_minor": minor(payment.captured_minor),
        "refunded_minor": minor(payment.refunded_minor()),
        "state": payment.stage,
        "processing": payment.attempt.is_some(),
        "declined": payment.declined,
    })
}
