//! The control plane's service: one exhaustive match from call to use-case.

use std::{net::SocketAddr, path::Path, sync::Arc};

use super::{
    authority::{Agents, Authority},
    policy_calls::{easy_service, faults, variables},
    rotation_calls::{change_plan, plan},
    translate::{ask_failure, failure, value_failure},
};
use crate::{
    audit,
    base::{CutReason, CutSwitch, Home, SecretName, ServiceId, TimeToLive, counted, shell_word},
    broker::{Asked, Broker, NewValue, Removed, Session, Stored},
    ca::CertificateAuthority,
    control::{self, Answer, Call, Connection, Failure, FailureCode, HookChange, Peer},
    killswitch::Heart,
    lease::Lease,
    policy,
    proxy::Proxy,
    store::{Binding, RawReveal, SecretChange, SecretRecord},
};

/// Answers calls with the broker's use-cases and the proxy's listeners.
pub(super) struct Desk {
    pub(super) broker: Arc<Broker>,
    pub(super) agents: Arc<Agents>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) ca: CertificateAuthority,
    pub(super) home: Home,
    pub(super) proxy_address: SocketAddr,
    pub(super) stop: CutSwitch,
    /// What was mended before the start, for `status`.
    pub(super) store_warning: Option<String>,
    pub(super) heart: Option<Arc<Heart>>,
}

pub(super) type Outcome = Result<Answer, Failure>;

impl control::Service for Desk {
    async fn call(&self, peer: &Peer, connection: &Connection, call: Call) -> Outcome {
        let authority = self.agents.authority(peer, &self.broker);
        if let Authority::Agent(session) = authority
            && let Some(outcome) = self.agent_call(&call, session)
        {
            return outcome;
        }
        match call {
            Call::InitStore(_) => Ok(control::Done::new("the store is initialised; nothing was changed").into()),
            Call::AddSecret(add) => self.add(add),
            Call::UpdateSecret(update) => self.update(update),
            Call::GetSecret(get) => Err(Failure::new(
                FailureCode::Unauthorized,
                format!("values are not read directly; lease `{}`", get.name),
            )
            .with_fix(again("lease", &get.name, None, None))),
            Call::DeleteSecret(delete) => self.delete(&delete),
            Call::ListSecrets(_) => Ok(self.list(authority).into()),
            Call::LeaseSecret(lease) => self.reveal(&lease),
            Call::LeaseToken(lease) => self.token(&lease),
            Call::RevokeLease(revoke) => {
                let id = revoke.lease_id.parse().map_err(|_| no_lease(&revoke.lease_id))?;
                self.broker.revoke_lease(&id).map_err(failure)?;
                Ok(control::Done::new(format!("lease `{id}` is revoked")).into())
            }
            Call::RevokeAll(_) => self.broker.revoke_all().map(revoked).map_err(failure),
            Call::Revoke(revoke) => self.revoke(&revoke),
            Call::TripKill(trip) => self.trip(trip).await,
            Call::ResetKill(_) => self.reset(),
            Call::HeartbeatQuery(_) => {
                Ok(control::HeartbeatStatus { heartbeat: self.heartbeat(), kill: self.kill_state() }.into())
            }
            Call::TestHeartbeat(_) => self.test_heartbeat().await,
            Call::AuditTail(tail) => self.audit_tail(tail.tail),
            Call::FlushAudit(_) => {
                self.broker.audit().flush().map_err(|error| failure(error.into()))?;
                Ok(control::Done::new("the record is written").into())
            }
            Call::Note(note) => self.note(&note),
            Call::StatusQuery(_) => Ok(self.status(authority).into()),
            Call::OpenSession(open) => self.open_session(peer, connection, open).await,
            Call::ExplainPolicy(explain) => self.explain(&explain),
            Call::CheckProject(check) => self.check_project(&check),
            Call::ListPolicy(_) => Ok(self.list_policy().into()),
            Call::ReloadPolicy(_) => self.reload_policy(),
            Call::AcceptProposal(accept) => self.accept_proposal(&accept),
            Call::ListLimits(list) => Ok(self.list_limits(&list).into()),
            Call::ListApprovals(_) => Ok(self.list_approvals().into()),
            Call::ShowApproval(show) => self.show_approval(&show.id),
            Call::AllowApproval(allow) => self.allow_approval(peer, allow),
            Call::DenyApproval(deny) => self.deny_approval(peer, deny),
            Call::WaitApprovals(wait) => self.wait_approvals(connection, wait).await,
            Call::ShowCa(_) => Ok(self.show_ca().into()),
            Call::Ping(_) => Ok(control::Pong {
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                home: self.home.folder().to_owned(),
                proxy_addr: self.proxy_address.to_string(),
            }
            .into()),
            Call::StopDaemon(_) => {
                self.stop.cut(CutReason::Drained);
                Ok(control::Done::new("the daemon is stopping").into())
            }
            Call::RestartDaemon(_) => self.restart(),
            Call::HealthQuery(_) => self.health().await,
            Call::RotateSecret(rotate) => self.rotate(&rotate).await,
            Call::RunRotations(run) => self.run_rotations(run).await,
        }
    }
}

