//! Station 1: accepting connections, each with a place within the limit, on a listener that stops when told.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};
use tower::{Service, ServiceBuilder, ServiceExt as _, limit::GlobalConcurrencyLimitLayer, service_fn};

use super::{broken::Broken, connection, entrance::Entrance, error::Error, front::Front, shared::Shared};
use crate::{
    base::{CutWatch, RefusalCode},
    broker::Refusal,
};

/// A bound listener that nobody serves yet.
pub(super) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds; port 0 lets the system choose.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address really bound.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until `stop` fires; connections that are open then live on and end by their own watches.
    pub(super) async fn serve(
        self,
        shared: Arc<Shared>,
        entrance: Arc<Entrance>,
        places: GlobalConcurrencyLimitLayer,
        stop: CutWatch,
    ) {
        let full = Front { shared: Arc::clone(&shared), entrance: Arc::clone(&entrance) };
        let full = Arc::new(Broken::of_front(&full));
        let serve = service_fn(move |stream: TcpStream| {
            let front = Front { shared: Arc::clone(&shared), entrance: Arc::clone(&entrance) };
            async move {
                connection::serve(front, stream).await;
                Ok::<_, Infallible>(())
            }
        });
        let service = ServiceBuilder::new().layer(places).service(serve);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                // Owned by its client: the task ends with the connection.
                Ok((stream, peer)) => drop(tokio::spawn(place(service.clone(), stream, peer, Arc::clone(&full)))),
                Err(error) => back_off(&error).await,
            }
        }
    }
}

/// Serves a connection if there is a place for it now; says so and closes it if there is none.
async fn place<S>(mut service: S, mut stream: TcpStream, peer: SocketAddr, full: Arc<Broken>)
where
    S: Service<TcpStream, Response = (), Error = Infallible>,
{
    match service.ready().now_or_never() {
        Some(Ok(service)) => {
            let _ = service.call(stream).await;
        }
        Some(Err(never)) => match never {},
        None => {
            tracing::warn!(%peer, "no place for another connection");
            let fix = "close connections that are not used, then try again";
            let refusal = Refusal::new(RefusalCode::Limit, "the proxy has no place for another connection", fix);
            let _ = stream.write_all(&full.refuse(&refusal)).await; // the client may be gone already
        }
    }
}

/// Running out of descriptors must neither spin nor end the listener (attack 116).
async fn back_off(error: &io::Error) {
    let harmless = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if harmless.contains(&error.kind()) {
        return;
    }
    tracing::error!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
