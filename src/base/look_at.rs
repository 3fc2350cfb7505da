//! The command that shows what is at a path that could not be used.

use std::path::Path;

use super::shell_word;

/// The path itself where something is there, else the nearest folder above it, with what it holds.
pub fn look_at(path: &Path) -> String {
    let (flags, path) = if path.symlink_metadata().is_ok() {
        ("-ld", path)
    } else {
        let above = path.ancestors().skip(1).find(|folder| folder.is_dir());
        ("-la", above.unwrap_or(Path::new("/")))
    };
    format!("ls {flags} {}", shell_word(&path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_looked_for_above() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(look_at(at), format!("ls -ld {}", at.display()));
        assert_eq!(look_at(&at.join("a/b c")), format!("ls -la {}", at.display()));
        assert_eq!(look_at(Path::new("nowhere")), "ls -la /");
    }
}
