//! Real clients with nothing but the prepared environment: they find the proxy, believe the root, end by themselves.
//!
//! The host does not exist in any name service, so an answer proves that the client went through the proxy. A client
//! that this machine does not have is passed over.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::SocketAddr,
    path::Path,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use leasehold::{
    base::{Clock, Host},
    ca::{CertificateAuthority, Sealer},
    trust::{Prepared, Setup, prepare},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
};
use zeroize::Zeroizing;

const HOST: &str = "api.leasehold.test";

struct InClear;

impl Sealer for InClear {
    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        Ok(plain.to_vec())
    }

    fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        Ok(Zeroizing::new(sealed.to_vec()))
    }
}

/// A proxy that knows one host, the server behind it, and the environment for clients.
struct World {
    folder: tempfile::TempDir,
    origin: SocketAddr,
    tunnels: Arc<AtomicUsize>,
    prepared: Prepared,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::create_or_open(
            &folder.path().join("ca"),
            &InClear,
            Clock::system(),
            &leasehold::ca::NameScope::Any,
        )
        .unwrap();
        let origin = serve_tls(ca.clone()).await;
        let tunnels = Arc::new(AtomicUsize::new(0));
        let proxy = serve_proxy(origin, Arc::clone(&tunnels)).await;
        let prepared = prepare(&Setup {
            proxy,
            login: None,
            support: &folder.path().join("support"),
            root_pem: ca.certificate_pem(),
            inherited: &BTreeMap::from([(OsString::from("HOME"), folder.path().into())]),
            secret_hosts: &[HOST.to_owned()],
        })
        .unwrap();
        Self { folder, origin, tunnels, prepared }
    }

    fn tunnels(&self) -> usize {
        self.tunnels.swap(0, Ordering::SeqCst)
    }

    /// Runs a client to its own end; `None` when this machine does not have it.
    async fn run(&self, name: &str, arguments: &[&str]) -> Option<Output> {
        let mut command = Command::new(support::find_program(name)?);
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH")?).env("HOME", self.folder.path());
        command.envs(self.prepared.variables.iter().cloned()).stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(Duration::from_mins(2), command.output()).await;
        Some(ended.unwrap_or_else(|_| panic!("{name} does not end")).unwrap())
    }

    async fn node(&self, script: &str, kind: &str) -> Option<Output> {
        let path = self.folder.path().join(format!("client.{kind}"));
        std::fs::write(&path, script.replace("HOST", HOST).replace("PORT", &self.origin.port().to_string())).unwrap();
        self.run("node", &[path.to_str()?]).await
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Answers every request with its version, path and length, as whatever host it was asked for.
async fn serve_tls(ca: CertificateAuthority) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let ca = ca.clone();
            tokio::spawn(async move {
                let hello =
                    tokio_rustls::LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.ok()?;
                let host: Host = hello.client_hello().server_name().unwrap_or(HOST).parse().ok()?;
                let stream = hello.into_stream(ca.server_config(&host).await.ok()?).await.ok()?;
                let answer = service_fn(async |request: Request<Incoming>| {
                    let mut text = format!("{:?} {}", request.version(), request.uri().path());
                    let length = request.into_body().collect().await?.to_bytes().len();
                    if length > 0 {
                        text = format!("{text} {length}");
                    }
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(text))))
                });
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), answer).await.ok()
            });
        }
    });
    address
}

/// Knows CONNECT to one host and refuses the rest.
async fn serve_proxy(origin: SocketAddr, tunnels: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let tunnels = Arc::clone(&tunnels);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.ok()?);
                }
                if !head.starts_with(format!("CONNECT {HOST}:443 ").as_bytes()) {
                    let refusal = b"HTTP/1.1 403 Not Today\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    return client.write_all(refusal).await.ok();
                }
                tunnels.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(origin).await.ok()?;
                client.write_all(b"HTTP/1.1 200 OK\r\nVia: test\r\n\r\n").await.ok()?;
                copy_bidirectional(&mut client, &mut server).await.ok().map(drop)
            });
        }
    });
    address
}

