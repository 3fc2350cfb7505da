//! Programs whose requests carry no token, where a service sets the credential of the session: the proxy knows whose they
//! are by the credentials in its URL, which no other session has.

use super::*;

/// A service that sets the credential where a request has none, for requests that prove their session.
const SERVICE: &str = r#"schema = 1
kind = "service"
id = "acme"
name = "Acme"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type = "token"
env = ["ACME_KEY"]
[[inject]]
host = "api"
use = "key"
missing = "inject"
at = [{ header = "authorization", as = "Bearer {}" }]
[cap.all]
about = "All"
risk = "write"
allow = [{ path = "/**" }]
"#;

pub(crate) fn world(speaks: Speaks) -> World {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(speaks).start();
    let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("acme.toml"), SERVICE).unwrap();
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], SECRET.as_bytes());
    assert_eq!(code, 0, "{added}");
    World { origin, hand }
}

/// The proxy's URL as a program of the session finds it.
fn proxy(world: &World, sh: &Path) -> String {
    world.exec(sh, &["-c", "printf %s \"$HTTPS_PROXY\""]).stdout
}

#[test]
fn curl_without_a_token() {
    let (Some(sh), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let world = world(Speaks::Both);
    let script = format!("{SHOW} curl --silent --show-error --fail 'https://{HOST}/echo'");
    let finished = world.exec(&sh, &["-c", &script]);
    world.check(&finished, "/echo");
    let records = world.hand.records_of("request_ended");
    let details = records[0].details.as_deref();
    assert_eq!(details, Some("it carried no lease token; the session's own lease was used"));
    assert!(records[0].session_id.is_some(), "{records:?}");
    let proxy = proxy(&world, &sh);
    let login = proxy.strip_prefix("http://").and_then(|rest| rest.split_once('@')).map(|(login, _)| login);
    let (user, password) = login.and_then(|login| login.split_once(':')).unwrap_or_else(|| panic!("{proxy}"));
    assert!(!user.is_empty() && password.len() >= 32, "{proxy}");
    assert_eq!(count(&world.hand.read("audit.log"), password.as_bytes()), 0, "the record does not hold it");
}

/// Whoever knows the port alone gets no credential; neither does a session of another lease.
#[test]
fn a_port_alone_gets_no_credential() {
    let (Some(sh), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let world = world(Speaks::Both);
    let script = format!(
        "curl --silent -o /dev/null -w '%{{http_code}}' --proxy \"http://${{HTTPS_PROXY##*@}}\" 'https://{HOST}/echo'"
    );
    let finished = world.exec(&sh, &["-c", &script]);
    assert_eq!(finished.stdout, "403");
    assert!(world.origin.requests().is_empty());
    let refused = world.hand.records_of("request_refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
}

#[test]
fn a_session_that_nothing_hangs_on_has_a_plain_url() {
    let Some(sh) = find_program("sh") else { return };
    let world = World::new(Speaks::Both);
    assert!(!proxy(&world, &sh).contains('@'));
    let policies = world.hand.home.join("policies");
    let ask = "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"ask\"\n";
    std::fs::write(policies.join("defaults.toml"), ask).unwrap();
    assert_eq!(world.hand.envelope(&["policy", "reload"], b"").0, 0);
    assert!(proxy(&world, &sh).contains('@'), "a person is to see who asks");
}

#[test]
fn python_without_a_token() {
    let Some(python) = find_program("python3") else { return };
    let world = world(Speaks::Both);
    for (module, path, call) in [
        ("urllib", "/echo?urllib", "urllib.request.urlopen(url).read().decode()"),
        ("requests", "/echo?requests", "requests.get(url).text"),
        ("httpx", "/echo?httpx", "httpx.get(url).text"),
    ] {
        let import = if module == "urllib" { "urllib.request" } else { module };
        let has = Program::start(std::process::Command::new(&python).args(["-c", &format!("import {import}")]));
        if !has.finish().status.success() {
            skip(module, &format!("python has no `{module}`"));
            continue;
        }
        let script =
            format!("import os, {import}\nprint(os.environ['ACME_KEY'])\nurl = 'https://{HOST}{path}'\nprint({call})");
        world.check(&world.exec(&python, &["-c", &script]), path);
    }
}

#[test]
fn node_without_a_token() {
    let Some(node) = find_program("node") else { return };
    let world = world(Speaks::Both);
    let script = format!(
        "console.log(process.env.ACME_KEY);
         fetch('https://{HOST}/echo').then(async answer => {{
             if (!answer.ok) throw new Error(answer.status); console.log(await answer.text());
         }}).catch(error => {{ console.error(error); process.exit(1); }});"
    );
    world.check(&world.exec(&node, &["-e", &script]), "/echo");
}
