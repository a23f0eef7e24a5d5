//! The files that a command reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use policy::{LoadError, PolicySet, Revocations, Strictness};
use serde::de::DeserializeOwned;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum PolicyctlError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Write(#[source] io::Error),
    /// Nobody reads the answer any more.
    #[error("nobody reads the answer")]
    BrokenPipe,
    /// A policy has problems.
    #[error("{}", Problems(file, error))]
    Policy {
        /// The file.
        file: PathBuf,
        /// The problems.
        error: LoadError,
    },
    /// Cloudflare's documents have problems, which name their files.
    #[error("{0}")]
    Import(LoadError),
    /// A request, an inventory or a test file is not one.
    #[error("{}: {what}", file.display())]
    Shape {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A folder has no test file.
    #[error("{} has no test file: TOML with `policy` and [[case]] tables", .0.display())]
    NoTests(PathBuf),
}

impl PolicyctlError {
    pub(super) fn is_about_a_document(&self) -> bool {
        matches!(
            self,
            Self::Policy { .. } | Self::Import(_) | Self::Shape { .. }
        )
    }
}

/// Problems with the name of their file, as compilers print them.
struct Problems<'a>(&'a Path, &'a LoadError);

impl std::fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(file, error) = self;
        let count = error.problems().len().saturating_add(error.unlisted());
        write!(f, "{} has {count} problem(s)", file.display())?;
        for problem in error.problems() {
            write!(f, "\n  {}: {problem}", file.display())?;
        }
        if error.unlisted() > 0 {
            write!(f, "\n  and {} more", error.unlisted())?;
        }
        Ok(())
    }
}

pub(super) fn read(file: &Path) -> Result<String, PolicyctlError> {
    fs::read_to_string(file).map_err(|error| PolicyctlError::Read {
        file: file.into(),
        error,
    })
}

fn is_json(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "json")
}

/// How a policy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// In TOML or JSON by the file's name.
    Ours,
    /// As Cloudflare writes it, and with nothing that it does not document for infrastructure applications.
    StrictCloudflare,
}

impl Notation {
    pub(super) fn new(strict_cloudflare: bool) -> Self {
        if strict_cloudflare {
            Self::StrictCloudflare
        } else {
            Self::Ours
        }
    }
}

/// A policy of ours.
pub(super) fn policy(file: &Path) -> Result<PolicySet, PolicyctlError> {
    policy_in(file, Notation::Ours)
}

/// A policy.
pub(super) fn policy_in(file: &Path, notation: Notation) -> Result<PolicySet, PolicyctlError> {
    let text = read(file)?;
    let loaded = match notation {
        // The problems are told with the name of the file once, not twice.
        Notation::StrictCloudflare => {
            PolicySet::from_cloudflare(&[("", &text)], Strictness::Strict).map(|it| it.set)
        }
        Notation::Ours if is_json(file) => PolicySet::from_json(&text),
        Notation::Ours => PolicySet::from_toml(&text),
    };
    loaded.map_err(|error| PolicyctlError::Policy {
        file: file.into(),
        error,
    })
}

/// A list of revocations; without a file nothing is revoked.
pub(super) fn revocations(file: Option<&Path>) -> Result<Revocations, PolicyctlError> {
    let Some(file) = file else {
        return Ok(Revocations::default());
    };
    Revocations::from_toml(&read(file)?).map_err(|error| PolicyctlError::Policy {
        file: file.into(),
        error,
    })
}

/// Anything else, in TOML or JSON by the file's name.
pub(super) fn document<T: DeserializeOwned>(file: &Path) -> Result<T, PolicyctlError> {
    let text = read(file)?;
    let parsed = if is_json(file) {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.to_string())
    };
    parsed.map_err(|what| PolicyctlError::Shape {
        file: file.into(),
        what,
    })
}

/// The time since the Unix epoch.
pub(super) fn now() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO)
}
