//! The stable codes of refusals: what a program may match on, in answers and in the audit log alike.

use serde::{Deserialize, Serialize};

/// Why a request was refused. Codes never change their meaning; new ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalCode {
    /// The address that the host resolved to may not be dialled.
    AddressDenied,
    /// A person was asked, and said no.
    ApprovalDenied,
    /// The audit log cannot take the record.
    AuditUnavailable,
    /// CONNECT, SNI, `Host` and target do not name one authority.
    AuthorityMismatch,
    /// The request is malformed or ambiguous.
    BadRequest,
    /// The body is longer than the rules for the request allow, or than they look into.
    BodyTooLarge,
    /// No capability of the grant allows it.
    CapDenied,
    /// The credential cannot be had or cannot be written at its place.
    CredentialUnavailable,
    /// The daemon is stopping.
    Draining,
    /// The lease's time ran out.
    Expired,
    /// A credential that is no lease stands where a lease belongs.
    ForeignCredential,
    /// The policy denies this host.
    HostDenied,
    /// The answer would carry a fresh credential, which no agent is given.
    IssueRefused,
    /// The kill switch is tripped.
    Killed,
    /// A limit of the grant is reached.
    Limit,
    /// The request came back to the proxy itself.
    Loop,
    /// The method is never forwarded.
    MethodDenied,
    /// What an agent says that it needs, it has.
    NeedMet,
    /// What an agent says that it needs is no capability of any service.
    NeedUnknown,
    /// The policy asks a person first.
    NeedsApproval,
    /// No grant covers this lease, host and client any more.
    NoGrant,
    /// The request carries no lease where the service wants one.
    NoLease,
    /// The service needs something that is not built yet.
    NotYet,
    /// The proxy itself has nothing at this path.
    NotFound,
    /// A parameter of the request lies outside the grant's `only`.
    OutOfScope,
    /// The proxy's own credentials are missing or wrong.
    ProxyAuthRequired,
    /// The lease was revoked.
    Revoked,
    /// A lease token stands outside its listed place, or is on its way to a host that is not its own.
    StrayLease,
    /// The head exceeds a bound.
    TooLarge,
    /// The lease's session has ended, or the lease belongs to another session.
    TokenForeignSession,
    /// Looks like a lease token, and is none that lives.
    TokenUnknown,
    /// The upstream cannot be reached or broke off.
    UpstreamFailed,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The upstream's certificate or handshake is not acceptable.
    UpstreamTls,
}

impl RefusalCode {
    /// The code as it is written: lower-case words joined by `_`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressDenied => "address_denied",
            Self::ApprovalDenied => "approval_denied",
            Self::AuditUnavailable => "audit_unavailable",
            Self::AuthorityMismatch => "authority_mismatch",
            Self::BadRequest => "bad_request",
            Self::BodyTooLarge => "body_too_large",
            Self::CapDenied => "cap_denied",
            Self::CredentialUnavailable => "credential_unavailable",
            Self::Draining => "draining",
            Self::Expired => "expired",
            Self::ForeignCredential => "foreign_credential",
            Self::HostDenied => "host_denied",
            Self::IssueRefused => "issue_refused",
            Self::Killed => "killed",
            Self::Limit => "limit",
            Self::Loop => "loop",
            Self::MethodDenied => "method_denied",
            Self::NeedMet => "need_met",
            Self::NeedUnknown => "need_unknown",
            Self::NeedsApproval => "needs_approval",
            Self::NoGrant => "no_grant",
            Self::NoLease => "no_lease",
            Self::NotYet => "not_yet",
            Self::NotFound => "not_found",
            Self::OutOfScope => "out_of_scope",
            Self::ProxyAuthRequired => "proxy_auth_required",
            Self::Revoked => "revoked",
            Self::StrayLease => "stray_lease",
            Self::TooLarge => "too_large",
            Self::TokenForeignSession => "token_foreign_session",
            Self::TokenUnknown => "token_unknown",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamTls => "upstream_tls",
        }
    }
}

impl std::fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_code_and_the_serialized_code_agree() {
        for code in [RefusalCode::StrayLease, RefusalCode::UpstreamTls, RefusalCode::TokenForeignSession] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
