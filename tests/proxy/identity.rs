//! `tls.client_cert`: hosts that want to see a client certificate, which is shown to them and to nobody else.

use leasehold::{
    base::{SecretBytes, SecretName},
    broker::{Around, NewValue},
    net::{Identity, IdentityError},
    store::{Binding, RawReveal, RotationPlan, SecretChange},
};

use crate::{
    house::{HOST, House, SECRET},
    kit::{H1, H2, assert_paired, assert_problem, bearer, connect, get, proxy_credentials, records},
    support::{Answer, Origin, RawClient, Speaks, TestCa},
};

/// A service that takes a certificate, and a token beside it.
fn service(inject: &str) -> String {
    format!(
        r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Acme"
[host.api]
origin = "https://api.acme.test"
tls    = {{ client_cert = "cred.cert" }}
[credential.key]
type = "token"
[credential.cert]
type = "certificate"
[[inject]]
host    = "api"
use     = "key"
at      = [{{ header = "authorization", as = "Bearer {{}}" }}]
[[inject]]
host = "api"
use  = "cert"
{inject}
[cap.all]
about = "All"
risk  = "write"
allow = [{{ path = "/**" }}]
"#
    )
}

const FIELD: &str = "lease_at = [{ header = \"x-lease\" }]";
const SET: &str = "missing = \"inject\"";

const GRANTS: &str = r#"
schema = 1
kind   = "policy"
[[grant]]
service = "acme"
item    = { key = "acme_key", cert = "acme_cert" }
allow   = ["all"]
[[grant]]
service = "acme"
item    = { cert = "second_cert" }
allow   = ["all"]
"#;

fn new_value(name: &str, value: &str, credential: &str) -> NewValue {
    NewValue {
        name: name.parse().unwrap(),
        value: SecretBytes::new(value.as_bytes().to_vec()),
        rotate_via: None,
        binding: Some(Binding { service: "acme".parse().unwrap(), credential: credential.into() }),
        raw: RawReveal::Allow,
        plan: RotationPlan::default(),
    }
}

/// A house in front of an origin that takes clients of `clients` only, with this service and these secrets.
async fn house(ca: TestCa, origin: Origin, inject: &str, secrets: &[(&str, &str, &str)]) -> House {
    let house = House::with_origin(ca, origin, "", &[]).await;
    std::fs::create_dir_all(house.home.policies()).unwrap();
    std::fs::write(house.home.policies().join("acme.toml"), service(inject)).unwrap();
    std::fs::write(house.home.policies().join("grants.toml"), GRANTS).unwrap();
    house.broker().live_policy().reload().unwrap();
    for (name, value, credential) in secrets {
        house.broker().add(new_value(name, value, credential)).unwrap();
    }
    house
}

fn origin(ca: &TestCa, clients: &TestCa, speaks: Speaks) -> Origin {
    Origin::builder(ca.leaf(HOST)).clients(clients.roots()).speaks(speaks).start()
}

async fn ask(house: &House, alpn: &[&[u8]], lease: &str) -> Answer {
    get(house, alpn, "/echo", &[("x-lease", lease)]).await
}

/// The certificates of every connection that was made.
fn shown(house: &House) -> Vec<Option<Vec<u8>>> {
    house.origin.connections().into_iter().map(|connection| connection.client).collect()
}

