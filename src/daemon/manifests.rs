//! A session's manifest as a file: what `GET http://leasehold.internal/v1/me` answers, for programs that rather read files.
//!
//! Invariant: it is there as long as its session; what a killed daemon left behind goes at the next start.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    base::{AtomicFileError, Home, SessionId, blocking, replace},
    broker::{Broker, Session},
    control::{Failure, FailureCode},
};

/// The folder of one session.
pub(super) fn folder(home: &Home, session: SessionId) -> PathBuf {
    home.sessions().join(session.to_string())
}

/// Writes it (0600, in a folder of 0700), and has it removed with the session, however that ends.
pub(super) fn write(home: &Home, broker: &Broker, session: &Arc<Session>) -> Result<PathBuf, Failure> {
    let folder = folder(home, session.id());
    let path = folder.join("manifest.json");
    let text = format!("{:#}\n", broker.manifest(session));
    let failed = |message: String| Failure::new(FailureCode::Io, message).with_fix("secrets doctor");
    blocking(|| {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| failed(format!("cannot make {}: {error}", folder.display())))?;
        replace(&path, text.as_bytes(), 0o600, None).map_err(|error: AtomicFileError| failed(error.to_string()))
    })?;
    let ended = session.watch();
    tokio::spawn(async move {
        ended.wait().await;
        blocking(|| remove(&folder));
    });
    Ok(path)
}

/// Removes a session's folder; whoever comes second finds nothing to do.
pub(super) fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "what was written for a session stays behind");
    }
}
