//! The long-running process: settings to a running whole.
//!
//! Floor 5. `build` is what `secrets serve` and the integration tests call alike.

mod agent;
mod approval_calls;
mod authority;
mod certificate;
mod error;
mod explain;
mod health;
mod heart;
mod kill_calls;
mod logging;
mod manifests;
mod needs;
mod notes;
mod policy_calls;
mod port;
mod proposal_calls;
mod record;
mod record_key;
mod restart;
mod rotation_calls;
mod serve;
mod service;
mod session_calls;
mod settings;
mod translate;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use authority::Agents;
pub use error::Error;
pub use logging::{LOG_VARIABLE, start as start_logging};
pub use notes::note_offline;
pub use record_key::audit_key;
pub use serve::serve;
use service::Desk;
pub use settings::{
    ApprovalsSection, AuditSection, BodySize, CaSection, Effective, FileSize, Interval, KEYS, Keep, Key, ProxySection,
    Setting, Settings, SocketMode, UpstreamSection, commented_file, effective, places,
};
use tokio::task::JoinSet;
pub use translate::{file_fix, socket_fix, start_failure as failure};

use crate::{
    audit::{self, Action, Event},
    base::{AtomicFileError, Clock, CutReason, CutSwitch, CutWatch, FileLock, HashKey, Home, blocking, read_bounded},
    broker::{Broker, Parts},
    ca::{CertificateAuthority, Sealer},
    control,
    killswitch::KillSwitch,
    lease::{LeaseTable, Snapshot},
    net::{Errands, TlsClient},
    policy::{Changed, Live},
    proxy::{Demand, Limits, Proxy},
    store::Store,
};

/// Where a daemon lives and how it is set.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its home folder.
    pub home: Home,
    /// Its control socket; the home's own unless told otherwise.
    pub socket: PathBuf,
    /// Its settings.
    pub settings: Settings,
    /// What was odd about the store's files and mended before the start.
    pub store_warning: Option<String>,
}

impl Options {
    /// A daemon of this home with these settings, at the home's own socket.
    pub fn new(home: &Home, settings: Settings) -> Self {
        Self { home: home.clone(), socket: home.socket(), settings, store_warning: None }
    }
}

/// A running daemon. Dropping it without [`Running::stop`] ends it at once.
pub struct Running {
    proxy_address: SocketAddr,
    broker: Arc<Broker>,
    stop: CutSwitch,
    tasks: JoinSet<()>,
    checkpoint: Interval,
    _lock: FileLock,
}

impl Running {
    /// Where the main listener is.
    pub const fn proxy_address(&self) -> SocketAddr {
        self.proxy_address
    }

    /// The use-cases, for tests that look inside.
    pub const fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Fires when the daemon was told to stop over its socket.
    pub fn watch(&self) -> CutWatch {
        self.stop.watch()
    }

    /// Ends sessions, lets calls finish, writes what waits.
    pub async fn stop(mut self) {
        self.broker.close_approvals();
        self.broker.end_sessions(CutReason::Drained);
        self.stop.cut(CutReason::Drained);
        let wait = async {
            while self.tasks.join_next().await.is_some() {}
            self.broker.finish_rotations().await;
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), wait).await;
        self.broker.save_limits();
        record::close(self.broker.audit(), self.checkpoint);
    }
}

/// Builds and starts everything: store, leases, policy, record, certificates, proxy, control socket.
pub async fn build(options: &Options, clock: Clock) -> Result<Running, Error> {
    let Options { home, socket, settings, store_warning } = options;
    let store = Store::open(home, clock.clone())?;
    let lock = lock(home)?;
    blocking(|| manifests::remove(&home.sessions())); // no session outlives its daemon
    control::Listener::check_free(socket).await?;
    let policy = Live::load(&home.policies(), clock.clone()).map_err(Error::Policy)?;
    let audit = record::open(home, &store, &settings.audit, clock.clone())?;
    let scope = certificate::scope(settings, &policy.current());
    let ca = CertificateAuthority::create_or_open(&home.ca(), &StoreSealer(&store), clock.clone(), &scope)?;
    let tls = TlsClient::new(&settings.upstream.extra_roots)?;
    let dialer = settings.dialer();
    let heart = heart::heart(settings, &tls, &clock)?;
    let kill = KillSwitch::open(home.kill_state(), clock.clone());
    let broker = Broker::new(Parts {
        leases: restore_leases(home, &store, &clock, &kill)?,
        store,
        audit: audit.clone(),
        policy,
        clock,
        bounds: settings.bounds()?,
        on_stray: settings.on_stray,
        errands: Errands::new(dialer.clone(), tls.clone()),
        rotation_timeout: settings.rotation_timeout.get(),
        kill,
        home: home.clone(),
    });
    broker.set_approvals(settings.approvals.settings());
    broker.hold_latch()?;
    broker.restore_limits().map_err(|why| Error::Limits { path: home.limits(), why })?;
    let stop = CutSwitch::new();
    let limits = Limits {
        peek_time: settings.proxy.body_time.get(),
        approval_body: settings.proxy.approval_body.get(),
        ..Limits::default()
    };
    let proxy = Arc::new(Proxy::new(Arc::clone(&broker), ca.clone(), dialer, tls, limits, stop.watch()));
    let demand = if settings.proxy.require_auth { Demand::Credentials } else { Demand::Nothing };
    let proxy_address = port::listen(&proxy, settings.proxy.listen, demand, &home.proxy_port()).await?;
    let access = settings.socket_access();
    let socket = control::Listener::bind(socket, &access)?;
    let limits = control::Limits { peers: peers(&access), ..control::Limits::default() };

    let agents = Arc::new(Agents::new(home.folder()));
    let desk = Desk {
        broker: Arc::clone(&broker),
        agents: Arc::clone(&agents),
        proxy: Arc::clone(&proxy),
        ca,
        home: home.clone(),
        proxy_address,
        stop: stop.clone(),
        store_warning: store_warning.clone(),
        heart: heart.clone(),
    };
    let mut tasks = JoinSet::new();
    let watch = stop.watch();
    tasks.spawn(async move {
        if let Err(error) = control::serve(socket, Arc::new(desk), limits, watch).await {
            tracing::error!(%error, "the control socket failed");
        }
    });
    tasks.spawn(async move { proxy.tidy().await });
    spawn_until(&mut tasks, &stop, end_leases(Arc::clone(&broker)));
    spawn_until(&mut tasks, &stop, keep_limits(Arc::clone(&broker)));
    spawn_until(&mut tasks, &stop, rotate(Arc::clone(&broker)));
    spawn_until(&mut tasks, &stop, keep_looking(agents, Arc::clone(&broker)));
    spawn_until(&mut tasks, &stop, record::flush(audit.clone()));
    spawn_until(&mut tasks, &stop, record::keep_proof(audit, settings.audit.checkpoint));
    spawn_until(&mut tasks, &stop, reload_policy(Arc::clone(&broker)));
    spawn_until(&mut tasks, &stop, heart::follow_kill_file(Arc::clone(&broker)));
    if let Some(heart) = heart {
        spawn_until(&mut tasks, &stop, heart::keep_beating(Arc::clone(&broker), heart, stop.clone()));
    }
    Ok(Running { proxy_address, broker, stop, tasks, checkpoint: settings.audit.checkpoint, _lock: lock })
}

