//! What the program is put together from: the parts that stand beside or below the commands, as plain functions.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    base::Home,
    control::{Failure, WireToken},
};

/// Functions that `main` hands over.
#[derive(Clone, Copy)]
pub struct Parts {
    /// Runs the daemon until a signal stops it; calls back once, when it answers on its socket.
    pub serve: Serve,
    /// Runs the demonstration and writes its transcript; fails unless all of it held.
    pub demo: Demo,
    /// Every variable that makes clients go through the proxy and trust its certificates; writes the support files.
    pub environment: Environment,
}

/// See [`Parts::serve`].
pub type Serve = fn(&ServeRequest, &mut dyn FnMut(&Ready)) -> Result<(), Failure>;
/// See [`Parts::demo`].
pub type Demo = fn(&mut dyn Write) -> Result<(), Failure>;
/// See [`Parts::environment`].
pub type Environment = fn(&TrustRequest<'_>) -> Result<Vec<(OsString, OsString)>, Failure>;

/// What a daemon is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeRequest {
    /// Its home folder.
    pub home: Home,
    /// Where its control socket is to be; flag, configuration and default have been weighed.
    pub socket: PathBuf,
    /// The settings file that was named, if any.
    pub config: Option<PathBuf>,
    /// What to do about files that are open to others.
    pub permissions: PermissionCheck,
}

/// Whether files that are open to others keep the daemon from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionCheck {
    /// They do.
    Enforce,
    /// They are taken away from everybody else, and the status says so; asked for by `--skip-permission-check`.
    Skip,
}

/// A daemon that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Its control socket.
    pub socket: PathBuf,
    /// Its process.
    pub pid: u32,
    /// The main listener of its proxy.
    pub proxy_addr: SocketAddr,
}

/// What the trust environment depends on.
#[derive(Clone, Copy, Debug)]
pub struct TrustRequest<'a> {
    /// The proxy's listener.
    pub proxy: SocketAddr,
    /// User and password for the proxy's URL, where it is to hold them.
    pub credentials: Option<(&'a str, &'a WireToken)>,
    /// Where support files go.
    pub support: &'a Path,
    /// The root's certificate in PEM.
    pub root_pem: &'a str,
    /// The variables that the child would have anyway.
    pub inherited: &'a BTreeMap<OsString, OsString>,
    /// Hosts that must not bypass the proxy.
    pub secret_hosts: &'a [String],
}
