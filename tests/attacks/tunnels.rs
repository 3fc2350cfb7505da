//! B: other ports, other schemes, other ways in (29, 31, 32, 36): none of them gets a credential.

use crate::{
    house::{AUTHORITY, HOST, House, SECRET},
    seen::{assert_refused, bearer, code},
    support::{Origin, RawClient, Speaks, TestCa, connect_tls},
    yard::Yard,
};

#[tokio::test]
async fn attack_29_an_address_literal_gets_no_credential_even_where_the_operator_allows_it() {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST, "127.0.0.1"])).speaks(Speaks::Http1).start();
    let yard = Yard::with(&ca, "allow_addresses = [\"127.0.0.1\"]\n").await;
    let lease = yard.lease("acme_key");
    let authority = origin.authority("127.0.0.1");
    // No server name can stand for an address: the tunnel is not read, and the far end shows its own certificate.
    let mut client = connect_tls(yard.proxy(), &authority, &ca.roots(), &[b"http/1.1"]).await;
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(origin.count(SECRET.as_bytes()), 0);
    let begun = yard.records().into_iter().find(|record| record.action == "tunnel_begun").unwrap();
    assert_eq!((begun.host.as_deref(), begun.port), (Some("127.0.0.1"), Some(origin.port())));
    assert!(yard.records().iter().all(|record| record.action != "request_begun"));
}

