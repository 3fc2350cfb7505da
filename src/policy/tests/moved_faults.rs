//! Tests of `lease_at` and of client certificates in service files: what cannot be meant is told with its place.

use super::{super::PolicySet, ASKER, Asker, ask};

const FILE: &str = r#"schema = 1
kind = "service"
id = "acme"
name = "Acme"
[host.api]
origin = "https://api.acme.test"
tls = { client_cert = "cred.cert" }
[credential.key]
type = "token"
[credential.cert]
type = "certificate"
[[inject]]
host = "api"
use = "key"
at = [{ query = "key" }]
lease_at = [{ header = "x-key" }]
[[inject]]
host = "api"
use = "cert"
lease_at = [{ header = "x-cert" }]
[cap.all]
about = "All"
risk = "write"
allow = [{ path = "/**" }]
"#;

fn faults(from: &str, to: &str) -> Vec<String> {
    assert!(FILE.contains(from), "{from}");
    let text = FILE.replacen(from, to, 1);
    let found = PolicySet::of_texts(&[("acme.toml", &text)]);
    found.err().map(|errors| errors.faults().iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn what_cannot_be_meant_says_why_and_where() {
    assert_eq!(faults("", ""), Vec::<String>::new());
    for (from, to, told) in [
        (
            "at = [{ query = \"key\" }]",
            "at = [{ json = \"/key\" }]",
            "16:12: `lease_at` cannot move a lease to `/key` of the JSON body",
        ),
        (
            "at = [{ query = \"key\" }]",
            "at = [{ query = \"a\" }, { query = \"b\" }]",
            "16:12: with `lease_at` there is one place in `at`",
        ),
        (
            "at = [{ query = \"key\" }]",
            "at = [{ header = \"x-key\" }]",
            "16:12: `lease_at` and `at` both name header `x-key`",
        ),
        ("{ header = \"x-key\" }", "{ query = \"key\" }", "16:12: `lease_at` cannot be query parameter `key`"),
        ("[{ header = \"x-key\" }]", "[]", "16:12: `lease_at` lists no usable place"),
        (
            "{ header = \"x-key\" }]",
            "{ header = \"x-key\" }]\nmissing = \"inject\"",
            "16:12: `missing = \"inject\"` and `lease_at` both say",
        ),
        ("lease_at = [{ header = \"x-cert\" }]", "", "nothing says which requests a client certificate is for"),
        (
            "use = \"cert\"",
            "use = \"cert\"\nat = [{ header = \"x\" }]",
            "stands in no place of a request; leave `at` out",
        ),
        (
            "tls = { client_cert = \"cred.cert\" }",
            "",
            "`[host.api]` shows no client certificate; add `tls = { client_cert",
        ),
        (
            "cred.cert",
            "cred.crt",
            "7:23: `cred.crt` is no part of a credential of the type `certificate`; write `cred.cert`",
        ),
        (
            "use = \"cert\"\nlease_at",
            "use = \"key\"\nwhen = { path = \"/x\" }\nat = [{ query = \"q\" }]\nlease_at",
            "7:23: no `[[inject]]` shows a client certificate to `[host.api]`",
        ),
        ("https://", "http://", "`tls` says nothing about `http://`"),
        ("type = \"certificate\"", "type = \"certificate\"\nfields = { a = \"secret\" }", "leave `fields` out"),
    ] {
        let all = faults(from, to);
        assert!(all.iter().any(|fault| fault.contains(told)), "{to}: {all:#?}");
    }
}

#[test]
fn where_they_go_is_dumped_and_explained() {
    let grant = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = { key = \"k\", cert = \"c\" }\nallow = [\"all\"]\n";
    let set = PolicySet::of_texts(&[("acme.toml", FILE), ("mine.toml", grant)]).unwrap();
    let dumped: Vec<_> =
        set.dump().into_iter().map(|taken| (taken.scheme, taken.place, taken.name, taken.format)).collect();
    let record = |texts: [&str; 4]| <(_, _, _, _)>::from(texts.map(str::to_owned));
    assert_eq!(dumped, [record(["key", "query", "key", "{}"]), record(["certificate", "tls", "client_cert", "{}"])]);
    for (credential, secret, place) in [
        ("key", "k", "query parameter `key` (its lease in header `x-key` as `{}`)"),
        ("cert", "c", "the TLS handshake, as client certificate (its lease in header `x-cert` as `{}`)"),
    ] {
        let asker = Asker { service: "acme", credential, secret, ..ASKER };
        let decision = ask(&set, &asker, "GET https://api.acme.test/v1");
        let places: Vec<_> = decision.inject.unwrap().places.iter().map(ToString::to_string).collect();
        assert_eq!(places, [place]);
    }
}
