//! The development mail server: keeps every message as a file and sends none on.

use std::path::PathBuf;

use super::{Plan, system_program};
use crate::part::Part;
use crate::probe::Probe;

/// Who the shop's mail is from.
const FROM: &str = "Catraca <tickets@catraca.example>";

/// The part.
pub fn part(plan: &Plan) -> anyhow::Result<Part> {
    let address = plan.ports.address("mail");
    let probe = Probe::Smtp {
        address: address.clone(),
    };
    Ok(Part::new("mail", system_program("node")?, probe)
        .args([plan.layout.root.join("devtools/mail/server.mjs")])
        .env("CATRACA_LISTEN", address)
        .env("CATRACA_MAIL_DATA", folder(plan)?.to_string_lossy()))
}

/// Where the messages are, one `.eml` file each.
pub fn folder(plan: &Plan) -> anyhow::Result<PathBuf> {
    plan.layout.folder("mail")
}

/// Its address, as the core takes it.
pub fn url(plan: &Plan) -> String {
    format!("smtp://{}", plan.ports.address("mail"))
}

/// Tells the core to send by it.
pub fn with_server(part: Part, plan: &Plan) -> Part {
    part.env("CATRACA_SMTP_URL", url(plan))
        .env("CATRACA_MAIL_FROM", FROM)
}
