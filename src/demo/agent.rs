//! The demonstration's agent: a program that knows nothing of Leasehold. It reads its environment, as every client
//! library does, and says on standard output what it did, one JSON line a step.

use std::{io::Write, path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, Uri, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::{
    client::legacy::connect::{HttpConnector, proxy::Tunnel},
    rt::TokioIo,
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsConnector;
use tower::ServiceExt as _;

use super::{API_HOST, Error, OTHER_HOST, VARIABLE};

/// What the agent says of one step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Said {
    /// What its environment holds.
    Environment { proxy: String, roots: String, key: String },
    /// A request and its answer.
    Answered { request: String, authorization: String, status: u16, body: String },
    /// The first event of a stream has arrived; the stream is still open.
    Streaming { event: String },
    /// A stream is over.
    Ended { events: usize, how: String },
}

/// Runs the agent's steps, waiting for nobody.
pub(super) async fn run(out: &mut dyn Write) -> Result<(), Error> {
    let environment = Environment::read()?;
    say(
        out,
        &Said::Environment {
            proxy: environment.proxy.to_string(),
            roots: environment.roots.display().to_string(),
            key: environment.key.clone(),
        },
    )?;
    for (host, path) in [(API_HOST, "/v1/hello"), (API_HOST, "/v1/echo"), (OTHER_HOST, "/v1/hello")] {
        let response = environment.get(host, path).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(Error::Http)?.to_bytes();
        say(
            out,
            &Said::Answered {
                request: format!("GET https://{host}{path}"),
                authorization: environment.authorization(),
                status,
                body: String::from_utf8_lossy(&body).trim().to_owned(),
            },
        )?;
    }
    for path in ["/v1/stream", "/v1/forever"] {
        stream(out, &environment, path).await?;
    }
    Ok(())
}

async fn stream(out: &mut dyn Write, environment: &Environment, path: &str) -> Result<(), Error> {
    let mut body = environment.get(API_HOST, path).await?.into_body();
    let mut events = 0;
    let how = loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                let text = String::from_utf8_lossy(&data);
                let first = events == 0;
                events += text.matches("data:").count();
                if first {
                    say(out, &Said::Streaming { event: text.trim().to_owned() })?;
                }
            }
            Some(Err(_)) => break "cut".to_owned(),
            None => break "finished".to_owned(),
        }
    };
    say(out, &Said::Ended { events, how })
}

fn say(out: &mut dyn Write, said: &Said) -> Result<(), Error> {
    let line = serde_json::to_string(said).map_err(|error| Error::Story(error.to_string()))?;
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::Io)
}

/// What a client library finds in its environment.
struct Environment {
    proxy: Uri,
    roots: PathBuf,
    key: String,
    tls: TlsConnector,
}

impl Environment {
    fn read() -> Result<Self, Error> {
        let variable = |name: &str| {
            std::env::var(name).map_err(|_| Error::Story(format!("the agent's environment has no usable `{name}`")))
        };
        let proxy = variable("HTTPS_PROXY")?;
        let proxy = proxy.parse().map_err(|_| Error::Story(format!("`{proxy}` is no proxy")))?;
        let mut trusted = RootCertStore::empty();
        // As client libraries do: `SSL_CERT_FILE` says whom to trust.
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Story(error.to_string()))?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self {
            proxy,
            roots: variable("SSL_CERT_FILE")?.into(),
            key: variable(VARIABLE)?,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// A GET on a connection of its own: CONNECT, TLS, HTTP/1.1.
    async fn get(&self, host: &'static str, path: &str) -> Result<Response<Incoming>, Error> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let target: Uri = format!("https://{host}:443").parse().map_err(|_| Error::Story("no target".into()))?;
        let tunnel = Tunnel::new(self.proxy.clone(), connector).oneshot(target);
        let stream = tunnel.await.map_err(|error| Error::Story(format!("no tunnel: {error}")))?.into_inner();
        let name = ServerName::try_from(host).map_err(|_| Error::Story("no server name".into()))?;
        let stream = self.tls.connect(name, stream).await.map_err(Error::Io)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Http)?;
        tokio::spawn(connection); // ends with the answer
        let request = Request::get(path)
            .header("host", host)
            .header(AUTHORIZATION, self.authorization())
            .body(Empty::<Bytes>::new())
            .map_err(|error| Error::Story(error.to_string()))?;
        sender.send_request(request).await.map_err(Error::Http)
    }
}
