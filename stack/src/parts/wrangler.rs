//! The edge in `wrangler dev`: slower than `workerd` alone, rebuilds the Worker when it changes.

use std::fmt::Write as _;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Plan, edge, system_program};
use crate::layout::write_atomically;
use crate::part::Part;
use crate::probe::Probe;

/// The part. Secrets reach it by a file in `.local/`, never by its arguments.
pub fn part(plan: &Plan) -> anyhow::Result<Part> {
    let folder = plan.layout.folder("edge")?;
    plan.layout.pages()?;
    let mut variables = String::new();
    for (name, value) in edge::bindings(plan) {
        // Writing to a String can't fail.
        let _ = writeln!(variables, "{name}='{value}'");
    }
    let file = folder.join("dev.vars");
    write_atomically(&file, variables.as_bytes())?;
    let probe = Probe::AnyHttp {
        address: plan.ports.address("edge"),
    };
    let script = plan
        .layout
        .root
        .join("node_modules/wrangler/bin/wrangler.js");
    let mut part = Part::new("edge", system_program("node")?, probe)
        .args([script.into_os_string(), "dev".into()])
        .args(["--ip", "127.0.0.1", "--show-interactive-dev-session=false"])
        .args([format!("--port={}", plan.ports.port("edge"))])
        .args([format!("--inspector-port={}", plan.ports.port("inspector"))])
        .args(["--env-file".into(), file.into_os_string()])
        .args([
            "--persist-to".into(),
            folder.join("wrangler").into_os_string(),
        ])
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CI", "1")
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
        .env(
            "WRANGLER_LOG_PATH",
            plan.layout.local.join("log").to_string_lossy(),
        );
    // It has children of its own, which it stops when asked to.
    part.death_signal = Signal::SIGTERM;
    part.ready_within = Duration::from_mins(5);
    Ok(part)
}
