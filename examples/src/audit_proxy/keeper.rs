//! Keeps the rules in force what their files say.
//!
//! The files are looked at twice a second, which works wherever files do: network file systems, bind mounts, editors and tools that
//! put a new file in the place of the old. What was just written is left alone until it stands still for a look.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use proxy_core::LAST_PAGES;
use serde::Serialize;

use crate::config::{ConfigError, RuleFiles};
use crate::driver::{CUT_OFF, END_WITHIN};
use crate::events::{Events, now_ms};
use crate::in_force::InForce;

/// How often files are looked at. A change is in force after two looks, which leaves sessions the rest of
/// [`END_WITHIN`] to end.
const LOOK: Duration = Duration::from_millis(500);

const _: () = assert!(
    2 * LOOK.as_millis() + LAST_PAGES.as_millis() + CUT_OFF.as_millis() < END_WITHIN.as_millis(),
    "what is no longer allowed ends in time"
);

/// Loads the rules again whenever it is asked to, or their files have changed.
pub struct Keeper {
    pub(super) files: RuleFiles,
    pub(super) in_force: Arc<InForce>,
    pub(super) events: Arc<Events>,
}

/// What is told of a change, beside the sessions' own events.
#[derive(Serialize)]
#[serde(tag = "event")]
enum Told<'a> {
    /// No session begins under other rules from now on.
    #[serde(rename = "rules.in_force")]
    InForce {
        time_unix_ms: u64,
        rules: &'a str,
        policies: usize,
        revocations: usize,
        /// How many are decided about again.
        sessions: usize,
    },
    /// What the files say cannot be used; what was in force still is.
    #[serde(rename = "rules.rejected")]
    Rejected {
        time_unix_ms: u64,
        rules: &'a str,
        problems: Vec<String>,
    },
}

impl Keeper {
    /// Runs until nobody can ask any more.
    pub fn run(self, asked: &Receiver<()>) {
        let mut watch = Watch::of(&self.files);
        loop {
            match asked.recv_timeout(LOOK) {
                Ok(()) => self.load(true),
                Err(RecvTimeoutError::Timeout) if watch.look() => self.load(false),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn load(&self, is_asked: bool) {
        let old = self.in_force.now();
        match self.files.load() {
            Ok(rules) if rules.version == old.version => {
                if is_asked {
                    tracing::info!(rules = %old.version, "the rules are as they were");
                }
            }
            Ok(rules) => {
                let rules = Arc::new(rules);
                let sessions = self.in_force.put(Arc::clone(&rules));
                let (policies, revocations) = (rules.policy.policies(), rules.revocations.len());
                self.events.write(&Told::InForce {
                    time_unix_ms: now_ms(),
                    rules: &rules.version,
                    policies,
                    revocations,
                    sessions,
                });
                tracing::info!(
                    rules = %rules.version, before = %old.version, policies, revocations, sessions,
                    "new rules are in force"
                );
            }
            Err(error) => self.reject(&error, &old.version),
        }
    }

    fn reject(&self, error: &ConfigError, version: &str) {
        tracing::error!(rules = %version, "the rules stay as they were, since the new ones cannot be used:\n{error}");
        self.events.write(&Told::Rejected {
            time_unix_ms: now_ms(),
            rules: version,
            problems: error.to_string().lines().map(str::to_owned).collect(),
        });
    }
}

/// What tells one state of a file from another, also where a file took the place of another within a tick of the clock.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// A tool that sets the time of the last change cannot set this one.
    changed: (i64, i64),
}

impl Stamp {
    /// Nothing where there is no such file.
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Looks at files.
struct Watch {
    files: Vec<PathBuf>,
    /// At the last look.
    seen: Vec<Option<Stamp>>,
    /// When they were last told to have changed; empty before, since they may have changed after they were first read.
    told: Vec<Option<Stamp>>,
}

impl Watch {
    fn of(files: &RuleFiles) -> Self {
        let files = [Some(&files.policy), files.revocations.as_ref()];
        Self {
            files: files.into_iter().flatten().cloned().collect(),
            seen: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Whether the files are others than was last told, and stand still.
    fn look(&mut self) -> bool {
        let now: Vec<_> = self.files.iter().map(|file| Stamp::of(file)).collect();
        let before = std::mem::replace(&mut self.seen, now);
        if self.seen != before || self.seen == self.told {
            return false;
        }
        self.told.clone_from(&self.seen);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn watched(folder: &Path) -> (PathBuf, Watch) {
        let file = folder.join("policy.toml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::of(&RuleFiles {
            policy: file.clone(),
            revocations: None,
        });
        // What was there at the start is told of once.
        assert_eq!(
            [watch.look(), watch.look(), watch.look()],
            [false, true, false]
        );
        (file, watch)
    }

    #[test]
    fn a_change_is_told_once_when_the_file_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watch) = watched(folder.path());
        fs::write(&file, "on").unwrap();
        assert!(!watch.look(), "it may still be written");
        fs::write(&file, "only half").unwrap();
        assert!(!watch.look(), "it was");
        assert_eq!([watch.look(), watch.look()], [true, false]);
    }

    #[test]
    fn a_file_that_takes_the_place_of_another_is_a_change_and_so_is_one_that_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut watch) = watched(folder.path());
        let other = folder.path().join("other");
        fs::write(&other, "two").unwrap();
        let as_before = fs::metadata(&file).unwrap().modified().unwrap();
        let written = fs::File::options().write(true).open(&other).unwrap();
        written.set_modified(as_before).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(
            [watch.look(), watch.look(), watch.look()],
            [false, true, false]
        );
        fs::remove_file(&file).unwrap();
        assert_eq!(
            [watch.look(), watch.look(), watch.look()],
            [false, true, false]
        );
    }
}