fn peers(access: &control::SocketAccess) -> control::Peers {
    match access {
        control::SocketAccess::Group(_) => control::Peers::Admitted,
        control::SocketAccess::Owner => control::Limits::default().peers,
    }
}

/// How long the home's lock is waited for: whoever writes to the record without a daemon holds it as briefly.
const MOMENT: Duration = Duration::from_secs(1);

fn lock(home: &Home) -> Result<FileLock, Error> {
    let lock = blocking(|| FileLock::acquire_within(&home.daemon_lock(), MOMENT));
    lock.map_err(|error| match error {
        AtomicFileError::Locked(_) => Error::AlreadyRunning(home.folder().to_owned()),
        other => other.into(),
    })
}

fn spawn_until(tasks: &mut JoinSet<()>, stop: &CutSwitch, work: impl Future<Output = ()> + Send + 'static) {
    let watch = stop.watch();
    tasks.spawn(async move {
        tokio::select! {
            _ = watch.wait() => {}
            () = work => {}
        }
    });
}

async fn rotate(broker: Arc<Broker>) {
    broker.rotate_on_time().await;
}

async fn keep_limits(broker: Arc<Broker>) {
    broker.keep_limits().await;
}

async fn end_leases(broker: Arc<Broker>) {
    broker.end_leases_on_time().await;
}

async fn keep_looking(agents: Arc<Agents>, broker: Arc<Broker>) {
    agents.keep_looking(&broker).await;
}

/// Looks once a second whether a policy file was edited. A bad edit changes nothing but the status.
async fn reload_policy(broker: Arc<Broker>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        look_at_policies(&broker);
    }
}

/// Takes over what was edited since the last look, and records it.
fn look_at_policies(broker: &Broker) {
    let event = match broker.live_policy().reload_if_changed() {
        Ok(Changed::No) => return,
        Ok(Changed::Yes) => Event::new(Action::PolicyReload),
        Err(errors) => {
            tracing::error!(%errors, "the edited policies have faults; the old ones stay in force");
            Event::new(Action::PolicyReloadFailed).outcome(audit::Outcome::Failed)
        }
    };
    broker.audit().append_lazily(&event);
}

/// The leases of the last run. Those that cannot be read stop the start, unless the kill switch ends them all anyway.
fn restore_leases(home: &Home, store: &Store, clock: &Clock, kill: &KillSwitch) -> Result<LeaseTable, Error> {
    match read_leases(home, store, clock) {
        Err(error) if kill.is_tripped() => {
            tracing::warn!(%error, "the leases of the last run are gone, and would have ended");
            Ok(LeaseTable::new(clock.clone(), HashKey::generate()))
        }
        other => other,
    }
}

fn read_leases(home: &Home, store: &Store, clock: &Clock) -> Result<LeaseTable, Error> {
    let path = home.leases();
    let fault = |why: String| Error::Leases { path: path.clone(), why };
    let sealed = match read_bounded(&path, 64 * 1024 * 1024) {
        Ok((sealed, _)) => sealed,
        Err(error) if error.is_missing() => return Ok(LeaseTable::new(clock.clone(), HashKey::generate())),
        Err(error) => return Err(error.into()),
    };
    let plain = store.unseal(&sealed).map_err(|error| fault(error.to_string()))?;
    let snapshot = Snapshot::from_bytes(&plain).map_err(|error| fault(error.to_string()))?;
    Ok(LeaseTable::restore(clock.clone(), snapshot))
}

/// The store seals what other rooms keep on disk.
struct StoreSealer<'a>(&'a Store);

impl Sealer for StoreSealer<'_> {
    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        self.0.seal(plain).map_err(|error| error.to_string())
    }

    fn unseal(&self, sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
        self.0.unseal(sealed).map_err(|error| error.to_string())
    }
}
