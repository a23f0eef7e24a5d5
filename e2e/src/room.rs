//! One temporary folder per test, shown and kept when asked for.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Input, run, shortened};
use crate::tools;

/// A folder of one test. `PORTREEVE_KEEP=1` keeps it, and prints where it is.
pub struct Room {
    folder: PathBuf,
    _guard: Option<TempDir>,
}

impl Room {
    /// A new, empty folder. Its path is short, because the path of a control socket may have 108 bytes only.
    ///
    /// # Panics
    ///
    /// When the folder cannot be made.
    pub fn new() -> Self {
        let guard = tempfile::Builder::new()
            .prefix("e2e-")
            .tempdir()
            .expect("a temporary folder");
        let folder = guard.path().to_path_buf();
        if env::var_os("PORTREEVE_KEEP").is_some_and(|value| value == "1") {
            let kept = guard.keep();
            let test = std::thread::current().name().unwrap_or("test").to_owned();
            eprintln!("kept {test}: {}", kept.display());
            return Self {
                folder: kept,
                _guard: None,
            };
        }
        Self {
            folder,
            _guard: Some(guard),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file into the folder.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// A new key pair `name`, `name.pub` by `ssh-keygen`; `kind` is as its `-t`.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn key(&self, name: &str, kind: &str) -> PathBuf {
        let path = self.path(name);
        let mut keygen = Command::new(tools::path("ssh-keygen"));
        keygen
            .args(["-q", "-N", "", "-C", name, "-t", kind, "-f"])
            .arg(&path);
        run(&mut keygen, Input::Nothing, Duration::from_secs(20)).expect_code(0);
        path
    }

    /// The public half of a key pair of [`key`](Self::key), as its one line.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub fn public_key(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.pub")))
            .expect("a public key")
            .trim()
            .to_owned()
    }

    /// Prints all `*.log` and `*.jsonl` files of the folder and of the folders in it, for a test that failed.
    pub fn show_logs(&self) {
        let mut paths: Vec<_> = files_in(&self.folder)
            .into_iter()
            .flat_map(|path| {
                if path.is_dir() {
                    files_in(&path)
                } else {
                    vec![path]
                }
            })
            .collect();
        paths.sort();
        for path in paths {
            if path
                .extension()
                .is_some_and(|extension| extension == "log" || extension == "jsonl")
            {
                let content = fs::read(&path).unwrap_or_default();
                eprintln!("--- {}\n{}", path.display(), shortened(&content));
            }
        }
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// A loopback port that was free a moment ago. Whoever binds it tries again with another when somebody was faster.
///
/// # Panics
///
/// When no port can be bound.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener.local_addr().expect("a bound address").port()
}

/// The name of the user that runs the tests: the only one whom an unprivileged `sshd` can log in.
///
/// # Panics
///
/// When `id` does not say.
pub fn current_user() -> String {
    let mut id = Command::new(tools::path("id"));
    run(id.arg("-un"), Input::Nothing, Duration::from_secs(10))
        .expect_code(0)
        .out()
        .trim()
        .to_owned()
}
