//! A whole daemon in this process, with a temporary home, a stand-in origin, and one secret of one service.
#![allow(dead_code, reason = "every test crate uses a part of this")]

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use leasehold::{
    audit::{self, Content, Filter, Record},
    base::{ClientId, Clock, Home, SecretBytes, SecretName},
    broker::{Broker, NewValue, Session},
    daemon::{self, Options, Running, Settings},
    policy::{EasyPlace, EasyService},
    store::{RawReveal, RotationPlan, Store},
};
use rustls::RootCertStore;
use tempfile::TempDir;

use crate::support::{self, Flaw, Origin, RawClient, Speaks, TestCa};

/// The host that the stand-in service is at.
pub const HOST: &str = "api.acme.test";
/// Its authority, as CONNECT names it.
pub const AUTHORITY: &str = "api.acme.test:443";
/// The credential that only the proxy knows.
pub const SECRET: &str = "acme-REAL-0123456789-abcdefghij-KEY";

/// What a test needs of a running system.
pub struct House {
    pub origin: Origin,
    pub running: Running,
    pub roots: RootCertStore,
    pub home: Home,
    pub ca: TestCa,
    _folder: TempDir,
}

/// How a house is built.
pub struct Plan {
    pub speaks: Speaks,
    pub flaw: Option<Flaw>,
    pub settings: String,
    pub places: Vec<EasyPlace>,
}

impl Default for Plan {
    fn default() -> Self {
        let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
        Self { speaks: Speaks::Both, flaw: None, settings: String::new(), places: vec![place] }
    }
}

impl House {
    /// A house with a service at [`HOST`] that takes a bearer token, over h1 and h2.
    pub async fn new() -> Self {
        Self::build(Plan::default()).await
    }

    /// A house after a plan.
    pub async fn build(plan: Plan) -> Self {
        let ca = TestCa::new();
        let leaf = match plan.flaw {
            Some(flaw) => ca.flawed(HOST, flaw),
            None => ca.leaf_for(&[HOST, "other.acme.test", "tunnel.test"]),
        };
        let origin = Origin::builder(leaf).speaks(plan.speaks).start();
        Self::with_origin(ca, origin, &plan.settings, &plan.places).await
    }

    /// A house in front of an origin of the test's own.
    pub async fn with_origin(ca: TestCa, origin: Origin, settings: &str, places: &[EasyPlace]) -> Self {
        let folder = support::short_folder();
        let home = Home::at(folder.path().join("home"));
        Store::create(&home, Clock::system()).unwrap();
        let roots = ca.write_root(folder.path());
        let address = origin.address();
        let config = format!(
            "{settings}\n[upstream]\nextra_roots = ['{}']\n[upstream.hosts]\n\"{HOST}\" = \"{address}\"\n\
             \"other.acme.test\" = \"{address}\"\n\"tunnel.test\" = \"{address}\"\n",
            roots.display()
        );
        std::fs::write(home.config(), config).unwrap();
        let settings = Settings::load(&home, None).unwrap();
        let running = daemon::build(&Options::new(&home, settings), Clock::system()).await.unwrap();
        let house = Self {
            roots: support::roots_of_pem(&std::fs::read_to_string(home.ca().join("root.pem")).unwrap()),
            origin,
            running,
            home,
            ca,
            _folder: folder,
        };
        for (at, place) in places.iter().enumerate() {
            let name = if at == 0 { "acme_key".to_owned() } else { format!("acme_key_{at}") };
            house.add(&name, SECRET, HOST, place.clone());
        }
        house
    }

    /// Stores a secret and binds it to a service of its own at a host.
    pub fn add(&self, name: &str, value: &str, host: &str, place: EasyPlace) {
        let name: SecretName = name.parse().unwrap();
        let new = NewValue {
            name: name.clone(),
            value: SecretBytes::new(value.as_bytes().to_vec()),
            rotate_via: None,
            binding: None,
            raw: RawReveal::Allow,
            plan: RotationPlan::default(),
        };
        self.broker().add(new).unwrap();
        let origin = format!("https://{host}").parse().unwrap();
        let service = EasyService { id: EasyService::id_for(&origin).unwrap(), origin, place, env: Vec::new() };
        self.broker().write_easy(&name, &service).unwrap();
    }

    /// The use-cases.
    pub fn broker(&self) -> &Arc<Broker> {
        self.running.broker()
    }

    /// The main listener.
    pub fn proxy(&self) -> SocketAddr {
        self.running.proxy_address()
    }

    /// A lease token for the secret, without a session.
    pub fn lease(&self) -> String {
        self.lease_of("acme_key", None)
    }

    /// A lease token for a secret.
    pub fn lease_of(&self, name: &str, session: Option<&Session>) -> String {
        let client: ClientId = "test-agent".parse().unwrap();
        let issued = self
            .broker()
            .issue_token(&name.parse().unwrap(), &client, session, &leasehold::broker::Asked::default())
            .unwrap();
        issued.token.expose().to_owned()
    }

    /// A client inside the intercepted tunnel to [`HOST`].
    pub async fn client(&self, alpn: &[&[u8]]) -> RawClient {
        support::connect_tls(self.proxy(), AUTHORITY, &self.roots, alpn).await
    }

    /// An HTTP/1.1 client inside the intercepted tunnel.
    pub async fn http1(&self) -> RawClient {
        self.client(&[b"http/1.1"]).await
    }

    /// The audit log's records so far.
    pub fn records(&self) -> Vec<Record> {
        self.broker().audit().flush().unwrap();
        let lines = audit::tail(&self.home.audit(), &Filter::default(), 10_000).unwrap();
        let record = |line: audit::Line| match line.content {
            Content::Record(record) => *record,
            Content::Damaged(why) => panic!("a damaged line: {why}"),
        };
        lines.into_iter().map(record).collect()
    }

    /// The records of one action.
    pub fn records_of(&self, action: &str) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.action == action).collect()
    }

    /// Waits for the end of an exchange and gives its record.
    pub async fn ended(&self, count: usize) -> Vec<Record> {
        support::until("the exchange's end is recorded", || self.records_of("request_ended").len() >= count).await;
        self.records_of("request_ended")
    }

    /// Everything that is on disk and that somebody else might read.
    pub fn public_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.home.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    files.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        files
    }
}
