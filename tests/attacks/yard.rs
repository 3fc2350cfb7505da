//! A daemon whose upstreams are chosen by the test: raw origins, addresses that the operator allows, service files.

use std::{net::SocketAddr, sync::Arc};

use leasehold::{
    audit::{self, Content, Filter, Record},
    base::{ClientId, Clock, Home, SecretBytes, SecretName},
    broker::{Broker, NewValue},
    daemon::{self, Options, Running, Settings},
    policy::{EasyPlace, EasyService},
    store::{RawReveal, RotationPlan, Store},
};
use rustls::RootCertStore;
use tempfile::TempDir;

use crate::{
    house::{AUTHORITY, HOST, SECRET},
    support::{RawClient, TestCa, connect_tls, roots_of_pem},
};

/// The running daemon.
pub struct Yard {
    pub running: Running,
    pub roots: RootCertStore,
    pub home: Home,
    _folder: TempDir,
}

impl Yard {
    /// A daemon with the stand-in service, whose host is at this address.
    pub async fn at(ca: &TestCa, upstream: SocketAddr) -> Self {
        Self::with(ca, &format!("[upstream.hosts]\n\"{HOST}\" = \"{upstream}\"\n")).await
    }

    /// A daemon with the stand-in service and these lines at the end of the `[upstream]` section.
    pub async fn with(ca: &TestCa, upstream: &str) -> Self {
        let folder = crate::support::short_folder();
        let home = Home::at(folder.path().join("home"));
        Store::create(&home, Clock::system()).unwrap();
        let roots = ca.write_root(folder.path());
        std::fs::write(home.config(), format!("[upstream]\nextra_roots = [\"{}\"]\n{upstream}", roots.display()))
            .unwrap();
        let settings = Settings::load(&home, None).unwrap();
        let running = daemon::build(&Options::new(&home, settings), Clock::system()).await.unwrap();
        let roots = roots_of_pem(&std::fs::read_to_string(home.ca().join("root.pem")).unwrap());
        let yard = Self { running, roots, home, _folder: folder };
        yard.add("acme_key", &format!("https://{HOST}"));
        yard
    }

    /// Stores the secret under a name, for a service of its own at an origin.
    pub fn add(&self, name: &str, origin: &str) {
        let name: SecretName = name.parse().unwrap();
        let value = SecretBytes::new(SECRET.as_bytes().to_vec());
        let new = NewValue {
            name: name.clone(),
            value,
            rotate_via: None,
            binding: None,
            raw: RawReveal::Allow,
            plan: RotationPlan::default(),
        };
        self.broker().add(new).unwrap();
        let origin = origin.parse().unwrap();
        let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
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

    /// A lease token for the secret of this name.
    pub fn lease(&self, name: &str) -> String {
        let client: ClientId = "test-agent".parse().unwrap();
        self.broker()
            .issue_token(&name.parse().unwrap(), &client, None, &leasehold::broker::Asked::default())
            .unwrap()
            .token
            .expose()
            .to_owned()
    }

    /// A client inside the intercepted tunnel.
    pub async fn http1(&self) -> RawClient {
        connect_tls(self.proxy(), AUTHORITY, &self.roots, &[b"http/1.1"]).await
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

    /// The newest record that has a code.
    pub fn last_refusal(&self) -> Record {
        let mut records = self.records();
        records.retain(|record| record.code.is_some());
        records.pop().expect("a refusal is recorded")
    }
}