#[tokio::test]
async fn a_certificate_is_shown_for_the_lease_that_stands_for_it() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)] {
        let (ca, clients) = (TestCa::new(), TestCa::new());
        let ((first, one), (second, two)) = (clients.client("one.agent.test"), clients.client("two.agent.test"));
        let origin = origin(&ca, &clients, speaks);
        let secrets = [("acme_cert", &*one, "cert"), ("second_cert", &*two, "cert")];
        let house = house(ca, origin, FIELD, &secrets).await;
        let (lease, other) = (house.lease_of("acme_cert", None), house.lease_of("second_cert", None));

        assert_problem(&get(&house, alpn, "/echo", &[]).await, 403, "no_lease");
        assert_problem(&get(&house, alpn, "/echo", &[("x-lease", "abc")]).await, 403, "foreign_credential");
        assert_eq!(house.origin.connections().len(), 0, "nothing was dialled");

        for _ in 0..2 {
            assert_eq!(ask(&house, alpn, &lease).await.status, 200);
        }
        assert_eq!(shown(&house), [Some(first.to_vec())], "the connection is kept");
        assert_eq!(ask(&house, alpn, &other).await.status, 200);
        assert_eq!(shown(&house)[1..], [Some(second.to_vec())], "and is no other's");
        for request in house.origin.requests() {
            assert_eq!(request.header("x-lease"), None);
        }
        for bytes in [&lease, &other, &one, &two] {
            assert_eq!(house.origin.count(bytes.as_bytes()), 0);
        }
        let ended = house.ended(3).await;
        let names: Vec<_> = ended.iter().map(|record| record.secret_name.as_deref().unwrap()).collect();
        assert_eq!(names, ["acme_cert", "acme_cert", "second_cert"]);
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_on_a_connection_of_its_own() {
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let ((first, one), (second, two)) = (clients.client("one.agent.test"), clients.client("two.agent.test"));
    let origin = origin(&ca, &clients, Speaks::Both);
    let house = house(ca, origin, FIELD, &[("acme_cert", &one, "cert")]).await;
    let lease = house.lease_of("acme_cert", None);
    assert_eq!(ask(&house, H2, &lease).await.status, 200);
    let name: SecretName = "acme_cert".parse().unwrap();
    let change = SecretChange::new().value(SecretBytes::new(two.into_bytes()));
    house.broker().update(&name, change, None).unwrap();
    assert_eq!(ask(&house, H2, &lease).await.status, 200);
    assert_eq!(shown(&house), [Some(first.to_vec()), Some(second.to_vec())]);
}

#[tokio::test]
async fn an_upstream_is_verified_before_a_certificate_is_shown_to_it() {
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let (_, pem) = clients.client("one.agent.test");
    let origin = origin(&TestCa::new(), &clients, Speaks::Both);
    let house = house(ca, origin, FIELD, &[("acme_cert", &pem, "cert")]).await;
    let answer = ask(&house, H1, &house.lease_of("acme_cert", None)).await;
    assert_problem(&answer, 502, "upstream_tls");
    assert_eq!((shown(&house), house.origin.requests().len()), (vec![None], 0));
    let ended = house.ended(1).await;
    assert_eq!(ended[0].code.as_deref(), Some("upstream_tls"));
}

#[tokio::test]
async fn a_certificate_that_the_host_does_not_take_is_told_so() {
    for alpn in [H1, H2] {
        let (ca, clients) = (TestCa::new(), TestCa::new());
        let (_, pem) = TestCa::new().client("stranger.test");
        let origin = origin(&ca, &clients, Speaks::Both);
        let secrets = [("acme_cert", &*pem, "cert"), ("acme_key", SECRET, "key")];
        let house = house(ca, origin, FIELD, &secrets).await;
        let answer = ask(&house, alpn, &house.lease_of("acme_cert", None)).await;
        assert_problem(&answer, 502, "upstream_tls");
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            told.contains("does not take the client certificate") && told.ends_with("signature not verified"),
            "{told}"
        );

        let lease = house.lease_of("acme_key", None);
        let answer = get(&house, alpn, "/echo", &[("authorization", &bearer(&lease))]).await;
        assert_problem(&answer, 502, "upstream_tls");
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains("or wants one") && told.ends_with("certificate required"), "{told}");
        assert_eq!(house.origin.requests().len(), 0, "nothing was sent");
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_session_s_own_certificate_goes_with_its_token_and_with_nobody_else_s() {
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let (certificate, pem) = clients.client("one.agent.test");
    let origin = origin(&ca, &clients, Speaks::Both);
    let secrets = [("acme_cert", &*pem, "cert"), ("acme_key", SECRET, "key")];
    let house = house(ca, origin, SET, &secrets).await;
    let open = |client: &str| house.broker().open_session(client.parse().unwrap(), Around::default()).unwrap();
    let (session, tokens) = (open("test-agent"), open("tokens-only"));
    let token = house.lease_of("acme_key", Some(&session));
    house.lease_of("acme_cert", Some(&session));

    let mut client = connect(&house, Some(&proxy_credentials(&session))).await;
    assert_eq!(client.get(HOST, "/echo", &[("authorization", &bearer(&token))]).await.status, 200);
    assert_eq!(house.origin.only_request().values("authorization"), [bearer(SECRET)]);
    assert_eq!(client.get(HOST, "/echo", &[]).await.status, 200, "the certificate alone is enough to ask");
    assert_eq!(house.origin.requests()[1].values("authorization"), Vec::<String>::new());
    assert_eq!(shown(&house), [Some(certificate.to_vec())]);
    let ended = house.ended(2).await;
    for record in &ended {
        assert_eq!(record.details.as_deref(), Some("it carried no lease token; the session's own lease was used"));
    }

    // A session that has no certificate shows none, and neither does anybody's connection.
    let other = house.lease_of("acme_key", Some(&tokens));
    let mut client = connect(&house, Some(&proxy_credentials(&tokens))).await;
    let answer = client.get(HOST, "/echo", &[("authorization", &bearer(&other))]).await;
    assert_problem(&answer, 502, "upstream_tls");
    let mut client = connect(&house, None).await;
    assert_problem(&client.get(HOST, "/echo", &[]).await, 403, "no_lease");
    assert_eq!(house.origin.requests().len(), 2);
    assert_eq!(house.origin.connections().iter().filter(|connection| connection.client.is_some()).count(), 1);
}

#[tokio::test]
async fn a_value_that_is_no_certificate_is_not_stored() {
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let ((_, one), (_, two)) = (clients.client("one.agent.test"), clients.client("two.agent.test"));
    let origin = origin(&ca, &clients, Speaks::Both);
    let house = house(ca, origin, FIELD, &[]).await;
    let key_of = |pem: &str| pem.get(pem.find("-----BEGIN PRIVATE").unwrap()..).unwrap().to_owned();
    let certificate_of = |pem: &str| pem.get(..pem.find("-----BEGIN PRIVATE").unwrap()).unwrap().to_owned();
    for (value, error) in [
        ("sk-live-text".to_owned(), IdentityError::Certificate),
        (key_of(&one), IdentityError::Certificate),
        (certificate_of(&one), IdentityError::Key),
        (certificate_of(&one) + &key_of(&one) + &key_of(&two), IdentityError::Keys),
        (certificate_of(&one) + &key_of(&two), IdentityError::Pair),
    ] {
        assert_eq!(Identity::parse(value.as_bytes()).err(), Some(error));
        let refused = house.broker().add(new_value("acme_cert", &value, "cert")).err().unwrap().to_string();
        assert!(refused.contains("acme_cert") && refused.contains(&error.to_string()), "{refused}");
        assert!(value.lines().all(|line| !refused.contains(line)), "{refused}");
    }
    // In any order, and with what programs write between.
    let mixed = format!("Bag Attributes\n{}\n{}", key_of(&one), certificate_of(&one));
    house.broker().add(new_value("acme_cert", &mixed, "cert")).unwrap();
    assert_eq!(ask(&house, H1, &house.lease_of("acme_cert", None)).await.status, 200);
    assert_eq!(format!("{:?}", Identity::parse(one.as_bytes()).unwrap()), "Identity");
}

#[tokio::test]
async fn a_certificate_lease_elsewhere_is_astray() {
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let (_, pem) = clients.client("one.agent.test");
    let origin = origin(&ca, &clients, Speaks::Both);
    let house = house(ca, origin, FIELD, &[("acme_cert", &pem, "cert"), ("acme_key", SECRET, "key")]).await;
    let lease = house.lease_of("acme_cert", None);
    let mut client = RawClient::connect(house.proxy()).await;
    assert_eq!(client.ask_connect(crate::house::AUTHORITY).await.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
    let fields = [("x-lease", &*lease), ("x-other", &*lease)];
    assert_problem(&client.get(HOST, "/echo", &fields).await, 403, "stray_lease");
    // The two credentials of a service are not one another's.
    let crossed = bearer(&house.lease_of("acme_cert", None));
    assert_problem(&get(&house, H1, "/echo", &[("authorization", &crossed)]).await, 403, "stray_lease");
    let token = house.lease_of("acme_key", None);
    assert_problem(&get(&house, H1, "/echo", &[("x-lease", &token)]).await, 403, "stray_lease");
    assert_eq!(house.origin.connections().len(), 0);
}
