//! The core: migrations once, then `serve` and `worker`.

use std::time::Duration;

use super::{Plan, issuer, mail, sandbox};
use crate::logfile;
use crate::part::Part;
use crate::probe::Probe;

/// How long the migrations must have run to count as started.
const SETTLED: Duration = Duration::from_millis(300);

/// Answers requests.
pub fn serve(plan: &Plan) -> anyhow::Result<Part> {
    let probe = Probe::Http {
        address: plan.ports.address("core"),
        path: "/readyz".to_owned(),
    };
    let part = role(plan, "core", "serve", probe)?;
    Ok(part.env("CATRACA_LISTEN", plan.ports.address("core")))
}

/// Does what nobody waits for: relay, purchases, sweeping, reconciling, telling the rooms.
pub fn worker(plan: &Plan) -> anyhow::Result<Part> {
    let probe = Probe::Http {
        address: plan.ports.address("worker"),
        path: "/readyz".to_owned(),
    };
    let part = role(plan, "worker", "worker", probe)?;
    Ok(part.env("CATRACA_WORKER_LISTEN", plan.ports.address("worker")))
}

/// Brings the schema up to date.
pub async fn migrate(plan: &Plan) -> anyhow::Result<()> {
    let status = role(plan, "core", "migrate", Probe::Survives(SETTLED))?
        .spawn(&plan.layout)?
        .wait()
        .await?;
    let log = plan.layout.log("core");
    anyhow::ensure!(
        status.success(),
        "the migrations: {status}\n{}",
        logfile::tail(&log, 20)
    );
    Ok(())
}

/// Every role reads the same environment.
fn role(plan: &Plan, name: &str, command: &str, probe: Probe) -> anyhow::Result<Part> {
    let sandbox_url = plan.ports.url("sandbox");
    let part = Part::new(name, plan.layout.program("catraca-core")?, probe)
        .args([command])
        .env("CATRACA_PUBLIC_URL", plan.ports.url("edge"))
        .env("CATRACA_EDGE_URL", plan.ports.url("edge"))
        .env("CATRACA_DATABASE_URL", plan.postgres_dsn())
        .env("CATRACA_REDIS_URL", plan.redis_url())
        .env("CATRACA_EDGE_SECRET", plan.secrets.get("edge_secret"))
        .env(
            "CATRACA_ADMISSION_KEYS",
            plan.secrets.keyring("a1", "admission_key"),
        )
        .env("CATRACA_TICKET_KEY", plan.secrets.get("ticket_key"))
        .env("CATRACA_OIDC_PROVIDERS", issuer::providers(plan))
        .env("CATRACA_CARD_API_URL", &sandbox_url)
        .env("CATRACA_PAYPAL_API_URL", &sandbox_url)
        .env("CATRACA_PIX", "on");
    let part = mail::with_server(part, plan);
    Ok(sandbox::with_credentials(part, plan))
}
