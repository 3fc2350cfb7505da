//! Tests of the blocks that answers, signatures and other protocols need: what is mistyped is told with its place.

use super::{super::PolicySet, ACME, examples};

fn faults(text: &str) -> Vec<String> {
    let found = PolicySet::of_texts(&[("acme.toml", text)]);
    found.err().map(|errors| errors.faults().iter().map(ToString::to_string).collect()).unwrap_or_default()
}

/// The faults of a file in which one text was replaced.
fn after(file: &str, from: &str, to: &str) -> Vec<String> {
    assert!(file.contains(from), "{from}");
    faults(&file.replacen(from, to, 1))
}

fn assert_told(file: &str, cases: &[(&str, &str, &str)]) {
    for (from, to, message) in cases {
        let all = after(file, from, to);
        assert!(all.iter().any(|fault| fault.contains(message)), "{to}: {all:?}");
        let placed = |fault: &String| fault.splitn(4, ':').skip(1).take(2).all(|part| part.parse::<usize>().is_ok());
        assert!(all.iter().all(placed), "{all:?}");
    }
}

#[test]
fn unusable_hosts_and_credentials_say_why() {
    let database = examples::text("app-db");
    assert_told(
        database,
        &[
            ("\"postgres://", "\"postgre://", "is no origin"),
            (
                "raw    = { protocol = \"postgres\" }",
                "",
                "is no HTTP and has no `raw`; add `raw = { protocol = \"postgres\" }`",
            ),
            (
                "{ protocol = \"postgres\" }",
                "{ protocol = \"mysql\" }",
                "`raw` says `mysql`, and `origin` says `postgres`",
            ),
            ("{ protocol = \"postgres\" }", "{ protocol = \"postgrs\" }", "did you mean `postgres`?"),
            ("{ protocol = \"postgres\" }", "{ protocl = \"postgres\" }", "did you mean `protocol`?"),
            ("raw    =", "rwa =", "did you mean `raw`?"),
            ("\"verify-full\"", "\"verify-ca\"", "expected one of `verify-full`"),
            ("\"file:internal-ca.pem\"", "\"internal-ca.pem\"", "names no file of certificates"),
            ("\"file:internal-ca.pem\"", "\"file:/tmp/ca.pem\"", "beside the service file"),
            ("\"file:internal-ca.pem\"", "\"file:../ca.pem\"", "beside the service file"),
            (", ca =", ", cas =", "did you mean `ca`?"),
            ("password = \"secret\" }", "password = \"secrt\" }", "did you mean `secret`?"),
            ("user = \"public\", password = \"secret\"", "user = \"public\"", "has no field that is `secret`"),
            ("PGUSER =", "\"PG-USER\" =", "is no variable name"),
            ("PGUSER =", "LD_PRELOAD =", "programs obey `LD_PRELOAD`"),
            ("\"disable\"", "\"a\\nb\"", "the text of `PGSSLMODE` is not one line of at most 1024 bytes"),
            ("\"disable\"", &*format!("\"{}\"", "x".repeat(1025)), "the text of `PGSSLMODE` is not one line"),
            ("accept = [\"scram-sha-256\"", "accept = [\"scram-sha-1\"", "`accept` cannot be `scram-sha-1`"),
            ("upstream =", "upsteam =", "did you mean `upstream`?"),
        ],
    );
    let signed = examples::text("acme-ledger");
    assert_told(
        signed,
        &[
            (
                "LEDGER_KEY_ID = \"{lease}\"",
                "LEDGER_KEY_ID = \"x\"",
                "no variable of `[credential.signing]` holds its token",
            ),
            ("\"cred.cert\"", "\"cert\"", "names no field of a credential"),
            ("pattern = \"[a-z0-9-]{1,40}\"", "pattern = \"(a|b)*[x]\"", "is no character pattern"),
            ("lease_at = [{ header = \"x-acme-key\" }]", "lease_at = []", "`lease_at` lists no usable place"),
            ("\"{ts.unix_ms}\" }", "\"{ts.unixms}\" }", "did you mean `ts.unix_ms`?"),
            ("\"v1={sig.hex}\"", "\"v1={sig.hex\"", "a `{` has no `}`"),
            ("{ header = \"x-acme-sign\",", "{ header = \"content-length\",", "cannot carry a signature"),
            ("{ header = \"x-acme-sign\",", "{", "either a `header` or a `query`"),
            ("scheme       = \"hmac\"", "scheme = \"hamc\"", "did you mean `hmac`?"),
            ("scheme       = \"hmac\"", "", "has no `scheme`"),
            ("alg          = \"sha256\"", "alg = \"md5\"", "`alg` cannot be `md5`"),
            ("{query.sorted}", "{query.sort}", "`{query.sort}` is no piece of a signature"),
            ("body_max     = \"8MiB\"", "body_max = \"big\"", "is no size"),
            ("key_encoding =", "key_encodig =", "did you mean `key_encoding`?"),
            ("\"/currency\"", "\"currency\"", "is no JSON pointer to one value; write it like `/amount`"),
            ("show  =", "shwo =", "did you mean `show`?"),
            ("[inject.sign]", "[inject.mint]\ngrant = \"jwt\"\n[inject.sign]", "not both `mint` and `sign`"),
        ],
    );
    let service_account = examples::text("google-service-account");
    assert_told(
        service_account,
        &[
            ("type  = \"gcp_service_account\"", "type = \"gcp_service_acount\"", "did you mean `gcp_service_account`?"),
            ("\"service-account.json\"", "\"../x.json\"", "has a plain name"),
            ("key = \"rsa-2048\"", "key = \"rsa-1024\"", "`key` cannot be `rsa-1024`"),
            ("grant  = \"jwt_bearer\"", "grant = \"jwt_baerer\"", "did you mean `jwt_bearer`?"),
            ("refresh_before = \"5m\"", "refresh_before = \"soon\"", "not a duration"),
            ("alg    = \"RS256\"", "alg = \"none\"", "`alg` cannot be `none`"),
            ("use  = \"sa\"\n\n[cap", "use = \"as\"\n\n[cap", "there is no `[credential.as]`"),
            ("lease_from = { form = \"assertion\", jwt", "lease_from = { jwt", "`lease_from` has one of"),
            ("give = { json =", "give = { jsn =", "did you mean `json`?"),
        ],
    );
}

