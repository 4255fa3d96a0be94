//! Processor time of processes, from `/proc`.

use std::fs;

/// A tick of `/proc/*/stat`, in microseconds: `USER_HZ` is 100 on every Linux.
const TICK_US: u32 = 10_000;

/// Whose time.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Watched {
    pub(in crate::bench) core: Vec<u32>,
    pub(in crate::bench) postmaster: u32,
}

/// Processor time used so far, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Cpu {
    pub(in crate::bench) core: f64,
    pub(in crate::bench) postgres: f64,
    pub(in crate::bench) generator: f64,
}

impl Watched {
    /// The time used until now. Server processes that ended meanwhile are not counted.
    pub(in crate::bench) fn sample(&self) -> anyhow::Result<Cpu> {
        let mut postgres = used(self.postmaster);
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if field(&stat, 1) == Some(self.postmaster) {
                postgres += used(pid);
            }
        }
        Ok(Cpu {
            core: self.core.iter().map(|pid| used(*pid)).sum(),
            postgres,
            generator: used(std::process::id()),
        })
    }
}

impl Cpu {
    /// What was used since `before`, for each of `count`.
    pub(in crate::bench) fn each_since(self, before: Self, count: u32) -> Self {
        let each = |now: f64, then: f64| (now - then) / f64::from(count.max(1));
        Self {
            core: each(self.core, before.core),
            postgres: each(self.postgres, before.postgres),
            generator: each(self.generator, before.generator),
        }
    }
}

fn used(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ticks = field(&stat, 11).unwrap_or(0) + field(&stat, 12).unwrap_or(0);
    f64::from(ticks) * f64::from(TICK_US)
}

/// A number of a stat line; `index` 0 is the state, which follows the program's name.
pub(in crate::bench) fn field(stat: &str, index: usize) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(index)?.parse().ok()
}

/// The children of a process.
pub(in crate::bench) fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        field(&stat, 1) == Some(of)
    })
    .collect()
}

/// Processor time of a process and its children so far, in microseconds.
pub(in crate::bench) fn with_children(pid: u32) -> f64 {
    used(pid) + children(pid).into_iter().map(used).sum::<f64>()
}