#[tokio::test]
async fn attack_29_an_address_literal_is_denied_by_default() {
    let house = House::new().await;
    let mut client = RawClient::connect(house.proxy()).await;
    let answer = client.ask_connect(&house.origin.authority("127.0.0.1")).await;
    assert_refused(&answer, 403, "address_denied");
    house.assert_recorded_for("tunnel_ended", "address_denied", "127.0.0.1");
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn attack_31_a_tunnel_to_port_80_of_a_granted_host_is_refused() {
    let house = House::new().await;
    let mut client = RawClient::connect(house.proxy()).await;
    let answer = client.ask_connect(&format!("{HOST}:80")).await;
    assert_refused(&answer, 403, "host_denied");
    house.assert_recorded("tunnel_refused", "host_denied");
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn attack_32_another_port_of_a_granted_host_is_refused() {
    let house = House::new().await;
    for port in [1, 22, 80, 442, 444, 8443, 65535] {
        let mut client = RawClient::connect(house.proxy()).await;
        let answer = client.ask_connect(&format!("{HOST}:{port}")).await;
        assert_refused(&answer, 403, "host_denied");
        house.assert_recorded("tunnel_refused", "host_denied");
        assert_eq!(house.last_refusal().port, Some(port));
    }
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn attack_32_the_usual_port_of_a_host_that_is_granted_at_another_is_refused() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &["db.acme.test"]);
    let yard = Yard::with(&ca, &format!("[upstream.hosts]\n\"db.acme.test\" = \"{}\"\n", origin.address())).await;
    yard.add("db_key", "https://db.acme.test:8443");
    for port in [443, 22, 80] {
        let mut client = RawClient::connect(yard.proxy()).await;
        let answer = client.ask_connect(&format!("db.acme.test:{port}")).await;
        assert_refused(&answer, 403, "host_denied");
        assert_eq!(yard.last_refusal().action, "tunnel_refused");
    }
    assert!(origin.connections().is_empty(), "dialled: {:?}", origin.connections());
}

#[tokio::test]
async fn attack_32_clear_text_to_a_granted_host_gets_no_credential() {
    let house = House::new().await;
    let lease = house.lease();
    for authority in [HOST, AUTHORITY, "api.acme.test:80", "api.acme.test:8443"] {
        let mut client = RawClient::connect(house.proxy()).await;
        let target = format!("http://{authority}/echo");
        let answer = client.get(authority, &target, &[("Authorization", &bearer(&lease))]).await;
        assert_eq!(answer.status, 403, "{authority}: {answer:?}");
        let code = code(&answer);
        assert!(["stray_lease", "host_denied"].contains(&code.as_str()), "{code}");
        house.assert_recorded("request_refused", &code);
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_32_clear_text_to_a_granted_host_is_refused_without_a_token_too() {
    let house = House::new().await;
    let mut client = RawClient::connect(house.proxy()).await;
    let answer = client.get(HOST, &format!("http://{HOST}/echo"), &[]).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(house.last_refusal().action, "request_refused");
    assert!(house.origin.connections().is_empty(), "dialled: {:?}", house.origin.connections());
}

#[tokio::test]
async fn attack_32_a_host_that_a_wildcard_leaves_out_is_tunnelled_and_gets_no_credential() {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&["www.tenants.test"])).speaks(Speaks::Http1).start();
    let yard = Yard::with(&ca, &format!("[upstream.hosts]\n\"www.tenants.test\" = \"{}\"\n", origin.address())).await;
    let lease = yard.lease("acme_key");
    for (file, text) in [("tenants.toml", TENANTS), ("tenants-grant.toml", TENANTS_GRANT)] {
        std::fs::write(yard.home.policies().join(file), text).unwrap();
    }
    yard.broker().live_policy().reload().unwrap();
    // The client knows the far end's root alone, so nobody looked inside.
    let mut client = connect_tls(yard.proxy(), "www.tenants.test:443", &ca.roots(), &[b"http/1.1"]).await;
    let answer = client.get("www.tenants.test", "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(origin.count(SECRET.as_bytes()), 0);
    assert!(yard.records().iter().all(|record| record.action != "request_begun"));

    // Of the same pattern, and not left out: another port is no way round.
    let mut client = RawClient::connect(yard.proxy()).await;
    assert_refused(&client.ask_connect("shop.tenants.test:8443").await, 403, "host_denied");
    // In clear text the lease is seen, and stays here.
    let mut client = RawClient::connect(yard.proxy()).await;
    let target = "http://www.tenants.test/echo";
    let answer = client.get("www.tenants.test", target, &[("Authorization", &bearer(&lease))]).await;
    assert_refused(&answer, 403, "stray_lease");
    assert_eq!(origin.connections().len(), 1, "the tunnel's own");
}

const TENANTS: &str = r#"schema = 1
kind = "service"
id = "tenants"
name = "Tenants"
[host.api]
origin = "https://{tenant}.tenants.test"
except = ["www.tenants.test"]
[param.tenant]
pattern = "[a-z]{1,9}"
[credential.key]
type = "token"
[[inject]]
host = "api"
use = "key"
at = [{ header = "authorization", as = "Bearer {}" }]
[cap.read]
about = "Look"
risk = "read"
allow = [{ method = "GET" }]
"#;

const TENANTS_GRANT: &str =
    "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"tenants\"\nitem = \"acme_key\"\nallow = [\"read\"]\n";

/// Puts a policy in force that denies hosts without a grant.
fn deny_unknown(house: &House) {
    let text = "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"deny\"\n";
    std::fs::write(house.home.policies().join("strict.toml"), text).unwrap();
    house.broker().live_policy().reload().unwrap();
}

#[tokio::test]
async fn attack_32_where_unknown_hosts_are_denied_there_is_no_way_to_them() {
    let house = House::new().await;
    deny_unknown(&house);
    let mut client = RawClient::connect(house.proxy()).await;
    assert_refused(&client.ask_connect("tunnel.test:443").await, 403, "host_denied");
    house.assert_recorded_for("tunnel_refused", "host_denied", "tunnel.test");
    let mut client = RawClient::connect(house.proxy()).await;
    let answer = client.get("tunnel.test", "http://tunnel.test/echo", &[]).await;
    assert_refused(&answer, 403, "host_denied");
    house.assert_recorded_for("request_refused", "host_denied", "tunnel.test");
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn attack_39_a_token_in_clear_text_inside_an_untouched_tunnel_does_not_leave() {
    let ca = TestCa::new();
    let origin = Origin::clear();
    let yard = Yard::with(&ca, &format!("[upstream.hosts]\n\"plain.test\" = \"{}\"\n", origin.address())).await;
    let lease = yard.lease("acme_key");
    let mut client = RawClient::connect(yard.proxy()).await;
    assert_eq!(client.ask_connect("plain.test:80").await.status, 200);
    // undici sends http:// this way.
    client.write(format!("GET /echo HTTP/1.1\r\nHost: plain.test\r\nAuthorization: Bearer {lease}\r\n\r\n")).await;
    client.finish().await;
    let _ = client.read_to_end().await;
    assert_eq!(origin.count(lease.as_bytes()), 0, "the origin received the token");
    assert_eq!(yard.last_refusal().code.as_deref(), Some("stray_lease"));
}

#[tokio::test]
async fn attack_36_a_tunnel_within_a_tunnel_is_refused() {
    let house = House::new().await;
    let lease = house.lease();
    for authority in ["evil.test:443", AUTHORITY, "tunnel.test:443", &house.proxy().to_string()] {
        let mut client = house.http1().await;
        client.write(format!("CONNECT {authority} HTTP/1.1\r\nHost: {HOST}\r\nX: 1\r\n\r\n")).await;
        let answer = client.read_answer_to("CONNECT").await;
        assert!(matches!(answer.status, 403 | 508), "{authority}: {answer:?}");
        let last = house.last_refusal();
        assert_eq!((last.action.as_str(), last.method.as_deref()), ("request_refused", Some("CONNECT")));
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_36_the_proxy_is_no_upstream_of_itself() {
    let house = House::new().await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.0.0.2"] {
        let authority = format!("{host}:{}", house.proxy().port());
        let answer = RawClient::connect(house.proxy()).await.ask_connect(&authority).await;
        assert!(matches!(answer.status, 403 | 508), "{authority}: {answer:?}");
        assert!(matches!(code(&answer).as_str(), "address_denied" | "loop"), "{answer:?}");
        assert_eq!(house.last_refusal().port, Some(house.proxy().port()));
        let mut client = RawClient::connect(house.proxy()).await;
        let answer = client.get(&authority, &format!("http://{authority}/"), &[]).await;
        assert!(matches!(answer.status, 403 | 508), "{authority}: {answer:?}");
    }
}

#[tokio::test]
async fn attack_36_the_proxy_is_no_upstream_of_itself_even_where_loopback_is_allowed() {
    let ca = TestCa::new();
    let yard = Yard::with(&ca, "allow_addresses = [\"127.0.0.0/8\"]\n").await;
    let authority = format!("127.0.0.1:{}", yard.proxy().port());
    let answer = RawClient::connect(yard.proxy()).await.ask_connect(&authority).await;
    assert!(matches!(answer.status, 403 | 508), "{authority}: {answer:?}");
    assert!(matches!(yard.last_refusal().code.as_deref(), Some("loop" | "address_denied")));
}
