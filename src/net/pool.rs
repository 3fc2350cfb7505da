//! Connections to upstreams, kept for the next request: many for HTTP/1.1, one shared for HTTP/2.
//!
//! Invariant: a connection is handed out only for the authority, scheme, protocol offer, roots and identity it was made
//! for, so no request ever travels on a connection whose certificate was verified for another name or by another authority
//! (attack 34), or on which another client certificate was shown.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, timeout};

use super::{
    Dialer, Error, Identity, Offer, Roots, TlsClient, VerifiedUpstream,
    watched::{Alert, Watched},
};
use crate::base::{Authority, Host, Scheme};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Bounds of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// How long an unused connection is kept. Default 90 s.
    pub idle: Duration,
    /// How many unused HTTP/1.1 connections are kept per authority. Default 256.
    pub idle_per_host: usize,
    /// How long a TLS handshake may take. Default 10 s.
    pub handshake: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { idle: Duration::from_secs(90), idle_per_host: 256, handshake: Duration::from_secs(10) }
    }
}

/// Besides its host: who vouches for an upstream, and as whom we come. Says nothing where the connection is in clear.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// The only certificates that vouch for it; `None` for the usual ones.
    pub roots: Option<&'a Roots>,
    /// The client certificate that is shown when it asks for one.
    pub identity: Option<&'a Identity>,
}

/// What a connection was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    authority: Authority,
    lane: Lane,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lane {
    Clear,
    /// With the only roots that it is verified by, unless the usual ones, and with what is shown of us.
    Tls(Offer, Option<Roots>, Option<Identity>),
}

impl Key {
    fn new(scheme: Scheme, authority: &Authority, offer: Offer, terms: Terms<'_>) -> Self {
        let lane = match scheme {
            Scheme::Https => Lane::Tls(offer, terms.roots.cloned(), terms.identity.cloned()),
            Scheme::Http => Lane::Clear,
        };
        Self { authority: authority.clone(), lane }
    }
}

/// The sending end of a connection.
pub enum Sender<B> {
    /// One request at a time.
    Http1(http1::SendRequest<B>),
    /// Many at once.
    Http2(http2::SendRequest<B>),
}

struct Slot<B> {
    idle: Vec<(http1::SendRequest<B>, Option<VerifiedUpstream>, Instant)>,
    shared: Option<(http2::SendRequest<B>, VerifiedUpstream)>,
    /// Whoever holds this dials first, so that a burst on a new HTTP/2 host makes one connection.
    first: Arc<tokio::sync::Mutex<()>>,
    /// Learnt from the last handshake; HTTP/1.1 hosts are dialled in parallel.
    speaks_http1: bool,
}

impl<B> Default for Slot<B> {
    fn default() -> Self {
        Self { idle: Vec::new(), shared: None, first: Arc::default(), speaks_http1: false }
    }
}

/// A pool of connections. One per runtime, so that a connection and its requests share a thread.
pub struct Pool<B> {
    dialer: Dialer,
    tls: TlsClient,
    settings: PoolSettings,
    slots: Mutex<HashMap<Key, Slot<B>>>,
}

/// A connection that may carry one request now.
pub struct Checkout<B> {
    sender: Sender<B>,
    proof: Option<VerifiedUpstream>,
    reused: bool,
    seat: Seat<B>,
    /// Why its peer did not take us, if it says so; of a new one.
    alert: Alert,
}

/// The way back into the pool.
pub struct Seat<B> {
    pool: Arc<Pool<B>>,
    key: Key,
    back: Option<(http1::SendRequest<B>, Option<VerifiedUpstream>)>,
}

/// A request that did not get out, with the reason.
pub struct Unsent<B> {
    /// The request, when not one byte of it was sent and the connection was an old one: safe to send again.
    pub again: Option<Again<B>>,
    /// Why.
    pub error: Error,
}

