//! The demonstration's stand-in API: a real TLS server on loopback that remembers what it received.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Error;

/// A request as the API received it: its line and its header fields.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) line: String,
    pub(super) authorization: String,
}

/// A running stand-in.
pub(super) struct Api {
    address: SocketAddr,
    root_pem: String,
    received: Arc<Mutex<Vec<Received>>>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Api {
    /// Starts it with certificates for these hosts, under a root of its own.
    pub(super) async fn start(hosts: &[&str]) -> Result<Self, Error> {
        let (config, root_pem) = certificates(hosts)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Io)?;
        let address = listener.local_addr().map_err(Error::Io)?;
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let log = Arc::clone(&received);
        // Ends with the demonstration's runtime.
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(config);
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = service_fn(|request| {
                        let answer = answer(&log, &request);
                        async { Ok::<_, Infallible>(answer) }
                    });
                    // A client that goes away is part of the story.
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(Self { address, root_pem, received })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// What it received so far.
    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn certificates(hosts: &[&str]) -> Result<(Arc<rustls::ServerConfig>, String), Error> {
    let failed = |what: &str| Error::Story(format!("the stand-in has no {what}"));
    let root_key = rcgen::KeyPair::generate().map_err(|_| failed("root key"))?;
    let mut root = rcgen::CertificateParams::new(Vec::new()).map_err(|_| failed("root"))?;
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    root.distinguished_name.push(rcgen::DnType::CommonName, "demonstration stand-in");
    let root_pem = root.self_signed(&root_key).map_err(|_| failed("root certificate"))?.pem();
    let key = rcgen::KeyPair::generate().map_err(|_| failed("key"))?;
    let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let leaf = rcgen::CertificateParams::new(names).map_err(|_| failed("leaf"))?;
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::new(root, root_key)).map_err(|_| failed("leaf certificate"))?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| failed("usable key"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| failed("TLS versions"))?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .map_err(|_| failed("TLS configuration"))?;
    Ok((Arc::new(config), root_pem))
}

fn answer(log: &Mutex<Vec<Received>>, request: &Request<Incoming>) -> Response<Body> {
    let authorization = request.headers().get("authorization").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    let line = format!("{} {}", request.method(), request.uri().path());
    log.lock().unwrap_or_else(PoisonError::into_inner).push(Received { line, authorization: authorization.clone() });
    match request.uri().path() {
        "/v1/echo" => json(format!("{{\"you_sent\":\"{authorization}\"}}")),
        "/v1/stream" => events(Some(3)),
        "/v1/forever" => events(None),
        _ => json("{\"hello\":\"agent\"}".to_owned()),
    }
}

fn json(text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Server-sent events: some and an end, or one and then silence on an open connection.
fn events(count: Option<u32>) -> Response<Body> {
    let frames = stream::unfold(1_u32, move |number| async move {
        match count {
            Some(count) if number > count => None,
            None if number > 1 => std::future::pending().await,
            _ => {
                let event = Bytes::from(format!("data: {{\"token\":{number}}}\n\n"));
                Some((Ok::<_, Infallible>(Frame::data(event)), number + 1))
            }
        }
    });
    let mut response = Response::new(StreamBody::new(Box::pin(frames)).boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}
