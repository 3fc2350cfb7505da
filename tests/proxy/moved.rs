//! `lease_at`: the lease stands in one field, its credential goes elsewhere.

use crate::{
    house::{House, SECRET},
    kit::{H1, H2, assert_paired, assert_problem, bearer, get, records, with_service},
    support::{Recorded, Speaks},
};

fn service(inject: &str) -> String {
    format!(
        r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Acme"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
{inject}
[cap.all]
about = "All"
risk  = "write"
allow = [{{ path = "/**" }}]
"#
    )
}

const LEASE_AT: &str = "lease_at = [{ header = \"x-lease\" }, { header = \"x-old\", as = \"lease={}\" }]\n";

async fn house(at: &str, speaks: Speaks) -> (House, String) {
    with_service(&service(&format!("{LEASE_AT}at = [{at}]")), speaks, "").await
}

#[tokio::test]
async fn a_lease_in_one_field_gives_its_credential_in_another_place() {
    type Read = fn(&Recorded) -> Vec<String>;
    let field: Read = |request| request.values("authorization");
    let target: Read = |request| vec![request.target.clone()];
    for (at, path, read, want) in [
        (
            "{ header = \"authorization\", as = [\"Token {}\", \"Bearer {}\"] }",
            "/echo?a=1",
            field,
            format!("Token {SECRET}"),
        ),
        ("{ basic = \"password\", user = \"agent\" }", "/echo", field, basic("agent", SECRET)),
        ("{ query = \"api_key\" }", "/echo?a=1", target, format!("/echo?a=1&api_key={SECRET}")),
        ("{ cookie = \"session\" }", "/echo", |request| request.values("cookie"), format!("session={SECRET}")),
    ] {
        for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
            let (house, lease) = house(at, speaks).await;
            for headers in [("x-lease", lease.clone()), ("x-old", format!("lease={lease}"))] {
                let answer = get(&house, alpn, path, &[(headers.0, &headers.1)]).await;
                assert_eq!((answer.status, answer.count(SECRET.as_bytes())), (200, 0), "{answer:?}");
            }
            for request in house.origin.requests() {
                assert_eq!(read(&request), [&*want], "{at}");
                assert_eq!((request.header("x-lease"), request.header("x-old")), (None, None));
            }
            assert_eq!((house.origin.requests().len(), house.origin.count(lease.as_bytes())), (2, 0));
            assert_paired(&records(house.broker(), &house.home));
        }
    }
}

#[tokio::test]
async fn nothing_of_a_client_s_own_stands_where_the_credential_goes() {
    let (house, lease) = house("{ header = \"authorization\", as = \"Bearer {}\" }", Speaks::Both).await;
    for (headers, code) in [
        (vec![("authorization", bearer("own"))], "foreign_credential"),
        (vec![("x-lease", lease.clone()), ("authorization", bearer("own"))], "foreign_credential"),
        (vec![("x-lease", lease.clone()), ("authorization", "Basic eDp5".to_owned())], "foreign_credential"),
        (vec![("x-lease", "own".to_owned())], "foreign_credential"),
        (Vec::new(), "no_lease"),
        (vec![("x-lease", lease.clone()), ("x-old", format!("lease={lease}"))], "stray_lease"),
        (vec![("x-lease", lease.clone()), ("authorization", bearer(&lease))], "stray_lease"),
        (vec![("authorization", bearer(&lease))], "stray_lease"),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        let answer = get(&house, H1, "/echo", &headers).await;
        assert_problem(&answer, 403, code);
    }
    assert_eq!(house.origin.requests().len(), 0);
    let refused = house.records_of("request_refused");
    assert_eq!(refused.len(), 8);
}

fn basic(user: &str, password: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
