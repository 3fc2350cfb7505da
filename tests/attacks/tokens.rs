//! C: tokens in heads (38, 39, 43, 44, 45, 47, 48): at their place and host, alive, whole, in their session, or nowhere.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use leasehold::{
    base::{ClientId, CutReason},
    broker::{Around, Session},
    policy::EasyPlace,
};

use crate::{
    h2_frames::{Fate, H2Frames},
    house::{AUTHORITY, HOST, House, Plan, SECRET},
    seen::{assert_refused, bearer, code},
    support::{Answer, Origin, RawClient, TestCa, connect_tls},
    yard::Yard,
};

const OTHER: &str = "other.acme.test";

/// Heads with the token in a place that no policy lists: target and one more header.
fn astray(token: &str) -> Vec<(String, &'static str, String)> {
    let plain = || "/echo".to_owned();
    vec![
        (format!("/bot{token}/send"), "X-Kept", "1".to_owned()),
        (format!("/echo/{token}"), "X-Kept", "1".to_owned()),
        (format!("/echo?key={token}"), "X-Kept", "1".to_owned()),
        (format!("/echo?{token}"), "X-Kept", "1".to_owned()),
        (format!("/echo?a=1&{token}=b"), "X-Kept", "1".to_owned()),
        (format!("/echo;{token}?a"), "X-Kept", "1".to_owned()),
        (plain(), "Cookie", format!("session={token}; theme=dark")),
        (plain(), "Referer", format!("https://api.acme.test/?k={token}")),
        (plain(), "X-Api-Key", token.to_owned()),
        (plain(), "User-Agent", format!("agent/1.0 ({token})")),
        (plain(), "Accept", format!("text/{token}")),
        (plain(), "Sec-WebSocket-Protocol", format!("realtime, api-key.{token}")),
        (plain(), "Content-Type", format!("multipart/form-data; boundary={token}")),
        (plain(), "Expect", token.to_owned()),
        (plain(), "Trailer", token.to_owned()),
        (plain(), "If-None-Match", format!("\"{token}\"")),
        (plain(), "Accept-Encoding", format!("gzip, {token}")),
        (plain(), "Range", format!("bytes=0-1, {token}")),
    ]
}

#[tokio::test]
async fn attack_38_a_token_out_of_place_is_stray_alone_and_beside_an_honest_one() {
    let house = House::new().await;
    let lease = house.lease();
    for (target, name, value) in astray(&lease) {
        for honest in [true, false] {
            let authorization = bearer(&lease);
            let mut headers = vec![(name, &*value)];
            if honest {
                headers.push(("Authorization", &authorization));
            }
            let answer = house.http1().await.get(HOST, &target, &headers).await;
            assert_eq!((answer.status, &*code(&answer)), (403, "stray_lease"), "{target} {name}: {value}: {answer:?}");
            house.assert_recorded("request_refused", "stray_lease");
        }
    }
    house.assert_nothing_left(&lease);
    house.assert_still_works().await;
}

