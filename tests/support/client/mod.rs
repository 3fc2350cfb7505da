//! Clients that say exactly what they are told, and hide nothing of what they hear.

mod answer;
mod h2;
mod raw_h2;

mod websocket;

use std::{io, net::SocketAddr};

use bytes::BytesMut;
use rustls::{RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use self::answer::Framing;
pub use self::{
    answer::Answer,
    h2::{H2Client, collect},
    raw_h2::{RawH2, StreamEnd, Then, field_block, flag, kind},
    websocket::WebSocketClient,
};
use super::{
    ca::client_config,
    wait::{LIMIT, within},
};

/// Any stream.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection on which the test writes bytes and reads HTTP/1.1 answers.
pub struct RawClient {
    io: Box<dyn Duplex>,
    /// Read and not used yet.
    buffer: BytesMut,
    /// What is left of the answer under way.
    framing: Framing,
    trailers: Vec<(String, Vec<u8>)>,
    alpn: Option<String>,
    certificates: Vec<Vec<u8>>,
}

impl RawClient {
    /// Opens a TCP connection.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("a TCP connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Around any stream.
    pub fn over(io: impl Duplex + 'static) -> Self {
        Self {
            io: Box::new(io),
            buffer: BytesMut::new(),
            framing: Framing::Ended,
            trailers: Vec::new(),
            alpn: None,
            certificates: Vec::new(),
        }
    }

    /// Starts TLS on this connection: this server name, these roots, these protocols (none: no ALPN).
    pub async fn start_tls(self, sni: &str, roots: &RootCertStore, alpn: &[&[u8]]) -> io::Result<Self> {
        assert!(self.buffer.is_empty(), "the proxy spoke before the client: {:?}", self.buffer);
        let name = ServerName::try_from(sni.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(client_config(roots, alpn));
        let stream = within("a TLS handshake", connector.connect(name, self.io)).await?;
        let session = stream.get_ref().1;
        let agreed = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        let certificates = session.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect();
        Ok(Self { alpn: agreed, certificates, ..Self::over(stream) })
    }

    /// The protocol agreed in TLS.
    pub fn alpn(&self) -> Option<&str> {
        self.alpn.as_deref()
    }

    /// The certificates that the other side showed, leaf first, in DER.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Sends these bytes and flushes.
    ///
    /// # Panics
    /// When the connection is gone; see [`RawClient::try_write`].
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_write(bytes).await.unwrap();
    }

    /// Sends these bytes and flushes.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("bytes to be taken", async {
            self.io.write_all(bytes.as_ref()).await?;
            self.io.flush().await
        })
        .await
    }

    /// Ends the sending side.
    pub async fn finish(&mut self) {
        let _ = self.io.shutdown().await; // the other side may have gone already
    }

    /// Sends `CONNECT authority` with a Host header, and reads the answer.
    pub async fn ask_connect(&mut self, authority: &str) -> Answer {
        self.write(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")).await;
        self.read_answer_to("CONNECT").await
    }

    /// Sends a GET in origin form with these headers, and reads the answer.
    pub async fn get(&mut self, host: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", host, target, headers, b"").await
    }

    /// Sends a request with a body of known length (no `Content-Length` when it is empty), and reads the answer.
    pub async fn send(
        &mut self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.write([&head(method, host, target, headers, body.len())[..], body].concat()).await;
        self.read_answer_to(method).await
    }

    /// Reads a whole answer.
    ///
    /// # Panics
    /// When the connection ends before the answer does.
    pub async fn read_answer(&mut self) -> Answer {
        self.read_answer_to("GET").await
    }

    /// Reads a whole answer to a request with this method; HEAD and CONNECT decide whether there is a body.
    ///
    /// # Panics
    /// When the connection ends before the answer does.
    pub async fn read_answer_to(&mut self, method: &str) -> Answer {
        let mut answer = self.read_head_to(method).await;
        while let Some(piece) = self.read_piece().await {
            answer.body.extend_from_slice(&piece);
            answer.pieces.push(piece);
        }
        answer.trailers = std::mem::take(&mut self.trailers);
        answer
    }

    /// Reads one interim answer, such as `100 Continue`.
    ///
    /// # Panics
    /// When the connection ends first, or another answer comes.
    pub async fn read_interim(&mut self) -> Answer {
        let answer = Answer::parse(&self.read_through(b"\r\n\r\n").await.unwrap());
        assert!((100..200).contains(&answer.status), "no interim answer: {answer:?}");
        answer
    }

    /// Reads the head of an answer; [`RawClient::read_piece`] then gives its body.
    pub async fn read_head(&mut self) -> Answer {
        self.read_head_to("GET").await
    }

    /// [`RawClient::read_head`] for a request with this method.
    pub async fn read_head_to(&mut self, method: &str) -> Answer {
        self.try_read_head_to(method).await.unwrap()
    }

    /// [`RawClient::read_head_to`], with an error when the connection ends first.
    pub async fn try_read_head_to(&mut self, method: &str) -> io::Result<Answer> {
        let mut interim = Vec::new();
        loop {
            let head = self.read_through(b"\r\n\r\n").await?;
            let mut answer = Answer::parse(&head);
            if (100..200).contains(&answer.status) && answer.status != 101 {
                interim.push(answer);
                continue;
            }
            self.framing = Framing::of(&answer, method);
            answer.interim = interim;
            return Ok(answer);
        }
    }

    /// The next piece of the body: a chunk as it was framed, or what has arrived; `None` at its good end.
    ///
    /// # Panics
    /// When the connection ends within the body.
    pub async fn read_piece(&mut self) -> Option<Vec<u8>> {
        self.try_read_piece().await.unwrap()
    }

    /// [`RawClient::read_piece`], with an error when the connection ends within the body.
    pub async fn try_read_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::Ended => Ok(None),
            Framing::Chunked => {
                let line = self.read_through(b"\r\n").await?;
                let digits = String::from_utf8_lossy(&line).trim().split(';').next().unwrap_or_default().to_owned();
                let size = usize::from_str_radix(&digits, 16).map_err(io::Error::other)?;
                if size > 0 {
                    let mut chunk = self.read_exactly(size + 2).await?;
                    chunk.truncate(size);
                    return Ok(Some(chunk));
                }
                let mut block = b"trailers\r\n".to_vec();
                while !block.ends_with(b"\r\n\r\n") {
                    block.extend(self.read_through(b"\r\n").await?);
                }
                self.trailers = super::origin::head_fields(&block);
                self.framing = Framing::Ended;
                Ok(None)
            }
            Framing::Length(0) => {
                self.framing = Framing::Ended;
                Ok(None)
            }
            Framing::Length(left) => {
                let piece = self.read_some(left).await?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.framing = Framing::Length(left - piece.len());
                Ok(Some(piece))
            }
            Framing::UntilClose => {
                let piece = self.read_some(usize::MAX).await?;
                if piece.is_empty() {
                    self.framing = Framing::Ended;
                }
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
        }
    }

    /// Everything up to the end of the connection; an error counts as its end.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Ok(piece @ [_, ..]) = self.read_some(usize::MAX).await.as_deref() {
            all.extend_from_slice(piece);
        }
        all
    }

    /// Exactly this many bytes.
    pub async fn read_exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < n {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(n).to_vec())
    }

    /// The stream itself, for other protocols; gives what was read ahead first.
    pub fn into_io(self) -> Box<dyn Duplex> {
        let (reader, writer) = tokio::io::split(self.io);
        Box::new(tokio::io::join(std::io::Cursor::new(self.buffer).chain(reader), writer))
    }

    /// What is there, at most this much; empty at the end of the connection.
    async fn read_some(&mut self, at_most: usize) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            match self.fill().await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Vec::new()),
                other => other?,
            }
        }
        Ok(self.buffer.split_to(at_most.min(self.buffer.len())).to_vec())
    }

    async fn read_through(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, end) {
                return Ok(self.buffer.split_to(at + end.len()).to_vec());
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        let read = tokio::time::timeout(LIMIT, self.io.read_buf(&mut self.buffer)).await;
        match read.unwrap_or_else(|_| panic!("nothing came for {LIMIT:?}; so far: {:?}", self.buffer)) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The head of a request in origin form; `Host` first, `Content-Length` when there is a body.
pub fn head(method: &str, host: &str, target: &str, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if length > 0 {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    (head + "\r\n").into_bytes()
}

/// CONNECT to an authority through a proxy, then TLS for the authority's host: the stream inside.
///
/// # Panics
/// When the proxy refuses or the handshake fails.
pub async fn connect_tls(proxy: SocketAddr, authority: &str, roots: &RootCertStore, alpn: &[&[u8]]) -> RawClient {
    let host = authority.rsplit_once(':').unwrap().0.trim_matches(['[', ']']);
    connect_tls_with(proxy, authority, host, roots, alpn).await.unwrap()
}

/// [`connect_tls`] with another server name, and with the handshake's error.
///
/// # Panics
/// When the proxy refuses the CONNECT.
pub async fn connect_tls_with(
    proxy: SocketAddr,
    authority: &str,
    sni: &str,
    roots: &RootCertStore,
    alpn: &[&[u8]],
) -> io::Result<RawClient> {
    let mut client = RawClient::connect(proxy).await;
    let answer = client.ask_connect(authority).await;
    assert_eq!(answer.status, 200, "CONNECT {authority}: {answer:?}");
    client.start_tls(sni, roots, alpn).await
}
