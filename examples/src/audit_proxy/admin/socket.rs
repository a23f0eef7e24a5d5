//! The socket where operators ask.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::Mode;
use tokio::net::{UnixListener, UnixSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16;

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
    let _alone = alone_at(path)?;
    make_way(path)?;
    let socket = bound(path, mode)?;
    let file = SocketFile {
        path: path.to_owned(),
        there: Mutex::new(path.to_owned()),
        file: file_at(path)?,
    };
    // What the process's mask has taken of the permissions. Until it listens nobody can connect.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((socket.listen(BACKLOG)?, file))
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
/// change nobody else changes it. The file of the lock stays: who removes one takes it from whoever waits for it.
fn alone_at(path: &Path) -> io::Result<File> {
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(with_suffix(path, ".lock"))?;
    lock.lock()?;
    Ok(lock)
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

impl SocketFile {
    /// Leaves its path to a successor: from now on it is at `PATH.PID`, with this process's number, and answers there.
    pub(crate) fn step_aside(&self) {
        let mut there = self.there();
        if *there != self.path {
            return;
        }
        let aside = with_suffix(&self.path, format!(".{}", std::process::id()));
        let moved = alone_at(&self.path).and_then(|_alone| {
            if !self.is_ours(&there) {
                return Err(io::Error::other("it is not there any more"));
            }
            make_way(&aside)?;
            fs::rename(&*there, &aside)
        });
        match moved {
            Ok(()) => {
                tracing::info!(socket = %aside.display(), "operators are answered here until the end");
                *there = aside;
            }
            Err(error) => {
                tracing::warn!(%error, "the admin socket cannot be moved out of a successor's way");
            }
        }
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
        let removed = alone_at(&self.path).and_then(|_alone| match self.is_ours(&there) {
            true => fs::remove_file(&*there),
            false => Ok(()),
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "the admin socket cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

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
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
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
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = bind(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);

        // Somebody else's socket in its place is left alone.
        fs::remove_file(&path).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
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
    async fn a_file_in_the_way_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        let error = bind(&path, 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
}
