//! Opening a log after whatever happened to it: a torn tail is cut, what had begun is closed, what was cut is named.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Seek as _, SeekFrom},
    path::Path,
};

use super::{
    Action, AuditLog, Error, Event, Outcome, Record,
    action::Phase,
    continuity,
    file::{self, Torn},
    files::{self, Rolled},
    lines::{self, End, RawLine, RawLines},
    missing::Missing,
    verify::Link,
};
use crate::base::{RequestId, Timestamp, counted, sha256};

/// What opening the log had to mend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// A torn last line that was cut off and kept aside.
    pub torn: Option<Torn>,
    /// Requests and tunnels that had begun and got their end now, with outcome `unknown`.
    pub closed: Vec<RequestId>,
    /// What the note of the newest line says that the log does not.
    pub missing: Option<Missing>,
}

/// What the end of a log says: where the chain stands and what had begun.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The number of the last chained line; 0 when there is none.
    pub(super) seq: u64,
    /// The hash of the last line; `None` when there is no line.
    pub(super) hash: Option<[u8; 32]>,
    /// The lines of requests and tunnels that began and did not end, in their order.
    open: Vec<Vec<u8>>,
    /// The rolled file that a file without lines goes on from.
    pub(super) goes_on_from: Option<Rolled>,
}

/// Opens the file alone, cuts a torn tail off, reads where its chain stands.
pub(super) fn recover_file(path: &Path, now: Timestamp) -> Result<(File, Tail, Option<Torn>), Error> {
    let mut file = file::open(path)?;
    let torn = file::cut_torn_tail(&mut file, path, now)?;
    let start = file::last_start(&file).map_err(Error::io("read", path))?;
    let mut reader = TailReader::default();
    reader.read(&file, path, start.unwrap_or(0))?;
    Ok((file, reader.finish(), torn))
}

/// The same for the whole log: rolled files are read as far back as the last start of a daemon, since what had begun
/// before was closed by that start.
pub(super) fn recover(path: &Path, now: Timestamp) -> Result<(File, Tail, Option<Torn>), Error> {
    let mut file = file::open(path)?;
    let torn = file::cut_torn_tail(&mut file, path, now)?;
    let is_empty = file.metadata().map_err(Error::io("read", path))?.len() == 0;
    let mut rolled = files::rolled(path)?;
    let newest = rolled.last().cloned().filter(|_| is_empty);
    let mut start = file::last_start(&file).map_err(Error::io("read", path))?;
    let mut before = Vec::new();
    while start.is_none()
        && let Some(Rolled { path, .. }) = rolled.pop()
    {
        let file = lines::open(&path)?;
        start = file::last_start(&file).map_err(Error::io("read", &path))?;
        before.push((file, path));
    }
    let mut reader = TailReader::default();
    for (file, path) in before.iter().rev() {
        reader.read(file, path, start.take().unwrap_or(0))?;
    }
    reader.read(&file, path, start.unwrap_or(0))?;
    Ok((file, Tail { goes_on_from: newest, ..reader.finish() }, torn))
}

/// Reads files in their order and keeps what counts at their end.
#[derive(Default)]
struct TailReader {
    tail: Tail,
    last: Vec<u8>,
    open: BTreeMap<RequestId, (u64, Vec<u8>)>,
    count: u64,
}

impl TailReader {
    fn read(&mut self, mut file: &File, path: &Path, start: u64) -> Result<(), Error> {
        let io = || Error::io("read", path);
        file.seek(SeekFrom::Start(start)).map_err(io())?;
        let mut lines = RawLines::new(file, start);
        let mut line = RawLine::default();
        while lines.next_into(&mut line).map_err(io())? {
            self.take(&mut line);
        }
        Ok(())
    }

    fn take(&mut self, line: &mut RawLine) {
        std::mem::swap(&mut self.last, &mut line.bytes);
        self.count += 1;
        let chained = serde_json::from_slice::<Link<'_>>(&self.last).ok();
        let Some(chained) = chained.filter(|_| line.end == End::LineFeed) else { return };
        self.tail.seq = chained.seq.unwrap_or(self.tail.seq);
        match chained.request() {
            Some((id, Phase::Begins)) => {
                self.open.insert(id, (self.count, self.last.clone()));
            }
            Some((id, _)) => {
                self.open.remove(&id);
            }
            None => {}
        }
    }

    fn finish(mut self) -> Tail {
        self.tail.hash = (self.count > 0).then(|| sha256(&self.last));
        let mut open: Vec<(u64, Vec<u8>)> = self.open.into_values().collect();
        open.sort_unstable();
        self.tail.open = open.into_iter().map(|(_, bytes)| bytes).collect();
        self.tail
    }
}

impl Recovery {
    /// Writes how the log goes on, the ends of what began, and that the log was mended.
    pub(super) fn close(
        log: &AuditLog,
        tail: &Tail,
        torn: Option<Torn>,
        missing: Option<Missing>,
    ) -> Result<Self, Error> {
        if let Some(details) = missing.as_ref().and_then(Missing::continuation) {
            log.append(&Event::new(Action::LogContinued).details(&details))?;
        } else if let Some(from) = &tail.goes_on_from {
            log.append(&Event::new(Action::LogContinued).details(&continuity::rolled(&from.name())))?;
        }
        let mut recovery = Self { torn, closed: Vec::new(), missing };
        for line in &tail.open {
            if let Ok(begun) = serde_json::from_slice::<Record>(line) {
                recovery.closed.extend(close(log, &begun));
            }
        }
        if recovery.torn.is_some() || !recovery.closed.is_empty() {
            let bytes = recovery.torn.as_ref().map_or(0, |torn| torn.bytes);
            let details = format!(
                "cut {} of a torn line, closed {}",
                counted(bytes, "byte"),
                counted(recovery.closed.len() as u64, "request")
            );
            log.append(&Event::new(Action::AuditRecovered).details(&details))?;
        }
        if let Some((action, details)) = recovery.missing.as_ref().and_then(Missing::remark) {
            log.append(&Event::new(action).outcome(Outcome::Failed).details(&details))?;
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
