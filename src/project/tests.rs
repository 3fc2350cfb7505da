//! Project files and env files on a real disk, env files read by a real shell.

mod env;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::*;
use crate::base::{AtomicFileError, TimeToLive};

fn parse(text: &str) -> Result<Wants, String> {
    ProjectFile::parse(Path::new("/p/.secrets.json"), text.as_bytes()).map(|file| file.wants).map_err(|e| e.to_string())
}

fn store(text: &str) -> StoreProject {
    match parse(text).unwrap() {
        Wants::Store(wants) => wants,
        Wants::Provider(wants) => panic!("{wants:?}"),
    }
}

#[track_caller]
fn refused(text: &str, line: usize, column: usize, part: &str) {
    let error = parse(text).unwrap_err();
    let place = format!("`/p/.secrets.json`, line {line}, column {column}: ");
    assert!(error.starts_with(&place) && error.contains(part), "{error}\nshould be at {place} and say `{part}`");
}

#[test]
fn the_store_shape_is_read() {
    let wants = store(
        r#"{"secrets": [{"name": "openai_key", "env_var": "OPENAI_API_KEY", "ttl": "90m"},
                        {"name": "ops/db", "env_var": "DB"}], "client_id": "web", "ttl": "2h", "env_file": "config/.env"}"#,
    );
    assert_eq!(wants.secrets.len(), 2);
    assert_eq!((wants.secrets[0].name.as_str(), wants.secrets[0].variable.as_str()), ("openai_key", "OPENAI_API_KEY"));
    assert_eq!(wants.client.unwrap().as_str(), "web");
    assert_eq!(wants.env_file, Path::new("config/.env"));
    let least = store(r#"{"secrets": [{"name": "k", "env_var": "K"}]}"#);
    assert_eq!((least.client, least.ttl, least.env_file), (None, None, PathBuf::from(".env")));
}

