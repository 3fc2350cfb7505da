//! Temporary folders for tests that put sockets into them.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path};

/// The longest folder for temporary files below which there is room for a socket.
const LONGEST: usize = 60;

/// A private temporary folder whose path is short enough for sockets in it, whatever `TMPDIR` says.
pub(crate) fn short_folder() -> tempfile::TempDir {
    let usual = std::env::temp_dir();
    let is_short = usual.as_os_str().len() <= LONGEST;
    let place = if is_short { &usual } else { Path::new("/tmp") };
    tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir_in(place).unwrap()
}
