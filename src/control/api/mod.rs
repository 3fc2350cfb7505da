//! The contract: every method of the control socket with its parameters and its result, as types.
//!
//! Invariant: both ends use these types, so that what one writes the other reads; the methods of agent-secrets take
//! unknown parameters in silence as the original does, ours refuse them.

mod approvals;
mod daemon;
mod kill;
mod limits;
mod note;
mod policy;
mod rotation;
mod secrets;
mod session;
mod value;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

pub use approvals::{
    AllowApproval, ApprovalEntry, ApprovalList, AskingCapability, DenyApproval, ListApprovals, NeedEntry,
    NeededCapability, NeededGrant, ShowApproval, ShownField, WaitApprovals,
};
pub use daemon::{
    AuditEntries, AuditEntry, AuditTail, Certificate, FlushAudit, Health, HealthQuery, HealthWarning, Heartbeat,
    Notices, OpenedSession, Ping, Pong, RestartAccepted, RestartDaemon, ShowCa, Status, StatusQuery, StopDaemon,
};
pub use kill::{
    HeartbeatQuery, HeartbeatStatus, HeartbeatTested, Kill, KillStep, Killed, ResetKill, TestHeartbeat, TripKill,
};
pub use limits::{LimitEntry, LimitList, ListLimits};
pub use note::{Note, RefusedChange};
pub use policy::{
    AcceptProposal, AskedBody, AskedField, BodyVerdict, CapabilityEntry, CheckProject, EasyBinding, EasyPlace,
    ExplainPolicy, Explanation, FieldVerdict, GrantEntry, LayerVerdict, ListPolicy, PolicyFault, PolicyList,
    PolicyReloaded, PriceEntry, ProposalAccepted, ReloadPolicy, ServiceEntry,
};
pub use rotation::{RotateSecret, Rotated, RotationEntry, RotationsRun, RunRotations, Schedule, Which};
pub use secrets::{
    AddSecret, DeleteSecret, Deleted, Done, GetSecret, HookChange, InitStore, LeaseSecret, Leased, ListSecrets,
    RawAccess, RevokeAll, RevokeLease, Revoked, SecretEntry, SecretList, Stored, UpdateSecret,
};
pub use session::{
    LeaseToken, OpenSession, Revoke, SessionLease, SessionOpened, SessionSecret, SessionValue, TokenLeased,
};
pub use value::{WireToken, WireValue};

use super::failure::{Failure, FailureCode};
use crate::base::empty_is_none;

/// A request type: names its method and the type of its result.
pub trait Method: Serialize + DeserializeOwned + Into<Call> + Send {
    /// The method as it is written on the socket.
    const NAME: &'static str;
    /// What a success answers with.
    type Answer: DeserializeOwned;
}

macro_rules! methods {
    ($( $name:literal $request:ident => $answer:ty; )*) => {
        /// One call, already parsed: a variant per method, named as its request type.
        #[derive(Clone, Debug)]
        #[expect(missing_docs, reason = "each variant holds the type that says it")]
        pub enum Call { $( $request($request), )* }

        impl Call {
            /// Every method that the socket knows.
            pub const METHODS: &[&str] = &[$($name),*];

            /// The method as it is written on the socket.
            pub const fn method(&self) -> &'static str {
                match self { $( Self::$request(_) => $name, )* }
            }

            /// Reads the parameters of a method; the sender's fault when it fails.
            pub(super) fn decode(method: &str, params: Option<&RawValue>) -> Result<Self, Failure> {
                match method {
                    $( $name => parameters::<$request>(method, params).map(Self::$request), )*
                    unknown => Err(unknown_method(unknown)),
                }
            }
        }

        $(
            impl Method for $request {
                const NAME: &'static str = $name;
                type Answer = $answer;
            }

            impl From<$request> for Call {
                fn from(request: $request) -> Self {
                    Self::$request(request)
                }
            }
        )*
    };
}

methods! {
    "secrets.init" InitStore => Done;
    "secrets.add" AddSecret => Stored;
    "secrets.update" UpdateSecret => Stored;
    "secrets.get" GetSecret => Done;
    "secrets.delete" DeleteSecret => Deleted;
    "secrets.list" ListSecrets => SecretList;
    "secrets.lease" LeaseSecret => Leased;
    "secrets.revoke" RevokeLease => Done;
    "secrets.revokeAll" RevokeAll => Revoked;
    "secrets.rotate" RotateSecret => Rotated;
    "secrets.audit" AuditTail => AuditEntries;
    "secrets.status" StatusQuery => Status;
    "secrets.health" HealthQuery => Health;
    "daemon.restart" RestartDaemon => RestartAccepted;
    "rotation.run" RunRotations => RotationsRun;
    "session.open" OpenSession => SessionOpened;
    "lease.token" LeaseToken => TokenLeased;
    "revoke" Revoke => Revoked;
    "kill.trip" TripKill => Killed;
    "kill.reset" ResetKill => Done;
    "heartbeat.status" HeartbeatQuery => HeartbeatStatus;
    "heartbeat.test" TestHeartbeat => HeartbeatTested;
    "policy.explain" ExplainPolicy => Explanation;
    "policy.project" CheckProject => Done;
    "policy.list" ListPolicy => PolicyList;
    "policy.reload" ReloadPolicy => PolicyReloaded;
    "policy.accept" AcceptProposal => ProposalAccepted;
    "limits.list" ListLimits => LimitList;
    "approvals.list" ListApprovals => ApprovalList;
    "approvals.show" ShowApproval => ApprovalEntry;
    "approvals.allow" AllowApproval => Done;
    "approvals.deny" DenyApproval => Done;
    "approvals.wait" WaitApprovals => ApprovalList;
    "ca.show" ShowCa => Certificate;
    "audit.flush" FlushAudit => Done;
    "audit.note" Note => Done;
    "daemon.ping" Ping => Pong;
    "daemon.stop" StopDaemon => Done;
}