/// The id of no lease, cut and escaped: it is whatever somebody typed.
fn no_lease(text: &str) -> Failure {
    let shown: String = text.chars().take(60).flat_map(char::escape_default).collect();
    Failure::new(FailureCode::LeaseNotFound, format!("no live lease has the id `{shown}`"))
}

fn stored(stored: Stored, message: String) -> Answer {
    let binding = stored.record.binding.as_ref();
    control::Stored {
        success: true,
        message,
        service: binding.map(|b| b.service.clone()),
        credential: binding.map(|b| b.credential.to_string()),
        files: stored.files,
        granted_by: stored.granted_by,
    }
    .into()
}

/// The command that asks for the same again.
fn again(verb: &str, name: &SecretName, service: Option<&ServiceId>, credential: Option<&str>) -> String {
    let flag = |flag: &str, value: Option<&str>| value.map(|value| format!(" --{flag} {}", shell_word(value)));
    let flags = [flag("service", service.map(ServiceId::as_str)), flag("credential", credential)];
    format!("secrets {verb} {}{}", shell_word(name.as_str()), flags.map(Option::unwrap_or_default).concat())
}

fn revoked(count: usize) -> Answer {
    let message = format!("{} revoked", counted(count as u64, "lease"));
    control::Revoked { success: true, leases_revoked: count as u64, message }.into()
}

impl Desk {
    fn add(&self, add: control::AddSecret) -> Outcome {
        if let Some(bare) = add.name.as_str().strip_prefix('-') {
            // Those that there are go on working, behind a `--`.
            let fix = format!("secrets add {}", shell_word(bare.trim_start_matches('-')));
            let message = "a new name cannot begin with `-`, which programs take for a flag";
            return Err(Failure::new(FailureCode::InvalidParams, message).with_fix(fix));
        }
        let (raw, plan) = (raw(add.raw).unwrap_or_default(), plan(&add));
        let again = again("add", &add.name, add.service.as_ref(), add.credential.as_deref());
        let easy = add.easy.map(easy_service).transpose()?;
        let binding = self.binding(add.service, add.credential, &again)?;
        let value = add.value.into_secret();
        let new = NewValue { name: add.name, value, rotate_via: add.rotate_via, binding, raw, plan };
        let added = match &easy {
            Some(easy) => self.broker.add_easy(new, easy),
            None => self.broker.add(new),
        };
        let added = added.map_err(|error| value_failure(error, &again))?;
        let message = match &added.record.binding {
            Some(binding) => format!("secret `{}` is stored for service `{}`", added.record.name, binding.service),
            None => format!("secret `{}` is stored; it belongs to no service yet", added.record.name),
        };
        Ok(stored(added, message))
    }

    fn update(&self, update: control::UpdateSecret) -> Outcome {
        let mut change = match update.hook() {
            HookChange::Clear => SecretChange::new().rotate_via(None),
            HookChange::Keep => SecretChange::new(),
            HookChange::Set(hook) => SecretChange::new().rotate_via(Some(hook)),
        };
        change = change_plan(change, &update);
        if let Some(value) = update.value {
            change = change.value(value.into_secret());
        }
        if let Some(raw) = raw(update.raw) {
            change = change.raw(raw);
        }
        let again = again("update", &update.name, update.service.as_ref(), update.credential.as_deref());
        let easy = update.easy.map(easy_service).transpose()?;
        let binding = self.binding(update.service, update.credential, &again)?;
        let updated = match &easy {
            Some(easy) => self.broker.update_easy(&update.name, change, easy),
            None => self.broker.update(&update.name, change, binding.as_ref()),
        };
        let message = format!("secret `{}` is updated", update.name);
        updated.map(|updated| stored(updated, message)).map_err(|error| value_failure(error, &again))
    }

