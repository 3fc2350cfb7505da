//! Reads the source of the house and fails where it breaks the plan: floors, doors, rooms, sizes, forbidden calls.

#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/scan.rs"]
mod scan;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rules::{Fault, check_errors, check_manifest, check_no_key, check_source};

#[test]
fn the_source_follows_the_plan() {
    let files = sources();
    assert!(files.iter().any(|(path, _)| path == "src/base/clock.rs"), "the walk finds the source");
    let mut faults: Vec<Fault> = files.iter().flat_map(|(path, text)| check_source(path, text)).collect();
    faults.extend(check_errors(&files));
    assert_none(&faults);
}

#[test]
fn each_dependency_says_why_it_is_here() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_none(&check_manifest("Cargo.toml", &text));
}

#[test]
fn no_private_key_is_committed() {
    let files = tracked();
    assert!(files.iter().any(|path| path.ends_with("Cargo.toml")), "the list of files is not empty");
    let faults: Vec<Fault> = files
        .iter()
        .filter_map(|path| Some((path, fs::read(path).ok()?)))
        .flat_map(|(path, bytes)| check_no_key(&shown(path), &bytes))
        .collect();
    assert_none(&faults);
}

#[track_caller]
fn assert_none(faults: &[Fault]) {
    let lines: Vec<&str> = faults.iter().map(|Fault(line)| line.as_str()).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), lines.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Every Rust file of `src` and `tests` with its text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    walk(&root().join("tests"), &mut files);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files.iter().filter_map(|path| Some((shown(path), fs::read_to_string(path).ok()?))).collect()
}

/// The files that git tracks or would; all files where there is no git.
fn tracked() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .ok()
        .filter(|output| output.status.success() && !output.stdout.is_empty());
    let Some(output) = listed else {
        let mut files = Vec::new();
        walk(root(), &mut files);
        return files;
    };
    String::from_utf8_lossy(&output.stdout).split('\0').filter(|p| !p.is_empty()).map(|p| root().join(p)).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files.push(path);
        } else if name != "target" && name != ".git" {
            walk(&path, files);
        }
    }
}
