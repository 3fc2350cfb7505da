//! Every method of agent-secrets, with its parameters, its result and its codes, in the order of a day's work.

use serde_json::json;

use crate::line::Desk;

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_agent_secrets() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;

    let done = line.ok("secrets.init", json!(null)).await;
    assert_eq!(done["success"], true);

    let added = line.ok("secrets.add", json!({"name": "github", "value": "ghp_x", "rotate_via": "true"})).await;
    assert_eq!(added["success"], true);
    line.fails("secrets.add", json!({"name": "github", "value": "other"}), -32_603).await;
    line.ok("secrets.update", json!({"name": "github", "value": "ghp_y"})).await;
    line.fails("secrets.update", json!({"name": "none", "value": "x"}), -32_000).await;
    line.fails("secrets.get", json!({"name": "github"}), -32_006).await;

    let listed = line.ok("secrets.list", json!({})).await;
    let one = &listed["secrets"][0];
    assert_eq!((&one["name"], &one["rotate_via"]), (&"github".into(), &"true".into()), "the hook is kept: {listed}");
    assert!(one["created_at"].is_string() && one["updated_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains("ghp_"), "{listed}");

    let lease = json!({"secret_name": "github", "client_id": "agent-1", "ttl": "30m"});
    let leased = line.ok("secrets.lease", lease).await;
    assert_eq!(leased["value"], "ghp_y");
    assert_eq!(leased["expires_at"], "2026-11-24T12:30:00.000Z");
    let id = leased["lease_id"].as_str().unwrap().to_owned();
    line.fails("secrets.lease", json!({"secret_name": "none", "client_id": "a", "ttl": ""}), -32_000).await;
    line.fails("secrets.lease", json!({"secret_name": "github", "client_id": "a", "ttl": "48h"}), -32_602).await;
    line.fails("secrets.lease", json!({"secret_name": "github", "client_id": ""}), -32_602).await;

    let status = line.ok("secrets.status", json!({})).await;
    assert_eq!(
        (&status["running"], &status["secrets_count"], &status["active_leases"]),
        (&true.into(), &1.into(), &1.into()),
        "{status}"
    );
    assert!(status["started_at"].is_string());

    line.ok("secrets.revoke", json!({"lease_id": id})).await;
    line.fails("secrets.revoke", json!({"lease_id": id}), -32_001).await;
    line.fails("secrets.revoke", json!({"lease_id": "nope"}), -32_001).await;
    line.ok("secrets.lease", json!({"secret_name": "github", "client_id": "agent-1", "ttl": ""})).await;
    let revoked = line.ok("secrets.revokeAll", json!({})).await;
    assert_eq!((&revoked["success"], &revoked["leases_revoked"]), (&true.into(), &1.into()), "{revoked}");

    let health = line.ok("secrets.health", json!({})).await;
    for counter in ["total_secrets", "active_leases", "expiring_soon", "never_rotated", "stale_secrets"] {
        assert!(health[counter].is_u64(), "{counter}: {health}");
    }
    assert!(health["warnings"].is_array());

    let audit = line.ok("secrets.audit", json!({"tail": 0})).await;
    let entries = audit["entries"].as_array().unwrap();
    let actions: Vec<&str> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
    for action in ["secret_add", "secret_update", "secret_reveal", "lease_revoke", "revoke_all"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(!audit.to_string().contains("ghp_"), "no value is in the record");
    assert_eq!(line.ok("secrets.audit", json!({"tail": 2})).await["entries"].as_array().unwrap().len(), 2);

    line.ok("secrets.delete", json!({"name": "github"})).await;
    line.fails("secrets.delete", json!({"name": "github"}), -32_000).await;
    line.fails("secrets.nothing", json!({}), -32_601).await;

    let accepted = line.ok("daemon.restart", json!({})).await;
    assert_eq!(accepted["accepted"], true);
    assert!(line.rest().await.is_empty(), "the daemon went away after its answer");
}

/// agent-secrets left out what did not succeed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_recorded_as_refused() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    line.ok("secrets.add", json!({"name": "a", "value": "hunter2"})).await;
    line.fails("secrets.add", json!({"name": "a", "value": "hunter3"}), -32_603).await;
    line.fails("secrets.update", json!({"name": "none", "value": "x"}), -32_000).await;
    line.fails("secrets.delete", json!({"name": "none"}), -32_000).await;
    line.fails("secrets.lease", json!({"secret_name": "none", "client_id": "c", "ttl": ""}), -32_000).await;
    line.fails("secrets.lease", json!({"secret_name": "a", "client_id": "c", "ttl": "48h"}), -32_602).await;
    line.fails("lease.token", json!({"secret_name": "a", "client_id": "c"}), -32_603).await;
    let audit = line.ok("secrets.audit", json!({"tail": 50})).await;
    let entries = audit["entries"].as_array().unwrap();
    let of = |action: &str| {
        let all = entries.iter().filter(|entry| entry["action"] == action);
        all.map(|entry| entry["success"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of("secret_add"), [true, false], "{audit}");
    assert_eq!((of("secret_update"), of("secret_delete")), (vec![false], vec![false]), "{audit}");
    assert_eq!((of("secret_reveal"), of("lease_acquire")), (vec![false, false], vec![false]), "{audit}");
    assert!(!audit.to_string().contains("hunter"), "{audit}");
}

/// agent-secrets' daemon emptied its memory here, and the next write destroyed the file.
#[tokio::test(flavor = "multi_thread")]
async fn hole_h2_init_on_a_running_daemon_empties_nothing() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    line.ok("secrets.add", json!({"name": "a", "value": "1"})).await;
    line.ok("secrets.init", json!({})).await;
    line.ok("secrets.add", json!({"name": "b", "value": "2"})).await;
    let listed = line.ok("secrets.list", json!({})).await;
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 2, "{listed}");
}

/// agent-secrets cut a value at its first line.
#[tokio::test(flavor = "multi_thread")]
async fn hole_h3_values_of_many_lines_come_back_whole() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    let value = "-----BEGIN X-----\nline\r\n\tend \n";
    line.ok("secrets.add", json!({"name": "pem", "value": value})).await;
    let leased = line.ok("secrets.lease", json!({"secret_name": "pem", "client_id": "a", "ttl": ""})).await;
    assert_eq!(leased["value"], value);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_live_lease_per_client_and_secret_is_replaced() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    line.ok("secrets.add", json!({"name": "a", "value": "1"})).await;
    let lease = |client: &str| json!({"secret_name": "a", "client_id": client, "ttl": "1h"});
    let first = line.ok("secrets.lease", lease("one")).await;
    line.ok("secrets.lease", lease("one")).await;
    line.ok("secrets.lease", lease("two")).await;
    assert_eq!(line.ok("secrets.status", json!({})).await["active_leases"], 2);
    line.fails("secrets.revoke", json!({"lease_id": first["lease_id"]}), -32_001).await;
    let audit = line.ok("secrets.audit", json!({"tail": 50})).await;
    let replaced = audit["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "lease_replace");
    assert_eq!(replaced.count(), 1, "{audit}");
}
