//! `secrets scan --migrate`: out of the file, into the store, and nothing lost on the way.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn env_file(token: &str) -> String {
    format!("# mine\nPORT=3000\nexport GITHUB_TOKEN=\"{token}\" # for ci\n\nDB_PASSWORD=correct1horse\nNAME='a b'\n")
}

fn read(hand: &Hand) -> String {
    std::fs::read_to_string(hand.work.join(".env")).unwrap()
}

#[test]
fn nothing_changes_without_a_yes() {
    let hand = Hand::with_home();
    let content = env_file(&github_token());
    put(&hand, ".env", &content);
    let (code, refused) = hand.envelope(&["scan", "--migrate"], b"");
    assert_eq!((code, &refused["fix"]), (2, &"secrets scan --migrate --yes".into()), "{refused}");
    let diff = refused["result"]["diff"].as_str().unwrap();
    assert!(diff.contains("+GITHUB_TOKEN=<lease token>") && !diff.contains(&github_token()), "{diff}");
    assert_eq!(read(&hand), content);
    assert_eq!(hand.envelope(&["list"], b"").1["result"]["count"], 0);
    assert!(hand.records_of("secret_add").is_empty());
}

#[test]
fn a_secret_moves_into_the_store_and_a_token_takes_its_place() {
    let hand = Hand::with_home();
    let token = github_token();
    put(&hand, ".env", &env_file(&token));
    put(&hand, "notes.txt", &token);
    let (code, done) = hand.envelope(&["scan", "--migrate", "--yes"], b"");
    assert_eq!(code, 0, "{done}");
    let migrated = &done["result"]["migrated"];
    let moved = &migrated["moved"][0];
    assert_eq!(
        (&moved["env_var"], &moved["secret"], &moved["service"]),
        (&"GITHUB_TOKEN".into(), &"github_token".into(), &"github".into())
    );
    assert_eq!(
        (migrated["moved"].as_array().unwrap().len(), &migrated["left"][0]["env_var"]),
        (1, &"DB_PASSWORD".into())
    );
    let left = &migrated["left"][0];
    assert_eq!(left["command"], "secrets add db_password --host HOST", "{left}");
    assert!(left.get("fix").is_none(), "what has a blank to fill in is no fix: {left}");
    let now = read(&hand);
    let line = now.lines().nth(2).unwrap();
    let lease = line.strip_prefix("export GITHUB_TOKEN=").unwrap().strip_suffix(" # for ci").unwrap();
    assert!(lease.starts_with("ghp_") && lease.contains("000000"), "{line}");
    assert_eq!(now.replace(lease, &format!("\"{token}\"")), env_file(&token), "every other byte is as it was");
    assert_eq!(hand.work.join(".env").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&hand.work).unwrap().count(), 2, "no copy is kept");
    assert_eq!(std::fs::read_to_string(hand.work.join("notes.txt")).unwrap(), token, "only env files are rewritten");
    assert_eq!(hand.run(&["lease", "github_token"], b"").stdout, token.as_bytes());

    let acts: Vec<String> = hand.records().into_iter().map(|record| record.action).collect();
    for act in ["secret_add", "secret_reveal", "lease_acquire", "scan"] {
        assert!(acts.contains(&act.to_owned()), "{act} of {acts:?}");
    }
    assert!(hand.records_of("scan")[0].details.as_ref().unwrap().ends_with("1 migrated"));
    assert!(!String::from_utf8_lossy(&hand.read("audit.log")).contains(&token));
    let (_, again) = hand.envelope(&["scan", "--migrate", "--yes", ".env"], b"");
    assert!(again["result"]["migrated"]["moved"].as_array().unwrap().is_empty(), "{again}");
}

#[test]
fn a_name_that_is_taken_by_another_value_is_left_alone() {
    let hand = Hand::with_home();
    let other = format!("{}_{}", "ghp", letters(36, 11));
    assert_eq!(hand.envelope(&["add", "github_token"], other.as_bytes()).0, 0);
    put(&hand, "a/.env", &format!("GITHUB_TOKEN={other}\n"));
    let (_, same) = hand.envelope(&["scan", "a", "--migrate", "--yes"], b"");
    assert_eq!(same["result"]["migrated"]["moved"][0]["secret"], "github_token", "the same value is not stored twice");
    put(&hand, "b/.env", &format!("GITHUB_TOKEN={}\n", github_token()));
    let (_, done) = hand.envelope(&["scan", "b", "--migrate", "--yes"], b"");
    let migrated = &done["result"]["migrated"];
    // The service has a grant for the first secret only, so that the second is stored and stays in the file as well.
    let all = migrated["moved"].as_array().unwrap().iter().chain(migrated["left"].as_array().unwrap());
    assert!(all.clone().any(|one| one.to_string().contains("github_token_2")), "{done}");
    assert_eq!(hand.run(&["lease", "github_token"], b"").stdout, other.as_bytes());
    assert_eq!(hand.run(&["lease", "github_token_2"], b"").stdout, github_token().as_bytes());
}

#[test]
fn without_a_store_the_file_stays_as_it_was() {
    let hand = Hand::new();
    let content = env_file(&github_token());
    put(&hand, ".env", &content);
    let (code, failed) = hand.envelope(&["scan", "--migrate", "--yes"], b"");
    assert_eq!((code != 0, &failed["fix"]), (true, &"secrets init".into()), "{failed}");
    assert_eq!(read(&hand), content);
}

#[test]
fn a_file_that_cannot_be_rewritten_loses_nothing_and_holds_no_lease() {
    let hand = Hand::with_home();
    let token = github_token();
    // So long a name leaves no room for that of a new file beside it, whoever asks, root included.
    let name = format!("sub/.env.{}", "x".repeat(245));
    put(&hand, &name, &env_file(&token));
    let (code, done) = hand.envelope(&["scan", "--migrate", "--yes"], b"");
    assert_eq!((code, &done["ok"]), (66, &false.into()), "{done}");
    assert_eq!(std::fs::read_to_string(hand.work.join(name)).unwrap(), env_file(&token));
    assert_eq!(hand.run(&["lease", "github_token"], b"").stdout, token.as_bytes(), "it is in both places");
    assert_eq!(hand.records_of("lease_acquire").len(), 1);
    assert_eq!(hand.records_of("lease_revoke").len(), 2, "the reader's and the one for the file");
}
