//! Finding and ending processes that are certainly ours.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// How long the kernel may take to end processes that got SIGKILL.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// Processes called `program` whose working folder is `folder`. PostgreSQL's processes all work in
/// their data folder, so this recognises the leftovers of one cluster and nothing else.
pub fn working_in(folder: &Path, program: &str) -> Vec<Pid> {
    let Ok(folder) = folder.canonicalize() else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let of = |what: &str| format!("/proc/{pid}/{what}");
            std::fs::read_link(of("cwd")).is_ok_and(|cwd| cwd == folder)
                && std::fs::read_to_string(of("comm")).is_ok_and(|name| name.trim() == program)
        })
        .map(Pid::from_raw)
        .collect()
}

/// Ends every process called `program` that works in `folder`, and waits until none is left.
pub async fn kill_working_in(folder: &Path, program: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + KILL_WITHIN;
    loop {
        let left = working_in(folder, program);
        if left.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "processes {left:?} still work in {}",
            folder.display()
        );
        for pid in left {
            // Gone meanwhile is as good.
            let _ = kill(pid, Signal::SIGKILL);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends what a part has left behind in its own process group.
pub fn kill_group(leader: Pid) {
    match killpg(leader, Signal::SIGKILL) {
        // ESRCH is the normal case: nothing was left.
        Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
        Err(errno) => {
            crate::report::Report::new(Instant::now())
                .line(format!("cannot end process group {leader}: {errno}"));
        }
    }
}
