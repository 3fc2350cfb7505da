//! `tls.ca`: hosts that one private authority vouches for, and nobody else.

use leasehold::{net::Roots, policy::Changed};

use crate::{
    house::{AUTHORITY, HOST, House, SECRET},
    kit::{H1, H2, assert_problem, bearer, get, serve},
    support::{Answer, Origin, RawClient, Speaks, TestCa},
};

fn service(tls: &str) -> String {
    format!(
        r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Acme"
[host.api]
origin = "https://api.acme.test"
{tls}
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{{ header = "authorization", as = "Bearer {{}}" }}]
[cap.all]
about = "All"
risk  = "write"
allow = [{{ path = "/**" }}]
"#
    )
}

const PINNED: &str = "tls = { ca = \"file:acme-ca.pem\" }";

/// A house whose origin has its certificate from `vouched`, while the settings trust `trusted`.
async fn house(trusted: TestCa, vouched: &TestCa, speaks: Speaks) -> House {
    let origin = Origin::builder(vouched.leaf(HOST)).speaks(speaks).start();
    let house = House::with_origin(trusted, origin, "", &[]).await;
    std::fs::create_dir_all(house.home.policies()).unwrap();
    house
}

fn write_ca(house: &House, ca: &TestCa) {
    std::fs::write(house.home.policies().join("acme-ca.pem"), ca.root_pem()).unwrap();
}

async fn ask(house: &House, alpn: &[&[u8]], lease: &str) -> Answer {
    get(house, alpn, "/echo", &[("authorization", &bearer(lease))]).await
}

fn keys(house: &House) -> usize {
    house.origin.requests().iter().filter(|request| request.header("authorization") == Some(bearer(SECRET))).count()
}

#[tokio::test]
async fn a_private_authority_is_trusted_for_its_host_alone() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
        let private = TestCa::new();
        let house = house(TestCa::new(), &private, speaks).await;
        write_ca(&house, &private);
        let lease = serve(&house, &service(""));
        let answer = ask(&house, alpn, &lease).await;
        assert_problem(&answer, 502, "upstream_tls");
        assert_eq!(house.origin.requests().len(), 0, "nothing was forwarded without trust");

        std::fs::write(house.home.policies().join("acme.toml"), service(PINNED)).unwrap();
        house.broker().live_policy().reload().unwrap();
        assert_eq!(ask(&house, alpn, &lease).await.status, 200);
        assert_eq!(keys(&house), 1);
    }
}

#[tokio::test]
async fn another_authority_in_the_file_closes_connections_that_were_kept() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
        let private = TestCa::new();
        let house = house(TestCa::new(), &private, speaks).await;
        write_ca(&house, &private);
        let lease = serve(&house, &service(PINNED));
        assert_eq!(ask(&house, alpn, &lease).await.status, 200);
        assert_eq!(ask(&house, alpn, &lease).await.status, 200);
        assert_eq!(house.origin.handshakes(), 1, "the connection is kept");

        write_ca(&house, &TestCa::new());
        assert_eq!(house.broker().live_policy().reload_if_changed().unwrap(), Changed::Yes, "the file is looked at");
        let answer = ask(&house, alpn, &lease).await;
        assert_problem(&answer, 502, "upstream_tls");
        assert_eq!(keys(&house), 2, "nothing was sent on the connection that another authority had vouched for");
        let refused = house.records_of("request_ended").pop().unwrap();
        assert_eq!(refused.code.as_deref(), Some("upstream_tls"));
    }
}

#[tokio::test]
async fn the_usual_roots_do_not_vouch_for_a_host_that_has_its_own() {
    let usual = TestCa::new();
    let origin = Origin::builder(usual.leaf(HOST)).start();
    let house = House::with_origin(usual, origin, "", &[]).await;
    std::fs::create_dir_all(house.home.policies()).unwrap();
    write_ca(&house, &TestCa::new());
    let lease = serve(&house, &service(PINNED));
    assert_problem(&ask(&house, H1, &lease).await, 502, "upstream_tls");
    assert_eq!(house.origin.requests().len(), 0);
}

#[tokio::test]
async fn services_that_trust_different_authorities_share_no_host() {
    let private = TestCa::new();
    let house = house(TestCa::new(), &private, Speaks::Both).await;
    write_ca(&house, &private);
    let other = service("").replace("id     = \"acme\"", "id     = \"lax\"").replace("Acme", "Lax");
    let grant = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"lax\"\nitem = \"lax_key\"\nallow = [\"all\"]\n";
    std::fs::write(house.home.policies().join("lax.toml"), other).unwrap();
    std::fs::write(house.home.policies().join("mine.toml"), grant).unwrap();
    let lease = serve(&house, &service(PINNED));
    let answer = RawClient::connect(house.proxy()).await.ask_connect(AUTHORITY).await;
    assert_problem(&answer, 403, "host_denied");
    let told = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(told.contains("`acme` and `lax` name different certificates"), "{told}");
    assert_eq!(house.records_of("tunnel_refused").len(), 1, "{lease:.4}: it cannot even be tried");
    assert_eq!(house.origin.connections().len(), 0, "nothing was dialled");
}

#[test]
fn authorities_are_told_apart_by_their_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (one, other) = (TestCa::new().root_pem(), TestCa::new().root_pem());
    let first = Roots::read(&file("a.pem", &one)).unwrap();
    assert_eq!(first, Roots::read(&file("b.pem", &format!("a remark\n{one}"))).unwrap());
    assert_ne!(first, Roots::read(&file("c.pem", &other)).unwrap());
    assert_ne!(first, Roots::read(&file("d.pem", &format!("{one}{other}"))).unwrap());
    for (name, text) in [
        ("empty.pem", "no certificate here"),
        ("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        ("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let error = Roots::read(&file(name, text)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("as root certificates"), "{error}");
    }
    std::os::unix::fs::symlink(folder.path().join("a.pem"), folder.path().join("link.pem")).unwrap();
    assert!(Roots::read(&folder.path().join("link.pem")).is_err(), "a link is not followed");
}
