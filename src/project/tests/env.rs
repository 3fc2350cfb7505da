//! Env files: what a shell reads back, what we read back, and when a file goes.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use crate::{
    base::{Timestamp, VariableName},
    project::{EnvFile, EnvHeader, Error, Existing, ParsedEnvFile, exchange, find_expired, rewritten, variables_of},
};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_764_000_000_001);

/// Values that have been a trouble to somebody; the second half has no spelling that all dotenv readers share.
const AGREED: &[&[u8]] = &[
    b"",
    b"plain-Value_1.2/3:4@5%6+7,8=9",
    b"two words",
    b" at both ends ",
    b"tab\there",
    b"#hash",
    b"a #b",
    b"it's",
    b"it's\ntwo lines",
    b"''",
    b"say \"hi\"",
    b"$",
    b"5$",
    b"a$1",
    b"`id`",
    b"$(id)",
    b"!history",
    b"a\\nb",
    b"C:\\temp\\x y",
    b"~",
    b"*?[a]",
    b"a;b&c|d<e>f(g)",
    b"-----BEGIN X-----\nabc\n-----END X-----\n",
    b"\n",
    b"{\"key\": \"line\\nline\", \"n\": 1}",
    "schl\u{fc}ssel \u{1f511}".as_bytes(),
];
const SHELLS_ONLY: &[&[u8]] = &[
    b"it's $5",
    b"'\"'",
    b"'`\\",
    b"${HOME}",
    b"a $HOME",
    b"end\\",
    b"a\\\\b c",
    b"cr\r\nlf",
    b"\xff\xfe\x01\x7f \x80",
    b"'\n$x\\'",
];

fn name(text: &str) -> VariableName {
    text.parse().unwrap()
}

fn all() -> (EnvFile, Vec<(VariableName, &'static [u8])>) {
    let mut file = EnvFile::new("store", NOW);
    let values = AGREED.iter().chain(SHELLS_ONLY).enumerate();
    let wanted: Vec<_> = values.map(|(number, value)| (name(&format!("V{number}")), *value)).collect();
    for (variable, value) in &wanted {
        file.set(variable, value).unwrap();
    }
    (file, wanted)
}

#[test]
fn a_real_shell_reads_every_value_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let (file, wanted) = all();
    file.write(&path, Existing::Keep).unwrap();
    // `env -0` ends each variable with a zero byte, the one byte that no value has.
    let output = Command::new("sh").args(["-c", "set -a; . \"$1\"; exec env -0", "sh"]).arg(&path).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let read: Vec<&[u8]> = output.stdout.split(|b| *b == 0).collect();
    for (variable, value) in wanted {
        let line = [variable.as_str().as_bytes(), b"=", value].concat();
        assert!(read.contains(&line.as_slice()), "{variable}={:?}", String::from_utf8_lossy(value));
    }
}

#[test]
fn our_own_reader_reads_every_value_back() {
    let (file, wanted) = all();
    let parsed = ParsedEnvFile::parse(&file.render());
    let read: Vec<(VariableName, &[u8])> = parsed.variables.iter().map(|(n, v)| (n.clone(), v.as_slice())).collect();
    assert_eq!(read, wanted);
    assert_eq!(parsed.odd_lines, [0; 0]);
    let header = EnvHeader { is_managed: true, expires: Some(NOW), source: Some("store".to_owned()), leases: vec![] };
    assert_eq!(parsed.header, header);
}

#[test]
fn values_that_dotenv_readers_do_not_share_are_named() {
    let (file, _) = all();
    let named: Vec<&str> = file.only_for_shells().into_iter().map(VariableName::as_str).collect();
    let expected: Vec<String> = (AGREED.len()..AGREED.len() + SHELLS_ONLY.len()).map(|n| format!("V{n}")).collect();
    assert_eq!(named, expected);
}

#[test]
fn files_of_agent_secrets_are_read_too() {
    let text = "# secrets-managed: true\n# secrets-ttl: 2025-11-24T17:00:00+01:00\n# secrets-source: vercel\n\
                A=two words # and more\nexport B=\"x\\\"y\"\n\n  C=1\r\nno variable\nD='open\n";
    let parsed = ParsedEnvFile::parse(text.as_bytes());
    let read: Vec<(&str, &[u8])> = parsed.variables.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
    assert_eq!(read, [("A", b"two words # and more".as_slice()), ("B", b"x\"y"), ("C", b"1")]);
    assert_eq!(parsed.odd_lines, [8, 9]);
    assert_eq!(parsed.header.expires, Some(NOW));
}

