//! agent-secrets' own daemon on our socket: it is known for what it is, left alone, and told from ours.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::hand::Hand;

/// A daemon that answers as agent-secrets does, field by field; it notes the methods that it was asked.
struct AgentSecrets {
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

impl AgentSecrets {
    fn at(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let notes = Arc::clone(&notes);
                std::thread::spawn(move || converse(stream, &notes));
            }
        });
        Self { socket: socket.to_owned(), asked }
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.dedup();
        asked
    }
}

fn converse(mut stream: UnixStream, notes: &Mutex<Vec<String>>) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let answer = match serde_json::from_str::<Value>(&line) {
            Ok(request) => {
                notes.lock().unwrap().push(request["method"].as_str().unwrap_or_default().to_owned());
                answer(&request)
            }
            Err(error) => {
                json!({"jsonrpc": "2.0", "error": {"code": -32_700, "message": format!("parse error: {error}")}, "id": null})
            }
        };
        if writeln!(stream, "{answer}").is_err() {
            return;
        }
    }
}

/// What its dispatcher, its handlers and its encoder give.
fn answer(request: &Value) -> Value {
    let result = match request["method"].as_str().unwrap_or_default() {
        "secrets.status" => json!({
            "running": true, "started_at": "2026-02-02T10:00:00.123456789Z", "secrets_count": 1, "active_leases": 0
        }),
        "secrets.list" => json!({"secrets": [{
            "name": "theirs", "created_at": "2026-02-02T10:00:00Z", "updated_at": "2026-02-02T10:00:00Z",
            "last_rotated": "0001-01-01T00:00:00Z"
        }]}),
        "secrets.health" => json!({
            "total_secrets": 1, "active_leases": 0, "expiring_soon": 0, "never_rotated": 1, "stale_secrets": 0,
            "warnings": null
        }),
        "secrets.lease" => json!({
            "lease_id": "0b2f6a4e-9d0c-4a56-8a0e-2f1f4f9b7c11", "value": "their-value",
            "expires_at": "2026-02-02T11:00:00Z"
        }),
        "secrets.add" | "secrets.delete" | "secrets.revoke" | "secrets.init" => {
            json!({"success": true, "message": "done"})
        }
        "secrets.revokeAll" => json!({"success": true, "leases_revoked": 0, "message": "all 0 active leases revoked"}),
        "secrets.audit" => json!({"entries": []}),
        other => {
            let message = format!("method \"{other}\" not found");
            return json!({"jsonrpc": "2.0", "error": {"code": -32_601, "message": message}, "id": request["id"]});
        }
    };
    json!({"jsonrpc": "2.0", "result": result, "id": request["id"]})
}

fn world() -> (Hand, AgentSecrets) {
    let hand = Hand::with_home();
    let other = AgentSecrets::at(&hand.home.join("agent-secrets.sock"));
    (hand, other)
}

#[track_caller]
fn assert_told(hand: &Hand, arguments: &[&str], input: &[u8]) -> Value {
    let (code, told) = hand.envelope(arguments, input);
    let socket = hand.home.join("agent-secrets.sock");
    let sentence = format!("another program's daemon (agent-secrets) answers at `{}`", socket.display());
    assert_eq!((code, &told["error"]["code"]), (69, &"daemon_unavailable".into()), "{arguments:?}: {told}");
    assert!(told["error"]["message"].as_str().unwrap().contains(&sentence), "{arguments:?}: {told}");
    assert_eq!(told["fix"], format!("kill {}", std::process::id()), "{arguments:?}: {told}");
    told
}

