//! From an empty machine to a revoked lease.

use crate::{shell::Shell, support::find_program};

#[test]
fn the_walk_through() {
    let shell = Shell::open();
    let made = shell.types("secrets init").quiet().result();
    assert_eq!(made["path"], shell.home("").to_str().unwrap().trim_end_matches('/'));
    for file in ["identity.age", "secrets.age"] {
        assert!(shell.home(file).exists(), "{file}");
    }
    shell.types("secrets init").quiet(); // as often as a script likes

    shell.types("secrets serve > serve.json 2>&1 &");
    shell.types("for i in $(seq 3000); do [ -s serve.json ] && exit 0; sleep .02; done; exit 1").quiet();
    let served = shell.types("cat serve.json").result();
    assert!(served["pid"].is_u64() && served["socket"].as_str().unwrap().ends_with("agent-secrets.sock"), "{served}");

    let added = shell.types("echo ghp_0123 | secrets add github_token").quiet().result();
    assert_eq!(added["name"], "github_token");
    let added = shell.types("printf 'sk-ant-1' | secrets add anthropic --rotate-via 'echo next'").quiet().result();
    assert_eq!(added["rotate_via"], "echo next");
    let warned = shell.types("secrets add on_argv --value plain").ends(0);
    assert!(warned.stderr.contains("--value"), "it works, and it warns: {warned:?}");
    let taken = shell.types("echo x | secrets add github_token").ends(1);
    assert_eq!(taken.envelope()["error"]["code"], "generic_error");
    assert!(taken.envelope()["fix"].as_str().unwrap().starts_with("secrets update github_token"), "{taken:?}");

    let listed = shell.types("secrets list").quiet().result();
    assert_eq!(listed["count"], 3);
    let names: Vec<&str> = listed["secrets"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["anthropic", "github_token", "on_argv"], "sorted by name");
    assert_eq!(
        (&listed["secrets"][0]["has_rotation"], &listed["secrets"][1]["active_leases"]),
        (&true.into(), &0.into())
    );

    let raw = shell.types("secrets lease github_token").quiet();
    assert_eq!(raw.stdout, "ghp_0123", "the value alone, without a line end");
    let used =
        shell.types("export GITHUB_TOKEN=$(secrets lease github_token --ttl 30m); echo \"$GITHUB_TOKEN\"").quiet();
    assert_eq!(used.stdout, "ghp_0123\n");
    let leased = shell.types("secrets lease github_token --json --client-id agent-1 --ttl 1h30m").quiet().result();
    assert_eq!(
        (&leased["secret_name"], &leased["value"], &leased["ttl"], &leased["client_id"]),
        (&"github_token".into(), &"ghp_0123".into(), &"1h30m".into(), &"agent-1".into())
    );
    assert!(leased["expires_at"].is_string());
    let old = shell.types("secrets lease --raw github_token").ends(0);
    assert!(old.stdout == "ghp_0123" && old.stderr.contains("deprecated"), "{old:?}");

    let failed = shell.types("secrets lease no_such").ends(1);
    assert!(failed.stdout.is_empty() && failed.stderr.contains("secrets list"), "nothing for `$(…)`: {failed:?}");
    let too_long = shell.types("secrets lease github_token --ttl 48h");
    assert!(too_long.code != 0 && too_long.stdout.is_empty() && too_long.stderr.contains("1d"), "{too_long:?}");

    // There no time at all is an hour; here nobody gets longer than was asked for.
    for none in ["0", "0s", "-5m"] {
        let refused = shell.types(&format!("secrets lease github_token --ttl {none}")).ends(2);
        assert!(refused.stdout.is_empty() && refused.stderr.contains("more than zero"), "{refused:?}");
        assert!(refused.stderr.ends_with("\n  fix: secrets lease github_token\n"), "{refused:?}");
    }

    let status = shell.types("secrets status").quiet().result();
    assert_eq!((&status["running"], &status["secrets_count"]), (&true.into(), &3.into()), "{status}");
    assert!(status["active_leases"].as_u64().unwrap() >= 2 && status["uptime"].is_string(), "{status}");
    assert_eq!(status["heartbeat"]["enabled"], false, "{status}");
    let health = shell.types("secrets health --warnings").quiet().result();
    assert!(health["warnings_count"].is_u64() && health["warnings"].is_array(), "{health}");

    let audit = shell.types("secrets audit --tail 20").quiet().result();
    assert_eq!(audit["tail_limit"], 20);
    assert_eq!(audit["total_shown"], audit["entries"].as_array().unwrap().len());
    assert!(audit["entries"].as_array().unwrap().iter().any(|entry| entry["lease_id"] == leased["lease_id"]));

    let id = leased["lease_id"].as_str().unwrap();
    let revoked = shell.types(&format!("secrets revoke {id}")).quiet().result();
    assert_eq!(revoked["lease_id"], id);
    shell.types(&format!("secrets revoke {id}")).ends(1).envelope();
    shell.types("secrets revoke nope").ends(1).envelope();
    assert_ne!(shell.types("secrets revoke").code, 0, "one lease, or all of them");
    let revoked = shell.types("secrets revoke --all").quiet().result();
    assert!(revoked["leases_revoked"].as_u64().unwrap() >= 1, "{revoked}");
    assert_eq!(shell.types("secrets status").quiet().result()["active_leases"], 0);
    assert_eq!(shell.types("secrets lease github_token").quiet().stdout, "ghp_0123", "revoking is no latch");

    shell.types("echo ghp_new | secrets update github_token").quiet();
    assert_eq!(shell.types("secrets lease github_token").quiet().stdout, "ghp_new");
    let kept = shell.types("secrets update anthropic --rotate-via ''").quiet().result();
    assert_eq!(kept["name"], "anthropic");
    assert_eq!(shell.types("secrets list").quiet().result()["secrets"][0]["has_rotation"], false);
    assert_ne!(shell.types("echo x | secrets update no_such").code, 0);

    let deleted = shell.types("secrets delete on_argv").quiet().result();
    assert_eq!((&deleted["name"], &deleted["deleted"]), (&"on_argv".into(), &true.into()));
    shell.types("secrets rm --force anthropic").quiet();
    assert_eq!(shell.types("secrets list").quiet().result()["count"], 1);

    let version = shell.types("secrets version").quiet().result();
    for field in ["version", "os", "arch"] {
        assert!(version[field].is_string(), "{field}: {version}");
    }
}

