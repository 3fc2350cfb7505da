//! What happened and how it ended, as the words of the audit log.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $type {
            /// Every word, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The word that reads like this, if there is one.
            pub fn find(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// What happened. Words never change their meaning; new ones may be added. Those of agent-secrets keep theirs.
    Action {
        /// A person let a held request pass, or an earlier answer does; `details` begins with the approval's id.
        ApprovalAllowed = "approval_allowed",
        /// A request is held until a person answers; `details` is the approval's id, how long it waits, and what is bound.
        ApprovalAsked = "approval_asked",
        /// A person allowed a held request that more people must allow; `details` begins with the approval's id, and how
        /// many of how many have.
        ApprovalCounted = "approval_counted",
        /// A person denied a held request.
        ApprovalDenied = "approval_denied",
        /// Nobody answered in time.
        ApprovalExpired = "approval_expired",
        /// The held request went away before anybody answered: its client, its lease, or the daemon.
        ApprovalWithdrawn = "approval_withdrawn",
        /// A signature over everything before it: `details` is public key and signature.
        AuditCheckpoint = "audit_checkpoint",
        /// The key that signs for the log was made: `details` is its public counterpart.
        AuditKeyCreate = "audit_key_create",
        /// The signed note of the newest line was gone, or not ours, when the log was opened: lines may have been cut.
        AuditNoteLost = "audit_note_lost",
        /// The log itself: a torn tail was cut, requests were closed, or events could not be written for a while.
        AuditRecovered = "audit_recovered",
        /// A process inside a session asked for what is not its to ask; `details` is the method.
        CallRefused = "call_refused",
        /// A certificate authority was made.
        CaCreate = "ca_create",
        /// Env files whose time was over were removed.
        Cleanup = "cleanup",
        /// A connection ended before it carried a request: TLS trouble, a foreign SNI.
        ConnectionRefused = "connection_refused",
        /// The daemon was asked to make way for the next one.
        DaemonRestart = "daemon_restart",
        /// The daemon serves. Written before the first request, after the log was recovered.
        DaemonStart = "daemon_start",
        /// The daemon stops.
        DaemonStop = "daemon_stop",
        /// An agent asked the proxy itself what it may do.
        Discovery = "discovery",
        /// An env file was written.
        EnvWrite = "env_write",
        /// A heartbeat was missed.
        HeartbeatFail = "heartbeat_fail",
        /// The heartbeat is back after misses.
        HeartbeatRecovered = "heartbeat_recovered",
        /// A step of the kill switch: `details` begins with `latch`, `revoke_all`, `cut`, `keep`, `rotate_all`, `wipe_store`
        /// or `reset`.
        Killswitch = "killswitch",
        /// A lease was issued.
        LeaseAcquire = "lease_acquire",
        /// A lease's time ran out.
        LeaseExpire = "lease_expire",
        /// A lease made way for a new one of the same client and secret.
        LeaseReplace = "lease_replace",
        /// A lease was revoked.
        LeaseRevoke = "lease_revoke",
        /// The log goes on in a new file, or after lines that are missing; `details` says why.
        LogContinued = "log_continued",
        /// The oldest files of the log are removed because the settings keep no more; `details` says up to which line.
        LogRemove = "log_remove",
        /// What an agent asked for is not before a person any more; `details` is its id and why.
        NeedEnded = "need_ended",
        /// An agent asked for what no grant gives it; `details` is its id. It gives nothing.
        NeedSent = "need_sent",
        /// Services or grants were changed through us.
        PolicyChange = "policy_change",
        /// Changed policy files are in force.
        PolicyReload = "policy_reload",
        /// Changed policy files were refused; the old ones stay in force.
        PolicyReloadFailed = "policy_reload_failed",
        /// Raw values were fetched from an outside keeper of variables.
        ProviderPull = "provider_pull",
        /// A request was allowed; its credential exists only after this line was accepted.
        RequestBegun = "request_begun",
        /// That request is over; exactly one line for each that began.
        RequestEnded = "request_ended",
        /// A request was refused.
        RequestRefused = "request_refused",
        /// All leases were revoked.
        RevokeAll = "revoke_all",
        /// A rotation hook is about to run.
        RotationBegun = "rotation_begun",
        /// A rotated value is about to be tried at its service; the credential exists only after this line was accepted.
        RotationCheck = "rotation_check",
        /// A rotated value is known to work, and the one before it is gone; or it may be taken for that.
        RotationSettled = "rotation_settled",
        /// A rotated value does not work, and the one before it is back.
        RotationUndone = "rotation_undone",
        /// Files were scanned for secrets.
        Scan = "scan",
        /// A secret was added.
        SecretAdd = "secret_add",
        /// A secret was deleted.
        SecretDelete = "secret_delete",
        /// A raw value was handed to a person or process.
        SecretReveal = "secret_reveal",
        /// A rotation hook has run, and its value is in use, or the old one stays; the outcome says which.
        SecretRotate = "secret_rotate",
        /// A secret's value or metadata was changed.
        SecretUpdate = "secret_update",
        /// A session ended.
        SessionEnd = "session_end",
        /// A session was opened.
        SessionOpen = "session_open",
        /// An untouched tunnel was opened.
        TunnelBegun = "tunnel_begun",
        /// That tunnel is closed.
        TunnelEnded = "tunnel_ended",
        /// A tunnel was refused.
        TunnelRefused = "tunnel_refused",
    }
);

words!(
    /// How it ended.
    Outcome {
        /// The client went away, or the exchange was dropped.
        Aborted = "aborted",
        /// We cut it: expiry, revocation, kill switch; the event's `reason` says which.
        Cut = "cut",
        /// It could not be done: upstream, network, disk.
        Failed = "failed",
        /// It ran to its end, whatever the status was.
        Ok = "ok",
        /// We did not let it happen; the event's `code` says why.
        Refused = "refused",
        /// The daemon ended in the middle of it; nobody knows.
        Unknown = "unknown",
    }
);

/// What an action means for a request that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Begins,
    Ends,
    Other,
}

impl Action {
    pub(super) const fn phase(self) -> Phase {
        match self {
            Self::RequestBegun | Self::TunnelBegun => Phase::Begins,
            Self::RequestEnded | Self::TunnelEnded | Self::RequestRefused | Self::TunnelRefused => Phase::Ends,
            _ => Phase::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_once_and_read_back() {
        for action in Action::ALL {
            assert_eq!(Action::find(action.as_str()), Some(*action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
        assert_eq!(Action::find("no_such_word"), None);
        assert_eq!(Outcome::find("unknown"), Some(Outcome::Unknown));
    }
}