#[tokio::test]
async fn attack_38_a_token_out_of_place_is_stray_on_http_2_too() {
    let house = House::new().await;
    let lease = house.lease();
    let authorization = bearer(&lease);
    for (target, name, value) in astray(&lease) {
        let name = name.to_ascii_lowercase();
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", &target),
            ("authorization", &authorization),
            (&name, &value),
        ];
        let mut client = H2Frames::start(house.client(&[b"h2"]).await).await;
        client.request(1, &fields).await;
        assert_eq!(client.fate(1).await, Fate::Answered(403, "stray_lease".to_owned()), "{target} {name}: {value}");
        house.assert_recorded("request_refused", "stray_lease");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_38_a_stray_token_ends_its_lease_where_the_settings_say_so() {
    let plan = Plan { settings: "on_stray = \"revoke\"".to_owned(), ..Plan::default() };
    let house = House::build(plan).await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let answer = client.get(HOST, "/echo", &[("X-Api-Key", &lease), ("Authorization", &bearer(&lease))]).await;
    assert_refused(&answer, 403, "stray_lease");
    assert_eq!(house.records_of("lease_revoke").len(), 1);
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_refused(&answer, 403, "revoked");
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_39_a_token_at_another_granted_host_is_stray_wherever_it_stands() {
    let house = House::new().await;
    let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
    house.add("other_key", "other-REAL-zyxwvutsrqponmlk-KEY", OTHER, place);
    let (lease, other) = (house.lease(), house.lease_of("other_key", None));
    let honest = bearer(&other);
    let mut cases: Vec<_> =
        astray(&lease).into_iter().map(|(t, n, v)| (t, vec![("Authorization", honest.clone()), (n, v)])).collect();
    cases.push(("/echo".to_owned(), vec![("Authorization", bearer(&lease))]));
    for (target, headers) in cases {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let mut client = connect_tls(house.proxy(), &format!("{OTHER}:443"), &house.roots, &[b"http/1.1"]).await;
        let answer = client.get(OTHER, &target, &headers).await;
        assert_eq!((answer.status, &*code(&answer)), (403, "stray_lease"), "{target} {headers:?}: {answer:?}");
        house.assert_recorded_for("request_refused", "stray_lease", OTHER);
    }
    house.assert_nothing_left(&lease);
    house.assert_nothing_left(&other);
}

#[tokio::test]
async fn attack_39_a_token_on_its_way_to_a_foreign_host_in_clear_is_stray() {
    let ca = TestCa::new();
    let origin = Origin::clear();
    let yard = Yard::with(&ca, &format!("[upstream.hosts]\n\"plain.test\" = \"{}\"\n", origin.address())).await;
    let lease = yard.lease("acme_key");
    let mut cases = astray(&lease);
    cases.push(("/echo".to_owned(), "Authorization", bearer(&lease)));
    cases.push(("/echo".to_owned(), "Authorization", format!("Basic {}", STANDARD.encode(format!("x:{lease}")))));
    for (target, name, value) in cases {
        let mut client = RawClient::connect(yard.proxy()).await;
        let answer = client.get("plain.test", &format!("http://plain.test{target}"), &[(name, &value)]).await;
        assert_eq!((answer.status, &*code(&answer)), (403, "stray_lease"), "{target} {name}: {value}: {answer:?}");
        let record = yard.last_refusal();
        assert_eq!((record.action.as_str(), record.host.as_deref()), ("request_refused", Some("plain.test")));
    }
    assert!(origin.connections().is_empty());
    let mut client = RawClient::connect(yard.proxy()).await;
    assert_eq!(client.get("plain.test", "http://plain.test/echo", &[]).await.status, 200, "without one it may go");
}

#[tokio::test]
async fn attack_43_only_a_whole_token_is_one() {
    let house = House::new().await;
    let lease = house.lease();
    let last = lease.chars().last().unwrap();
    let other = if last == 'a' { 'b' } else { 'a' };
    let swapped: String = lease.chars().map(swap_case).collect();
    let mut client = house.http1().await;
    for token in [
        format!("{lease}x"),
        format!("x{lease}"),
        lease[..lease.len() - 1].to_owned(),
        lease[1..].to_owned(),
        format!("{}{other}", &lease[..lease.len() - 1]),
        swapped,
        lease.to_ascii_uppercase(),
        lease.to_ascii_lowercase(),
        format!("{lease},"),
        format!("{lease} {lease}"),
        format!("{lease}, Bearer {lease}"),
        format!("\"{lease}\""),
    ] {
        let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&token))]).await;
        assert_eq!(answer.status, 403, "{token}: {answer:?}");
        let code = code(&answer);
        assert!(matches!(&*code, "token_unknown" | "foreign_credential" | "stray_lease"), "{token}: {code}");
        house.assert_recorded("request_refused", &code);
    }
    let unknown = format!("{}{other}", &lease[..lease.len() - 1]);
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&unknown))]).await;
    assert_refused(&answer, 403, "token_unknown");
    house.assert_nothing_left(&lease);
}

fn swap_case(c: char) -> char {
    if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
}

