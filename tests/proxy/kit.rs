//! What the tests of the data plane share: a yard with a clock and addresses of its own, and how refusals and records look.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use leasehold::{
    audit::{self, Content, Filter, Record},
    base::{ClientId, Clock, Home, LeaseId, SecretBytes},
    broker::{Broker, NewValue, Session},
    daemon::{self, Options, Running, Settings},
    policy::{EasyPlace, EasyService},
    store::{Binding, RawReveal, RotationPlan, Store},
};
use rustls::RootCertStore;
use tempfile::TempDir;

use crate::{
    house::{AUTHORITY, HOST, House, Plan, SECRET},
    support::{self, Answer, H2Client, RawClient, Speaks, TestCa},
};

pub const H1: &[&[u8]] = &[b"http/1.1"];
pub const H2: &[&[u8]] = &[b"h2"];

/// A daemon in front of addresses of the test's own, such as a [`support::RawOrigin`]; the secret is for [`HOST`].
pub struct Yard {
    pub running: Running,
    pub home: Home,
    pub roots: RootCertStore,
    _folder: TempDir,
}

impl Yard {
    pub async fn new(ca: &TestCa, hosts: &[(&str, SocketAddr)], settings: &str, clock: Clock) -> Self {
        let folder = crate::support::short_folder();
        let home = Home::at(folder.path().join("home"));
        Store::create(&home, Clock::system()).unwrap();
        let roots = ca.write_root(folder.path());
        let hosts: Vec<_> = hosts.iter().map(|(host, address)| format!("\"{host}\" = \"{address}\"\n")).collect();
        let hosts = hosts.concat();
        let config =
            format!("{settings}\n[upstream]\nextra_roots = ['{}']\n[upstream.hosts]\n{hosts}", roots.display());
        std::fs::write(home.config(), config).unwrap();
        let settings = Settings::load(&home, None).unwrap();
        let running = daemon::build(&Options::new(&home, settings), clock).await.unwrap();
        let pem = std::fs::read_to_string(home.ca().join("root.pem")).unwrap();
        let yard = Self { running, home, roots: support::roots_of_pem(&pem), _folder: folder };
        let name = "acme_key".parse().unwrap();
        let value = SecretBytes::new(SECRET.as_bytes().to_vec());
        let new = NewValue {
            name,
            value,
            rotate_via: None,
            binding: None,
            raw: RawReveal::Allow,
            plan: RotationPlan::default(),
        };
        yard.broker().add(new).unwrap();
        let origin = format!("https://{HOST}").parse().unwrap();
        let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
        let service = EasyService { id: EasyService::id_for(&origin).unwrap(), origin, place, env: Vec::new() };
        yard.broker().write_easy(&"acme_key".parse().unwrap(), &service).unwrap();
        yard
    }

    /// The same home under a new daemon.
    pub async fn restarted(self, clock: Clock) -> Self {
        let Self { running, home, roots, _folder: folder } = self;
        running.stop().await;
        let settings = Settings::load(&home, None).unwrap();
        let running = daemon::build(&Options::new(&home, settings), clock).await.unwrap();
        Self { running, home, roots, _folder: folder }
    }

    /// A yard whose [`HOST`] is at this address, on the system's clock.
    pub async fn at(ca: &TestCa, address: SocketAddr) -> Self {
        Self::new(ca, &[(HOST, address)], "", Clock::system()).await
    }

    pub fn broker(&self) -> &Arc<Broker> {
        self.running.broker()
    }

    pub fn proxy(&self) -> SocketAddr {
        self.running.proxy_address()
    }

    pub async fn client(&self, alpn: &[&[u8]]) -> RawClient {
        support::connect_tls(self.proxy(), AUTHORITY, &self.roots, alpn).await
    }

    pub fn records_of(&self, action: &str) -> Vec<Record> {
        records(self.broker(), &self.home).into_iter().filter(|record| record.action == action).collect()
    }

    pub async fn ended(&self, count: usize) -> Vec<Record> {
        let ended = || self.records_of("request_ended");
        support::until("the exchange's end is recorded", || ended().len() >= count).await;
        ended()
    }
}

/// A house whose only service is this one, which must have the id `acme` and the credential `key`, and a lease of it.
/// What reads, writes and spends is granted.
pub async fn with_service(service: &str, speaks: Speaks, settings: &str) -> (House, String) {
    let plan = Plan { speaks, places: Vec::new(), settings: settings.to_owned(), ..Plan::default() };
    let house = House::build(plan).await;
    let lease = serve(&house, service);
    (house, lease)
}

