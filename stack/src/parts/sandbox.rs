//! The payment sandbox, and what it has in common with the core.

use super::Plan;
use crate::part::Part;
use crate::probe::Probe;

/// The part.
pub fn part(plan: &Plan) -> anyhow::Result<Part> {
    let address = plan.ports.address("sandbox");
    let data = plan.layout.folder("sandbox")?;
    let probe = Probe::Http {
        address: address.clone(),
        path: "/healthz".to_owned(),
    };
    let part = Part::new("sandbox", plan.layout.program("catraca-sandbox")?, probe)
        .env("CATRACA_LISTEN", address)
        .env("CATRACA_SANDBOX_PUBLIC_URL", plan.ports.url("sandbox"))
        .env("CATRACA_SANDBOX_WEBHOOK_BASE", plan.ports.url("edge"))
        .env("CATRACA_SANDBOX_DATA", data.to_string_lossy());
    Ok(with_credentials(part, plan))
}

/// Adds the providers' credentials, which the core holds and the sandbox checks.
pub fn with_credentials(part: Part, plan: &Plan) -> Part {
    part.env(
        "CATRACA_CARD_SECRET_KEY",
        plan.secrets.get("card_secret_key"),
    )
    .env(
        "CATRACA_CARD_WEBHOOK_SECRETS",
        plan.secrets.get("card_webhook_secret"),
    )
    .env(
        "CATRACA_PAYPAL_CLIENT_ID",
        plan.secrets.get("paypal_client_id"),
    )
    .env(
        "CATRACA_PAYPAL_CLIENT_SECRET",
        plan.secrets.get("paypal_client_secret"),
    )
    .env(
        "CATRACA_PAYPAL_WEBHOOK_ID",
        plan.secrets.get("paypal_webhook_id"),
    )
}
