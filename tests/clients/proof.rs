//! Programs whose requests carry no token, where a service sets the credential of the session: the proxy knows whose they
//! are by the credentials in its URL, which no other session has.

use super::*;

/// The credential set where a request has none.
const INJECT: &str = "missing = \"inject\"\nat = [{ header = \"authorization\", as = \"Bearer {}\" }]\n[cap.all]\nallow = [{ path = \"/**\" }]";

/// A service with one credential, which goes into requests as these lines say.
fn service(kind: &str, tls: &str, lines: &str) -> String {
    format!(
        "schema = 1\nkind = \"service\"\nid = \"acme\"\nname = \"Acme\"\n[host.api]\norigin = \"https://{HOST}\"\n{tls}\n\
         [credential.key]\ntype = \"{kind}\"\nenv = [\"ACME_KEY\"]\n[[inject]]\nhost = \"api\"\nuse = \"key\"\n{lines}\n\
         about = \"All\"\nrisk = \"write\"\n"
    )
}

/// A world with this service, and with this value for its credential.
fn world_of(ca: &TestCa, origin: Origin, service: &str, value: &[u8]) -> World {
    let hand = Hand::in_front_of(ca, &origin, &[HOST]);
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("acme.toml"), service).unwrap();
    let (code, added) = hand.envelope(&["add", "acme_key", "--service", "acme"], value);
    assert_eq!(code, 0, "{added}");
    World { origin, hand }
}

/// A world whose requests need no token.
pub(crate) fn world(speaks: Speaks) -> World {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(speaks).start();
    world_of(&ca, origin, &service("token", "", INJECT), SECRET.as_bytes())
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
    let script = format!("curl --silent --proxy \"http://${{HTTPS_PROXY##*@}}\" 'https://{HOST}/echo'");
    let finished = world.exec(&sh, &["-c", &script]);
    assert!(
        finished.stdout.contains("no_lease") && finished.stdout.contains("they stand in the proxy's URL"),
        "{finished:?}"
    );
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

#[test]
fn a_client_certificate_is_shown_for_the_session() {
    let (Some(sh), Some(_)) = (find_program("sh"), find_program("curl")) else { return };
    let (ca, clients) = (TestCa::new(), TestCa::new());
    let (certificate, pem) = clients.client("agent.test");
    let origin = Origin::builder(ca.leaf(HOST)).clients(clients.roots()).speaks(Speaks::Both).start();
    let lines = "missing = \"inject\"\n[cap.all]\nallow = [{ path = \"/**\" }]";
    let service = service("certificate", "tls = { client_cert = \"cred.cert\" }", lines);
    let world = world_of(&ca, origin, &service, pem.as_bytes());
    let script = format!("curl --silent --show-error --fail 'https://{HOST}/status/200'");
    world.exec(&sh, &["-c", &script]);
    let shown: Vec<_> = world.origin.connections().into_iter().map(|connection| connection.client).collect();
    assert_eq!(shown, [Some(certificate.to_vec())]);
}

/// As Discord's gateway has it; the program is what a client of WebSockets does by itself.
#[test]
fn a_token_in_the_first_message_of_a_websocket_is_replaced() {
    let Some(python) = find_program("python3") else { return };
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf(HOST)).speaks(Speaks::Both).start();
    let lines = "at = [{ ws_json = \"/d/token\" }]\n[cap.all]\nallow = [{ method = \"GET\", path = \"/ws\", upgrade = \"websocket\" }]";
    let world = world_of(&ca, origin, &service("token", "", lines), SECRET.as_bytes());
    let script = r#"
import base64, os, socket, ssl, urllib.parse
proxy = urllib.parse.urlsplit(os.environ['HTTPS_PROXY'])
login = base64.b64encode(f'{proxy.username}:{proxy.password}'.encode()).decode()
def ask(stream, head):
    stream.sendall(head.replace('\n', '\r\n').encode())
    answer = b''
    while not answer.endswith(b'\r\n\r\n'):
        answer += stream.recv(1)
    print(answer.split(b' ')[1].decode())
stream = socket.create_connection((proxy.hostname, proxy.port))
ask(stream, f'CONNECT HOST:443 HTTP/1.1\nHost: HOST:443\nProxy-Authorization: Basic {login}\n\n')
stream = ssl.create_default_context(cafile=os.environ['SSL_CERT_FILE']).wrap_socket(stream, server_hostname='HOST')
ask(stream, 'GET /ws HTTP/1.1\nHost: HOST\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n'
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n')
text, mask = ('{"d":{"token":"%s"}}' % os.environ['ACME_KEY']).encode(), b'\x01\x02\x03\x04'
stream.sendall(bytes([0x81, 0x80 | len(text)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text)))
try:
    print(stream.recv(1000))  # the origin answers with what it got, which never passes
except OSError as error:
    print(error)
"#;
    let finished = world.exec(&python, &["-c", &script.replace("HOST", HOST)]);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines[..2] == ["200", "101"] && count(finished.stdout.as_bytes(), SECRET.as_bytes()) == 0, "{finished:?}");
    let frames = world.origin.frames();
    assert_eq!(frames, [support::Frame::text(&format!("{{\"d\":{{\"token\":\"{SECRET}\"}}}}"))]);
}