/// The same for a house that is there.
pub fn serve(house: &House, service: &str) -> String {
    std::fs::create_dir_all(house.home.policies()).unwrap();
    std::fs::write(house.home.policies().join("acme.toml"), service).unwrap();
    house.broker().live_policy().reload().unwrap();
    let new = NewValue {
        name: "acme_key".parse().unwrap(),
        value: SecretBytes::new(SECRET.as_bytes().to_vec()),
        rotate_via: None,
        binding: Some(Binding { service: "acme".parse().unwrap(), credential: "key".into() }),
        raw: RawReveal::Allow,
        plan: RotationPlan::default(),
    };
    house.broker().add(new).unwrap();
    house.lease()
}

/// Every record so far.
pub fn records(broker: &Broker, home: &Home) -> Vec<Record> {
    broker.audit().flush().unwrap();
    let lines = audit::tail(&home.audit(), &Filter::default(), 10_000).unwrap();
    let record = |line: audit::Line| match line.content {
        Content::Record(record) => *record,
        Content::Damaged(why) => panic!("a damaged line: {why}"),
    };
    lines.into_iter().map(record).collect()
}

/// A lease of its own, whatever other leases a test holds: one for each client id.
pub fn lease(broker: &Broker, session: Option<&Session>, ttl: Option<&str>) -> (String, LeaseId) {
    static CLIENTS: AtomicUsize = AtomicUsize::new(0);
    let client: ClientId = format!("agent-{}", CLIENTS.fetch_add(1, Ordering::Relaxed)).parse().unwrap();
    let ttl = ttl.map(|ttl| ttl.parse().unwrap());
    let issued = broker
        .issue_token(
            &"acme_key".parse().unwrap(),
            &client,
            session,
            &leasehold::broker::Asked { ttl, ..Default::default() },
        )
        .unwrap();
    (issued.token.expose().to_owned(), issued.lease.id)
}

/// Adds WebSocket upgrades to what the service at [`HOST`] may be asked for.
pub fn allow_websockets(home: &Home, broker: &Broker) {
    let file = home.policies().join("service-api-acme-test.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let socket = "\n[cap.socket]\nabout = \"Talk\"\nrisk  = \"write\"\nallow = [{ method = \"GET\", upgrade = \"websocket\" }]\n";
    std::fs::write(&file, text + socket).unwrap();
    let mut grants = std::fs::read_dir(home.policies()).unwrap().map(|entry| entry.unwrap().path());
    let grant = grants.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("grant-")).unwrap();
    let text = std::fs::read_to_string(&grant).unwrap();
    let with = text.replacen("allow    = [", "allow    = [\"socket\", ", 1);
    assert_ne!(with, text, "{text}");
    std::fs::write(&grant, with).unwrap();
    broker.live_policy().reload().unwrap();
}

/// What stands in `Proxy-Authorization` for a session.
pub fn proxy_credentials(session: &Session) -> String {
    let (user, password) = session.proxy_credentials();
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// What stands in `Authorization` for a lease or a key.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// An h2 client inside the intercepted tunnel.
pub async fn h2(house: &House) -> H2Client {
    house.client(H2).await.h2(HOST).await
}

/// A GET over either protocol, on a connection of its own.
pub async fn get(house: &House, alpn: &[&[u8]], path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut client = house.client(alpn).await;
    if client.alpn() == Some("h2") {
        client.h2(HOST).await.get(path, headers).await
    } else {
        client.get(HOST, path, headers).await
    }
}

/// A refusal as its client sees it: the status, the code twice, a sentence, and the step that mends it.
pub fn assert_problem(answer: &Answer, status: u16, code: &str) {
    let field = answer.header("x-leasehold-code");
    assert_eq!((answer.status, field.as_deref()), (status, Some(code)), "{answer:?}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"), "{answer:?}");
    let problem = answer.json();
    let is_said = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
    assert_eq!(problem["code"], code, "{answer:?}");
    assert!(is_said("detail") && is_said("request_id"), "{answer:?}");
    assert!(is_said("fix"), "a refusal names the step that mends it: {answer:?}");
}

/// Each exchange that began has ended once, and none that was refused ever began.
pub fn assert_paired(records: &[Record]) {
    let with = |id: &Option<String>, end: &str| {
        records.iter().filter(|record| record.request_id == *id && record.action.ends_with(end)).count()
    };
    for record in records.iter().filter(|record| record.request_id.is_some()) {
        let id = &record.request_id;
        let counts = (with(id, "_begun"), with(id, "_ended"), with(id, "_refused"));
        assert!(counts == (1, 1, 0) || counts == (0, 0, 1), "begun, ended, refused are {counts:?}: {record:?}");
    }
}

/// A client inside the tunnel to [`HOST`] that came by these credentials of the proxy, over HTTP/1.1.
pub async fn connect(house: &House, credentials: Option<&str>) -> RawClient {
    let mut client = RawClient::connect(house.proxy()).await;
    let field = credentials.map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    client.write(format!("CONNECT {AUTHORITY} HTTP/1.1\r\nHost: {AUTHORITY}\r\n{field}\r\n")).await;
    assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
    client.start_tls(HOST, &house.roots, H1).await.unwrap()
}