#[test]
fn unusable_places_in_messages_say_why() {
    assert_told(
        ACME,
        &[
            ("{ query = \"api_key\" }]", "{ ws_json = \"d/token\" }]", "is no JSON pointer to one string"),
            ("{ query = \"api_key\" }]", "{ ws_json = \"/d\", as = \"{}\" }]", "unknown key `as`"),
            ("{ query = \"api_key\" }]", "{ ws_jsn = \"/d\" }]", "unknown key `ws_jsn`"),
        ],
    );
}

#[test]
fn unusable_issues_and_scrubs_say_why() {
    assert_told(
        ACME,
        &[
            ("[[issue]] ", "[[isue]] ", "did you mean `issue`?"),
            ("then = \"refuse\"", "then = \"refues\"", "did you mean `refuse`?"),
            ("then = \"refuse\"", "", "has no `then`"),
            (
                "then = \"refuse\"",
                "then = \"refuse\"\ntake = [{ json = \"/a\" }]",
                "`take` does not go with `then = \"refuse\"`",
            ),
            ("then = \"scrub\"", "then = \"answer\"", "`take` does not go with `then = \"answer\"`"),
            ("take = [{ json = \"/secret\" }]", "", "`then = \"scrub\"` does not say which fields"),
            (
                "take = [{ json = \"/secret\" }]",
                "take = [{ form = \"secret\" }]",
                "only fields of JSON can be scrubbed",
            ),
            ("take = [{ json = \"/secret\" }]", "take = [{ jsn = \"/secret\" }]", "did you mean `json`?"),
            ("take = [{ json = \"/secret\" }]", "take = [{ json = \"secret\" }]", "must begin with `/`"),
            ("take = [{ json = \"/secret\" }]", "take = [{}]", "has one of `json`, `form` and `aws_credentials`"),
            (
                "take = [{ json = \"/secret\" }]",
                "take = [{ json = \"/secret\", expires = { json = \"/e\", unit = \"days\" } }]",
                "`unit` cannot be `days`",
            ),
            ("on   = { host = \"api\", method = \"POST\", path = \"/v1/hooks\" }", "", "has no `on`"),
            ("path = \"/v1/hooks\"", "path = \"v1/hooks\"", "must begin with `/`"),
            ("path = \"/v1/hooks\"", "paths = \"/v1/hooks\"", "did you mean `path`?"),
            ("json = [\"/**/upload_token\"]", "json = [\"/**\"]", "must end at a value"),
            ("json = [\"/**/upload_token\"]", "json = [\"/upload*\"]", "whole steps"),
            ("json = [\"/**/upload_token\"]", "json = []", "`[scrub]` lists nothing"),
            ("json = [\"/**/upload_token\"]", "jsn = [\"/a\"]", "did you mean `json`?"),
        ],
    );
}

