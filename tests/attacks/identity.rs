//! B: one authority for a request (20 to 22, 24, 25, 28, 37); over HTTP/1.1, through an intercepted tunnel and in clear.

use crate::{
    hello::{self, Sni},
    house::{AUTHORITY, HOST, House, SECRET},
    seen::{assert_refused, bearer},
    support::{Answer, RawClient, connect_tls},
};
use leasehold::policy::EasyPlace;

const EVIL: &str = "other.acme.test";

/// A request head with a lease at its place and any target and `Host` lines.
fn head(target: &str, hosts: &[&str], lease: &str) -> String {
    let hosts = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect::<Vec<_>>().concat();
    format!("GET {target} HTTP/1.1\r\n{hosts}Authorization: Bearer {lease}\r\n\r\n")
}

async fn ask(client: &mut RawClient, head: &str) -> Answer {
    client.write(head).await;
    client.read_answer().await
}

/// Another host with a service, a secret and a grant of its own.
fn grant_evil(house: &House) -> String {
    let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
    house.add("evil_key", "evil-REAL-abcdefghijklmnop-KEY", EVIL, place);
    house.lease_of("evil_key", None)
}

#[tokio::test]
async fn attack_20_server_name_and_host_that_agree_with_each_other_but_not_with_connect_are_cut_off() {
    let house = House::new().await;
    let lease = house.lease();
    for sni in [EVIL, "evil.test", "test", "api.acme.test.evil.test"] {
        let mut tunnel = RawClient::connect(house.proxy()).await;
        assert_eq!(tunnel.ask_connect(AUTHORITY).await.status, 200);
        assert!(hello::start_tls(tunnel.into_io(), Sni::Named(sni)).await.is_err(), "{sni}");
    }
    let record = house.recorded("connection_refused", "authority_mismatch").await;
    assert_eq!(record.host.as_deref(), Some(HOST));
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_21_fronting_by_another_host_header_is_misdirected() {
    let house = House::new().await;
    grant_evil(&house);
    let lease = house.lease();
    for host in ["evil.test", EVIL, "acme.test", "api.acme.test.evil.test", "xapi.acme.test", "127.0.0.1"] {
        let answer = ask(&mut house.http1().await, &head("/echo", &[host], &lease)).await;
        assert_refused(&answer, 421, "authority_mismatch");
        house.assert_recorded("request_refused", "authority_mismatch");
    }
    house.assert_nothing_left(&lease);
    house.assert_still_works().await;
}

#[tokio::test]
async fn attack_21_what_is_recorded_of_a_misdirected_request_holds_no_token() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let answer = ask(&mut client, &head(&format!("/bot{lease}/send"), &["evil.test"], &lease)).await;
    assert_refused(&answer, 421, "authority_mismatch");
    house.assert_recorded("request_refused", "authority_mismatch");
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_25_what_is_recorded_of_a_refused_request_in_clear_holds_no_token() {
    let house = House::new().await;
    let lease = house.lease();
    for (target, more) in [
        (format!("https://tunnel.test/bot{lease}"), ""),
        (format!("http://tunnel.test/bot{lease}"), "Proxy-Authorization: Basic eDp5\r\n"),
        (format!("http://user@tunnel.test/bot{lease}"), ""),
        (format!("/bot{lease}"), ""),
    ] {
        let mut client = RawClient::connect(house.proxy()).await;
        let answer = ask(&mut client, &format!("GET {target} HTTP/1.1\r\nHost: tunnel.test\r\n{more}\r\n")).await;
        assert!(matches!(answer.status, 400 | 407), "{target}: {answer:?}");
        assert_eq!(house.last_refusal().action, "request_refused");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_28_a_token_as_host_is_misdirected() {
    let house = House::new().await;
    let lease = house.lease();
    for host in [lease.clone(), format!("{lease}.test"), format!("api.acme.test:{lease}")] {
        let answer = ask(&mut house.http1().await, &head("/echo", &[&host], &lease)).await;
        assert!(matches!(answer.status, 400 | 421), "{answer:?}");
        house.assert_recorded("request_refused", &crate::seen::code(&answer));
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_22_a_good_host_header_in_a_tunnel_to_another_granted_host_is_misdirected() {
    let house = House::new().await;
    grant_evil(&house);
    let lease = house.lease();
    let mut client = connect_tls(house.proxy(), &format!("{EVIL}:443"), &house.roots, &[b"http/1.1"]).await;
    let answer = ask(&mut client, &head("/echo", &[HOST], &lease)).await;
    assert_refused(&answer, 421, "authority_mismatch");
    house.assert_recorded_for("request_refused", "authority_mismatch", EVIL);
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_22_a_good_host_header_in_an_untouched_tunnel_swaps_nothing() {
    let house = House::new().await;
    let lease = house.lease();
    // Nobody granted this host: the tunnel is not read, and its client trusts the far end's own certificate.
    let mut client = connect_tls(house.proxy(), "tunnel.test:443", &house.ca.roots(), &[b"http/1.1"]).await;
    let answer = ask(&mut client, &head("/echo", &[HOST], &lease)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(house.origin.count(SECRET.as_bytes()), 0, "no swap where nothing was verified");
    assert_eq!(house.records_of("tunnel_begun")[0].host.as_deref(), Some("tunnel.test"));
    assert!(house.records_of("request_begun").is_empty());
}

#[tokio::test]
async fn attack_24_a_full_uri_inside_a_tunnel_is_refused_whatever_it_names() {
    let house = House::new().await;
    grant_evil(&house);
    let lease = house.lease();
    for target in [
        format!("https://{EVIL}/echo"),
        format!("https://{HOST}/echo"),
        format!("http://{HOST}/echo"),
        "https://evil.test/echo".to_owned(),
        "evil.test:443".to_owned(),
        "*".to_owned(),
    ] {
        let answer = ask(&mut house.http1().await, &head(&target, &[HOST], &lease)).await;
        assert_refused(&answer, 400, "bad_request");
        house.assert_recorded("request_refused", "bad_request");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_25_an_absolute_target_and_a_host_that_differ_go_nowhere() {
    let house = House::new().await;
    let lease = house.lease();
    for (target, host) in [
        (format!("http://{HOST}/echo"), "evil.test".to_owned()),
        ("http://tunnel.test/echo".to_owned(), HOST.to_owned()),
        ("http://tunnel.test/echo".to_owned(), AUTHORITY.to_owned()),
        (format!("http://{HOST}:443/echo"), EVIL.to_owned()),
    ] {
        let mut client = RawClient::connect(house.proxy()).await;
        let answer = ask(&mut client, &head(&target, &[&host], &lease)).await;
        assert!(matches!(answer.status, 400 | 421), "{target} with {host}: {answer:?}");
        assert!(matches!(house.last_refusal().code.as_deref(), Some("authority_mismatch" | "bad_request")));
        assert_eq!(house.last_refusal().action, "request_refused");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_25_an_https_target_at_the_proxys_port_is_refused() {
    let house = House::new().await;
    let lease = house.lease();
    for target in [format!("https://{HOST}/echo"), format!("ftp://{HOST}/echo"), "/echo".to_owned()] {
        let mut client = RawClient::connect(house.proxy()).await;
        let answer = ask(&mut client, &head(&target, &[HOST], &lease)).await;
        assert_refused(&answer, 400, "bad_request");
        assert_eq!(house.last_refusal().action, "request_refused");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_28_a_host_field_that_is_not_one_host_is_refused() {
    let house = House::new().await;
    let lease = house.lease();
    for (hosts, statuses) in [
        (&["api.acme.test, evil.test"][..], &[400][..]),
        (&["evil.test, api.acme.test"], &[400]),
        (&["[[api.acme.test]]"], &[400]),
        (&["[api.acme.test]"], &[400]),
        (&["user@api.acme.test"], &[400]),
        (&["api.acme.test@evil.test"], &[400]),
        (&["api.acme.test\tevil.test"], &[400]),
        (&["api.acme.test evil.test"], &[400]),
        (&["api.acme.test/evil"], &[400]),
        (&["api.acme.test#evil"], &[400]),
        (&["api.acme.test\\evil.test"], &[400]),
        (&["https://api.acme.test"], &[400]),
        (&["api.acme.test%00"], &[400]),
        (&["api%2eacme.test"], &[400]),
        (&["api.acme.test:443:443"], &[400]),
        (&["api.acme.test:"], &[400]),
        (&["api.acme.test:+443"], &[400]),
        (&["api.acme.test:8443"], &[421]),
        (&["api.acme.test:80"], &[421]),
        (&["api.acme.tëst"], &[400]),
        (&[""], &[400]),
        (&["api.acme.test", "evil.test"], &[400]),
        (&["api.acme.test", "api.acme.test"], &[400]),
        (&[], &[400]),
    ] {
        let answer = ask(&mut house.http1().await, &head("/echo", hosts, &lease)).await;
        assert!(statuses.contains(&answer.status), "{hosts:?}: {answer:?}");
        let code = if answer.status == 400 { "bad_request" } else { "authority_mismatch" };
        assert_refused(&answer, answer.status, code);
        house.assert_recorded("request_refused", code);
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_28_spellings_of_the_one_host_are_the_one_host() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    for host in ["API.Acme.TEST", "api.acme.test.", "api.acme.test:443"] {
        let answer = ask(&mut client, &head("/echo", &[host], &lease)).await;
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
    assert!(house.origin.connections().iter().all(|connection| connection.sni.as_deref() == Some(HOST)));
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_37_what_the_client_says_of_itself_and_its_proxy_stays_here() {
    let house = House::new().await;
    let lease = house.lease();
    let authorization = bearer(&lease);
    let answer = house
        .http1()
        .await
        .get(
            HOST,
            "/echo",
            &[
                ("Authorization", &authorization),
                ("Proxy-Authorization", "Basic dXNlcjpwYXNz"),
                ("Proxy-Connection", "keep-alive"),
                ("Forwarded", "for=10.9.8.7;host=evil.test"),
                ("X-Forwarded-For", "10.9.8.7"),
                ("X-Forwarded-Host", "evil.test"),
                ("X-Forwarded-Proto", "http"),
                ("X-Forwarded-Port", "80"),
                ("X-Forwarded-Server", "evil.test"),
                ("X-Forwarded-Prefix", "/evil"),
                ("X-Forwarded-Scheme", "http"),
                ("X-Forwarded-Ssl", "off"),
            ],
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = house.origin.only_request();
    let names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let told: Vec<&String> =
        names.iter().filter(|n| n.starts_with("x-forwarded") || n.starts_with("proxy-") || *n == "forwarded").collect();
    assert!(told.is_empty(), "the origin was told {told:?}");
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_19_a_pipelined_request_to_another_host_is_judged_alone() {
    let house = House::new().await;
    grant_evil(&house);
    let lease = house.lease();
    let mut client = house.http1().await;
    client.write([head("/echo", &[HOST], &lease), head("/echo", &[EVIL], &lease)].concat()).await;
    assert_eq!(client.read_answer().await.status, 200);
    assert_refused(&client.read_answer().await, 421, "authority_mismatch");
    house.assert_recorded("request_refused", "authority_mismatch");
    assert_eq!(house.origin.requests().len(), 1);
    house.assert_token_stayed(&lease);
}