#[test]
fn project_files_env_and_exec() {
    let shell = Shell::open();
    shell.types("secrets init && printf 'two words' | secrets add my_key > added.json").ends(0);
    let project = r#"{"secrets": [{"name": "my_key", "env_var": "MY_KEY", "ttl": "30m"}], "client_id": "agent",
        "env_file": ".env"}"#;
    std::fs::write(shell.project.join(".secrets.json"), project).unwrap();
    let dry = shell.types("secrets env --dry-run --raw").quiet().result();
    assert!(!shell.project.join(".env").exists() && dry.to_string().contains("MY_KEY"), "{dry}");
    let written = shell.types("secrets env --raw").quiet().result();
    assert_eq!((&written["client_id"], &written["var_count"]), (&"agent".into(), &1.into()), "{written}");
    assert_eq!(shell.types(". ./.env; printf %s \"$MY_KEY\"").quiet().stdout, "two words");
    assert_ne!(shell.types("secrets env --raw").code, 0, "what is there stays");
    shell.types("secrets env --raw --force").quiet();

    shell.types("mkdir deep").quiet();
    let ran = shell.types("cd deep && secrets exec --raw -- sh -c 'printf %s \"$MY_KEY\"; pwd; exit 3'").ends(3);
    assert_eq!(ran.stdout, format!("two words{}\n", shell.project.join("deep").display()), "the caller's folder");
    assert_eq!(shell.types("secrets status").quiet().result()["active_leases"], 1, "only the file's lease lives");
    let audit = shell.types("secrets audit --action secret_reveal").quiet().result();
    let entries = audit["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["session_id"].is_string()), "a value for a program is a reveal: {audit}");

    let scanned =
        shell.types("printf 'TOKEN=%s%s' ghp_ 0123456789abcdefghijABCDEFGHIJ456789 > leak; secrets scan .").ends(0);
    let found = scanned.result();
    assert!(
        found["findings"].as_array().unwrap().iter().any(|f| f["file"].as_str().unwrap().ends_with("leak")),
        "{found}"
    );
    assert!(!scanned.stdout.contains("abcdefghij"), "{found}");
    shell.types("secrets scan --path . --fail-on high").ends(1);

    assert_eq!(shell.types("secrets cleanup --dry-run").quiet().result()["count"], 0, "its time is not over");
    let gone =
        shell.types("sed -i 's/^# secrets-ttl: .*/# secrets-ttl: 2020-01-01T00:00:00Z/' .env; secrets cleanup").quiet();
    assert_eq!(gone.result()["count"], 1, "{gone:?}");
    assert!(!shell.project.join(".env").exists());
    assert_eq!(shell.types("secrets status").quiet().result()["active_leases"], 0, "and its lease with it");
}

/// A person at a terminal is asked without echo.
#[test]
fn a_value_is_asked_for_on_a_terminal() {
    let Some(_) = find_program("script") else { return };
    let shell = Shell::open();
    shell.types("secrets init").quiet();
    // `script` gives the command a terminal; what is typed into it must not come back. It is typed when the question has
    // been asked, since the echo is off from then on.
    let typed = shell.types(
        "(for i in $(seq 3000); do grep -q : seen 2> /dev/null && break; sleep .02; done; echo s3cr3t-typed) \
         | script -qefc 'secrets add typed' seen",
    );
    assert_eq!(typed.code, 0, "{typed:?}");
    assert!(!typed.stdout.contains("s3cr3t"), "{typed:?}");
    assert_eq!(shell.types("secrets lease typed").quiet().stdout, "s3cr3t-typed");
}

#[test]
fn agent_secrets_documented_config_is_obeyed() {
    let shell = Shell::open();
    let home = shell.home("");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::PermissionsExt::set_mode(&mut std::fs::metadata(&home).unwrap().permissions(), 0o700);
    shell.types("chmod 700 ~/.agent-secrets").quiet();
    let config = r#"{"default_lease_ttl": "5m", "max_lease_ttl": "10m", "rotation_timeout": "30s",
        "heartbeat": {"enabled": false, "url": "", "interval": "1m", "timeout": "5s",
            "fail_action": {"revoke_all": true, "rotate_all": false, "wipe_store": false}}}"#;
    std::fs::write(shell.home("config.json"), config).unwrap();
    shell.types("secrets init && echo v | secrets add key > added.json").ends(0);
    assert_ne!(shell.types("secrets lease key --ttl 11m").code, 0);
    assert_eq!(shell.types("secrets lease key --ttl 10m").quiet().stdout, "v");
    let leased = shell.types("secrets lease key --json").quiet().result();
    assert_eq!(leased["ttl"], "5m", "the default of the file: {leased}");
}
