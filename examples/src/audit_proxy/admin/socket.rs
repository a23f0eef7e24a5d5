//! The socket where operators ask.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16;

/// How long another proxy may hold the lock. It does for a few system calls; one that is stopped meanwhile must not stop others.
const LOCK_TIME: Duration = Duration::from_secs(2);

/// Between two looks at a lock that another holds.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// How many proxies with one process number may drain at one path. One digit: the longest path of a socket leaves room for no more.
const MAX_ASIDE: u32 = 9;

/// The file of a socket, which is there as long as this is.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Where it is now.
    there: Mutex<PathBuf>,
    /// Device and inode: what another proxy has put there since is not ours to remove.
    file: (u64, u64),
}

/// Listens at a path. What a proxy that died has left there is removed; one that lives keeps its place.
pub(crate) fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    bind_and(path, mode, |socket| {
        // What the process's mask has taken of the permissions. Until it listens nobody can connect.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)
    })
}

/// Has a socket listen whose file is there already; without it, the file is removed.
fn bind_and(
    path: &Path,
    mode: u32,
    listen: impl FnOnce(UnixSocket) -> io::Result<UnixListener>,
) -> io::Result<(UnixListener, SocketFile)> {
    let _alone = alone_at(path)?;
    make_way(path)?;
    let socket = bound(path, mode)?;
    let listening = file_at(path).and_then(|file| Ok((file, listen(socket)?)));
    match listening {
        Ok((file, listener)) => {
            let there = Mutex::new(path.to_owned());
            let path = path.to_owned();
            Ok((listener, SocketFile { path, there, file }))
        }
        Err(error) => {
            // Nobody else puts another file there while the lock is held.
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(%error, "the admin socket cannot be removed");
            }
            Err(error)
        }
    }
}

/// A socket whose file is there from its first moment for nobody else than `mode` says.
fn bound(path: &Path, mode: u32) -> io::Result<UnixSocket> {
    let socket = UnixSocket::new_stream()?;
    // The file is made with the permissions of the socket itself, less the process's mask.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
    socket.bind(path)?;
    Ok(socket)
}

/// Keeps other proxies from coming to this path or leaving it for as long as what is given is there: between a look at what is there and a
/// change nobody else changes it. The file of the lock stays: who removes one takes it from whoever waits for it. A file system that knows
/// no locks gives none.
fn alone_at(path: &Path) -> io::Result<Option<File>> {
    let path = with_suffix(path, ".lock");
    locked(&path, LOCK_TIME).map_err(|error| {
        let why = format!("its lock `{}`: {error}", path.display());
        io::Error::new(error.kind(), why)
    })
}

/// Waits for a lock, and no longer than `time`: who holds it may be stopped.
fn locked(path: &Path, time: Duration) -> io::Result<Option<File>> {
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let due = Instant::now() + time;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) if Instant::now() < due => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let why = "another process holds it";
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            Err(TryLockError::Error(error)) if is_without_locks(&error) => {
                tracing::warn!(lock = %path.display(), %error, "there are no locks here: start no two proxies at once");
                return Ok(None);
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Whether it is the file system that has no locks.
fn is_without_locks(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS))
}

/// As [`alone_at`], for who leaves: that must not fail for want of a lock.
fn alone_if_possible(path: &Path) -> Option<File> {
    alone_at(path).unwrap_or_else(|error| {
        tracing::warn!(%error, "the admin socket is left without its lock");
        None
    })
}

fn with_suffix(path: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

fn make_way(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        let why = "something else than a socket is there";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another proxy listens there",
        )),
    }
}

/// Where to go from a path: the first place where no other proxy is. Proxies in containers often have the same number.
fn free_aside(path: &Path) -> io::Result<PathBuf> {
    let first = with_suffix(path, format!(".{}", std::process::id()));
    let others = (2..=MAX_ASIDE).map(|n| with_suffix(&first, format!(".{n}")));
    let mut result = make_way(&first).map(|()| first.clone());
    for other in others {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                result = make_way(&other).map(|()| other);
            }
            _ => break,
        }
    }
    result
}

impl SocketFile {
    /// Leaves its path to a successor: from now on it is at `PATH.PID`, with this process's number, and answers there. Where another proxy
    /// is there, it is at `PATH.PID.2`, and so on. May wait for another proxy.
    pub(crate) fn step_aside(&self) {
        let mut there = self.there();
        if *there != self.path {
            return;
        }
        let _alone = alone_if_possible(&self.path);
        match self.moved_aside(&there) {
            Ok(aside) => {
                tracing::info!(socket = %aside.display(), "operators are answered here until the end");
                *there = aside;
            }
            Err(error) => {
                tracing::warn!(%error, "the admin socket cannot be moved out of a successor's way");
            }
        }
    }

    fn moved_aside(&self, there: &Path) -> io::Result<PathBuf> {
        if !self.is_ours(there) {
            return Err(io::Error::other("it is not there any more"));
        }
        let aside = free_aside(&self.path)?;
        fs::rename(there, &aside)?;
        Ok(aside)
    }