/// The template with more injections of its key into its host `api`, which has one without `when` already.
fn with_injects(whens: &[&str]) -> String {
    let blocks = whens.iter().map(|when| {
        format!("[[inject]]\nhost = \"api\"\nuse = \"key\"\nat = [{{ query = \"k\" }}]\nwhen = {{ {when} }}\n")
    });
    ACME.replacen("[cap.read]", &format!("{}[cap.read]", blocks.collect::<String>()), 1)
}

#[test]
fn injections_that_tie_are_refused_and_more_literal_ones_are_not() {
    for whens in [
        &["path = \"/v1/**\"", "path = \"/v1/**\""][..],
        &["path = \"/v1/*/x\"", "path = \"/v1/{tenant}/x\""],
        &["path = [\"/a\", \"/v1/k*\"]", "path = \"/v1/*k\""],
        &["method = \"GET\"", "method = [\"POST\", \"GET\"]"],
        &["path = \"/**\", method = \"GET\"", "path = \"/**\", method = \"GET\""],
    ] {
        let all = faults(&with_injects(whens));
        assert!(all.len() == 1 && all[0].contains("neither is more literal"), "{whens:?}: {all:?}");
    }
    for whens in [
        &["path = \"/v1/**\"", "path = \"/v1/keys/**\""][..],
        &["path = \"/v1/*\"", "path = \"/v1/**\""],
        &["path = \"/v1/a\"", "path = \"/v1/b\""],
        &["path = \"/**\", method = \"GET\"", "path = \"/**\", method = \"POST\""],
        &["path = \"/**\", method = \"GET\"", "path = \"/**\""],
        &["method = \"GET\"", "path = \"/**\"", "name = \"api.acme.example\""],
    ] {
        assert_eq!(faults(&with_injects(whens)), [""; 0], "{whens:?}");
    }
    for (when, message) in [
        ("", "`when` says nothing"),
        ("path = []", "`path` lists nothing"),
        ("method = [\"get\"]", "methods are upper-case"),
        ("name = \"*.acme.example\"", "acme.example"),
        ("pth = \"/a\"", "did you mean `path`?"),
    ] {
        let all = faults(&with_injects(&[when]));
        assert!(all.iter().any(|fault| fault.contains(message)), "{when}: {all:?}");
    }
    let all = after(ACME, "missing = \"refuse\"", "missing = \"inject\"");
    assert_eq!(all, [""; 0]);
    let body = ACME.replacen("at      = [", "at = [{ json = \"/key\" }] # [", 1);
    let all = after(&body, "missing = \"refuse\"", "missing = \"inject\"");
    assert!(all.iter().any(|fault| fault.contains("`missing = \"inject\"` needs a place")), "{all:?}");
}

#[test]
fn the_more_literal_injection_is_the_one_that_counts() {
    let text = with_injects(&[
        "path = \"/v1/**\"",
        "path = \"/v1/projects/**\"",
        "path = \"/v1/projects/**\", method = \"HEAD\"",
    ]);
    let numbered =
        (0..3).fold(text, |text, at| text.replacen("{ query = \"k\" }", &format!("{{ query = \"q{at}\" }}"), 1));
    let policy =
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"read\", \"run\"]\n";
    let set = PolicySet::of_texts(&[("acme.toml", &numbered), ("mine.toml", policy)]).unwrap();
    for (call, place) in [
        ("GET https://api.acme.example/v1/projects/acme/web/x", "query parameter `q1`"),
        ("HEAD https://api.acme.example/v1/projects/acme/web/x", "query parameter `q2`"),
        ("POST https://api.acme.example/v1/form", "query parameter `q0`"),
    ] {
        let service = set.service(&"acme".parse().unwrap()).unwrap();
        let (method, url) = call.split_once(' ').unwrap();
        let asked = super::super::Asked::parse(method, url).unwrap();
        let facts = asked.facts(super::super::Content::unknown());
        let (index, ..) = service.block(facts.scheme, facts.authority).unwrap();
        let call = crate::policy::rules::Call::of_head(index, method, &facts.authority.host, facts.path);
        let rule = service.inject("key", &call).unwrap();
        assert_eq!(rule.inject.places[0].to_string(), place, "{url}");
    }
}

#[test]
fn a_file_of_certificates_that_is_not_there_says_where_to_put_it() {
    let from = "origin = \"https://api.acme.example\"";
    let pinned = format!("{from}\ntls = {{ ca = \"file:acme-ca.pem\" }}");
    let all = after(ACME, from, &pinned);
    assert!(
        all.len() == 1 && all[0].contains("put the certificate of the authority, in PEM, at `acme-ca.pem`"),
        "{all:?}"
    );
    let clear = pinned.replacen("https://", "http://", 1);
    let all = after(ACME, from, &clear);
    assert!(all.iter().any(|fault| fault.contains("`tls` says nothing about `http://`")), "{all:?}");
}
