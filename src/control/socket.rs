//! The socket file: bound where only its owner can reach it, never taken from a daemon that lives.
//!
//! Keeps attacks 90, 91, 102 and 103 out.
//!
//! Invariant: the name never leads to a socket that others may connect to. It is bound and given its mode under a
//! random name in a folder that only its owner can write to, and then renamed over whatever is stale.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketType},
};

use super::{Client, Error};
use crate::base::{blocking, hex, random};

/// A bound control socket; the file is removed on drop if it is still this one.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file that was made here.
    identity: (u64, u64),
    access: SocketAccess,
}

/// Who may connect, by the file's mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SocketAccess {
    /// Its owner: 0600.
    #[default]
    Owner,
    /// Its owner and the members of this group: 0660. They have the operator's rights.
    Group(String),
}

/// What stands at the socket's path.
enum Found {
    Live,
    Nothing,
    Stale,
}

impl Listener {
    /// What Linux and macOS both take, without the final zero.
    pub(super) const MAX_PATH: usize = 103;
    /// How long whoever listens already may take to say who it is.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Binds the socket for these. The folder must exist, belong to the caller and be writable by nobody else.
    ///
    /// Two daemons that start in the same instant are told apart by the lock that the daemon holds, not by this.
    pub fn bind(path: &Path, access: &SocketAccess) -> Result<Self, Error> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = folder.join(format!(".{}", hex(&random::<4>())));
        if path.as_os_str().len().max(temporary.as_os_str().len()) > Self::MAX_PATH {
            return Err(Error::LongPath(path.to_owned()));
        }
        check_folder(folder)?;
        if matches!(look(path)?, Found::Live) {
            return Err(Error::Live(path.to_owned()));
        }
        let bound = bind_at(&temporary, path, access);
        if bound.is_err() {
            let _ = fs::remove_file(&temporary); // the first error is the one worth telling
        }
        bound
    }

    /// Says who listens at this path already: [`Error::OtherProgram`] or [`Error::Live`]. For before anything is done.
    pub async fn check_free(path: &Path) -> Result<(), Error> {
        if !matches!(blocking(|| look(path))?, Found::Live) {
            return Ok(());
        }
        Err(match Client::connect(path, Self::PATIENCE).await {
            Err(other @ Error::OtherProgram { .. }) => other,
            Ok(_) | Err(_) => Error::Live(path.to_owned()),
        })
    }

    /// Where it is bound.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket at its path again: bound anew when the file is gone, or when whoever took its place has ended; `None`
    /// while it is in place, or while another program listens there.
    pub(super) fn put_back(&self) -> Option<Self> {
        if self.is_in_place() {
            return None;
        }
        match Self::bind(&self.path, &self.access) {
            Ok(again) => {
                tracing::info!(target: "control", path = %self.path.display(), "the socket is back in its place");
                Some(again)
            }
            Err(error) => {
                tracing::debug!(target: "control", %error, "the socket is not in its place");
                None
            }
        }
    }

    fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.identity)
    }

    pub(super) fn try_clone_socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.is_in_place() {
            let _ = fs::remove_file(&self.path); // a stale file is recognised at the next start
        }
    }
}

fn bind_at(temporary: &Path, path: &Path, access: &SocketAccess) -> Result<Listener, Error> {
    let failed = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    let socket = UnixListener::bind(temporary).map_err(failed("bind"))?;
    let mode = match access {
        SocketAccess::Owner => 0o600,
        SocketAccess::Group(name) => {
            let group = group_id(name)?; // the group before the mode, so that no other group is ever let in
            std::os::unix::fs::chown(temporary, None, Some(group)).map_err(failed("set the group of"))?;
            0o660
        }
    };
    fs::set_permissions(temporary, fs::Permissions::from_mode(mode)).map_err(failed("set the mode of"))?;
    socket.set_nonblocking(true).map_err(failed("set up"))?;
    let file = fs::symlink_metadata(temporary).map_err(failed("look at"))?;
    fs::rename(temporary, path).map_err(failed("put in place"))?;
    Ok(Listener { socket, path: path.to_owned(), identity: (file.dev(), file.ino()), access: access.clone() })
}

