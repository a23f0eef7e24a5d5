//! Finding the programs that judge the proxy, and saying so when one is missing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, thread};

/// Folders looked in after `PATH`: servers are often installed outside a user's `PATH`.
const EXTRA_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The full path of an installed program.
pub fn find(tool: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(EXTRA_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(tool))
        .find(|candidate| candidate.is_file())
}

/// The full path of a program that [`need`] has already found.
///
/// # Panics
///
/// When the program is missing: the test forgot to ask for it first.
pub fn path(tool: &str) -> PathBuf {
    find(tool).unwrap_or_else(|| panic!("`{tool}` is used without having been asked for"))
}

/// Whether all tools of a test are installed. When one is missing, the test is [skipped](skip).
///
/// # Panics
///
/// As [`skip`].
pub fn need(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| find(tool).is_none());
    if let Some(missing) = missing {
        skip(&format!("{missing} not found"));
    }
    missing.is_none()
}

/// Says that the running test is skipped, or a part of it, in a line `SKIPPED <test>: <why>`.
///
/// It goes to the real standard error, past the capture of the test runner, so that a skipped test never looks like
/// one that passed.
///
/// # Panics
///
/// With `PORTREEVE_NO_SKIP=1` in the environment a skipped test is a failed one.
pub fn skip(why: &str) {
    let thread = thread::current();
    let line = format!("SKIPPED {}: {why}\n", thread.name().unwrap_or("test"));
    assert!(
        env::var_os("PORTREEVE_NO_SKIP").is_none_or(|value| value != "1"),
        "{line}"
    );
    // A closed standard error leaves nobody to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The path of one of this package's own binaries, which Cargo builds beside the integration tests.
///
/// # Panics
///
/// When the binary has not been built.
pub fn own(binary: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of the running test");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>");
    let path = folder.join(binary);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo test -p e2e`",
        path.display()
    );
    path
}
