//! Refusals and failures: what the proxy answers a client with, and what the control plane answers a person with.

use crate::base::{CutReason, RefusalCode};

/// A request that is not forwarded, with what its client may know.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The stable code.
    pub code: RefusalCode,
    /// One sentence, without a secret.
    pub detail: String,
    /// What mends it: a command to run, or one step for whoever wrote the client.
    pub fix: String,
    /// The nearest call that would be allowed.
    pub nearest: Option<String>,
    /// How long to wait before trying again, when that is known; for codes that mean too much.
    pub retry_after: Option<std::time::Duration>,
    /// The capability of the service that the request is for, where one is known.
    pub capability: Option<Box<str>>,
}

/// Who must act so that a refused request can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client sent something wrong.
    Agent,
    /// The operator's policy says no.
    Policy,
    /// The upstream failed.
    Upstream,
    /// We cannot do our part.
    Us,
}

/// Why an exchange was cut in an emergency.
const KILLED: &str = "the kill switch was tripped, which ended the lease and the exchange";

/// What gives a command new leases.
pub(super) const AGAIN: &str = "secrets exec -- sh";

impl Refusal {
    /// A refusal with its sentence and with what mends it; there is none without.
    pub fn new(code: RefusalCode, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), fix: fix.into(), nearest: None, retry_after: None, capability: None }
    }

    /// Why a lease that was cut refuses.
    pub fn of_cut(reason: CutReason) -> Self {
        let (code, detail, fix) = match reason {
            CutReason::Drained => (RefusalCode::Draining, "the daemon is stopping", "secrets serve"),
            CutReason::Expired => (RefusalCode::Expired, "the lease has expired", AGAIN),
            CutReason::Killed => (RefusalCode::Killed, KILLED, "secrets kill --reset"),
            CutReason::Revoked => (RefusalCode::Revoked, "the lease was revoked", AGAIN),
            CutReason::SessionEnded => (RefusalCode::TokenForeignSession, "the lease's session has ended", AGAIN),
        };
        Self::new(code, detail, fix)
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self.code {
            RefusalCode::AddressDenied
            | RefusalCode::ApprovalDenied
            | RefusalCode::CapDenied
            | RefusalCode::HostDenied
            | RefusalCode::Limit
            | RefusalCode::NeedsApproval
            | RefusalCode::NoGrant
            | RefusalCode::OutOfScope => Fault::Policy,
            RefusalCode::UpstreamFailed | RefusalCode::UpstreamTimeout | RefusalCode::UpstreamTls => Fault::Upstream,
            RefusalCode::AuditUnavailable
            | RefusalCode::CredentialUnavailable
            | RefusalCode::Draining
            | RefusalCode::Killed => Fault::Us,
            _ => Fault::Agent,
        }
    }
}

