//! C: the swap itself (38, 50): only the leased credential, only at its own place, in every other corner of a head.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use leasehold::{
    base::{SecretBytes, SecretName},
    broker::NewValue,
    policy::EasyPlace,
    recipe::BasicPart,
    store::{Binding, RawReveal, RotationPlan},
};

use crate::{
    house::{HOST, House, Plan, SECRET},
    seen::{assert_refused, bearer, code},
    support::{Answer, Origin, RawClient, TestCa, connect_tls},
    yard::Yard,
};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn basic_house(part: BasicPart) -> House {
    House::build(Plan { places: vec![EasyPlace::Basic(part, None)], ..Plan::default() }).await
}

#[tokio::test]
async fn attack_50_basic_is_decoded_swapped_and_encoded_again() {
    for (part, lease_at) in [(BasicPart::Password, "password"), (BasicPart::User, "user")] {
        let house = basic_house(part).await;
        let lease = house.lease();
        let (sent, expected) = match part {
            BasicPart::Password => (basic("x-access-token", &lease), basic("x-access-token", SECRET)),
            BasicPart::User => (basic(&lease, "x"), basic(SECRET, "x")),
        };
        let answer =
            house.http1().await.get(HOST, &format!("/echo?basic={lease_at}"), &[("Authorization", &sent)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(house.origin.only_request().values("authorization"), [expected]);
        assert_eq!(answer.count(SECRET.as_bytes()), 0);
        house.assert_token_stayed(&lease);
    }
}

#[tokio::test]
async fn attack_50_basic_that_is_malformed_or_holds_the_token_elsewhere_is_refused() {
    let house = basic_house(BasicPart::Password).await;
    let lease = house.lease();
    let mut client = house.http1().await;
    for value in [
        basic(&lease, "x"),
        basic(&lease, ""),
        basic("a:b", &lease),
        basic("", &format!(":{lease}")),
        basic("x", &format!("{lease}\n")),
        format!("Basic {}", STANDARD.encode(&lease)),
        format!("Basic {lease}"),
        format!("Basic x:{lease}"),
        format!("Basic {}!", STANDARD.encode(format!("x:{lease}"))),
        format!("Basic {}====", STANDARD.encode(format!("x:{lease}"))),
        format!("Basic {},{}", STANDARD.encode(format!("x:{lease}")), STANDARD.encode("a:b")),
        format!("Basic {} {}", STANDARD.encode("a:b"), STANDARD.encode(format!("x:{lease}"))),
        "Basic".to_owned(),
        "Basic ".to_owned(),
        bearer(&lease),
        lease.clone(),
    ] {
        let answer = client.get(HOST, "/echo", &[("Authorization", &value)]).await;
        assert_eq!(answer.status, 403, "{value}: {answer:?}");
        house.assert_recorded("request_refused", &code(&answer));
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_50_a_token_in_both_parts_of_basic_does_not_leave_in_the_other() {
    let house = basic_house(BasicPart::Password).await;
    let lease = house.lease();
    let mut client = house.http1().await;
    for user in [lease.clone(), format!("x-{lease}")] {
        let answer = client.get(HOST, "/echo?basic=password", &[("Authorization", &basic(&user, &lease))]).await;
        assert_refused(&answer, 403, "stray_lease");
        house.assert_recorded("request_refused", "stray_lease");
    }
    house.assert_nothing_left(&lease);
}

/// A service with two credentials at two places, and one that goes elsewhere on some paths.
const DUO: &str = r#"
schema = 1
kind   = "service"
id     = "duo"
name   = "Duo"
[host.api]
origin = "https://other.acme.test"
[credential.app]
type = "token"
[credential.user]
type = "token"
[[inject]]
host = "api"
use  = "app"
at   = [{ query = "app_key" }]
[[inject]]
host = "api"
use  = "user"
at   = [{ header = "x-user-key" }]
[[inject]]
host = "api"
use  = "user"
at   = [{ header = "x-upload-key" }]
when = { path = "/upload" }
[cap.all]
about = "All"
risk  = "read"
allow = [{ method = ["GET", "POST"] }]
"#;

const DUO_GRANT: &str = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"duo\"\n\
    item = { app = \"app_secret\", user = \"user_secret\" }\nallow = [\"all\"]\n";

async fn duo() -> (House, String, String) {
    let house = House::new().await;
    std::fs::write(house.home.policies().join("duo.toml"), DUO).unwrap();
    house.broker().live_policy().reload().unwrap();
    for (name, credential, value) in
        [("app_secret", "app", "app-REAL-0123456789abcdef"), ("user_secret", "user", "user-REAL-0123456789abcdef")]
    {
        let name: SecretName = name.parse().unwrap();
        let binding = Some(Binding { service: "duo".parse().unwrap(), credential: credential.into() });
        let value = SecretBytes::new(value.as_bytes().to_vec());
        house
            .broker()
            .add(NewValue {
                name,
                value,
                rotate_via: None,
                binding,
                raw: RawReveal::Allow,
                plan: RotationPlan::default(),
            })
            .unwrap();
    }
    if house.broker().policy().grants().all(|grant| grant.service().as_str() != "duo") {
        std::fs::write(house.home.policies().join("duo-grant.toml"), DUO_GRANT).unwrap();
        house.broker().live_policy().reload().unwrap();
    }
    let (app, user) = (house.lease_of("app_secret", None), house.lease_of("user_secret", None));
    (house, app, user)
}

async fn ask_duo(house: &House, target: &str, headers: &[(&str, &str)]) -> Answer {
    let mut client = connect_tls(house.proxy(), "other.acme.test:443", &house.roots, &[b"http/1.1"]).await;
    client.get("other.acme.test", target, headers).await
}

#[tokio::test]
async fn attack_38_two_credentials_go_each_to_its_own_place() {
    let (house, app, user) = duo().await;
    let answer = ask_duo(&house, &format!("/echo?app_key={app}"), &[("X-User-Key", &user)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = house.origin.only_request();
    assert_eq!(request.target, "/echo?app_key=app-REAL-0123456789abcdef");
    assert_eq!(request.values("x-user-key"), ["user-REAL-0123456789abcdef"]);
    assert_eq!(answer.count(b"-REAL-"), 0, "{answer:?}");
    house.assert_token_stayed(&app);
    house.assert_token_stayed(&user);
}

#[tokio::test]
async fn attack_38_a_token_at_the_place_of_another_credential_is_stray() {
    let (house, app, user) = duo().await;
    for (target, headers) in [
        (format!("/echo?app_key={user}"), vec![]),
        (format!("/echo?app_key={user}"), vec![("X-User-Key", &*user)]),
        ("/echo".to_owned(), vec![("X-User-Key", &*app)]),
        (format!("/echo?app_key={user}"), vec![("X-User-Key", &*app)]),
    ] {
        let answer = ask_duo(&house, &target, &headers).await;
        assert_refused(&answer, 403, "stray_lease");
        house.assert_recorded_for("request_refused", "stray_lease", "other.acme.test");
    }
    assert_eq!(house.origin.count(b"-REAL-"), 0);
    house.assert_nothing_left(&app);
    house.assert_nothing_left(&user);
}

#[tokio::test]
async fn attack_38_a_token_at_a_place_that_is_listed_for_other_paths_is_stray() {
    let (house, _, user) = duo().await;
    assert_eq!(ask_duo(&house, "/upload", &[("X-Upload-Key", &user)]).await.status, 200);
    assert_eq!(house.origin.count(b"user-REAL-"), 1);
    for (target, name) in [("/echo", "X-Upload-Key"), ("/upload", "X-User-Key")] {
        let answer = ask_duo(&house, target, &[(name, &user)]).await;
        assert_refused(&answer, 403, "stray_lease");
        house.assert_recorded_for("request_refused", "stray_lease", "other.acme.test");
    }
    assert_eq!(house.origin.requests().len(), 1);
    house.assert_token_stayed(&user);
}

/// A service that takes its one credential at either of two places, as some do.
const EITHER: &str = "schema = 1\nkind = \"service\"\nid = \"either\"\nname = \"Either\"\n[host.api]\n\
    origin = \"https://other.acme.test\"\n[credential.key]\ntype = \"token\"\n[[inject]]\nhost = \"api\"\nuse = \"key\"\n\
    at = [{ header = \"authorization\", as = \"Bearer {}\" }, { header = \"x-api-key\" }, { query = \"key\" }]\n\
    [cap.all]\nabout = \"All\"\nrisk = \"read\"\nallow = [{ method = \"GET\" }]\n";

#[tokio::test]
async fn attack_38_a_token_at_two_listed_places_is_swapped_once_or_not_at_all() {
    let house = House::new().await;
    std::fs::write(house.home.policies().join("either.toml"), EITHER).unwrap();
    house.broker().live_policy().reload().unwrap();
    let new = NewValue {
        name: "either_key".parse().unwrap(),
        value: SecretBytes::new(b"either-REAL-0123456789abcdef".to_vec()),
        rotate_via: None,
        binding: Some(Binding { service: "either".parse().unwrap(), credential: "key".into() }),
        raw: RawReveal::Allow,
        plan: RotationPlan::default(),
    };
    house.broker().add(new).unwrap();
    let lease = house.lease_of("either_key", None);
    let authorization = bearer(&lease);
    for headers in [vec![("Authorization", &*authorization)], vec![("X-Api-Key", &*lease)]] {
        assert_eq!(ask_duo(&house, "/status/200", &headers).await.status, 200);
    }
    let before = house.origin.requests().len();
    for (target, headers) in [
        ("/echo".to_owned(), vec![("Authorization", &*authorization), ("X-Api-Key", &*lease)]),
        (format!("/echo?key={lease}"), vec![("X-Api-Key", &*lease)]),
    ] {
        let answer = ask_duo(&house, &target, &headers).await;
        assert_refused(&answer, 403, "stray_lease");
    }
    assert_eq!(house.origin.requests().len(), before);
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_38_a_token_as_method_goes_nowhere_and_is_not_recorded() {
    let ca = TestCa::new();
    let origin = Origin::clear();
    let yard = Yard::with(&ca, &format!("[upstream.hosts]\n\"plain.test\" = \"{}\"\n", origin.address())).await;
    let lease = yard.lease("acme_key");
    let mut client = RawClient::connect(yard.proxy()).await;
    let answer = client.send(&lease, "plain.test", "http://plain.test/echo", &[], b"").await;
    assert!(matches!(answer.status, 400 | 403 | 405), "{answer:?}");
    assert_eq!(origin.count(lease.as_bytes()), 0, "the origin received the token");
    assert!(
        yard.records().iter().all(|record| record.method.as_deref() != Some(&*lease)),
        "the record holds the token"
    );
}

#[tokio::test]
async fn attack_38_a_token_as_method_at_its_own_host_is_not_recorded() {
    let house = House::new().await;
    let lease = house.lease();
    let answer = house.http1().await.send(&lease, HOST, "/echo", &[("Authorization", &bearer(&lease))], b"").await;
    assert!(matches!(answer.status, 400 | 403 | 405), "{answer:?}");
    assert_eq!(house.last_refusal().action, "request_refused");
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_17_a_place_that_connection_lists_is_removed_before_the_swap() {
    let house = House::new().await;
    let lease = house.lease();
    for listed in ["authorization", "Authorization, close", "x-kept, AUTHORIZATION"] {
        let headers = [("Authorization", &*bearer(&lease)), ("Connection", listed)];
        let answer = house.http1().await.get(HOST, "/echo", &headers).await;
        assert_refused(&answer, 403, "no_lease");
        house.assert_recorded("request_refused", "no_lease");
    }
    house.assert_nothing_left(&lease);
    let headers =
        [("Authorization", &*bearer(&lease)), ("Connection", "content-length, host, transfer-encoding, cookie")];
    let body = b"GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    let answer = house.http1().await.send("POST", HOST, "/upload", &headers, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(house.origin.only_request().body, body, "the body stays a body");
}

#[tokio::test]
async fn attack_38_a_token_in_a_header_name_goes_nowhere() {
    let house = House::new().await;
    let lease = house.lease();
    let answer = house.http1().await.get(HOST, "/echo", &[("Authorization", &bearer(&lease)), (&lease, "1")]).await;
    let sent = house.origin.count(lease.to_ascii_lowercase().as_bytes());
    assert!(answer.status == 403 || sent == 0, "{answer:?}, and {sent} in lower case");
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_58_a_token_as_user_information_goes_nowhere() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = RawClient::connect(house.proxy()).await;
    assert_refused(&client.ask_connect(&format!("{lease}@tunnel.test:443")).await, 400, "bad_request");
    for authority in [format!("{lease}@tunnel.test"), format!("{lease}:x@{HOST}"), format!("x:{lease}@{HOST}:443")] {
        let mut client = RawClient::connect(house.proxy()).await;
        let answer = client.get("tunnel.test", &format!("http://{authority}/echo"), &[]).await;
        assert_refused(&answer, 400, "bad_request");
        assert_eq!(house.last_refusal().action, "request_refused");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_58_a_token_as_part_of_a_host_name_goes_nowhere_and_is_not_recorded() {
    let house = House::new().await;
    let lease = house.lease();
    for host in [format!("{lease}.evil.test"), format!("{}.evil.test", lease.to_ascii_lowercase()), lease.clone()] {
        let mut client = RawClient::connect(house.proxy()).await;
        let answer = client.ask_connect(&format!("{host}:443")).await;
        assert_refused(&answer, 403, "stray_lease"); // a look-up of the name would tell it to whoever owns the zone
        let lower = lease.to_ascii_lowercase();
        let told = |record: &leasehold::audit::Record| {
            record.host.as_ref().is_some_and(|h| h.to_ascii_lowercase().contains(&lower))
        };
        assert!(!house.records().iter().any(told), "the record holds the token");
    }
}