    fn there(&self) -> MutexGuard<'_, PathBuf> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ours(&self, path: &Path) -> bool {
        file_at(path).is_ok_and(|file| file == self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = self.there();
        let _alone = alone_if_possible(&self.path);
        if !self.is_ours(&there) {
            return;
        }
        if let Err(error) = fs::remove_file(&*there) {
            tracing::warn!(%error, "the admin socket cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as Listening;
    use std::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_owners_and_goes_with_its_proxy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let socket = bind(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_is_never_for_more_than_it_is_to_be() {
        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in [("owner", 0o600), ("group", 0o660)] {
            let path = folder.path().join(name);
            let _socket = bound(&path, mode).unwrap();
            let made = fs::metadata(&path).unwrap().mode() & 0o777;
            assert_eq!(made & !mode, 0, "{made:o}");
            assert_eq!(made & 0o600, 0o600, "{made:o}");
        }
    }

    #[tokio::test]
    async fn of_many_who_take_over_at_once_one_does_and_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let runtime = tokio::runtime::Handle::current();
        for _ in 0..20 {
            drop(Listening::bind(&path).unwrap());
            let start = Barrier::new(4);
            let bound: Vec<_> = thread::scope(|scope| {
                let starters = [(); 4].map(|()| {
                    scope.spawn(|| {
                        let _inside = runtime.enter();
                        start.wait();
                        bind(&path, 0o600)
                    })
                });
                starters.map(|it| it.join().unwrap()).into()
            });
            let errors = bound.iter().filter_map(|it| it.as_ref().err());
            let errors: Vec<_> = errors.map(io::Error::kind).collect();
            assert_eq!(errors, [io::ErrorKind::AddrInUse; 3]);
            UnixStream::connect(&path).unwrap();
            drop(bound);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_living_proxy_keeps_its_socket_and_a_dead_ones_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let first = bind(&path, 0o600).unwrap();
        let error = bind(&path, 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        drop(first);
        // A listener that is dropped leaves its file, as a proxy does that is killed.
        drop(Listening::bind(&path).unwrap());
        assert!(path.exists());
        let second = bind(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);

        // Somebody else's socket in its place is left alone.
        fs::remove_file(&path).unwrap();
        let _other = Listening::bind(&path).unwrap();
        drop(second);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn who_steps_aside_leaves_the_path_to_a_successor_and_is_still_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (_listener, first) = bind(&path, 0o600).unwrap();
        first.step_aside();
        let second = bind(&path, 0o600).unwrap();
        first.step_aside();
        UnixStream::connect(&path).unwrap();
        let aside = folder
            .path()
            .join(format!("admin.sock.{}", std::process::id()));
        UnixStream::connect(&aside).unwrap();
        drop(first);
        assert!(!aside.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn one_that_cannot_listen_leaves_no_file_and_the_path_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let failing = |_| Err(io::Error::other("no more sockets"));
        let error = bind_and(&path, 0o600, failing).unwrap_err();
        assert_eq!(error.to_string(), "no more sockets");
        assert!(!path.exists());
        bind(&path, 0o600).unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_somebody_holds_keeps_from_starting_and_not_from_leaving() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (_listener, file) = bind(&path, 0o600).unwrap();
        let held = alone_at(&path).unwrap().unwrap();
        let error = bind(&path, 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("admin.sock.lock"), "{error}");
        file.step_aside();
        assert!(!path.exists());
        drop(file);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        drop(held);
        bind(&path, 0o600).unwrap();
    }

    #[tokio::test]
    async fn an_error_names_the_lock_that_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        fs::create_dir(folder.path().join("admin.sock.lock")).unwrap();
        let error = bind(&path, 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert!(error.to_string().contains("admin.sock.lock"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn only_a_file_system_without_locks_is_done_without_them() {
        for errno in [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS] {
            assert!(is_without_locks(&errno.into()), "{errno}");
        }
        for errno in [Errno::ACCESS, Errno::IO, Errno::NOSPC] {
            assert!(!is_without_locks(&errno.into()), "{errno}");
        }
        assert!(!is_without_locks(&io::Error::other("x")));
    }

    #[tokio::test]
    async fn who_steps_aside_where_another_with_its_number_is_takes_the_next_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let aside = |n: u32| {
            let pid = std::process::id();
            let nth = if n == 1 {
                String::new()
            } else {
                format!(".{n}")
            };
            folder.path().join(format!("admin.sock.{pid}{nth}"))
        };
        let _first = Listening::bind(aside(1)).unwrap();
        // One that has died keeps no place.
        drop(Listening::bind(aside(2)).unwrap());
        let mut draining = Vec::new();
        for place in 2..=MAX_ASIDE {
            let (listener, file) = bind(&path, 0o600).unwrap();
            file.step_aside();
            assert!(!path.exists());
            UnixStream::connect(aside(place)).unwrap();
            draining.push((listener, file));
        }
        let (_listener, last) = bind(&path, 0o600).unwrap();
        last.step_aside();
        UnixStream::connect(&path).unwrap();
        drop(draining);
        assert!(!aside(2).exists() && aside(1).exists());
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        let error = bind(&path, 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