/// Why a use-case of the control plane failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An answer to a held request was not taken.
    #[error(transparent)]
    Approval(#[from] super::approvals::ApprovalError),
    /// The audit log cannot take the record, so nothing was done.
    #[error("the audit log cannot take the record, so nothing was done: {0}")]
    Audit(#[from] crate::audit::Error),
    /// Project, session and lease have narrowed away every use of the secret.
    #[error("its project, session or lease gives up every use of `{0}`")]
    GivenUp(crate::base::SecretName),
    /// The kill switch is tripped.
    #[error("the kill switch is {0}; nothing is leased until the operator resets it")]
    Killed(String),
    /// The kill switch cannot be kept or reset.
    #[error(transparent)]
    KillSwitch(#[from] crate::killswitch::Error),
    /// The lease table refused.
    #[error(transparent)]
    Lease(#[from] crate::lease::Error),
    /// No such lease lives.
    #[error("no live lease has the id `{0}`")]
    LeaseUnknown(crate::base::LeaseId),
    /// No secret has a name in this namespace.
    #[error("no secret is in the namespace `{0}`")]
    NamespaceUnknown(crate::base::Namespace),
    /// A plan for a hook that is not there would be a plan for nothing.
    #[error("`{0}` would have a plan for rotation and no `--rotate-via`")]
    NoHook(crate::base::SecretName),
    /// The secret's service needs something that is not built yet, so a lease would be of no use.
    #[error("no lease of `{secret}` can be used yet: {what}")]
    NotYet {
        /// The secret.
        secret: crate::base::SecretName,
        /// What is missing.
        what: String,
    },
    /// The secret is bound to no service, so no token can stand for it.
    #[error("secret `{0}` belongs to no service, so no lease token can stand for it")]
    NoService(crate::base::SecretName),
    /// Something cannot be given up as it was written.
    #[error(transparent)]
    NotLess(#[from] crate::policy::NotLess),
    /// No grant gives this client the secret.
    #[error("no grant gives client `{client}` the secret `{secret}`{}", for_environment(environment.as_ref()))]
    NotGranted {
        /// The secret.
        secret: crate::base::SecretName,
        /// The client.
        client: crate::base::ClientId,
        /// What it was to be used on.
        environment: Option<crate::base::Environment>,
    },
    /// A session works on one environment, and its leases with it.
    #[error("this session does not work on the environment `{0}`")]
    OtherEnvironment(crate::base::Environment),
    /// The policy files cannot be loaded or written.
    #[error("{0}")]
    Policy(String),
    /// The policy files of a secret cannot be written.
    #[error(transparent)]
    PolicyFile(#[from] crate::policy::Error),
    /// Raw values of this secret are not revealed.
    #[error("raw values of `{0}` are not revealed; use a lease token")]
    RawDenied(crate::base::SecretName),
    /// The secret is not in the store.
    #[error("secret `{0}` is not in the store")]
    SecretUnknown(crate::base::SecretName),
    /// A rotation did not replace the value.
    #[error(transparent)]
    Rotation(#[from] RotationFault),
    /// The schedule asks for more than a hook can do.
    #[error("`{0}` is too often; `rotate_every` is at least 1m")]
    Schedule(crate::base::TimeToLive),
    /// The session has ended or never was.
    #[error("no session has the id `{0}`")]
    SessionUnknown(crate::base::SessionId),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The value cannot be written where its service wants it.
    #[error("the value of `{secret}` would never reach its service: {error}")]
    Unfit {
        /// The secret.
        secret: crate::base::SecretName,
        /// What its place cannot carry.
        error: crate::inject::Error,
    },
}

fn for_environment(environment: Option<&crate::base::Environment>) -> String {
    environment.map(|environment| format!(" in the environment `{environment}`")).unwrap_or_default()
}

/// Why a rotation did not replace a value, or not for good. Holds nothing that a hook printed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationFault {
    /// The secret was changed while its hook ran.
    #[error("secret `{0}` was changed while its hook ran; what the hook gave was thrown away")]
    Changed(crate::base::SecretName),
    /// The hook gave nothing usable; the old value stays.
    #[error("the value of `{name}` was not replaced: {fault}")]
    Hook {
        /// Which secret.
        name: crate::base::SecretName,
        /// What the hook did.
        fault: crate::rotation::Error,
    },
    /// The rotation ended with the daemon, or by a fault of ours.
    #[error("the rotation of `{0}` was interrupted")]
    Interrupted(crate::base::SecretName),
    /// The secret has no hook.
    #[error("secret `{0}` has no rotation hook")]
    NoHook(crate::base::SecretName),
    /// The audit log cannot take the record, so the hook was not run.
    #[error("the rotation of `{name}` cannot be recorded, so its hook was not run: {why}")]
    NotRecorded {
        /// Which secret.
        name: crate::base::SecretName,
        /// What the audit log said.
        why: String,
    },
    /// The new value is in use, from memory only.
    #[error("the new value of `{name}` is in use but is not saved yet: {why}")]
    NotSaved {
        /// Which secret.
        name: crate::base::SecretName,
        /// What the store said.
        why: String,
    },
    /// The service does not take the new value; the old one is back.
    #[error("the service answers the new value of `{name}` with {status}; the old value is back")]
    Refused {
        /// Which secret.
        name: crate::base::SecretName,
        /// The status.
        status: u16,
    },
    /// The store takes no change; the value stays as it was.
    #[error("the rotation of `{name}` cannot be saved: {why}")]
    Store {
        /// Which secret.
        name: crate::base::SecretName,
        /// What the store said.
        why: String,
    },
    /// The secret is not in the store, or not any more.
    #[error("secret `{0}` is not in the store")]
    Unknown(crate::base::SecretName),
}
