//! A server with a service that answers every call, and raw lines to it.

mod methods;
mod misbehave;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::Notify,
};

use super::*;
use crate::{
    base::{ClientId, CutReason, CutSwitch, SecretBytes, Timestamp},
    killswitch::{KillReport, Step, Trip, Tripper},
};

const ID: &str = "0b2f6a4e-9d0c-4a56-8a0e-2f1f4f9b7c11";
const TIME: &str = "2025-11-24T16:00:00.123Z";

/// Answers every call with one known answer; some names of clients make it misbehave.
#[derive(Default)]
struct Fake {
    ended_sessions: Arc<AtomicUsize>,
    session_ended: Arc<Notify>,
    release: Arc<Notify>,
}

struct Session(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.notify_one();
    }
}

fn time() -> Timestamp {
    Timestamp::parse(TIME).unwrap()
}

fn killed(asked: TripKill) -> Killed {
    let trip = Trip { since: time(), by: Tripper::Operator, reason: "told to".into() };
    let mut report = KillReport::new(trip);
    report.leases = 1;
    let why = format!("rotate: {}", asked.rotate);
    report.add(Step::WipeStore, if asked.wipe { Err(why) } else { Ok(why) });
    report.into()
}

impl Service for Fake {
    #[expect(clippy::too_many_lines, reason = "a table with one answer per method")]
    async fn call(&self, peer: &Peer, connection: &Connection, call: Call) -> Result<Answer, Failure> {
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        let done = |message: &str| Ok(Done::new(message).into());
        match call {
            Call::AddSecret(add) if add.name.as_str() == "taken" => {
                Err(Failure::new(FailureCode::SecretExists, "`taken` exists").with_fix("secrets update taken"))
            }
            Call::AddSecret(add) => Ok(Stored {
                success: true,
                message: format!("{} bytes", add.value.into_secret().len()),
                service: add.service,
                credential: add.credential,
                files: vec![],
                granted_by: vec![],
            }
            .into()),
            Call::AuditTail(tail) => {
                let entry = AuditEntry {
                    timestamp: time(),
                    action: format!("tail {}", tail.tail),
                    secret_name: None,
                    client_id: None,
                    lease_id: None,
                    details: None,
                    success: true,
                };
                Ok(AuditEntries { entries: vec![entry] }.into())
            }
            Call::DeleteSecret(delete) => {
                Ok(Deleted { success: true, message: delete.name.to_string(), removed: vec![], kept: vec![] }.into())
            }
            Call::ExplainPolicy(explain) => Ok(Explanation {
                limits: Vec::new(),
                verdict: "deny".into(),
                code: Some("no_grant".into()),
                reason: explain.url,
                capability: None,
                nearest: None,
                layers: vec![],
                body: None,
                fields: vec![],
            }
            .into()),
            Call::FlushAudit(_) => done("flushed"),
            Call::Note(_) => done("noted"),
            Call::CheckProject(_) => done("it may be worked on"),
            Call::GetSecret(_) => Err(Failure::new(FailureCode::Unauthorized, "lease it instead")),
            Call::ListApprovals(_) => Ok(ApprovalList { version: 1, approvals: Vec::new(), needs: Vec::new() }.into()),
            Call::WaitApprovals(wait) => {
                Ok(ApprovalList { version: wait.version, approvals: Vec::new(), needs: Vec::new() }.into())
            }
            Call::AllowApproval(allow) => done(&format!("allowed {}", allow.id)),
            Call::DenyApproval(deny) => done(&format!("denied {}", deny.id)),
            Call::AcceptProposal(_) | Call::HealthQuery(_) | Call::RestartDaemon(_) | Call::ShowApproval(_) => {
                Err(Failure::new(FailureCode::NotAvailable, "not available yet"))
            }
            Call::TripKill(trip) => Ok(killed(trip).into()),
            Call::ResetKill(_) => done("ready"),
            Call::HeartbeatQuery(_) => {
                Ok(HeartbeatStatus { heartbeat: Heartbeat::default(), kill: Kill::Ready }.into())
            }
            Call::TestHeartbeat(_) => {
                let (url, message) = ("https://a.test/".into(), "it beats".into());
                Ok(HeartbeatTested { success: true, url, took_ms: 3, message }.into())
            }
            Call::InitStore(_) => done("exists"),
            Call::LeaseSecret(lease) if lease.client_id.as_str() == "panics" => panic!("as asked"),
            Call::LeaseSecret(lease) => {
                if lease.client_id.as_str() == "waits" {
                    self.release.notified().await;
                }
                let value = WireValue::new(SecretBytes::new(b"sk-\xff".to_vec()));
                Ok(Leased { lease_id: ID.parse().unwrap(), value, expires_at: time(), ttl: None }.into())
            }
            Call::LeaseToken(_) => Ok(TokenLeased {
                lease_id: ID.parse().unwrap(),
                token: WireToken::new("lse_x"),
                expires_at: time(),
                ttl: None,
                replaces: None,
                client_id: None,
                env: vec!["X_KEY".into()],
                beside: BTreeMap::new(),
                hosts: vec![],
            }
            .into()),
            Call::ListPolicy(_) => {
                let (unknown_host, prices) = ("tunnel".into(), vec![]);
                Ok(PolicyList { services: vec![], grants: vec![], prices, unknown_host, faults: vec![] }.into())
            }
            Call::ListLimits(_) => Ok(LimitList { limits: vec![] }.into()),
            Call::ListSecrets(_) => Ok(SecretList { secrets: vec![] }.into()),
            Call::OpenSession(open) => {
                connection.hold(Session(Arc::clone(&self.ended_sessions), Arc::clone(&self.session_ended)));
                Ok(SessionOpened {
                    session_id: ID.parse().unwrap(),
                    mark: "s.h".into(),
                    wants_proof: false,
                    proxy_port: 1234,
                    proxy_user: "s".into(),
                    proxy_password: WireToken::new("p"),
                    root_pem: "PEM".into(),
                    manifest: None,
                    support_folder: open.project_dir,
                    secret_hosts: vec![],
                    leases: vec![],
                    values: vec![],
                }
                .into())
            }
            Call::Ping(_) => {
                Ok(Pong { pid: 1, version: "0".into(), home: PathBuf::from("/h"), proxy_addr: "127.0.0.1:1".into() }
                    .into())
            }
            Call::ReloadPolicy(_) => Ok(PolicyReloaded { services: 2, grants: 1 }.into()),
            Call::Revoke(by) => Ok(Revoked { success: true, leases_revoked: 2, message: format!("{by:?}") }.into()),
            Call::RevokeAll(_) => Ok(Revoked { success: true, leases_revoked: 3, message: "all".into() }.into()),
            Call::RevokeLease(_) => Err(Failure::new(FailureCode::LeaseNotFound, "no such lease")),
            Call::RotateSecret(_) => {
                Ok(Rotated { success: true, output: "rotated".into(), error: String::new(), executed_at: time() }
                    .into())
            }
            Call::RunRotations(_) => Ok(RotationsRun { rotations: vec![] }.into()),
            Call::ShowCa(_) => Ok(Certificate {
                pem: "PEM".into(),
                fingerprint: "AB".into(),
                path: PathBuf::from("/h/ca/root.pem"),
                expires_at: None,
                names: None,
                uncovered: vec![],
            }
            .into()),
            Call::StatusQuery(_) => Ok(serde_json::from_value::<Status>(json!({
                "running": true, "started_at": TIME, "secrets_count": 1, "active_leases": 0, "sessions": 0, "pid": 1,
                "version": "0", "proxy_addr": "127.0.0.1:1", "audit_healthy": true,
            }))
            .unwrap()
            .into()),
            Call::StopDaemon(_) => done("stopping"),
            Call::UpdateSecret(update) => Ok(Stored {
                success: true,
                message: format!("{:?}", update.hook()),
                service: None,
                credential: None,
                files: vec![PathBuf::from("/h/policies/x.toml")],
                granted_by: vec!["mine.toml:3".into()],
            }
            .into()),
        }
    }
}

