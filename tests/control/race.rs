//! Leasing and deleting the same secret at once: no lease outlives its secret, and none is handed out once the deletion is
//! answered.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;

use crate::line::{Desk, RawLine};

const ROUNDS: usize = 6;
const LESSEES: usize = 12;
const NOT_FOUND: i64 = -32000;

/// Leases until the secret is gone; says how often it got one.
async fn lease_until_gone(mut line: RawLine, method: &str, client: String, gone: Arc<AtomicBool>) -> usize {
    let mut got = 0;
    loop {
        let was_gone = gone.load(Ordering::SeqCst);
        let answer = line.call(method, json!({"secret_name": "shared", "client_id": client, "ttl": "10m"})).await;
        if answer.get("error").is_some() {
            assert_eq!(answer["error"]["code"], NOT_FOUND, "{answer}");
            return got;
        }
        assert!(!was_gone, "a lease was handed out after the deletion was answered: {answer}");
        got += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_lease_outlives_its_secret_when_both_race() {
    let desk = Desk::open().await;
    let mut line = desk.line().await;
    let mut handed_out = 0;
    for _ in 0..ROUNDS {
        line.ok("secrets.add", json!({"name": "shared", "value": "v", "service": "github", "credential": "token"}))
            .await;
        let gone = Arc::new(AtomicBool::new(false));
        let mut lessees = Vec::new();
        for lessee in 0..LESSEES {
            let (worker, gone) = (desk.line().await, Arc::clone(&gone));
            let method = if lessee % 2 == 0 { "secrets.lease" } else { "lease.token" };
            lessees.push(tokio::spawn(lease_until_gone(worker, method, format!("worker-{lessee}"), gone)));
        }
        let deleters = [desk.line().await, desk.line().await, desk.line().await].map(|mut line| {
            let gone = Arc::clone(&gone);
            tokio::spawn(async move {
                let answer = line.call("secrets.delete", json!({"name": "shared"})).await;
                if answer.get("error").is_some() {
                    assert_eq!(answer["error"]["code"], NOT_FOUND, "{answer}");
                    return false;
                }
                gone.store(true, Ordering::SeqCst);
                true
            })
        });
        let mut deleted = 0;
        for deleter in deleters {
            deleted += usize::from(deleter.await.unwrap());
        }
        assert_eq!(deleted, 1, "one of them removes it, and the others are told that it is gone");
        for lessee in lessees {
            handed_out += lessee.await.unwrap();
        }
        assert_eq!(line.ok("secrets.status", json!({})).await["active_leases"], 0);
    }
    assert!(handed_out > 0, "the two never met");
    let desk = desk.again().await;
    let status = desk.line().await.ok("secrets.status", json!({})).await;
    assert_eq!(status["active_leases"], 0, "none was left on disk: {status}");
    let verified = leasehold::audit::verify(&desk.home.audit()).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
}