#[test]
fn the_provider_shape_is_read() {
    let parsed =
        parse(r#"{"source": "vercel", "project": "web", "scope": "preview", "ttl": "1h", "required_vars": ["A"]}"#);
    let expected = ProviderProject {
        source: ProviderSource::Vercel,
        project: Some("web".to_owned()),
        scope: ProviderScope::Preview,
        ttl: TimeToLive::HOUR,
        required_vars: vec!["A".parse().unwrap()],
        env_file: PathBuf::from(".env.local"),
    };
    assert_eq!(parsed, Ok(Wants::Provider(expected)));
}

#[test]
fn the_flag_wins_over_the_entry_over_the_file_over_an_hour() {
    let ttl = |text: &str| text.parse::<TimeToLive>().unwrap();
    let with = store(
        r#"{"secrets": [{"name": "a", "env_var": "A", "ttl": "2h"}, {"name": "b", "env_var": "B"}], "ttl": "3h"}"#,
    );
    assert_eq!(with.ttl_for(&with.secrets[0], Some(ttl("5m"))), ttl("5m"));
    assert_eq!(with.ttl_for(&with.secrets[0], None), ttl("2h"));
    assert_eq!(with.ttl_for(&with.secrets[1], None), ttl("3h"));
    let without = store(r#"{"secrets": [{"name": "a", "env_var": "A"}]}"#);
    assert_eq!(without.ttl_for(&without.secrets[0], None), TimeToLive::HOUR);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    refused("{\n  \"secrets\": [],\n  \"x\": 1\n}", 2, 15, "`secrets` is empty");
    refused("{\"secrets\": [{\"name\": \"a\", \"env_var\": \"A\"}],\n \"tll\": \"1h\"}", 2, 6, "unknown field `tll`");
    refused("{\"secrets\": [\n {\"name\": \"a\", \"env_var\": \"A\", \"as\": 1}]}", 2, 35, "unknown field `as`");
    let twice = "{\"secrets\": [\n {\"name\": \"a\", \"env_var\": \"A\"},\n {\"name\": \"b\", \"env_var\": \"A\"}]}";
    refused(twice, 3, 31, "`A` is wanted twice");
    refused("{\"secrets\": [\n {\"name\": \"a\", \"env_var\": \"A B\"}]}", 2, 32, "`A B` is no variable name");
    refused("{\"secrets\": [\n {\"name\": \"\", \"env_var\": \"A\"}]}", 2, 12, "secret name `` is not usable");
    refused("{\"secrets\": [{\"name\": \"a\", \"env_var\": \"A\",\n \"ttl\": \"25h\"}]}", 2, 14, "longer than 24h");
    refused("{\"secrets\": [{\"name\": \"a\", \"env_var\": \"A\"}],\n \"ttl\": \"2d\"}", 2, 13, "longer than 24h");
    refused("{\"secrets\": [{\"name\": \"a\", \"env_var\": \"A\"}],\n \"ttl\": \"1\"}", 2, 12, "is not a duration");
    refused("{\"source\": \"vercel\"}", 1, 20, "missing field `ttl`");
    refused("{\"source\": \"vault\", \"ttl\": \"1h\"}", 1, 18, "unknown variant `vault`");
    refused("{\"source\": \"vercel\", \"secrets\": []}", 1, 30, "exclude each other");
    refused("{}", 1, 2, "neither `secrets` nor `source`");
    refused("[]", 1, 1, "an object with `secrets` or `source`");
    refused("{\"secrets\": [{\"name\": \"a\", \"env_var\": \"A\"}]} x", 1, 46, "trailing characters");
    refused("", 1, 1, "EOF");
    assert!(parse(r#"{"secrets": [{"name": "a", "env_var": "A", "ttl": "24h"}], "ttl": "1d"}"#).is_ok());
}

#[test]
fn what_was_meant_is_said_and_every_place_counts_from_one() {
    refused(r#"{"secrets": [{"nme": "a", "env_var": "A"}]}"#, 1, 19, "did you mean `name`?");
    refused(r#"{"source": "vercell", "ttl": "1h"}"#, 1, 20, "did you mean `vercel`?");
    refused(r#"{"source": "vercel", "scope": "prod", "ttl": "1h"}"#, 1, 36, "expected one of `development`");
    refused("", 1, 1, "EOF");
    refused("[", 1, 1, "expected an object");
}

#[test]
fn an_env_file_stays_in_the_projects_folder() {
    for path in ["/etc/x", "../x", "a/../../x", "..", "", ".", "a/b\\n"] {
        let text = format!(r#"{{"secrets": [{{"name": "a", "env_var": "A"}}], "env_file": "{path}"}}"#);
        assert!(parse(&text).unwrap_err().contains("is no file inside the project's folder"), "{path}");
    }
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = inside.path().join(ProjectFile::NAME);
    let text = r#"{"secrets": [{"name": "a", "env_var": "A"}], "env_file": "config/.env"}"#;
    fs::write(&path, text).unwrap();
    let file = ProjectFile::read(&path).unwrap();
    assert!(matches!(file.env_file(), Err(Error::Io { .. })), "the folder is missing");
    symlink(outside.path(), inside.path().join("config")).unwrap();
    assert!(matches!(file.env_file(), Err(Error::Outside { .. })), "a link leads out");
    fs::remove_file(inside.path().join("config")).unwrap();
    fs::create_dir(inside.path().join("config")).unwrap();
    assert_eq!(file.env_file().unwrap(), inside.path().join("config/.env"));
}

#[test]
fn the_nearest_project_file_is_found_upwards() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    fs::create_dir_all(&deep).unwrap();
    let wants = |name: &str| format!(r#"{{"secrets": [{{"name": "{name}", "env_var": "A"}}]}}"#);
    fs::write(folder.path().join(".secrets.json"), wants("outer")).unwrap();
    fs::write(folder.path().join("a/.secrets.json"), wants("inner")).unwrap();
    fs::write(folder.path().join(".secrets.toml"), "").unwrap();
    fs::write(folder.path().join("a/b/.secrets.toml"), "").unwrap();
    let project = find(&deep).unwrap();
    let file = project.file.clone().unwrap();
    assert_eq!(
        (file.path.as_path(), file.folder()),
        (&*folder.path().join("a/.secrets.json"), &*folder.path().join("a"))
    );
    let ours: Vec<_> = project.narrowing.iter().filter(|path| path.starts_with(folder.path())).cloned().collect();
    assert_eq!(ours, [folder.path().join("a/b/.secrets.toml"), folder.path().join(".secrets.toml")]);
    assert_eq!(project.folder(), Some(&*folder.path().join("a/b")));
    fs::write(folder.path().join("a/.secrets.json"), "{").unwrap();
    assert!(matches!(find(&deep), Err(Error::Syntax { .. })), "a broken file is not skipped for the next one above");
}

#[test]
fn attack_91_a_project_file_that_is_a_link_or_huge_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(ProjectFile::NAME);
    symlink("/dev/zero", &path).unwrap();
    assert!(matches!(find(folder.path()), Err(Error::File(AtomicFileError::NotAFile(_)))));
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len((1 << 20) + 1).unwrap();
    assert!(matches!(find(folder.path()), Err(Error::File(AtomicFileError::TooLarge { .. }))));
}
