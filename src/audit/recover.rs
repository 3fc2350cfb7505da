//! Opening a log after whatever happened to it: a torn tail is cut, what had begun is closed.

use std::{fs::File, path::Path};

use super::{
    Action, AuditLog, Error, Event, Outcome, Record,
    file::{self, Tail, Torn},
};
use crate::base::{RequestId, Timestamp};

/// What opening the log had to mend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// A torn last line that was cut off and kept aside.
    pub torn: Option<Torn>,
    /// Requests and tunnels that had begun and got their end now, with outcome `unknown`.
    pub closed: Vec<RequestId>,
}

/// Opens the file, cuts a torn tail off, reads where the chain stands.
pub(super) fn recover(path: &Path, now: Timestamp) -> Result<(File, Tail, Option<Torn>), Error> {
    let mut file = file::open(path)?;
    let torn = file::cut_torn_tail(&mut file, path, now)?;
    let tail = file::read_tail(&file, path)?;
    Ok((file, tail, torn))
}

impl Recovery {
    /// Writes the ends of what began, and that the log was mended.
    pub(super) fn close(log: &AuditLog, tail: &Tail, torn: Option<Torn>) -> Result<Self, Error> {
        let mut recovery = Self { torn, closed: Vec::new() };
        for line in &tail.open {
            if let Ok(begun) = serde_json::from_slice::<Record>(line) {
                recovery.closed.extend(close(log, &begun));
            }
        }
        if recovery != Self::default() {
            let bytes = recovery.torn.as_ref().map_or(0, |torn| torn.bytes);
            let details = format!("cut {bytes} bytes of a torn line, closed {} requests", recovery.closed.len());
            log.append(&Event::new(Action::AuditRecovered).details(&details))?;
        }
        Ok(recovery)
    }
}

fn close(log: &AuditLog, begun: &Record) -> Option<RequestId> {
    fn typed<T: std::str::FromStr>(text: Option<&String>) -> Option<T> {
        text.and_then(|text| text.parse().ok())
    }
    let id: RequestId = typed(begun.request_id.as_ref())?;
    let action = match Action::find(&begun.action) {
        Some(Action::TunnelBegun) => Action::TunnelEnded,
        _ => Action::RequestEnded,
    };
    let (client, secret, service) =
        (typed(begun.client_id.as_ref()), typed(begun.secret_name.as_ref()), typed(begun.service.as_ref()));
    let mut event = Event::new(action).request(id).outcome(Outcome::Unknown);
    event.client = client.as_ref();
    event.secret = secret.as_ref();
    event.service = service.as_ref();
    event.lease = typed(begun.lease_id.as_ref());
    event.session = typed(begun.session_id.as_ref());
    event.method = begun.method.as_deref();
    event.port = begun.port;
    if let Some(host) = &begun.host {
        event = event.host_as_written(host);
    }
    log.append_lazily(&event);
    Some(id)
}
