//! Unix sockets that clients and operators connect to.
//!
//! Owns the file of a socket: who may connect, what becomes of a file that is there already, and its removal. Must not
//! know what is served. Invariants: nobody can connect before the permissions are those of the configuration; the file
//! of a process that listens is left alone, and so is a file that is no socket.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
    },
};

use crate::config::unix_socket::UnixSocket;

/// Connections that may wait to be accepted, as for TCP.
const BACKLOG: i32 = 4096;

/// The file of a socket, which is removed when this is dropped. To be dropped before the socket is closed: until then
/// no other file has its number, and from then on that of another process may take its place.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Its device and number, by which it is told from the file of another process.
    identity: (u64, u64),
}

/// Why a Unix socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnixError {
    #[error("another process listens on it")]
    InUse,
    #[error("it is there, and is no socket")]
    NoSocket,
    #[error("the process that has it cannot be asked: {0}")]
    Unknown(io::Error),
    #[error("it cannot be made in its folder: {0}")]
    Failed(#[from] io::Error),
}

impl UnixError {
    /// What to do, apart from another path.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::InUse => "stop that process, or ",
            Self::NoSocket => "remove the file, or ",
            Self::Unknown(_) => "remove the file if no process listens on it, or ",
            Self::Failed(_) => "make the folder, writable for the server, or ",
        }
    }
}

/// Listens on a socket.
pub(super) fn open(socket: &UnixSocket) -> Result<(UnixListener, SocketFile), UnixError> {
    let UnixSocket { path, mode } = socket;
    remove_stale(path)?;
    let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
    let descriptor = stream()?;
    bind(&descriptor, &address).map_err(|error| match error {
        Errno::ADDRINUSE => UnixError::InUse,
        error => UnixError::Failed(error.into()),
    })?;
    let file = SocketFile {
        identity: identity(path)?,
        path: path.clone(),
    };
    fs::set_permissions(path, fs::Permissions::from_mode(*mode))?;
    listen(&descriptor, BACKLOG).map_err(io::Error::from)?;
    Ok((descriptor.into(), file))
}

/// Removes the file of a process that has ended without doing it.
fn remove_stale(path: &Path) -> Result<(), UnixError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(file) if !file.file_type().is_socket() => return Err(UnixError::NoSocket),
        Ok(_) => {}
    }
    let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
    match connect(&stream()?, &address) {
        // The latter if as many connections wait as may.
        Ok(()) | Err(Errno::AGAIN) => Err(UnixError::InUse),
        Err(Errno::CONNREFUSED) => {
            tracing::info!(path = %path.display(), "replacing the socket of a process that has ended");
            Ok(fs::remove_file(path)?)
        }
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(UnixError::Unknown(error.into())),
    }
}

/// It never waits for the other side.
fn stream() -> io::Result<std::os::fd::OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "the file of a socket was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn socket(folder: &tempfile::TempDir, mode: u32) -> UnixSocket {
        UnixSocket {
            path: folder.path().join("a.sock"),
            mode,
        }
    }

    fn mode(socket: &UnixSocket) -> u32 {
        fs::metadata(&socket.path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_socket_has_its_permissions_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        for permissions in [0o660, 0o600, 0o777] {
            let socket = socket(&folder, permissions);
            let (_listener, file) = open(&socket).unwrap();
            assert_eq!(mode(&socket), permissions);
            UnixStream::connect(&socket.path).unwrap();
            drop(file);
            assert!(!socket.path.exists());
        }
    }

    #[test]
    fn the_file_of_a_dead_process_is_replaced_and_that_of_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let socket = socket(&folder, 0o660);
        drop(UnixListener::bind(&socket.path).unwrap());
        let (listener, file) = open(&socket).unwrap();
        assert!(matches!(open(&socket), Err(UnixError::InUse)));
        UnixStream::connect(&socket.path).unwrap();
        // As after SIGKILL.
        std::mem::forget(file);
        drop(listener);
        open(&socket).unwrap();
    }

    #[test]
    fn the_file_of_another_process_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let socket = socket(&folder, 0o660);
        let (_listener, file) = open(&socket).unwrap();
        fs::remove_file(&socket.path).unwrap();
        let (_other_listener, other) = open(&socket).unwrap();
        drop(file);
        assert!(socket.path.exists());
        drop(other);
        assert!(!socket.path.exists());
    }

    #[test]
    fn a_server_with_a_full_queue_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let socket = socket(&folder, 0o660);
        let descriptor = stream().unwrap();
        bind(&descriptor, &SocketAddrUnix::new(&socket.path).unwrap()).unwrap();
        listen(&descriptor, 0).unwrap();
        let _waits = UnixStream::connect(&socket.path).unwrap();
        assert!(matches!(open(&socket), Err(UnixError::InUse)));
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let socket = socket(&folder, 0o660);
        fs::write(&socket.path, "precious").unwrap();
        assert!(matches!(open(&socket), Err(UnixError::NoSocket)));
        assert_eq!(fs::read_to_string(&socket.path).unwrap(), "precious");
        let nowhere = UnixSocket {
            path: folder.path().join("none/a.sock"),
            mode: 0o660,
        };
        assert!(matches!(open(&nowhere), Err(UnixError::Failed(_))));
    }
}
