//! The socket where operators ask.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    make_way(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile {
        path: path.to_owned(),
        there: Mutex::new(path.to_owned()),
        file: file_at(path)?,
    };
    // Until it listens nobody can connect, whatever the permissions it was made with.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok((socket.listen(BACKLOG)?, file))
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
        if *there != self.path || !self.is_ours(&there) {
            return;
        }
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".{}", std::process::id()));
        let aside = PathBuf::from(aside);
        match fs::rename(&*there, &aside) {
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
        if self.is_ours(&there)
            && let Err(error) = fs::remove_file(&*there)
        {
            tracing::warn!(%error, "the admin socket cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
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
