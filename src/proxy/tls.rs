//! Station 3: the client's TLS ends here, with an SNI that agrees with the CONNECT.

use std::{io, sync::Arc};

use rustls::server::Acceptor;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{broken::Broken, connection::Client, exchange::Site};
use crate::{
    base::{Host, RefusalCode},
    broker::Refusal,
};

/// Completes the handshake; `None` when the connection was refused, which is recorded.
pub(super) async fn accept<S>(site: &Site, config: Arc<rustls::ServerConfig>, stream: S) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout(site.limits.handshake, handshake(site, config, stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err((code, error))) => note(site, code, &error),
        Err(_) => note(site, RefusalCode::BadRequest, "the TLS handshake took too long"),
    }
    None
}

/// Waits for the first byte of a TLS record; clear text is answered in clear text and goes nowhere (attack 31).
pub(super) async fn expect(site: &Site, mut client: Client) -> Option<Client> {
    match timeout(site.limits.handshake, client.peek()).await {
        Ok(Ok(Some(HANDSHAKE))) => return Some(client),
        Ok(Ok(Some(_))) => {
            let detail = "this tunnel expects TLS; clear text is not forwarded through it";
            let refusal = Refusal::new(RefusalCode::BadRequest, detail, "use https:// for this host");
            let answer = Broken::of_site(site).refuse(&refusal);
            let _ = client.write_all(&answer).await; // the client may be gone already
            let _ = client.shutdown().await;
        }
        Ok(_) => {} // it hung up without a word
        Err(_) => note(site, RefusalCode::BadRequest, "the TLS handshake took too long"),
    }
    None
}

/// The content type of a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

fn note(site: &Site, code: RefusalCode, error: &str) {
    Broken::of_site(site).note(code, error);
}

async fn handshake<S>(
    site: &Site,
    config: Arc<rustls::ServerConfig>,
    stream: S,
) -> Result<TlsStream<S>, (RefusalCode, String)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The hello is read whole, whatever records it comes in (attack 30).
    let acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
    tokio::pin!(acceptor);
    let start = match acceptor.as_mut().await {
        Ok(start) => start,
        Err(error) => return Err((RefusalCode::BadRequest, format!("no TLS handshake: {error}"))),
    };
    let named = start.client_hello().server_name().map(str::to_owned);
    if let Some(named) = named
        && named.parse::<Host>().ok().as_ref() != Some(&site.authority.host)
    {
        let shown: String = named.chars().take(80).flat_map(char::escape_default).collect();
        let error = format!("the handshake names `{shown}`, CONNECT named `{}`", site.authority.host);
        return Err((RefusalCode::AuthorityMismatch, error)); // dropping the stream closes it
    }
    start.into_stream(config).await.map_err(|error| (RefusalCode::BadRequest, explain(&error)))
}

/// A client that breaks off after our certificate most likely does not trust it.
fn explain(error: &io::Error) -> String {
    format!("the client ended the handshake: {error}; if it does not trust our root, run `secrets doctor`")
}
