//! Folders and files as they come: ignored, excluded, linked, long, large, binary, strange.

use std::{fs, os::unix::fs::symlink, path::Path};

use super::{ALNUM, letters, patterns};
use crate::scan::{Baseline, DEFAULT_EXCLUDES, Found, Ignored, Reach, Request, Severity, search};

fn key() -> String {
    format!("acme_{}", letters(ALNUM, 24))
}

fn request(root: &Path) -> Request<'static> {
    Request {
        root: root.to_owned(),
        reach: Reach::Tree,
        ignored: Ignored::Skip,
        excludes: DEFAULT_EXCLUDES.map(str::to_owned).to_vec(),
        baseline: None,
    }
}

fn scan(request: &Request<'_>) -> Found {
    search(request, &patterns()).unwrap()
}

fn put(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn names(found: &Found, root: &Path) -> Vec<String> {
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    found.findings.iter().map(|finding| relative(&finding.file)).collect()
}

#[test]
fn git_s_ignoring_is_respected_but_for_env_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, ".gitignore", ".env\n*.log\nout/\n");
    for name in [
        ".env",
        "a.log",
        "out/x",
        "out/.env",
        "sub/.env.local",
        "sub/deep/x.log",
        "src/main.rs",
        ".hidden",
        "node_modules/x",
        "sub/node_modules/x",
        "vendored/x",
        "sub/dist",
    ] {
        put(root, name, key());
    }
    assert_eq!(names(&scan(&request(root)), root), [".env", ".hidden", "src/main.rs", "sub/.env.local", "vendored/x"]);
    let all = Request { ignored: Ignored::Scan, ..request(root) };
    assert!(names(&scan(&all), root).contains(&"out/x".to_owned()));
    let flat = Request { reach: Reach::Folder, ..request(root) };
    assert_eq!(names(&scan(&flat), root), [".env", ".hidden"]);
    let excluded = Request { excludes: vec!["src".into(), "*.local".into()], ..request(root) };
    let left = names(&scan(&excluded), root);
    assert!(
        left.contains(&"node_modules/x".to_owned())
            && !left.iter().any(|name| name.contains("src") || name.contains("local"))
    );
    assert_eq!(names(&scan(&request(&root.join("a.log"))), root), ["a.log"], "what is named is scanned");
}

#[test]
fn attack_88_links_and_pipes_are_not_followed_and_hold_nobody_up() {
    let (outside, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(outside.path(), "x", key());
    symlink(outside.path(), folder.path().join("folder")).unwrap();
    symlink(outside.path().join("x"), folder.path().join("file")).unwrap();
    symlink(outside.path().join("x"), folder.path().join(".env")).unwrap();
    symlink(folder.path(), folder.path().join("loop")).unwrap();
    let fifo = folder.path().join("pipe.env");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let found = scan(&request(folder.path()));
    assert_eq!((found.findings.len(), found.scanned_files, found.unreadable.len()), (0, 0, 0));
    let named = scan(&request(&fifo));
    assert_eq!((named.scanned_files, named.unreadable.len()), (0, 1));
}

#[test]
fn a_place_is_a_line_and_a_column_also_far_into_a_long_line() {
    let folder = tempfile::tempdir().unwrap();
    let (key, gap) = (key(), "x ".repeat(900_000));
    put(folder.path(), "long", format!("one\n{key} {gap}{key}\n  {key}{}{key}", "\n".repeat(600_000)));
    let found = scan(&request(folder.path()));
    let places: Vec<_> = found.findings.iter().map(|finding| (finding.line, finding.column)).collect();
    let second = (key.len() + 1 + gap.len() + 1) as u64;
    assert_eq!(places, [(2, 1), (2, second), (3, 3), (600_003, 1)]);
}

#[test]
fn a_key_across_the_border_of_two_windows_is_found_once() {
    let folder = tempfile::tempdir().unwrap();
    let key = key();
    for before in (256 * 1024 - 40)..(256 * 1024 + 40) {
        put(folder.path(), "x", format!("{} {key} y", "z".repeat(before)));
        assert_eq!(scan(&request(folder.path())).findings.len(), 1, "{before}");
    }
}

#[test]
fn what_is_shown_says_nothing_and_severities_are_there() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "a", format!("k={} password=correct1horse", key()));
    let found = scan(&request(folder.path()));
    let shown: Vec<_> = found.findings.iter().map(|finding| (finding.value.as_str(), finding.severity)).collect();
    let end = key();
    let expected = format!("acme...{}", &end[end.len() - 4..]);
    assert_eq!(shown, [(expected.as_str(), Severity::Critical), ("****", Severity::Medium)]);
    assert!(!format!("{found:?}").contains("correct1horse"));
}

#[test]
fn binary_files_are_counted_and_two_byte_text_is_read() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "binary", [b"\0\x01".as_slice(), key().as_bytes()].concat());
    let wide: Vec<u8> = format!("\u{feff}KEY={}", key()).encode_utf16().flat_map(u16::to_le_bytes).collect();
    put(folder.path(), "wide", wide);
    put(folder.path(), "invalid", [b"\xff\x80 ".as_slice(), key().as_bytes(), b"\xfe\xff"].concat());
    put(folder.path(), "empty", "");
    let found = scan(&request(folder.path()));
    assert_eq!((found.binary_files, found.scanned_files), (1, 3));
    assert_eq!(names(&found, folder.path()), ["invalid", "wide"]);
}

#[test]
fn a_baseline_knows_findings_wherever_they_move_in_their_file_and_holds_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "a", format!("{} password=correct1horse", key()));
    let path = root.join("baseline.json");
    let mut baseline = Baseline::new(&path);
    scan(&request(root)).findings.iter().for_each(|finding| baseline.add(finding));
    baseline.write().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("correct1horse") && !text.contains(&key()), "{text}");
    let known = Baseline::read(&path).unwrap();
    assert_eq!(known.len(), 2);
    put(root, "a", format!("moved\n{} password=correct1horse password=another1horse", key()));
    put(root, "b", key());
    let found = scan(&Request { baseline: Some(&known), ..request(root) });
    assert_eq!((names(&found, root), found.known), (vec!["a".to_owned(), "b".to_owned()], 2));
    for wrong in ["", "{}", "{\"version\":2,\"salt\":\"x\",\"findings\":[]}", "[]"] {
        put(root, "wrong.json", wrong);
        assert!(Baseline::read(&root.join("wrong.json")).is_err(), "{wrong}");
    }
}

#[test]
fn a_root_that_is_not_there_is_an_error_and_an_unreadable_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    assert!(search(&request(&folder.path().join("none")), &patterns()).is_err());
    let bad = Request { excludes: vec!["[z-a]".into()], ..request(folder.path()) };
    assert!(search(&bad, &patterns()).is_err());
}

#[test]
fn values_are_recognised_under_their_names() {
    let patterns = patterns();
    let known = |name: &str, value: &str| patterns.recognise(name, value.as_bytes()).map(|known| known.pattern_name);
    assert_eq!(known("X", &key()).as_deref(), Some("Acme key"));
    assert_eq!(known("DB_PASSWORD", "it's ok 1").as_deref(), None);
    assert_eq!(known("DB_PASSWORD", "hunter2;x,y)").as_deref(), Some("Generic Password"));
    assert_eq!(known("PORT", "3000"), None);
    assert_eq!(
        known("TLS_KEY", &format!("{}BEGIN PRIVATE KEY{}\nab\n", "-----", "-----")).as_deref(),
        Some("Private Key")
    );
}
