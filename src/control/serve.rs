//! The accept loop: who may speak, how many at once, and a stop that lets calls finish.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::{Error, Listener, Peer, Service, converse::converse};
use crate::base::{CutWatch, Process, blocking};

/// How often the socket's file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Bounds of the control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Who may speak; the daemon's own user by default.
    pub peers: Peers,
    /// Connections at once; more wait in the system's queue.
    pub connections: usize,
    /// Calls at once on one connection; more are not read until one is answered.
    pub calls: usize,
    /// The longest request line in bytes.
    pub frame: usize,
    /// How long a request line may take from its first byte to its last.
    pub line: Duration,
    /// How long a connection may be idle that holds no session and waits for no answer.
    pub idle: Duration,
    /// How long a call may take before its caller is told that it took too long.
    pub call: Duration,
    /// How long a client may take to read an answer.
    pub answer: Duration,
    /// How long a stopping server lets calls finish.
    pub grace: Duration,
}

/// Whose connections are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// This user's.
    Only(u32),
    /// Whoever the mode and group of the socket's file let in: the kernel has checked them.
    Admitted,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peers: Peers::Only(rustix::process::geteuid().as_raw()),
            connections: 512,
            calls: 32,
            frame: 2 * 1024 * 1024,
            line: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            call: Duration::from_mins(2),
            answer: Duration::from_secs(5),
            grace: Duration::from_secs(5),
        }
    }
}

/// Serves until `stop` fires, then lets calls finish within the grace. The socket file goes with the listener.
///
/// Errors are the system's, and only before the first connection.
pub async fn serve<S: Service>(
    listener: Listener,
    service: Arc<S>,
    limits: Limits,
    stop: CutWatch,
) -> Result<(), Error> {
    let path = listener.path().to_owned();
    let failed = |source| Error::Io { action: "listen on", path, source };
    let mut socket = tokio_socket(&listener).map_err(failed)?;
    let mut listener = listener;
    let mut look = tokio::time::interval(LOOK);
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut conversations = JoinSet::new();
    loop {
        while conversations.try_join_next().is_some() {}
        let accepted = tokio::select! {
            _ = stop.wait() => break,
            _ = look.tick() => {
                if let Some((again, its)) = put_back(&listener) {
                    (listener, socket) = (again, its);
                }
                continue;
            }
            accepted = accept(&socket, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let Some(peer) = admit(&stream, limits.peers) else { continue };
        let (service, stop) = (Arc::clone(&service), stop.clone());
        conversations.spawn(async move {
            converse(stream, peer, service, limits, stop).await;
            drop(place);
        });
    }
    drop((socket, listener)); // new clients see at once that nobody listens
    while conversations.join_next().await.is_some() {} // each is bounded by the grace
    Ok(())
}

fn tokio_socket(listener: &Listener) -> std::io::Result<UnixListener> {
    listener.try_clone_socket().and_then(UnixListener::from_std)
}

/// A daemon whose socket was removed, or taken by a program that has ended since, is reachable again.
fn put_back(listener: &Listener) -> Option<(Listener, UnixListener)> {
    let again = blocking(|| listener.put_back())?;
    let socket = tokio_socket(&again).ok()?;
    Some((again, socket))
}

async fn accept(
    socket: &UnixListener,
    places: &Arc<Semaphore>,
) -> Option<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match socket.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            // Out of descriptors, mostly: wait for some to come back rather than spin.
            tracing::warn!(target: "control", %error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// The peer, if it may speak (attack 90).
fn admit(stream: &UnixStream, peers: Peers) -> Option<Peer> {
    let credentials = stream.peer_cred().ok()?;
    let pid = credentials.pid();
    let started = pid.and_then(Process::find).map(|process| process.started);
    let peer = Peer { uid: credentials.uid(), pid, started };
    if peers == Peers::Admitted || peers == Peers::Only(peer.uid) {
        return Some(peer);
    }
    tracing::warn!(target: "control", uid = peer.uid, "turned away another user");
    None
}
