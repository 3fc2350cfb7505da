//! Command lines against a daemon that answers from a script: what is printed where, and what was asked.

mod errors;
mod exec;
mod output;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use serde_json::{Value, json};

use super::*;
use crate::{
    base::{CutReason, CutSwitch, SecretBytes, Timestamp},
    control::{
        Answer, AuditEntries, AuditEntry, Call, Certificate, Connection, Deleted, Done, Failure, FailureCode, Leased,
        Limits, Listener, Peer, PolicyFault, PolicyList, Pong, Revoked, SecretList, Service, SessionLease,
        SessionOpened, Status, Stored, TokenLeased, WireToken, WireValue, serve,
    },
};

const ID: &str = "0b2f6a4e-9d0c-4a56-8a0e-2f1f4f9b7c11";
const TIME: &str = "2025-11-24T16:00:00.123Z";

fn time() -> Timestamp {
    Timestamp::parse(TIME).unwrap()
}

/// Remembers what it was asked; some names of secrets make it refuse.
#[derive(Clone, Default)]
struct Fake {
    asked: Arc<Mutex<Vec<String>>>,
    support: PathBuf,
}

struct EndOfSession(Arc<Mutex<Vec<String>>>);

impl Drop for EndOfSession {
    fn drop(&mut self) {
        self.0.lock().unwrap().push("session ended".into());
    }
}

impl Service for Fake {
    #[expect(clippy::too_many_lines, reason = "a table with one answer per method")]
    async fn call(&self, _: &Peer, connection: &Connection, call: Call) -> Result<Answer, Failure> {
        if !matches!(call, Call::Ping(_)) {
            self.asked.lock().unwrap().push(format!("{call:?}")); // a greeting is no question
        }
        let missing = |name: &str| Failure::new(FailureCode::SecretNotFound, format!("there is no secret `{name}`"));
        Ok(match call {
            Call::AddSecret(add) if add.name.as_str() == "taken" => {
                return Err(Failure::new(FailureCode::SecretExists, "`taken` exists already"));
            }
            Call::AddSecret(add) if add.easy.as_ref().is_some_and(|easy| easy.host == "taken.test") => {
                return Err(Failure::new(FailureCode::Policy, "the policies have faults: x.toml:1:2: bad"));
            }
            Call::AddSecret(add) => Stored {
                success: true,
                message: format!("stored {} bytes as `{}`", add.value.into_secret().len(), add.name),
                files: add.easy.iter().map(|_| "/h/policies/api-test.toml".into()).collect(),
                service: add.service.or_else(|| add.easy.map(|_| "api-test".parse().unwrap())),
                credential: add.credential,
                granted_by: vec![],
            }
            .into(),
            Call::AuditTail(tail) => AuditEntries {
                entries: vec![AuditEntry {
                    timestamp: time(),
                    action: "lease_acquire".into(),
                    secret_name: Some("a".into()),
                    client_id: Some("evil\u{1b}[31m".into()),
                    lease_id: None,
                    details: Some(tail.tail.to_string()),
                    success: true,
                }],
            }
            .into(),
            Call::LeaseSecret(lease) => match lease.secret_name.as_str() {
                name @ "none" => return Err(missing(name)),
                "binary" => leased(b"\xff\x00\n"),
                "text" => leased(b"it's\ntwo"),
                _ => leased(b"sk-real"),
            },
            Call::LeaseToken(lease) if lease.secret_name.as_str() == "none" => return Err(missing("none")),
            Call::LeaseToken(_) => TokenLeased {
                lease_id: ID.parse().unwrap(),
                token: WireToken::new("lse_token"),
                expires_at: time(),
                ttl: None,
                replaces: None,
                client_id: None,
                env: vec!["A_KEY".into()],
                beside: BTreeMap::new(),
                hosts: vec!["api.test".into()],
            }
            .into(),
            Call::ListPolicy(_) => PolicyList {
                services: vec![],
                grants: vec![],
                prices: vec![],
                unknown_host: "tunnel".into(),
                faults: vec![PolicyFault { place: "x.toml:1:2".into(), message: "bad".into(), fix: None }],
            }
            .into(),
            Call::ListSecrets(_) => SecretList { secrets: serde_json::from_value(secrets()).unwrap() }.into(),
            Call::OpenSession(open) => {
                connection.hold(EndOfSession(Arc::clone(&self.asked)));
                let lease = |wish: &crate::control::SessionSecret| SessionLease {
                    secret: wish.name.clone(),
                    env: vec![wish.env_var.clone().unwrap_or_else(|| "A_KEY".into())],
                    beside: BTreeMap::new(),
                    token: WireToken::new(format!("lse_{}", wish.name)),
                    lease_id: ID.parse().unwrap(),
                    expires_at: time(),
                    service: None,
                };
                SessionOpened {
                    session_id: ID.parse().unwrap(),
                    mark: "s.h".into(),
                    proxy_port: 4321,
                    proxy_user: "s".into(),
                    proxy_password: WireToken::new("p"),
                    wants_proof: false,
                    root_pem: "PEM".into(),
                    manifest: None,
                    support_folder: self.support.clone(),
                    secret_hosts: vec!["api.test".into()],
                    leases: open.secrets.iter().map(lease).collect(),
                    values: vec![],
                }
                .into()
            }
            Call::Ping(_) => {
                Pong { pid: 7, version: "0".into(), home: "/h".into(), proxy_addr: "127.0.0.1:4000".into() }.into()
            }
            Call::ReloadPolicy(_) => return Err(Failure::new(FailureCode::Policy, "x.toml:1:2: bad")),
            Call::Revoke(_) | Call::RevokeAll(_) => {
                Revoked { success: true, leases_revoked: 2, message: "ended 2 leases".into() }.into()
            }
            Call::ShowCa(_) => Certificate {
                pem: "PEM".into(),
                fingerprint: "AB:CD".into(),
                path: "/h/ca/root.pem".into(),
                expires_at: None,
                names: None,
                uncovered: vec![],
            }
            .into(),
            Call::StatusQuery(_) => serde_json::from_value::<Status>(json!({
                "running": true, "started_at": TIME, "secrets_count": 2, "active_leases": 1, "sessions": 0, "pid": 7,
                "version": "0", "proxy_addr": "127.0.0.1:4000", "audit_healthy": true,
            }))
            .unwrap()
            .into(),
            Call::UpdateSecret(_) => Stored {
                success: true,
                message: "did secrets.update".into(),
                service: None,
                credential: None,
                files: vec![],
                granted_by: vec![],
            }
            .into(),
            Call::DeleteSecret(_) => {
                let message = "did secrets.delete".into();
                Deleted { success: true, message, removed: vec![], kept: vec!["/h/policies/mine.toml".into()] }.into()
            }
            other => Done::new(format!("did {}", other.method())).into(),
        })
    }
}

