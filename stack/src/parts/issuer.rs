//! The development OpenID provider.

use serde_json::json;

use super::{Plan, system_program};
use crate::part::Part;
use crate::probe::Probe;

/// Registered with the provider, known to the core.
const CLIENT_ID: &str = "catraca";

/// The part.
pub fn part(plan: &Plan) -> anyhow::Result<Part> {
    let address = plan.ports.address("issuer");
    let data = plan.layout.folder("issuer")?;
    let probe = Probe::Http {
        address: address.clone(),
        path: "/.well-known/openid-configuration".to_owned(),
    };
    Ok(Part::new("issuer", system_program("node")?, probe)
        .args([plan.layout.root.join("devtools/issuer/server.mjs")])
        .env("CATRACA_LISTEN", address)
        .env("CATRACA_PUBLIC_URL", plan.ports.url("edge"))
        .env(
            "CATRACA_OIDC_CLIENT_SECRET",
            plan.secrets.get("oidc_client_secret"),
        )
        .env("CATRACA_ISSUER_DATA", data.to_string_lossy()))
}

/// What the core is told about it.
pub fn providers(plan: &Plan) -> String {
    json!([{
        "name": "dev",
        "issuer": plan.ports.url("issuer"),
        "client_id": CLIENT_ID,
        "client_secret": plan.secrets.get("oidc_client_secret"),
        "roles_claim": "roles",
    }])
    .to_string()
}
