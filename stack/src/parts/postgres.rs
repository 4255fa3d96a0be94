//! PostgreSQL: a cluster of this checkout's own, reached over loopback with a password.
//!
//! As root it runs as another user, because PostgreSQL refuses root. That user may not be able to
//! reach the checkout (under `/root`, say); then the cluster is kept in `/var/lib/catraca/`, under a
//! name made from the path of `.local/`, and `.local/postgres.path` says where, for `make clean`.

use std::fs::Permissions;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::FutureExt as _;
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use super::Plan;
use crate::launch;
use crate::layout::{self, Layout};
use crate::logfile;
use crate::part::{CleanUp, Part};
use crate::probe::Probe;
use crate::processes;

/// Owner of everything in the cluster.
pub const ROLE: &str = "catraca";
/// The one database.
pub const DATABASE: &str = "catraca";
/// For checkouts that PostgreSQL's user can't reach.
const ELSEWHERE: &str = "/var/lib/catraca";

/// Settings that differ from PostgreSQL's own. `fsync` and `synchronous_commit` stay on: what was
/// acknowledged survives.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=256MB",
    "effective_cache_size=1GB",
    "work_mem=8MB",
    "random_page_cost=1.1",
    "max_wal_size=2GB",
    "jit=off",
    "log_checkpoints=off",
];

/// A cluster: where it is, whose it is, which programs serve it.
struct Cluster {
    data: PathBuf,
    user: Option<String>,
    programs: PathBuf,
}

/// The part, its cluster made if need be.
pub async fn part(plan: &Plan) -> anyhow::Result<Part> {
    let cluster = Cluster::find(&plan.layout).await?;
    clean_up(&cluster.data)().await?;
    if !cluster.data.join("PG_VERSION").is_file() {
        cluster
            .make(plan)
            .await
            .context("cannot make the PostgreSQL cluster")?;
    }
    // Before our database exists, only `postgres` can be asked.
    let probe = Probe::Postgres {
        dsn: maintenance_dsn(plan),
    };
    let mut part = Part::new("postgres", cluster.programs.join("postgres"), probe)
        .args(["-D".as_ref(), cluster.data.as_os_str()])
        .args(["-p".to_owned(), plan.ports.port("postgres").to_string()])
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    part.user.clone_from(&cluster.user);
    part.clean_up = Some(clean_up(&cluster.data));
    // Both: end the sessions, then go. When the stack itself dies there is no time for a checkpoint.
    part.stop_signal = Signal::SIGINT;
    part.death_signal = Signal::SIGQUIT;
    part.ready_within = Duration::from_mins(1);
    Ok(part)
}

/// Makes our database, once the server runs.
pub async fn make_database(plan: &Plan) -> anyhow::Result<()> {
    let (client, connection) =
        tokio_postgres::connect(&maintenance_dsn(plan), tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let known = client
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE])
        .await?;
    if known.is_none() {
        client
            .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
            .await?;
    }
    drop(client);
    connection.await??;
    Ok(())
}

fn maintenance_dsn(plan: &Plan) -> String {
    format!("{}postgres", plan.postgres_dsn().trim_end_matches(DATABASE))
}

/// Before a start, no process of an earlier server may be left: they would share its memory.
fn clean_up(data: &Path) -> CleanUp {
    let data = data.to_path_buf();
    Arc::new(move || {
        let data = data.clone();
        async move {
            processes::kill_working_in(&data, "postgres").await?;
            // Nobody serves this cluster now, so the file is stale. The server finds that out by
            // itself, except when another program has been given the same process id meanwhile.
            layout::remove(&data.join("postmaster.pid"))
        }
        .boxed()
    })
}

impl Cluster {
    async fn find(layout: &Layout) -> anyhow::Result<Self> {
        let programs = programs()?;
        if !geteuid().is_root() {
            return Ok(Self {
                data: layout.local.join("postgres"),
                user: None,
                programs,
            });
        }
        let user = server_user()?;
        let inside = layout.local.join("postgres");
        let data = if can_reach(layout, &user.name).await? {
            inside
        } else {
            elsewhere(layout)?
        };
        let record = layout.local.join("postgres.path");
        std::fs::write(record, data.as_os_str().as_encoded_bytes())?;
        Ok(Self {
            data,
            user: Some(user.name),
            programs,
        })
    }

    /// Makes it beside its place and renames it, so that an interrupted attempt leaves nothing.
    async fn make(&self, plan: &Plan) -> anyhow::Result<()> {
        let fresh = self.data.with_extension("new");
        let password_file = self.data.with_extension("password");
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh)?;
        }
        std::fs::create_dir(&fresh)?;
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o700))?;
        layout::write_atomically(
            &password_file,
            plan.secrets.get("postgres_password").as_bytes(),
        )?;
        if let Some(user) = self
            .user
            .as_deref()
            .map(User::from_name)
            .transpose()?
            .flatten()
        {
            let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
            chown(&fresh, uid, gid)?;
            chown(&password_file, uid, gid)?;
        }
        let made = self.run_initdb(plan, &fresh, &password_file).await;
        std::fs::remove_file(&password_file)?;
        made?;
        std::fs::rename(&fresh, &self.data)?;
        Ok(())
    }

    async fn run_initdb(&self, plan: &Plan, data: &Path, password: &Path) -> anyhow::Result<()> {
        let mut part = Part::new(
            "postgres",
            self.programs.join("initdb"),
            Probe::Survives(Duration::ZERO),
        )
        .args(["-D".as_ref(), data.as_os_str()])
        .args([
            "-U",
            ROLE,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ])
        .args([std::ffi::OsString::from("--pwfile"), password.into()]);
        part.user.clone_from(&self.user);
        let status = part.spawn(&plan.layout)?.wait().await?;
        let log = plan.layout.log("postgres");
        anyhow::ensure!(
            status.success(),
            "initdb: {status}:\n{}",
            logfile::tail(&log, 10)
        );
        Ok(())
    }
}

/// The newest server installed.
fn programs() -> anyhow::Result<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = debian
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            folder.join("initdb").is_file().then_some((version, folder))
        })
        .max();
    if let Some((_, folder)) = newest {
        return Ok(folder);
    }
    let initdb = super::system_program("initdb")?.canonicalize()?;
    Ok(initdb
        .parent()
        .context("initdb has no folder")?
        .to_path_buf())
}

fn server_user() -> anyhow::Result<User> {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .context("PostgreSQL can't run as root, and there is neither a user postgres nor nobody")
}

/// Whether that user can walk down to `.local/`: tried, not computed.
async fn can_reach(layout: &Layout, user: &str) -> anyhow::Result<bool> {
    let test = Path::new("/usr/bin/test");
    let status = launch::command(layout, test, Some(user), Signal::SIGKILL)
        .arg("-x")
        .arg(&layout.local)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await?;
    Ok(status.success())
}

fn elsewhere(layout: &Layout) -> anyhow::Result<PathBuf> {
    let mut hasher = std::hash::DefaultHasher::new();
    layout.local.canonicalize()?.hash(&mut hasher);
    let parent = Path::new(ELSEWHERE);
    std::fs::create_dir_all(parent)?;
    anyhow::ensure!(
        std::fs::metadata(parent)?.uid() == 0,
        "{ELSEWHERE} does not belong to root"
    );
    Ok(parent.join(format!("postgres-{:016x}", hasher.finish())))
}
