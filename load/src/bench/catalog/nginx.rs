//! The peer: nginx, serving files with what it has for that: sendfile, open files kept, no log.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A running nginx; stopped when dropped, its folder gone.
pub(super) struct Nginx {
    pub(super) address: SocketAddr,
    folder: PathBuf,
    child: Child,
}

impl Nginx {
    pub(super) async fn start(program: &Path) -> anyhow::Result<Self> {
        let seed: u32 = rand::random();
        let folder = std::env::temp_dir().join(format!("catraca-nginx-{seed:08x}"));
        std::fs::create_dir_all(folder.join("www"))?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = free.local_addr()?;
        drop(free);
        let at = folder.display();
        let config = format!(
            "worker_processes 1; daemon off; pid {at}/pid; error_log {at}/error.log crit;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; etag on;
               keepalive_timeout 600s; keepalive_requests 100000000;
               open_file_cache max=1000 inactive=60s; open_file_cache_valid 1s;
               default_type application/json;
               client_body_temp_path {at}/t1; proxy_temp_path {at}/t2; fastcgi_temp_path {at}/t3;
               uwsgi_temp_path {at}/t4; scgi_temp_path {at}/t5;
               server {{ listen {address}; root {at}/www;
                 location / {{ add_header Cache-Control 'public, no-cache'; }} }}
             }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(&folder)
            .args(["-e", "stderr"])
            .kill_on_drop(false)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("nginx")?;
        let nginx = Self {
            address,
            folder,
            child,
        };
        let by = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).await.is_err() {
            anyhow::ensure!(Instant::now() < by, "nginx does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(nginx)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Serves these bytes under this path from now on.
    pub(super) fn put(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let file = self.folder.join("www").join(path.trim_start_matches('/'));
        let folder = file.parent().context("a path with a folder")?;
        std::fs::create_dir_all(folder)?;
        let fresh = file.with_extension("new");
        std::fs::write(&fresh, bytes)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o644))?;
        Ok(std::fs::rename(&fresh, &file)?)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master tells its worker.
        if let Some(pid) = self.child.id() {
            let _ = std::process::Command::new("kill")
                .args(["-s", "TERM", &pid.to_string()])
                .status();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
