//! Programs by name, found as a shell finds them.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// The file that a shell would run for `name`: a name with a slash is a path, any other is looked for in each folder of
/// `path`, which is written like `PATH`; an empty folder is the working folder. `None` when no file there can be run.
pub fn on_path(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|file| can_run(file));
    }
    let here = |folder: PathBuf| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    std::env::split_paths(path).map(|folder| here(folder).join(name)).find(|file| can_run(file))
}

fn can_run(file: &Path) -> bool {
    file.is_file() && access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn the_first_file_that_can_be_run_is_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        let (plain, program) = (make("a/tell", 0o644), make("b/tell", 0o755));
        fs::create_dir_all(folder.path().join("a/folder")).unwrap();
        let path = std::env::join_paths([folder.path().join("a"), folder.path().join("b")]).unwrap();
        let find = |name: &OsStr| on_path(name, &path);
        assert_eq!(find("tell".as_ref()), Some(program.clone()));
        assert_eq!(find(program.as_os_str()), Some(program));
        assert_eq!(find(plain.as_os_str()), None, "nobody may run it");
        assert_eq!((find("folder".as_ref()), find("else".as_ref()), find("".as_ref())), (None, None, None));
    }
}