fn group_id(name: &str) -> Result<u32, Error> {
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) | Err(_) => Err(Error::Group(name.to_owned())),
    }
}

fn check_folder(folder: &Path) -> Result<(), Error> {
    let found =
        fs::metadata(folder).map_err(|source| Error::Io { action: "look at", path: folder.to_owned(), source })?;
    let own = found.uid() == rustix::process::geteuid().as_raw();
    if own && found.is_dir() && found.mode() & 0o022 == 0 { Ok(()) } else { Err(Error::Folder(folder.to_owned())) }
}

fn look(path: &Path) -> Result<Found, Error> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(source) => return Err(Error::Io { action: "look at", path: path.to_owned(), source }),
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match probe(path) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(Found::Stale),
        // A full queue is a busy daemon; whatever else is not understood is left alone too.
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(Found::Live),
        Err(error) => Err(Error::Io { action: "connect to", path: path.to_owned(), source: error.into() }),
    }
}

/// Connects without waiting: a daemon whose queue is full must not hang the one that asks.
fn probe(path: &Path) -> Result<(), Errno> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        crate::base::short_folder()
    }

    #[test]
    fn attack_90_the_socket_is_0600_and_its_folder_must_be_private() {
        let folder = folder();
        let path = folder.path().join("s");
        let bound = Listener::bind(&path, &SocketAccess::Owner).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary name is left");
        drop(bound);
        assert!(!path.exists());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Listener::bind(&path, &SocketAccess::Owner), Err(Error::Folder(_))));
    }

    #[test]
    fn attack_103_a_live_socket_is_not_taken() {
        let folder = folder();
        let path = folder.path().join("s");
        let _first = Listener::bind(&path, &SocketAccess::Owner).unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        assert!(matches!(Listener::bind(&path, &SocketAccess::Owner), Err(Error::Live(_))));
        assert_eq!(fs::metadata(&path).unwrap().ino(), before);
    }

    #[test]
    fn attack_102_a_stale_socket_is_replaced() {
        let folder = folder();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap()); // std leaves the file behind, as a killed daemon does
        assert!(path.exists());
        // Not at once: a child that another test is just starting has our descriptors until it runs its program.
        let mut looks = 0..6000;
        while Listener::bind(&path, &SocketAccess::Owner).is_err() {
            assert!(looks.next().is_some(), "somebody listens");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn attack_91_links_and_files_are_left_alone() {
        let folder = folder();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"precious").unwrap();
        symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            assert!(matches!(Listener::bind(path, &SocketAccess::Owner), Err(Error::NotASocket(_))));
        }
        assert_eq!(fs::read(&file).unwrap(), b"precious");
    }

    #[test]
    fn a_socket_that_is_not_ours_any_more_is_not_removed() {
        let folder = folder();
        let path = folder.path().join("s");
        let first = Listener::bind(&path, &SocketAccess::Owner).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Listener::bind(&path, &SocketAccess::Owner).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
    }

    #[test]
    fn a_path_that_no_socket_can_have_says_so() {
        let folder = folder();
        let path = folder.path().join("x".repeat(120));
        assert!(matches!(Listener::bind(&path, &SocketAccess::Owner), Err(Error::LongPath(_))));
    }

    #[test]
    fn a_group_is_let_in_by_its_name_and_an_unknown_one_is_an_error() {
        let folder = folder();
        let path = folder.path().join("s");
        let own = nix::unistd::Group::from_gid(nix::unistd::getgid()).unwrap();
        if let Some(own) = own {
            let _bound = Listener::bind(&path, &SocketAccess::Group(own.name)).unwrap();
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.mode() & 0o777, found.gid()), (0o660, own.gid.as_raw()));
        }
        let other = folder.path().join("t");
        let unknown = Listener::bind(&other, &SocketAccess::Group("no such group".into()));
        assert!(matches!(unknown, Err(Error::Group(_))), "{unknown:?}");
        assert!(!other.exists(), "nobody is let in instead");
    }
}
