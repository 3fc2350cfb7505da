//! A server that a heartbeat asks: it answers as it is told, goes away, and comes back at the same address.

use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::support::HeldPort;

/// How it answers.
#[derive(Clone)]
pub enum Says {
    /// A head, with a body that never ends.
    Head(&'static str),
    /// Nothing, and keeps the connection.
    Nothing,
    /// 200 with whatever this makes of the request, in `x-heartbeat-signature`.
    Signed(Arc<dyn Fn(&Asked) -> String + Send + Sync>),
}

pub const ALIVE: Says = Says::Head("HTTP/1.1 204 No Content\r\n\r\n");

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub head: String,
    pub body: String,
}

impl Asked {
    pub fn field(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    pub fn nonce(&self) -> &str {
        self.field("x-heartbeat-nonce").unwrap()
    }
}

/// The server. Dropped or gone, its port refuses connections.
pub struct Beacon {
    port: HeldPort,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: Option<JoinHandle<()>>,
}

impl Beacon {
    pub async fn new(says: Says) -> Self {
        let (port, says) = (HeldPort::any(), Arc::new(Mutex::new(says)));
        let mut beacon = Self { port, says, asked: Arc::default(), task: None };
        beacon.come_back().await;
        beacon
    }

    pub fn url(&self) -> String {
        format!("http://{}/alive?token=tell-nobody", self.port.address())
    }

    pub fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub async fn go_away(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await; // it was aborted
    }

    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.port.address()).await.unwrap();
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let (says, asked) = (Arc::clone(&self.says), Arc::clone(&self.asked));
        self.task = Some(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let says = says.lock().unwrap().clone();
                tokio::spawn(answer(stream, says, Arc::clone(&asked)));
            }
        }));
    }
}

async fn answer(mut stream: TcpStream, says: Says, asked: Arc<Mutex<Vec<Asked>>>) {
    let Some(request) = read(&mut stream).await else { return };
    asked.lock().unwrap().push(request.clone());
    let head = match says {
        Says::Head(head) => head.to_owned(),
        Says::Nothing => {
            std::future::pending::<()>().await;
            return;
        }
        Says::Signed(sign) => format!("HTTP/1.1 200 OK\r\nx-heartbeat-signature: {}\r\n\r\n", sign(&request)),
    };
    let _ = stream.write_all(head.as_bytes()).await; // whoever asked may be gone
    let _ = stream.read(&mut [0; 1]).await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let asked = Asked { head: head.to_owned(), body: body.to_owned() };
            let length = asked.field("content-length").map_or(0, |length| length.parse().unwrap());
            if asked.body.len() >= length {
                return Some(asked);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A key that signs heartbeats.
#[derive(Clone)]
pub struct Signer(Arc<Ed25519KeyPair>);

impl Signer {
    pub fn new() -> Self {
        Self(Arc::new(Ed25519KeyPair::generate().unwrap()))
    }

    pub fn public(&self) -> String {
        STANDARD.encode(self.0.public_key().as_ref())
    }

    /// What the documentation says is signed.
    pub fn sign(&self, nonce: &str, url: &str) -> String {
        STANDARD.encode(self.0.sign(format!("leasehold heartbeat 1\n{nonce}\n{url}\n").as_bytes()).as_ref())
    }

    /// Answers each beat as the true server of this address.
    pub fn says(&self, url: String) -> Says {
        let signer = self.clone();
        Says::Signed(Arc::new(move |asked| signer.sign(asked.nonce(), &url)))
    }
}