fn leased(value: &[u8]) -> Answer {
    let value = WireValue::new(SecretBytes::new(value.to_vec()));
    Leased { lease_id: ID.parse().unwrap(), value, expires_at: time(), ttl: None }.into()
}

fn secrets() -> Value {
    let secret = |name: &str| json!({"name": name, "created_at": TIME, "updated_at": TIME, "active_leases": 1});
    let mut bound = secret("a");
    bound["service"] = json!("openai");
    bound["credential"] = json!("token");
    bound["rotate_via"] = json!("./rotate");
    json!([bound, secret("text")])
}

/// A home with a daemon on a thread of its own, and a project folder.
struct House {
    home: tempfile::TempDir,
    project: tempfile::TempDir,
    fake: Fake,
    daemon: Option<(CutSwitch, JoinHandle<()>)>,
}

impl House {
    fn empty() -> Self {
        let home = crate::base::short_folder();
        let project = tempfile::tempdir().unwrap();
        let fake = Fake { support: home.path().join("support"), ..Fake::default() };
        Self { home, project, fake, daemon: None }
    }

    fn with_daemon() -> Self {
        let mut house = Self::empty();
        let listener =
            Listener::bind(&house.home.path().join("agent-secrets.sock"), &crate::control::SocketAccess::Owner)
                .unwrap();
        let (stop, fake) = (CutSwitch::new(), Arc::new(house.fake.clone()));
        let watch = stop.watch();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(listener, fake, Limits::default(), watch)).unwrap();
        });
        house.daemon = Some((stop, thread));
        house
    }

    /// Runs one command line as from a pipe, or from a terminal when it says `--output human`.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(Parts { serve: |_, _| Ok(()), demo: |_| Ok(()), environment }, arguments)
    }

    /// The same with parts of the test's own.
    fn run_with(&self, parts: Parts, arguments: &[&str]) -> Ran {
        let (out, err) = (Sink::default(), Sink::default());
        let home = self.home.path().to_str().unwrap();
        let line = ["secrets", "--home", home, "--timeout", "30"].into_iter().chain(arguments.iter().copied());
        let line: Vec<OsString> = line.map(OsString::from).collect();
        let printer = |form| Printer::new(Box::new(out.clone()), Box::new(err.clone()), form);
        let code = match Cli::try_parse_from(&line) {
            Ok(cli) => {
                let form = if arguments.contains(&"human") { Form::Human } else { Form::Json };
                let folder = self.project.path().to_owned();
                dispatch(cli, parts, Surroundings { printer: printer(form), folder, tenancy: Tenancy::Shared })
            }
            Err(error) => refuse(printer(form_asked_for(&line)), &error, &line),
        };
        // Commands that are told keep `--home`; the tests are about the rest of them.
        let short = |sink: &Sink| sink.text().replace(&format!("secrets --home {home} "), "secrets ");
        Ran { code, out: short(&out), err: short(&err) }
    }

    /// What the daemon was asked; complete, because the daemon has ended.
    fn asked(mut self) -> Vec<String> {
        let (stop, thread) = self.daemon.take().unwrap();
        stop.cut(CutReason::Drained);
        thread.join().unwrap();
        self.fake.asked.lock().unwrap().clone()
    }

    /// Puts lines into the audit log.
    fn record(&self, lines: &[Value]) {
        let text: String = lines.iter().flat_map(|line| [line.to_string(), "\n".into()]).collect();
        std::fs::write(self.home.path().join("audit.log"), text).unwrap();
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.project.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the part's own signature")]
fn environment(request: &TrustRequest<'_>) -> Result<Vec<(OsString, OsString)>, Failure> {
    assert_eq!((request.root_pem, request.secret_hosts), ("PEM", &["api.test".to_owned()][..]));
    Ok(vec![("HTTPS_PROXY".into(), format!("http://{}", request.proxy).into())])
}

#[derive(Debug, PartialEq, Eq)]
struct Ran {
    code: u8,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no envelope: {self:?}"))
    }

    /// The result of a success that said nothing else.
    fn result(&self) -> Value {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        let envelope = self.json();
        assert_eq!((&envelope["ok"], &envelope["success"]), (&json!(true), &json!(true)));
        envelope["result"].clone()
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        // Bytes one by one, so that a test sees binary values as they are.
        self.0.lock().unwrap().iter().map(|&byte| char::from(byte)).collect()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Variables as `env -0` wrote them.
fn variables(text: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(text).into_owned();
    text.split('\0').filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}
