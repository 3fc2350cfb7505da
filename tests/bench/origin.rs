//! Role `origin`: a TLS server that answers 1 KB to whoever brings the real credential, on h2 and HTTP/1.1.

use std::{convert::Infallible, net::SocketAddr, path::Path};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    child::{Child, Place, end_with_parent},
    support::TestCa,
};

/// The host of the origin's certificate.
pub const HOST: &str = "bench.acme.test";
/// What the origin must receive, whatever the client sends.
pub const CREDENTIAL: &str = "bench-real-credential-0123456789abcdef";
/// The length of the answer.
pub const ANSWER: usize = 1_024;

/// The running origin, as the benchmark sees it.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    /// The file with the root of its certificate.
    pub root: std::path::PathBuf,
    _child: Child,
}

impl Origin {
    /// Starts it; writes its root into a folder.
    pub fn start(place: Place, folder: &Path) -> Result<Self, String> {
        let mut child = Child::role(place, "origin", &[&folder.to_string_lossy()])?;
        let address = child.line()?.parse().map_err(|_| "the origin did not say where it listens")?;
        Ok(Self { address, root: folder.join("root.pem"), _child: child })
    }
}

/// The role itself.
pub async fn run(folder: &Path) {
    end_with_parent();
    let ca = TestCa::new();
    ca.write_root(folder);
    let acceptor = TlsAcceptor::from(ca.leaf_for(&[HOST, "127.0.0.1"]).server_config(&[b"h2", b"http/1.1"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let (io, service) = (TokioIo::new(stream), service_fn(answer));
            let _ = if is_h2 {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
            } else {
                hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
            };
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    static BODY: [u8; ANSWER] = [b'x'; ANSWER];
    let value = request.headers().get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let is_right = value.and_then(|value| value.strip_prefix(b"Bearer ")) == Some(CREDENTIAL.as_bytes());
    let mut response = Response::new(Full::new(Bytes::from_static(&BODY)));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if !is_right {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    Ok(response)
}
