//! The main listener's port, which stays the same over restarts: environment files name it for as long as their leases live.

use std::{net::SocketAddr, path::Path};

use super::Error;
use crate::{
    base::{read_bounded, replace},
    proxy::{self, Demand, Proxy},
};

/// Opens the main listener. When any port will do, the one of the last run is tried first, and noted for the next.
pub(super) async fn listen(
    proxy: &Proxy,
    address: SocketAddr,
    demand: Demand,
    note: &Path,
) -> Result<SocketAddr, Error> {
    if address.port() != 0 {
        return Ok(proxy.listen(address, demand).await?);
    }
    let last = noted(note);
    if let Some(port) = last {
        match proxy.listen(SocketAddr::new(address.ip(), port), demand).await {
            Ok(bound) => return Ok(bound),
            Err(error @ proxy::Error::Listen { .. }) => {
                tracing::warn!(%error, "the port of the last run is taken; another will do");
            }
        }
    }
    let bound = proxy.listen(address, demand).await?;
    replace(note, format!("{}\n", bound.port()).as_bytes(), 0o600, None)?;
    Ok(bound)
}

/// A note that is missing or cannot be read is none: any port will do.
fn noted(note: &Path) -> Option<u16> {
    let (content, _) = read_bounded(note, 16).ok()?;
    std::str::from_utf8(&content).ok()?.trim().parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_a_port_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("port");
        assert_eq!(noted(&note), None);
        for (content, port) in [("8019\n", Some(8019)), ("0", None), ("70000", None), ("x", None), ("", None)] {
            std::fs::write(&note, content).unwrap();
            assert_eq!(noted(&note), port, "{content}");
        }
    }
}