#[test]
fn a_person_s_file_keeps_all_but_the_values_that_change() {
    let text =
        "# one\r\nexport A=\"x y\" # why\nB=bare # not part\r\nC='a'\"b\"\nD=1\nA b\nE='x' y\nF=\"two\nlines\"\nG=last";
    let read: Vec<_> = variables_of(text.as_bytes());
    let read: Vec<(&str, &[u8])> = read.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let wanted: [(&str, &[u8]); 6] =
        [("A", b"x y"), ("B", b"bare"), ("C", b"ab"), ("D", b"1"), ("F", b"two\nlines"), ("G", b"last")];
    assert_eq!(read, wanted, "what a shell would run is no variable");
    let new =
        rewritten(text.as_bytes(), |name, _| (name.as_str() != "D").then(|| zeroize::Zeroizing::new(b"it's".to_vec())));
    let expected = "# one\r\nexport A=\"it's\" # why\nB=\"it's\" # not part\r\nC=\"it's\"\nD=1\nA b\nE='x' y\nF=\"it's\"\nG=\"it's\"";
    assert_eq!(String::from_utf8_lossy(&new), expected);
}

#[test]
fn a_file_is_exchanged_only_for_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join(".env"), folder.path().join("link"));
    fs::write(&path, "A=old\n").unwrap();
    assert!(matches!(exchange(&path, b"A=other\n", b"A=new\n"), Err(Error::Changed(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "A=old\n");
    fs::hard_link(&path, &link).unwrap();
    exchange(&path, b"A=old\n", b"A=new\n").unwrap();
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), fs::read_to_string(&link).unwrap()),
        ("A=new\n".into(), "A=old\n".into())
    );
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&link, &path).unwrap();
    assert!(exchange(&path, b"A=old\n", b"A=new\n").is_err(), "a link is not followed");
}

#[test]
fn a_file_is_private_and_is_not_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let mut file = EnvFile::new("store\nB=1", NOW);
    file.set(&name("A"), b"1").unwrap();
    file.set(&name("A"), b"2").unwrap();
    assert!(matches!(file.set(&name("Z"), b"a\0b"), Err(Error::ZeroByte(_))));
    file.write(&path, Existing::Keep).unwrap();
    let expected =
        "# secrets-managed: true\n# secrets-ttl: 2025-11-24T16:00:00.000Z\n# secrets-source: store?B=1\nA=2\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, "MINE=1\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(file.write(&path, Existing::Keep), Err(Error::Exists(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "MINE=1\n");
    file.write(&path, Existing::Replace).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    file.set(&name("A"), b"sk-canary").unwrap();
    assert!(!format!("{file:?} {:?}", ParsedEnvFile::parse(&file.render())).contains("canary"));
}

#[test]
fn a_dangling_link_is_not_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join(".env"), folder.path().join("target"));
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let file = EnvFile::new("store", NOW);
    assert!(matches!(file.write(&path, Existing::Keep), Err(Error::Exists(_))));
    file.write(&path, Existing::Replace).unwrap();
    assert!(!target.exists() && path.symlink_metadata().unwrap().is_file());
}

fn write(path: &Path, expires: Timestamp) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    EnvFile::new("store", expires).write(path, Existing::Keep).unwrap();
}

#[test]
fn expired_files_are_found_wherever_they_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in [".env", "a/.env.local", "a/b/prod.env", "c/settings", "node_modules/.env", "other"] {
        write(&at(name), NOW);
    }
    write(&at("a/.env"), LATER);
    fs::write(at("c/.secrets.json"), r#"{"secrets": [{"name": "k", "env_var": "K"}], "env_file": "settings"}"#)
        .unwrap();
    fs::write(at("a/b/.env"), "# secrets-ttl: 2020-01-01T00:00:00Z\nA=1\n").unwrap(); // not managed: a person's own
    fs::write(at("a/b/.env.test"), "A=1\n# secrets-managed: true\n# secrets-ttl: 2020-01-01T00:00:00Z\n").unwrap();
    std::os::unix::fs::symlink(at("other"), at("a/b/.env.link")).unwrap();

    let sweep = find_expired(folder.path(), &[], NOW);
    let found: Vec<_> = sweep.expired.iter().map(|file| file.path.clone()).collect();
    assert_eq!(found, [at(".env"), at("a/.env.local"), at("a/b/prod.env"), at("c/settings")]);
    assert!(sweep.unreadable.is_empty(), "{:?}", sweep.unreadable);

    for file in &sweep.expired {
        file.wipe(NOW).unwrap();
    }
    assert!(!at(".env").exists() && at("a/.env").exists() && at("other").exists());
    assert!(find_expired(folder.path(), &[], NOW).expired.is_empty());
}

#[test]
fn a_file_that_was_renewed_meanwhile_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    write(&path, NOW);
    let sweep = find_expired(folder.path(), &[], NOW);
    EnvFile::new("store", LATER).write(&path, Existing::Replace).unwrap();
    sweep.expired[0].wipe(NOW).unwrap();
    assert!(path.exists());
}

#[test]
fn a_folder_that_is_not_there_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(find_expired(&folder.path().join("none"), &[], NOW).unreadable.len(), 1);
}