#[tokio::test]
async fn attack_44_thousands_of_tokens_in_one_head_are_bounded() {
    let house = House::new().await;
    let lease = house.lease();
    for (count, statuses) in [(10_000, &[400, 431][..]), (2_000, &[400, 403][..])] {
        let mut client = house.http1().await;
        let value = vec![&*lease; count].join(" ");
        let head = format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\nX-Many: {value}\r\n\r\n");
        let _ = client.try_write(head).await; // the proxy need not read to the end
        let answer = client.read_head().await;
        assert!(statuses.contains(&answer.status), "{count}: {answer:?}");
        let last = house.recorded_any(&["connection_refused", "request_refused"]).await;
        assert!(matches!(last.as_deref(), Some("too_large" | "bad_request" | "stray_lease")), "{last:?}");
    }
    for (fields, statuses) in [(3_000, &[400, 431][..]), (199, &[400, 403, 431][..])] {
        let mut client = house.http1().await;
        let lines = format!("X-One: {lease}\r\n").repeat(fields);
        let _ = client.try_write(format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n")).await;
        let answer = client.read_head().await;
        assert!(statuses.contains(&answer.status), "{fields} fields: {answer:?}");
    }
    house.assert_nothing_left(&lease);
    house.assert_still_works().await;
}

impl House {
    /// The code of the newest record among these actions, once there is one.
    async fn recorded_any(&self, actions: &[&str]) -> Option<String> {
        let find = || self.records().into_iter().rfind(|r| actions.contains(&r.action.as_str()) && r.code.is_some());
        crate::support::until("a refusal is recorded", || find().is_some()).await;
        find()?.code
    }
}

/// A GET through a tunnel that names a session, or none.
async fn get_as(house: &House, session: Option<&Session>, token: &str) -> Answer {
    let mut client = RawClient::connect(house.proxy()).await;
    let credentials = session.map_or_else(String::new, |session| {
        let (user, password) = session.proxy_credentials();
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
    });
    client.write(format!("CONNECT {AUTHORITY} HTTP/1.1\r\n{credentials}\r\n")).await;
    assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, &[b"http/1.1"]).await.unwrap();
    client.get(HOST, "/echo", &[("Authorization", &bearer(token))]).await
}

#[tokio::test]
async fn attack_45_a_token_of_another_session_is_refused() {
    let house = House::new().await;
    let client: ClientId = "agent".parse().unwrap();
    let own = house.broker().open_session(client.clone(), Around::default()).unwrap();
    let other = house.broker().open_session(client, Around::default()).unwrap();
    let token = house.lease_of("acme_key", Some(&own));
    for session in [Some(&*other), None] {
        let answer = get_as(&house, session, &token).await;
        assert_refused(&answer, 403, "token_foreign_session");
        house.assert_recorded("request_refused", "token_foreign_session");
        assert_eq!(house.last_refusal().session_id, session.map(|session| session.id().to_string()));
    }
    house.assert_nothing_left(&token);
    assert_eq!(get_as(&house, Some(&own), &token).await.status, 200);
    assert_eq!(house.origin.requests().len(), 1);
    house.broker().end_session(own.id(), CutReason::SessionEnded);
    let answer = get_as(&house, Some(&other), &token).await;
    assert_refused(&answer, 403, "token_foreign_session");
    assert_eq!(house.origin.requests().len(), 1);
    house.assert_token_stayed(&token);
}

#[tokio::test]
async fn attack_47_a_key_that_the_agent_brought_is_not_forwarded() {
    let house = House::new().await;
    let mut client = house.http1().await;
    for (value, code) in [
        ("Bearer sk-own-real-key-of-somebody-else", "foreign_credential"),
        ("Bearer x", "foreign_credential"),
        ("sk-own-real-key-of-somebody-else", "foreign_credential"),
        ("Basic dXNlcjpwYXNzd29yZA==", "foreign_credential"),
        ("Token token=abc", "foreign_credential"),
        ("Bearer", "foreign_credential"),
        ("", "no_lease"),
    ] {
        let answer = client.get(HOST, "/echo", &[("Authorization", value)]).await;
        assert_refused(&answer, 403, code);
        house.assert_recorded("request_refused", code);
    }
    let answer = client.get(HOST, "/echo", &[("X-Api-Key", "sk-own-real-key-of-somebody-else")]).await;
    assert_refused(&answer, 403, "no_lease");
    house.assert_nothing_left("sk-own-real-key-of-somebody-else");
}

#[tokio::test]
async fn attack_48_guesses_are_all_answered_alike_and_recorded() {
    const GUESSES: usize = 50; // more are too many
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let mut answers = std::collections::BTreeSet::new();
    for guess in 0..GUESSES {
        let token = format!("{}{guess:03}xyz", &lease[..lease.len() - 6]).replace('\n', "");
        let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&token))]).await;
        assert_refused(&answer, 403, "token_unknown");
        answers.insert((answer.json()["detail"].to_string(), answer.json()["fix"].to_string()));
    }
    assert_eq!(answers.len(), 1, "a guess learns nothing from the answer: {answers:?}");
    let refused = house.records_of("request_refused");
    assert_eq!(refused.len(), GUESSES);
    assert!(refused.iter().all(|record| record.code.as_deref() == Some("token_unknown") && record.lease_id.is_none()));
    house.assert_nothing_left(&lease);
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(house.origin.only_request().values("authorization"), [bearer(SECRET)]);
}
