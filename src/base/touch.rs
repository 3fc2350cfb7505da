//! Marking a file as used just now.

use std::{fs::File, io, path::Path};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

/// Sets the time of last change of a file or folder to now, by the file system's own clock, so that clearing up old
/// files spares those in use.
pub fn touch(path: &Path) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    rustix::fs::futimens(File::open(path)?, &times).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_touched_file_is_new_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"x").unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        touch(&path).unwrap();
        assert!(path.metadata().unwrap().modified().unwrap() > old);
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        assert!(touch(&folder.path().join("none")).is_err());
    }
}