/// A running server; stopped and awaited by [`House::stop`].
struct House {
    folder: tempfile::TempDir,
    service: Arc<Fake>,
    stop: CutSwitch,
    task: tokio::task::JoinHandle<Result<(), Error>>,
}

impl House {
    fn open(limits: Limits) -> Self {
        let folder = crate::base::short_folder();
        let listener = Listener::bind(&folder.path().join("s"), &SocketAccess::Owner).unwrap();
        let (service, stop) = (Arc::new(Fake::default()), CutSwitch::new());
        let task = tokio::spawn(serve(listener, Arc::clone(&service), limits, stop.watch()));
        Self { folder, service, stop, task }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    async fn line(&self) -> Line {
        Line(BufReader::new(UnixStream::connect(self.socket()).await.unwrap()))
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket(), Duration::from_secs(30)).await.unwrap()
    }

    async fn stop(self) {
        self.stop.cut(CutReason::Drained);
        self.task.await.unwrap().unwrap();
        assert!(!self.folder.path().join("s").exists());
    }
}

/// A raw conversation.
struct Line(BufReader<UnixStream>);

impl Line {
    async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
        self.0.write_all(b"\n").await.unwrap();
    }

    async fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer: {line:?}"))
    }

    async fn ask(&mut self, text: impl AsRef<[u8]>) -> Value {
        self.send(text).await;
        self.answer().await
    }

    async fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0; 1]).await.unwrap_or(0) == 0
    }
}

fn client_id(text: &str) -> ClientId {
    text.parse().unwrap()
}
