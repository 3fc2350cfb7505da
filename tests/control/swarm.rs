//! Two hundred workers at once: leases taken, replaced, used up and revoked, and the counts agree at the end.

use serde_json::json;

use crate::line::{Desk, RawLine};

const WORKERS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_workers_lease_renew_and_revoke_at_once() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    line.ok("secrets.add", json!({"name": "shared", "value": "v"})).await;
    let socket = desk.home.socket();
    let workers = (0..WORKERS).map(|worker| {
        let socket = socket.clone();
        tokio::spawn(async move {
            let mut line = RawLine::to(&socket).await;
            let lease = json!({"secret_name": "shared", "client_id": format!("worker-{worker}"), "ttl": "10m"});
            line.ok("secrets.lease", lease.clone()).await;
            let renewed = line.ok("secrets.lease", lease).await;
            assert_eq!(renewed["value"], "v");
            if worker % 2 == 0 {
                line.ok("secrets.revoke", json!({"lease_id": renewed["lease_id"]})).await;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    assert_eq!(line.ok("secrets.status", json!({})).await["active_leases"], WORKERS / 2);
    assert_eq!(line.ok("secrets.revokeAll", json!({})).await["leases_revoked"], WORKERS / 2);
    let verified = leasehold::audit::verify(&desk.home.audit()).unwrap();
    assert!(verified.is_whole() && verified.lines > 3 * WORKERS as u64, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_one_connection_are_answered_without_waiting_for_each_other() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    let call = |id| json!({"jsonrpc": "2.0", "id": id, "method": "secrets.status", "params": {}}).to_string();
    let calls: Vec<String> = (1..=20).map(call).collect();
    line.send((calls.join("\n") + "\n").as_bytes()).await;
    let mut ids = Vec::new();
    for _ in 1..=20 {
        ids.push(line.read().await["id"].as_u64().unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
}
