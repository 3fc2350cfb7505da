//! Keepers: what their programs may say and do, played by small scripts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("program");
    // Another process writes it: a descriptor of ours would live on in a child that another test is just starting, and
    // nobody can run what is open for writing.
    let mut sh = std::process::Command::new("sh");
    sh.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(&path).arg(body);
    assert!(sh.status().unwrap().success());
    path
}

fn project(json: &str) -> ProviderProject {
    serde_json::from_str(json).unwrap()
}

async fn pulled(json: &str, body: &str) -> Result<Vec<(String, String)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), body);
    let pulled = pull_by(program.as_os_str(), &project(json), folder.path(), Duration::from_mins(1)).await;
    let text = |(name, value): Variable| (name.to_string(), String::from_utf8(value.to_vec()).unwrap());
    pulled.map(|all| all.into_iter().map(text).collect()).map_err(|error| error.to_string())
}

const VERCEL: &str = r#"{"source":"vercel","scope":"preview","ttl":"1h","required_vars":["A"]}"#;
const DOPPLER: &str = r#"{"source":"doppler","project":"web","scope":"production","ttl":"1h"}"#;

#[tokio::test]
async fn what_vercel_writes_is_read_and_its_file_is_private_and_gone() {
    let body = r#"
        test "$*" = "env pull $3 --yes --environment preview" || exit 9
        test "$(stat -c %a "$3")" = 600 || exit 8
        test "$(stat -c %a "$(dirname "$3")")" = 700 || exit 7
        printf '%s\n' '# Created by Vercel CLI' 'A="two\nlines"' 'B="a"b' 'C=""' 'D=bare' > "$3"
        printf '%s\n' 'B="say "hi" $x \d"' >> "$3"
        sed -i '/^B="a"b$/d' "$3"
        echo "$3" > seen; echo chatter; echo chatter >&2"#;
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), body);
    let all = pull_by(program.as_os_str(), &project(VERCEL), folder.path(), Duration::from_mins(1)).await.unwrap();
    let read: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let wanted: [(&str, &[u8]); 4] = [("A", b"two\nlines"), ("C", b""), ("D", b"bare"), ("B", br#"say "hi" $x \d"#)];
    assert_eq!(read, wanted);
    let seen = fs::read_to_string(folder.path().join("seen")).unwrap();
    assert!(!Path::new(seen.trim()).parent().unwrap().exists(), "{seen}");
}

#[tokio::test]
async fn what_doppler_says_is_read() {
    let body = r#"
        test "$*" = "secrets download --no-file --format json --project web --config production" || exit 9
        printf '{"A": "it'\''s\\n", "B": ""}'"#;
    assert_eq!(pulled(DOPPLER, body).await.unwrap(), [("A".into(), "it's\n".into()), ("B".into(), String::new())]);
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_what_was_said() {
    for (json, body, told) in [
        (VERCEL, "echo s3cr3t >&2; echo s3cr3t; exit 3", "ended with exit code 3"),
        (VERCEL, "kill -9 $$", "was ended by a signal"),
        (VERCEL, "echo B=1 > \"$3\"", "has no `A`"),
        (VERCEL, "printf 'A=1\\n1s3cr3t=2\\n' > \"$3\"", "no variable into line 2"),
        (VERCEL, "echo 'A=\"s3cr3t' > \"$3\"", "no variable into line 1"),
        (VERCEL, "rm \"$3\"", "cannot open"),
        (VERCEL, "rm \"$3\"; ln -s /etc/passwd \"$3\"", "is not a regular file"),
        (VERCEL, "head -c 5000000 /dev/zero > \"$3\"", "is larger than"),
        (DOPPLER, "echo 's3cr3t'", "no JSON object of texts (line 1"),
        (DOPPLER, "echo '{\"A\": {\"s3cr3t\": 1}}'", "no JSON object of texts"),
        (DOPPLER, "echo '{\"s3 cr3t\": \"x\"}'", "no JSON object of texts"),
        (DOPPLER, "echo '{\"A\": \"x\"} s3cr3t'", "no JSON object of texts"),
        (DOPPLER, "head -c 5000000 /dev/zero", "gave more than"),
        (DOPPLER, "echo '{}'; exit 1", "ended with exit code 1"),
    ] {
        let error = pulled(json, body).await.unwrap_err();
        assert!(error.contains(told) && !error.contains("s3cr3t"), "{body}: {error}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    let error = pull_by(none.as_os_str(), &project(DOPPLER), folder.path(), Duration::from_mins(1)).await;
    assert!(matches!(error, Err(Error::KeeperMissing { program: "doppler" })));
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let program = script(folder.path(), "sleep 1000 & echo $! > pids; echo $$ >> pids; echo \"$3\" > seen; wait");
    let pid_file = folder.path().join("pids");
    let project = project(VERCEL);
    // Dropped as soon as it runs, which is what a timeout or a signal does.
    tokio::select! {
        _ = pull_by(program.as_os_str(), &project, folder.path(), Duration::from_secs(1000)) => panic!("it hangs"),
        () = async {
            while !fs::read_to_string(folder.path().join("seen")).is_ok_and(|seen| seen.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        } => {}
    }
    let pids = fs::read_to_string(pid_file).unwrap();
    for pid in pids.lines() {
        let stat = Path::new("/proc").join(pid).join("stat");
        let has_ended = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        let begun = std::time::Instant::now();
        while !has_ended() {
            assert!(begun.elapsed() < Duration::from_mins(1), "{pid} lives on");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let seen = fs::read_to_string(folder.path().join("seen")).unwrap();
    assert!(!Path::new(seen.trim()).exists());
    let late = pull_by(program.as_os_str(), &project, folder.path(), Duration::from_millis(1)).await;
    assert!(late.unwrap_err().to_string().contains("did not end within 0 s"));
}