/// A request that may be sent again, on a new connection of the same kind.
pub struct Again<B> {
    request: Request<B>,
    pool: Arc<Pool<B>>,
    key: Key,
    http2: bool,
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// An empty pool.
    pub fn new(dialer: Dialer, tls: TlsClient, settings: PoolSettings) -> Arc<Self> {
        Arc::new(Self { dialer, tls, settings, slots: Mutex::default() })
    }

    /// The dialer, for tunnels.
    pub const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// A connection to this authority on these terms: a kept one, else a new one.
    pub async fn checkout(
        self: &Arc<Self>,
        scheme: Scheme,
        authority: &Authority,
        offer: Offer,
        terms: Terms<'_>,
    ) -> Result<Checkout<B>, Error> {
        let key = Key::new(scheme, authority, offer, terms);
        if let Some(kept) = self.take(&key).await {
            return Ok(kept);
        }
        let gate = self.slot(&key, |slot| (!slot.speaks_http1).then(|| Arc::clone(&slot.first)));
        let _first = match &gate {
            Some(gate) => Some(gate.lock().await),
            None => None,
        };
        if gate.is_some()
            && let Some(kept) = self.take(&key).await
        {
            return Ok(kept);
        }
        self.connect(key).await
    }

    /// A new connection, whatever is kept; for a second try after a kept one turned out dead.
    pub async fn fresh(
        self: &Arc<Self>,
        scheme: Scheme,
        authority: &Authority,
        offer: Offer,
        terms: Terms<'_>,
    ) -> Result<Checkout<B>, Error> {
        self.connect(Key::new(scheme, authority, offer, terms)).await
    }

    /// Forgets connections that were idle too long. Called from time to time by the owner.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| {
            slot.idle.retain(|(sender, _, since)| !sender.is_closed() && now - *since < self.settings.idle);
            slot.shared.take_if(|(sender, _)| sender.is_closed());
            !slot.idle.is_empty() || slot.shared.is_some()
        });
    }

    fn slot<T>(&self, key: &Key, f: impl FnOnce(&mut Slot<B>) -> T) -> T {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get_mut(key) {
            Some(slot) => f(slot),
            None => f(slots.entry(key.clone()).or_default()),
        }
    }

    async fn take(self: &Arc<Self>, key: &Key) -> Option<Checkout<B>> {
        loop {
            let (mut sender, proof) = self.slot(key, |slot| {
                if let Some((shared, proof)) = &slot.shared {
                    if !shared.is_closed() {
                        return Some((Sender::Http2(shared.clone()), Some(proof.clone())));
                    }
                    slot.shared = None;
                }
                let now = Instant::now();
                loop {
                    let (sender, proof, since) = slot.idle.pop()?;
                    if !sender.is_closed() && now - since < self.settings.idle {
                        return Some((Sender::Http1(sender), proof));
                    }
                }
            })?;
            // A kept HTTP/1.1 connection may still be tidying up after its last answer.
            if let Sender::Http1(sender) = &mut sender
                && !sender.is_ready()
                && sender.ready().await.is_err()
            {
                continue;
            }
            let seat = Seat { pool: Arc::clone(self), key: key.clone(), back: None };
            return Some(Checkout { sender, proof, reused: true, seat, alert: Alert::default() });
        }
    }

    async fn connect(self: &Arc<Self>, key: Key) -> Result<Checkout<B>, Error> {
        let stream = self.dialer.dial(&key.authority).await?;
        let seat = Seat { pool: Arc::clone(self), key: key.clone(), back: None };
        let Lane::Tls(offer, roots, identity) = &key.lane else {
            let alert = Alert::default();
            let sender = Sender::Http1(handshake_http1(&key.authority.host, stream, &alert).await?);
            return Ok(Checkout { sender, proof: None, reused: false, seat, alert });
        };
        let host = &key.authority.host;
        let tls = roots.as_ref().map_or(&self.tls, Roots::client);
        let connecting = tls.connect(&key.authority, stream, *offer, identity.as_ref());
        let (stream, proof) = timeout(self.settings.handshake, connecting)
            .await
            .unwrap_or_else(|_| Err(Error::Timeout { host: host.clone(), phase: "complete the TLS handshake" }))?;
        let (stream, alert) = Watched::new(stream);
        let sender = if proof.is_http2() {
            let sender = handshake_http2(host, stream, &alert).await?;
            self.slot(&key, |slot| slot.shared = Some((sender.clone(), proof.clone())));
            Sender::Http2(sender)
        } else {
            self.slot(&key, |slot| slot.speaks_http1 = true);
            Sender::Http1(handshake_http1(host, stream, &alert).await?)
        };
        Ok(Checkout { sender, proof: Some(proof), reused: false, seat, alert })
    }

    fn keep(&self, key: &Key, sender: http1::SendRequest<B>, proof: Option<VerifiedUpstream>) {
        self.slot(key, |slot| {
            if slot.idle.len() < self.settings.idle_per_host {
                slot.idle.push((sender, proof, Instant::now()));
            }
        });
    }
}

