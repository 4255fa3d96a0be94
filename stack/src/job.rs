//! A command that runs on top of the parts: `catraca-stack up -- make something`.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::launch;
use crate::parts::Plan;
use crate::processes;
use crate::runfile::RunFile;
use crate::up::Then;

/// Runs it in the checkout and takes over its exit status. It finds the parts by `CATRACA_RUN_JSON`,
/// and PostgreSQL and Redis by `CATRACA_TEST_DATABASE_URL` and `CATRACA_TEST_REDIS_URL` too.
pub async fn run(command: Vec<OsString>, plan: Plan, run: RunFile) -> anyhow::Result<Then> {
    let Some((program, args)) = command.split_first() else {
        return Ok(Then::StayUp);
    };
    let mut child = launch::command(&plan.layout, program.as_ref(), None, Signal::SIGKILL)
        .args(args)
        .env("CATRACA_RUN_JSON", plan.layout.run_file())
        .env("CATRACA_TEST_DATABASE_URL", &run.postgres)
        .env("CATRACA_TEST_REDIS_URL", &run.redis)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let _group = child.id().map(Group);
    let status = child.wait().await?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(Then::Exit(ExitCode::from(
        u8::try_from(code).unwrap_or(u8::MAX),
    )))
}

/// Ends the command and all it has started, also when Ctrl-C drops the job halfway.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        if let Ok(leader) = i32::try_from(self.0) {
            processes::kill_group(Pid::from_raw(leader));
        }
    }
}