#[test]
fn every_command_says_who_answers_and_sends_it_nothing() {
    let (hand, other) = world();
    for arguments in [
        &["status"][..],
        &["list"],
        &["health"],
        &["lease", "theirs", "--json"],
        &["delete", "theirs"],
        &["revoke", "--all"],
        &["heartbeat", "status"],
        &["policy", "list"],
        &["daemon", "restart"],
        &["stop"],
        &["serve", "--background"],
        &["serve"],
    ] {
        assert_told(&hand, arguments, b"");
    }
    assert_told(&hand, &["add", "ours"], b"a value that is not for them");
    assert_eq!(other.asked(), ["daemon.ping"], "no value, no lease and no question of ours reaches it");
    assert!(hand.run(&["lease", "theirs"], b"").stdout.is_empty(), "no value is printed");
}

#[test]
fn serve_leaves_its_socket_and_the_record_alone() {
    let (hand, other) = world();
    let before = std::fs::metadata(&other.socket).unwrap().ino();
    assert_told(&hand, &["serve"], b"");
    assert_eq!(std::fs::metadata(&other.socket).unwrap().ino(), before);
    assert!(UnixStream::connect(&other.socket).is_ok(), "it is reached as before");
    assert!(!hand.home.join("audit.log").exists(), "nothing was begun");
    assert!(!hand.home.join("ca").exists());
}

#[test]
fn kill_latches_our_files_and_says_that_the_other_goes_on() {
    let (hand, other) = world();
    let told = assert_told(&hand, &["kill"], b"");
    assert_eq!(told["result"]["kill"]["state"], "tripped", "{told}");
    let steps: Vec<_> = told["result"]["steps"].as_array().unwrap().iter().map(|step| &step["success"]).collect();
    assert_eq!(steps, [true, true], "{told}");
    assert!(String::from_utf8(hand.read("kill.json")).unwrap().contains("operator"));
    assert_eq!(other.asked(), ["daemon.ping"]);

    std::fs::remove_file(&other.socket).unwrap(); // as it does when it ends
    let (code, status) = hand.envelope(&["status"], b"");
    assert_eq!((code, &status["result"]["kill"]["state"]), (0, &"tripped".into()), "{status}");
}

#[test]
fn wiping_beside_it_wipes_and_says_so() {
    let (hand, _other) = world();
    let told = assert_told(&hand, &["kill", "--wipe", "--force"], b"");
    assert!(told.to_string().contains("wipe_store"), "{told}");
    assert!(!hand.home.join("identity.age").exists() && !hand.home.join("secrets.age").exists());
}

#[test]
fn doctor_names_it() {
    let (hand, _other) = world();
    let (_, doctor) = hand.envelope(&["doctor"], b"");
    assert!(doctor.to_string().contains("(agent-secrets) answers at"), "{doctor}");
    assert!(doctor.to_string().contains(&format!("kill {}", std::process::id())), "{doctor}");
}

#[test]
fn whoever_speaks_no_protocol_of_ours_is_another_program_too() {
    let hand = Hand::with_home();
    let socket = hand.home.join("agent-secrets.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new());
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let (code, told) = hand.envelope(&["status"], b"");
    assert_eq!((code, &told["fix"]), (69, &format!("kill {}", std::process::id()).into()), "{told}");
    assert!(told["error"]["message"].as_str().unwrap().starts_with("another program answers at"), "{told}");
}

#[test]
fn a_daemon_whose_socket_was_taken_or_removed_is_reachable_again() {
    let hand = Hand::with_home();
    let daemon = hand.serve();
    let socket = hand.home.join("agent-secrets.sock");
    let answers = || hand.run(&["--no-autostart", "status"], b"").status.success();
    std::fs::remove_file(&socket).unwrap();
    crate::support::until_blocking("it answers after its socket was removed", answers);

    std::fs::remove_file(&socket).unwrap();
    // It may have been put back in this very moment; then it is removed once more.
    let other = loop {
        if let Ok(other) = UnixListener::bind(&socket) {
            break other;
        }
        let _ = std::fs::remove_file(&socket);
    };
    drop(other); // its file stays behind, as after a killed daemon
    crate::support::until_blocking("it answers after the other one has ended", answers);
    assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    hand.stop();
    drop(daemon);
    assert!(!socket.exists(), "it removes what it put there");
}
