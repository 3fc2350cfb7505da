//! `secrets revoke`: ends leases, and with them every live exchange that uses them.

use clap::Args;
use serde_json::json;

use super::add::safe;
use crate::cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report};
use crate::{
    base::{ClientId, Namespace, SecretName, SessionId},
    control::{Revoke, RevokeAll, RevokeLease, Revoked},
};

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Arguments {
    /// The lease to end
    lease_id: Option<String>,
    /// End every lease
    #[arg(long)]
    all: bool,
    /// End the leases of this client
    #[arg(long, value_name = "ID")]
    client: Option<ClientId>,
    /// End the leases of all secrets in this namespace: prod for prod/github
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<Namespace>,
    /// End the leases of this secret
    #[arg(long, value_name = "NAME")]
    secret: Option<SecretName>,
    /// End the leases of this session
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let next = vec![NextAction::new("secrets status", "See what is still leased")];
    if let Some(lease_id) = arguments.lease_id.clone() {
        let done = context.call(RevokeLease { lease_id: lease_id.clone() }, None).await?;
        let result = json!({"lease_id": lease_id, "message": done.message});
        return Ok(Outcome::Shown { result, human: safe(&done.message), next });
    }
    let by = arguments.client.clone().map(Revoke::Client);
    let by = by.or_else(|| arguments.secret.clone().map(Revoke::Secret));
    let by = by.or_else(|| arguments.namespace.clone().map(Revoke::Namespace));
    let by = by.or_else(|| arguments.session.map(Revoke::Session));
    let Revoked { leases_revoked, message, .. } = match by {
        Some(by) => context.call(by, arguments.secret.as_ref()).await?,
        None => context.call(RevokeAll {}, None).await?,
    };
    let result = json!({"leases_revoked": leases_revoked, "message": message});
    Ok(Outcome::Shown { result, human: safe(&message), next })
}
