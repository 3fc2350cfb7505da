//! Temporary folders for homes.

use std::path::Path;

use tempfile::TempDir;

/// The longest folder for temporary files below which there is room for a home's socket.
const LONGEST: usize = 60;

/// A temporary folder whose path is short enough for sockets in it, whatever `TMPDIR` says.
pub fn short_folder() -> TempDir {
    let usual = std::env::temp_dir();
    let is_short = usual.as_os_str().len() <= LONGEST;
    tempfile::tempdir_in(if is_short { &usual } else { Path::new("/tmp") }).unwrap()
}
