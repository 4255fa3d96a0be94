//! Where things are in the checkout.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Folders of one checkout.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Top of the checkout.
    pub root: PathBuf,
    /// Everything a run writes: `.local/`.
    pub local: PathBuf,
    /// Where cargo put the programs, this one among them.
    pub programs: PathBuf,
    /// This program, used to start parts (see [`crate::launch`]).
    pub launcher: PathBuf,
}

impl Layout {
    /// The checkout that the current folder is in; programs are looked for beside the running one.
    /// `local` replaces `.local/`, so that tests can run beside everything else.
    pub fn find(local: Option<&Path>) -> anyhow::Result<Self> {
        let start = std::env::current_dir()?;
        let root = start
            .ancestors()
            .find(|folder| folder.join("Cargo.lock").is_file() && folder.join("stack").is_dir())
            .with_context(|| format!("{} is not inside a checkout of Catraca", start.display()))?
            .to_path_buf();
        let launcher = std::env::current_exe().context("cannot find this program's own file")?;
        let programs = launcher
            .parent()
            .context("this program has no folder")?
            .to_path_buf();
        let local = root.join(local.unwrap_or(Path::new(".local")));
        Ok(Self {
            root,
            local,
            programs,
            launcher,
        })
    }

    /// The log of one part.
    pub fn log(&self, name: &str) -> PathBuf {
        self.local.join("log").join(format!("{name}.log"))
    }

    /// A folder of `.local/`, made when missing.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.local.join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// The built pages. The folder must exist for the edge to start, even without any.
    pub fn pages(&self) -> anyhow::Result<PathBuf> {
        let path = self.root.join("web/dist");
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Where other programs learn about the run.
    pub fn run_file(&self) -> PathBuf {
        self.local.join("run.json")
    }

    /// One of the programs of this workspace.
    pub fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.programs.join(name);
        anyhow::ensure!(
            path.is_file(),
            "{} is missing: run `cargo build`",
            path.display()
        );
        Ok(path)
    }
}

/// Writes a file so that readers see the old or the new one, never half; only its owner may read it.
pub fn write_atomically(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = PathBuf::from(name);
    let write = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&fresh);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file; none is as good.
pub fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