    /// A service named by id or alias; a service with one credential needs no credential named. `again` is the command
    /// that asked.
    fn binding(
        &self,
        service: Option<ServiceId>,
        credential: Option<String>,
        again: &str,
    ) -> Result<Option<Binding>, Failure> {
        let Some(asked) = service else { return Ok(None) };
        super::look_at_policies(&self.broker); // a file that was written a moment ago counts
        let policy = self.broker.policy();
        let unknown = || {
            let no_service = Failure::new(FailureCode::Policy, format!("no service has the id `{asked}`"));
            match self.broker.live_policy().status().failure {
                None => no_service.with_fix("secrets policy list"),
                Some(_) => no_service.with_fix("secrets policy check"),
            }
        };
        let service = policy.find_service(asked.as_str()).ok_or_else(unknown)?;
        let credential = match (credential, service.credentials()) {
            (Some(credential), _) => credential,
            (None, [only]) => only.name().to_owned(),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(policy::Credential::name).collect();
                let message = format!("service `{asked}` has several credentials: `{}`", names.join("`, `"));
                let fix = format!("{again} --credential {}", shell_word(names.first().unwrap_or(&"")));
                return Err(Failure::new(FailureCode::InvalidParams, message).with_fix(fix));
            }
        };
        Ok(Some(Binding { service: service.id().clone(), credential: credential.into() }))
    }

    fn delete(&self, delete: &control::DeleteSecret) -> Outcome {
        let Removed { leases, left } = self.broker.remove(&delete.name).map_err(failure)?;
        let deleted = format!("secret `{}` is deleted; {} ended", delete.name, counted(leases as u64, "lease"));
        let kept = left.kept.iter().map(|path| {
            format!(
                "`{}` is written or edited by hand and stays: it grants the next secret of that name",
                path.display()
            )
        });
        let failed = left.failed.iter().map(|(path, why)| {
            format!("`{}` grants the next secret of that name and cannot be removed: {why}", path.display())
        });
        let message = std::iter::once(deleted).chain(kept).chain(failed).collect::<Vec<_>>().join("; ");
        let failed = left.failed.into_iter().map(|(path, _)| path);
        let kept = left.kept.into_iter().chain(failed).collect();
        Ok(control::Deleted { success: true, message, removed: left.removed, kept }.into())
    }

    /// What a hook does is the operator's business: an agent sees that there is one.
    fn list(&self, authority: Authority) -> control::SecretList {
        let hook = |hook: &String| match authority {
            Authority::Agent(_) => "(not shown inside a session)".to_owned(),
            Authority::Operator => hook.clone(),
        };
        let leases = self.broker.leases().list();
        let entry = |record: &Arc<SecretRecord>| {
            let health = self.broker.rotation_health(record);
            control::SecretEntry {
                name: record.name.clone(),
                created_at: record.created_at,
                updated_at: record.updated_at,
                rotate_via: record.rotate_via.as_ref().map(hook),
                last_rotated: record.last_rotated,
                active_leases: leases.iter().filter(|lease| lease.secret == record.name).count() as u64,
                service: record.binding.as_ref().map(|b| b.service.clone()),
                credential: record.binding.as_ref().map(|b| b.credential.to_string()),
                raw: (record.raw == RawReveal::Deny).then_some(control::RawAccess::Deny),
                rotate_every: record.plan.every,
                expires_at: record.expires_at,
                rotation_failures: health.failures,
                rotation_error: health.error,
                next_rotation: health.next_attempt,
            }
        };
        control::SecretList { secrets: self.broker.store().list().iter().map(entry).collect() }
    }

    fn reveal(&self, lease: &control::LeaseSecret) -> Outcome {
        let revealed = self.broker.reveal(&lease.secret_name, &lease.client_id, None, lease.ttl);
        let again = again("lease", &lease.secret_name, None, None);
        let revealed = revealed.map_err(|error| ask_failure(error, &again))?;
        Ok(control::Leased {
            lease_id: revealed.lease.id,
            value: control::WireValue::new(revealed.value),
            expires_at: revealed.lease.deadline.wall(),
            ttl: Some(whole(&revealed.lease)),
        }
        .into())
    }

    fn token(&self, lease: &control::LeaseToken) -> Outcome {
        let asked = Asked { ttl: lease.ttl, environment: lease.environment.as_ref(), less: &lease.narrow_to };
        let issued = self.broker.issue_token(&lease.secret_name, &lease.client_id, None, &asked);
        let again = again("lease", &lease.secret_name, None, None) + " --token";
        let issued = issued.map_err(|error| ask_failure(error, &again))?;
        Ok(control::TokenLeased {
            lease_id: issued.lease.id,
            token: (&issued.token).into(),
            expires_at: issued.lease.deadline.wall(),
            ttl: Some(whole(&issued.lease)),
            replaces: issued.replaced,
            client_id: None,
            env: variables(issued.env, &lease.secret_name),
            beside: issued.beside,
            hosts: issued.hosts,
        }
        .into())
    }

    fn revoke(&self, revoke: &control::Revoke) -> Outcome {
        let count = match revoke {
            control::Revoke::Client(client) => self.broker.revoke_client(client),
            control::Revoke::Namespace(namespace) => self.broker.revoke_namespace(namespace),
            control::Revoke::Secret(secret) => self.broker.revoke_secret(secret),
            control::Revoke::Session(session) => self.broker.revoke_session(*session),
        };
        count.map(revoked).map_err(failure)
    }

    fn audit_tail(&self, tail: u64) -> Outcome {
        let count = if tail == 0 { 100 } else { tail };
        let filter = audit::Filter::default();
        self.broker.audit().flush().map_err(|error| failure(error.into()))?;
        let read = audit::tail(&self.home.audit(), &filter, usize::try_from(count).unwrap_or(usize::MAX));
        let lines = read.map_err(|error| failure(error.into()))?;
        let entries = lines.into_iter().filter_map(|line| match line.content {
            audit::Content::Record(record) => Some(control::AuditEntry {
                timestamp: record.timestamp,
                action: record.action,
                secret_name: record.secret_name,
                client_id: record.client_id,
                lease_id: record.lease_id.and_then(|id| id.parse().ok()),
                details: record.details,
                success: record.success,
            }),
            audit::Content::Damaged(_) => None,
        });
        Ok(control::AuditEntries { entries: entries.collect() }.into())
    }

    /// The sessions that a caller is shown: an agent its own only.
    fn open_sessions(&self, authority: Authority) -> Vec<control::OpenedSession> {
        let is_shown = |session: &Arc<Session>| match authority {
            Authority::Agent(own) => own == Some(session.id()),
            Authority::Operator => true,
        };
        let mut shown = self.broker.sessions();
        shown.retain(is_shown);
        shown.sort_by(|one, other| one.client().cmp(other.client()));
        let entry = |session: &Arc<Session>| control::OpenedSession {
            session_id: session.id(),
            client_id: session.client().clone(),
            project: session.project().map(Path::to_owned),
            environment: session.environment().cloned(),
        };
        shown.iter().map(entry).collect()
    }

    fn status(&self, authority: Authority) -> control::Status {
        let policy = self.broker.live_policy().status();
        control::Status {
            running: true,
            started_at: self.broker.started_at(),
            secrets_count: self.broker.store().list().len() as u64,
            active_leases: self.broker.leases().list().len() as u64,
            heartbeat: Some(self.heartbeat()),
            store_state: Some("loaded".to_owned()),
            store_warning: self.store_warning.clone(),
            sessions: self.broker.session_count() as u64,
            open_sessions: self.open_sessions(authority),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            proxy_addr: self.proxy_address.to_string(),
            audit_healthy: self.broker.audit().is_healthy(),
            policy_faults: policy.failure.as_ref().map(faults).unwrap_or_default(),
            kill: Some(self.kill_state()),
            notices: Some(self.notices()),
        }
    }
}

/// How long a lease lives in all.
pub(super) fn whole(lease: &Lease) -> TimeToLive {
    TimeToLive::new(lease.deadline.wall().since(lease.created_at))
}

fn raw(asked: Option<control::RawAccess>) -> Option<RawReveal> {
    asked.map(|raw| match raw {
        control::RawAccess::Allow => RawReveal::Allow,
        control::RawAccess::Deny => RawReveal::Deny,
    })
}