#[tokio::test]
async fn every_road_of_node_leads_through_the_proxy_and_the_process_ends_by_itself() {
    let world = World::new().await;
    // Kept connections stay open behind each of these; only a faithful `unref` lets the process end.
    let script = r"
        const https = require('https'), http2 = require('http2'), tls = require('tls');
        const get = (path, options) => new Promise((ok, bad) => https.get('https://HOST' + path, options, (answer) => {
            let text = ''; answer.on('data', (d) => text += d).on('end', () => ok(text));
        }).on('error', bad));
        const own = new https.Agent({ keepAlive: true });
        (async () => {
            console.log(await get('/https', {}));
            console.log(await get('/agent', { agent: own }));
            console.log(await get('/again', { agent: own }));
            console.log(await get('/alone', { agent: false }));
            console.log(await (await fetch('https://HOST/fetch')).text());
            const body = 'x'.repeat(3_000_000);
            console.log(await (await fetch('https://HOST/large', { method: 'POST', body })).text());
            const session = http2.connect('https://HOST');
            await new Promise((ok, bad) => {
                const stream = session.request({ ':path': '/http2' });
                let text = ''; stream.on('data', (d) => text += d).on('end', () => { console.log(text); ok(); });
                stream.on('error', bad); session.on('error', bad);
            });
            session.unref();
            const socket = tls.connect(443, 'HOST', { servername: 'HOST' }, () => {
                console.log(socket.authorized); socket.end();
            });
        })();
    ";
    let Some(output) = world.node(script, "cjs").await else { return };
    let paths: String =
        stdout(&output).lines().map(|line| line.trim_start_matches("HTTP/1.1 ").to_owned() + "|").collect();
    let paths = paths.replace("HTTP/2.0 /fetch", "/fetch").replace("HTTP/2.0 /large", "/large"); // by version of Node
    assert_eq!(paths, "/https|/agent|/again|/alone|/fetch|/large 3000000|HTTP/2.0 /http2|true|", "{output:?}");
    assert!((6..=8).contains(&world.tunnels()), "own connections were kept and used again");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn modules_get_the_same_tls_and_local_servers_stay_local() {
    let world = World::new().await;
    let script = r"
        import { connect } from 'node:tls';
        import { get } from 'node:https';
        const seen = (socket) => new Promise((ok, bad) => socket.on('secureConnect', ok).on('error', bad));
        const far = connect({ host: 'HOST', port: 443, servername: 'HOST' });
        await seen(far); far.end();
        const near = await new Promise((ok, bad) => get('https://localhost:PORT/near', (answer) => {
            let text = ''; answer.on('data', (d) => text += d).on('end', () => ok(text));
        }).on('error', bad));
        console.log(far.authorized, near);
    ";
    let Some(output) = world.node(script, "mjs").await else { return };
    assert_eq!(stdout(&output), "true HTTP/1.1 /near");
    assert_eq!(world.tunnels(), 1, "only the far one");
}

#[tokio::test]
async fn a_refusal_of_the_proxy_is_an_error_that_says_so() {
    let world = World::new().await;
    let script = r"
        const https = require('https');
        https.get('https://other.leasehold.test/').on('error', (error) => {
            console.log(error.code, error.message);
            fetch('https://third.leasehold.test/').catch(({ cause }) => {
                console.log(cause.cause?.message ?? cause.message);
            });
        });
    ";
    let Some(output) = world.node(script, "cjs").await else { return };
    let text = stdout(&output);
    let [first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(first.contains("other.leasehold.test:443") && first.contains("403 Not Today"), "{first}");
    assert!(second.contains("403"), "{second}"); // newer versions of Node make the tunnel, and the sentence, themselves
    assert_eq!(world.tunnels(), 0);
}

#[tokio::test]
async fn clients_in_c_and_python_need_nothing_else() {
    let world = World::new().await;
    let url = format!("https://{HOST}/hello");
    let python = format!("import urllib.request as u; print(u.urlopen('{url}').read().decode())");
    for (name, arguments, want) in [
        ("curl", vec!["-sS", &url], "HTTP/2.0 /hello"),
        ("wget", vec!["-nv", "-O", "-", &url], "HTTP/1.1 /hello"),
        ("python3", vec!["-c", &python], "HTTP/1.1 /hello"),
    ] {
        let Some(output) = world.run(name, &arguments).await else { continue };
        assert_eq!(stdout(&output), want, "{name}");
        assert_eq!(world.tunnels(), 1, "{name}");
    }
}

#[tokio::test]
async fn git_goes_through_the_proxy() {
    let world = World::new().await;
    let Some(output) = world.run("git", &["ls-remote", &format!("https://{HOST}/x.git")]).await else { return };
    // The stand-in is no git server; what matters is that git came to it and believed it.
    assert!(!String::from_utf8_lossy(&output.stderr).to_lowercase().contains("certificate"), "{output:?}");
    assert_eq!(world.tunnels(), 1, "{output:?}");
}

#[tokio::test]
async fn java_goes_through_the_proxy() {
    let world = World::new().await;
    let program = r#"
        import java.net.*; import java.net.http.*;
        public class Client {
            public static void main(String[] a) throws Exception {
                var uri = URI.create("https://HOST/java");
                var request = HttpRequest.newBuilder(uri).build();
                var text = HttpResponse.BodyHandlers.ofString();
                System.out.println(HttpClient.newHttpClient().send(request, text).body());
                System.out.println(new String(uri.toURL().openStream().readAllBytes()));
            }
        }"#;
    let path = world.folder.path().join("Client.java");
    std::fs::write(&path, program.replace("HOST", HOST)).unwrap();
    let path: &Path = &path;
    let Some(output) = world.run("java", &[path.to_str().unwrap()]).await else { return };
    assert_eq!(stdout(&output), "HTTP/2.0 /java\nHTTP/1.1 /java");
    assert_eq!(world.tunnels(), 2);
}
