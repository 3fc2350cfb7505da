//! The control plane's calls about approvals. They are a person's: what is inside a session never gets here.

use std::{sync::Arc, time::Duration};

use super::{
    service::{Desk, Outcome},
    translate::failure,
};
use crate::{
    base::{TimeToLive, blocking, harmless},
    broker::{self, Answer, Answerer, Entry, Notified},
    control::{self, ApprovalEntry, AskingCapability, Connection, Failure, FailureCode, Peer, ShownField},
    policy::Remember,
};

/// The longest that one call waits for a change.
const LONGEST_WAIT: u64 = 30;

impl Desk {
    pub(super) fn list_approvals(&self) -> control::ApprovalList {
        let (version, waiting) = self.broker.approvals();
        let needs = self.broker.needs();
        control::ApprovalList {
            version,
            approvals: waiting.iter().map(shown).collect(),
            needs: needs.iter().map(|(need, cure)| self.needed(need, cure)).collect(),
        }
    }

    pub(super) fn show_approval(&self, id: &str) -> Outcome {
        let entry = self.broker.approval(id).map_err(|error| failure(error.into()))?;
        Ok(shown(&entry).into())
    }

    pub(super) fn allow_approval(&self, peer: &Peer, allow: control::AllowApproval) -> Outcome {
        let again = format!("secrets approvals allow {}", crate::base::shell_word(&allow.id));
        let remember = match allow.remember.as_deref() {
            None | Some("never") => Remember::Never,
            Some("session") => Remember::Session,
            Some(text) => Remember::For(text.parse::<TimeToLive>().map_err(|error| {
                Failure::new(FailureCode::InvalidParams, error.to_string()).with_fix(format!("{again} --remember 10m"))
            })?),
        };
        let by = answerer(peer, allow.client_id);
        let entry = self.broker.answer_approval(&allow.id, Answer::Allow(remember), &by).map_err(failure)?;
        let (which, who) = (format!("`{}` of `{}`", entry.id, entry.ask.client), entry.names());
        let message = if entry.missing() == 0 {
            format!("{which} is allowed by {who}")
        } else {
            format!("{which} waits for another person: {} people allow it, {who}", entry.tally())
        };
        Ok(control::Done::new(message).into())
    }

    pub(super) fn deny_approval(&self, peer: &Peer, deny: control::DenyApproval) -> Outcome {
        let by = answerer(peer, deny.client_id);
        if let Some(need) = self.broker.dismiss_need(&deny.id, &by).map_err(failure)? {
            let message =
                format!("the need `{}` of `{}` is dismissed by {}", need.id, need.session.client(), by.name());
            return Ok(control::Done::new(message).into());
        }
        let entry = self.broker.answer_approval(&deny.id, Answer::Deny, &by).map_err(failure)?;
        Ok(control::Done::new(format!("`{}` of `{}` is denied by {}", entry.id, entry.ask.client, by.name())).into())
    }

    pub(super) fn notices(&self) -> control::Notices {
        match self.broker.notified() {
            Notified::Off => control::Notices::Off,
            Notified::Nobody => control::Notices::None,
            Notified::By(program) => control::Notices::By(program.display().to_string()),
            Notified::Missing(program) => control::Notices::Missing(program.to_string_lossy().into_owned()),
        }
    }

    /// Waits for another list, for some time, and never longer than the caller or the daemon is there.
    pub(super) async fn wait_approvals(&self, connection: &Connection, wait: control::WaitApprovals) -> Outcome {
        let (closed, stop) = (connection.closed(), self.stop.watch());
        tokio::select! {
            () = self.broker.approvals_after(wait.version) => {}
            () = tokio::time::sleep(Duration::from_secs(wait.seconds.min(LONGEST_WAIT))) => {}
            _ = closed.wait() => {}
            _ = stop.wait() => {}
        }
        Ok(self.list_approvals().into())
    }
}

fn answerer(peer: &Peer, client: Option<crate::base::ClientId>) -> Answerer {
    let user = blocking(|| peer.user_name()).map(|name| harmless(&name));
    Answerer { uid: peer.uid, user, pid: peer.pid, client }
}

fn shown(entry: &Arc<Entry>) -> ApprovalEntry {
    let field = |(name, value): &(String, String)| ShownField { name: name.clone(), value: value.clone() };
    let broker::Ask { asks, .. } = &entry.ask;
    let ask = &entry.ask;
    ApprovalEntry {
        id: entry.id.clone(),
        client_id: ask.client.clone(),
        session_id: ask.session,
        project: ask.project.clone(),
        request_id: ask.request,
        lease_id: ask.lease,
        capabilities: asks
            .iter()
            .map(|(service, asking)| AskingCapability {
                service: service.clone(),
                name: asking.capability.to_string(),
                about: harmless(&asking.about),
                risk: asking.risk.to_string(),
                params: asking
                    .params
                    .iter()
                    .map(|(name, value)| ShownField { name: harmless(name), value: harmless(value) })
                    .collect(),
            })
            .collect(),
        method: ask.method.clone(),
        origin: ask.origin.clone(),
        target: ask.target.clone(),
        shown: ask.shown.iter().map(field).collect(),
        body_bytes: ask.body_len as u64,
        body: ask.preview.clone(),
        sha256: ask.hash.clone(),
        remember: match ask.longest() {
            Remember::Never => "never".to_owned(),
            Remember::Session => "session".to_owned(),
            Remember::For(time) => time.to_string(),
        },
        quorum: ask.quorum() as u64,
        allowed_by: entry.allowed_by.iter().map(Answerer::name).collect(),
        asked_at: entry.asked_at,
        expires_at: entry.expires_at,
    }
}