macro_rules! answers {
    ($( $answer:ident, )*) => {
        /// What a success answers with: a variant per result type, so that `Ok(thing.into())` is enough.
        #[derive(Clone, Debug, Serialize)]
        #[serde(untagged)]
        #[expect(missing_docs, reason = "each variant holds the type that says it")]
        pub enum Answer { $( $answer($answer), )* }

        $(
            impl From<$answer> for Answer {
                fn from(answer: $answer) -> Self {
                    Self::$answer(answer)
                }
            }
        )*
    };
}

answers! {
    ApprovalEntry, ApprovalList, AuditEntries, Certificate, Deleted, Done, Explanation, Health, HeartbeatStatus, HeartbeatTested,
    Killed, Leased, LimitList, PolicyList, PolicyReloaded, Pong, ProposalAccepted, RestartAccepted, Revoked, Rotated,
    RotationsRun, SecretList, SessionOpened, Status, Stored, TokenLeased,
}

/// The longest echo of a name that the sender chose.
const SHOWN: usize = 60;

fn unknown_method(method: &str) -> Failure {
    let shown: String = method.chars().take(SHOWN).flat_map(char::escape_default).collect();
    Failure::new(FailureCode::MethodNotFound, format!("`{shown}` is not a method of this socket"))
}

/// Missing, `null`, `{}` and `[]` are the same to a method that takes nothing.
fn parameters<T: DeserializeOwned>(method: &str, params: Option<&RawValue>) -> Result<T, Failure> {
    let text = params.map_or("{}", RawValue::get);
    let text = if matches!(text, "null" | "[]") { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        let why = without_values(&error.to_string());
        Failure::new(FailureCode::InvalidParams, format!("the parameters of `{method}` are not usable: {why}"))
    })
}

/// What the JSON reader says, without what it quotes: `invalid type: string "hunter2", expected …` holds a value.
pub(super) fn without_values(message: &str) -> String {
    for kind in ["invalid type: ", "invalid value: "] {
        if message.starts_with(kind) {
            let expected = message.rfind(", expected ").and_then(|at| message.get(at..)).unwrap_or("");
            return format!("{}{expected}", kind.trim_end_matches(": "));
        }
    }
    message.to_owned()
}

/// Requests without parameters; they tolerate any unless told otherwise.
macro_rules! empty_request {
    ($( $(#[$doc:meta])* $name:ident; )*) => {
        $(
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
            $(#[$doc])*
            pub struct $name {}
        )*
    };
}
use empty_request;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(method: &str, params: &str) -> Result<Call, Failure> {
        Call::decode(method, Some(&RawValue::from_string(params.to_owned()).unwrap()))
    }

    #[test]
    fn agent_secrets_methods_tolerate_and_ours_refuse_unknown_parameters() {
        assert!(decode("secrets.add", r#"{"name":"a","value":"v","namespace":"default"}"#).is_ok());
        assert!(decode("secrets.status", r#"{"verbose":true}"#).is_ok());
        let error = decode("lease.token", r#"{"secret_name":"a","client_id":"c","scope":"x"}"#).unwrap_err();
        assert_eq!(error.code, FailureCode::InvalidParams);
        assert!(error.message.contains("unknown field `scope`"), "{}", error.message);
    }

    #[test]
    fn nothing_null_and_empty_are_no_parameters() {
        assert!(Call::decode("secrets.list", None).is_ok());
        for params in ["null", "[]", "{}"] {
            assert!(decode("secrets.list", params).is_ok(), "{params}");
        }
    }

    #[test]
    fn errors_about_parameters_hold_no_values() {
        for params in [
            r#"{"name":"a","value":12345}"#,
            r#"{"name":"a","value":["hunter2"]}"#,
            r#"{"name":"a","value":{"base64":"hunter2!"}}"#,
            r#"{"name":"a","value":{"hunter2":1}}"#,
            r#"{"name":"a","value":true}"#,
            r#""hunter2""#,
        ] {
            let message = decode("secrets.add", params).unwrap_err().message;
            assert!(!message.contains("hunter2") && !message.contains("12345"), "{message}");
            assert!(message.contains("secrets.add"), "{message}");
        }
    }

    #[test]
    fn an_unknown_method_is_quoted_cut_and_escaped() {
        let message = Call::decode(&format!("\u{1b}[31m{}", "x".repeat(500)), None).unwrap_err().message;
        assert!(!message.contains('\u{1b}') && message.len() < 200, "{message}");
    }
}
