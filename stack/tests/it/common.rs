//! A checkout's folders for one test, and parts made of shell scripts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use catraca_stack::layout::Layout;
use catraca_stack::part::Part;
use catraca_stack::probe::Probe;
use catraca_stack::report::Report;
use catraca_stack::supervisor::Supervisor;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// Removed when dropped.
pub(crate) struct Checkout {
    pub(crate) layout: Layout,
}

impl Checkout {
    pub(crate) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("catraca-stack-test-{}-{number}", std::process::id());
        let local = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&local).unwrap();
        let launcher = PathBuf::from(env!("CARGO_BIN_EXE_catraca-stack"));
        let layout = Layout {
            root: Path::new(env!("CARGO_MANIFEST_DIR"))
                .parent()
                .unwrap()
                .to_path_buf(),
            programs: launcher.parent().unwrap().to_path_buf(),
            local,
            launcher,
        };
        Self { layout }
    }

    pub(crate) fn supervisor(&self) -> Supervisor {
        Supervisor::new(self.layout.clone(), Report::new(Instant::now()))
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.layout.log(name)).unwrap_or_default()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.layout.local);
    }
}

/// Ready once it has run for 100 ms.
pub(crate) fn script(name: &str, text: &str) -> Part {
    Part::new(name, "/bin/sh", Probe::Survives(Duration::from_millis(100))).args(["-c", text])
}

/// A process that has ended but not been waited for counts as gone.
pub(crate) fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        // The state follows the name, which is in parentheses and may contain anything.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    })
}

pub(crate) fn kill_9(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// Waits until it is true; fails after ten seconds.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