impl<B> Checkout<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// The proof of who is at the other end; none on clear text.
    pub const fn verified(&self) -> Option<&VerifiedUpstream> {
        self.proof.as_ref()
    }

    /// Whether requests need the shape of HTTP/2.
    pub const fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Sends the request; the answer comes with the seat to give the connection back from.
    pub async fn send(self, request: Request<B>) -> Result<(Response<Incoming>, Seat<B>), Unsent<B>> {
        let http2 = self.is_http2();
        let Self { sender, proof, reused, mut seat, alert } = self;
        let sent = match sender {
            Sender::Http1(mut sender) => {
                let sent = sender.try_send_request(request).await;
                seat.back = sent.is_ok().then_some((sender, proof));
                sent
            }
            Sender::Http2(mut sender) => sender.try_send_request(request).await,
        };
        let mut error = match sent {
            Ok(response) => return Ok((response, seat)),
            Err(error) => error,
        };
        let (pool, key) = (Arc::clone(&seat.pool), seat.key.clone());
        let host = key.authority.host.clone();
        let again = error.take_message().filter(|_| reused).map(|request| Again { request, pool, key, http2 });
        Err(Unsent { again, error: Error::of_http(host, error.into_error(), alert.get()) })
    }
}

impl<B> Again<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Sends it on a new connection: same host, same terms, same verification; and the same protocol, whose shape the
    /// request has. `None` when the host speaks another one now.
    pub async fn send(self) -> Option<Result<(Response<Incoming>, Seat<B>), Error>> {
        let Self { request, pool, mut key, http2 } = self;
        if let Lane::Tls(offer, ..) = &mut key.lane {
            *offer = if http2 { Offer::Any } else { Offer::Http1 };
        }
        match pool.connect(key).await {
            Ok(fresh) if fresh.is_http2() != http2 => None,
            Ok(fresh) => Some(fresh.send(request).await.map_err(|unsent| unsent.error)),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<B> Seat<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Gives the connection back. Only for exchanges whose request and answer both ended well; otherwise drop the
    /// seat, which closes an HTTP/1.1 connection.
    pub fn give_back(&mut self) {
        if let Some((sender, proof)) = self.back.take()
            && !sender.is_closed()
        {
            self.pool.keep(&self.key, sender, proof);
        }
    }
}

async fn handshake_http1<B, S>(host: &Host, stream: S, alert: &Alert) -> Result<http1::SendRequest<B>, Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let handshake = http1::Builder::new().handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|source| Error::of_http(host.clone(), source, alert.get()))?;
    // Owned by the sender: it ends when the sender is dropped or the peer closes; its error reaches the exchange.
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

async fn handshake_http2<B, S>(host: &Host, stream: S, alert: &Alert) -> Result<http2::SendRequest<B>, Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(8 * 1024 * 1024)
        .max_header_list_size(256 * 1024)
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(false);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|source| Error::of_http(host.clone(), source, alert.get()))?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
