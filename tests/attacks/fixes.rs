//! What a refusal tells its reader to do is the thing that mends it: a command with its names filled in, or one step.

use crate::{
    bait::Bait,
    house::{AUTHORITY, HOST, House},
    seen::{assert_refused, bearer},
    support::{Answer, HeldPort, RawClient, TestCa},
    yard::Yard,
};

/// The refusal, and what its `fix` says.
fn fix(answer: &Answer, status: u16, code: &str) -> String {
    assert_refused(answer, status, code);
    answer.json()["fix"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_setting_is_named_where_none_helps() {
    let yard = Yard::with(&TestCa::new(), "").await;
    for (target, wanted, never) in [
        ("169.254.169.254:80", "no setting", "allow_addresses"),
        ("[::ffff:169.254.169.254]:443", "no setting", "allow_addresses"),
        ("localhost:9", "[upstream.hosts]", "allow_addresses"),
        ("127.0.0.1:9", "add \"127.0.0.1\" to `upstream.allow_addresses`", "upstream.hosts"),
    ] {
        let answer = RawClient::connect(yard.proxy()).await.ask_connect(target).await;
        let fix = fix(&answer, 403, "address_denied");
        assert!(fix.contains(wanted) && !fix.contains(never), "{target}: {fix}");
        assert_eq!(yard.last_refusal().code.as_deref(), Some("address_denied"));
    }
}

#[tokio::test]
async fn the_allowed_address_that_a_fix_names_opens_the_way() {
    let bait = Bait::everywhere();
    let target = format!("127.0.0.1:{}", bait.port());
    let yard = Yard::with(&TestCa::new(), "allow_addresses = [\"127.0.0.1\"]\n").await;
    assert_eq!(RawClient::connect(yard.proxy()).await.ask_connect(&target).await.status, 200);
}

#[tokio::test]
async fn a_value_at_fault_is_named_with_the_command_that_replaces_it() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let ask = async || house.http1().await.get(HOST, "/echo", &[("Authorization", &lease)]).await;
    let name = "acme_key".parse().unwrap();
    let value = leasehold::base::SecretBytes::new(b"two\nlines".to_vec());
    let change = leasehold::store::SecretChange::new().value(value);
    // As an older program or another one stored it; ours refuses it at the door.
    assert!(house.broker().update(&name, change.clone(), None).is_err());
    house.broker().store().update(&name, change).unwrap();
    let answer = ask().await;
    assert_eq!(fix(&answer, 503, "credential_unavailable"), "secrets update acme_key");
    assert!(answer.json()["detail"].as_str().unwrap().contains("`acme_key`"), "{answer:?}");
    house.broker().store().remove(&name).unwrap();
    assert_eq!(fix(&ask().await, 503, "credential_unavailable"), "secrets add acme_key");
    assert!(house.origin.requests().is_empty());
}

#[tokio::test]
async fn each_refusal_on_the_way_to_an_upstream_says_what_to_do() {
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let dead = HeldPort::any();
    let yard = Yard::at(&TestCa::new(), dead.address()).await;
    let dead_lease = bearer(&yard.lease("acme_key"));
    let answer = yard.http1().await.get(HOST, "/echo", &[("Authorization", &dead_lease)]).await;
    assert!(fix(&answer, 502, "upstream_failed").contains(HOST));
    let answer = house.http1().await.send("TRACE", HOST, "/", &[("Authorization", &lease)], b"").await;
    assert!(fix(&answer, 405, "method_denied").contains("GET"));
    let answer = RawClient::connect(house.proxy()).await.ask_connect(&format!("{HOST}:8443")).await;
    assert_eq!(fix(&answer, 403, "host_denied"), format!("secrets policy explain GET 'https://{HOST}:8443/'"));
    let mut client = RawClient::connect(house.proxy()).await;
    client.write(format!("CONNECT {HOST} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert!(fix(&client.read_answer().await, 400, "bad_request").contains("CONNECT"));
    let answer = house.http1().await.get("other.acme.test", "/", &[("Authorization", &lease)]).await;
    assert!(fix(&answer, 421, "authority_mismatch").contains("for each host"));
    let mut inside = house.http1().await;
    inside.write(format!("CONNECT {AUTHORITY} HTTP/1.1\r\nHost: {AUTHORITY}\r\n\r\n")).await;
    assert!(fix(&inside.read_answer().await, 403, "host_denied").contains("connection of its own"));
    let answer = house.http1().await.get(HOST, "/echo", &[("Authorization", &lease), ("X-Note", &lease)]).await;
    assert_eq!(fix(&answer, 403, "stray_lease"), "secrets policy list");
    assert!(house.origin.requests().is_empty());
}
