//! The typed client of the control socket: one call at a time, one deadline per call.

use std::{io, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, sleep, timeout_at},
};

use super::{
    Error, FailureCode, Listener, Method, Ping, Pong,
    buffer::Buffer,
    frame::{Frame, FrameReader},
    wire::{read_response, write_request},
};

/// A connection to the daemon. Dropping it ends the session that was opened on it.
pub struct Client {
    reader: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    deadline: Duration,
    last_id: u64,
    /// Whether the last request could not be sent whole.
    is_broken: bool,
}

/// Who answered.
enum Greeting {
    Ours,
    /// Its name, when it is known.
    Other(Option<&'static str>),
}

/// What agent-secrets' daemon answers to a method that it does not know.
const AGENT_SECRETS_SAYS: &str = "method \"daemon.ping\" not found";

impl Client {
    /// The longest answer that is read: lists and audit tails may be longer than requests.
    const MAX_ANSWER: usize = 16 * 1024 * 1024;
    /// How long the end of a connection is waited for, so that a session has ended when its command has; only a daemon
    /// that hangs takes that long.
    const LEAVE: Duration = Duration::from_secs(15);
    /// Between two attempts while the daemon's queue is full.
    const PAUSE: Duration = Duration::from_millis(20);

    /// Connects and greets; `deadline` holds for this and for each call. Refuses a socket that another user or another
    /// program serves, because secret values are about to cross it; one that its owner has opened to a group, in a
    /// folder that only the owner writes to, is what `socket_group` makes.
    pub async fn connect(socket: &Path, deadline: Duration) -> Result<Self, Error> {
        if socket.as_os_str().len() > Listener::MAX_PATH {
            return Err(Error::LongPath(socket.to_owned()));
        }
        let ends = Instant::now() + deadline;
        let stream = loop {
            match timeout_at(ends, UnixStream::connect(socket)).await {
                Err(_) => return Err(Error::Timeout(deadline.as_secs())),
                Ok(Ok(stream)) => break stream,
                Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() + Self::PAUSE >= ends {
                        return Err(Error::Timeout(deadline.as_secs()));
                    }
                    sleep(Self::PAUSE).await;
                }
                Ok(Err(source)) => return Err(not_connected(socket, source)),
            }
        };
        let peer = stream.peer_cred().map_err(|source| not_connected(socket, source))?;
        if peer.uid() != rustix::process::geteuid().as_raw() && !is_for_a_group(socket, peer.uid()) {
            return Err(Error::Foreign { path: socket.to_owned(), uid: peer.uid() });
        }
        let (read, writer) = stream.into_split();
        let mut client =
            Self { reader: FrameReader::new(read, Self::MAX_ANSWER), writer, deadline, last_id: 0, is_broken: false };
        let pid = peer.pid().filter(|pid| *pid > 0); // 0 is a process that we cannot see
        let greeted = timeout_at(ends, client.greet()).await.map_err(|_| Error::Timeout(deadline.as_secs()))?;
        match greeted? {
            Greeting::Ours => Ok(client),
            Greeting::Other(program) => Err(Error::OtherProgram { path: socket.to_owned(), pid, program }),
        }
    }

    /// Asks what only our daemon answers. Whatever it refuses is told by the call that comes.
    async fn greet(&mut self) -> Result<Greeting, Error> {
        let id = self.ask(&Ping {}).await?;
        loop {
            match read_response::<Pong>(id, self.answer().await?.as_slice()) {
                Ok(None) => {}
                Ok(Some(Err(failure))) if failure.code == FailureCode::MethodNotFound => {
                    return Ok(Greeting::Other((failure.message == AGENT_SECRETS_SAYS).then_some("agent-secrets")));
                }
                Ok(Some(_)) => return Ok(Greeting::Ours),
                Err(_) => return Ok(Greeting::Other(None)),
            }
        }
    }

    /// Calls a method and waits for its answer.
    pub async fn call<M: Method>(&mut self, request: M) -> Result<M::Answer, Error> {
        let ends = Instant::now() + self.deadline;
        let seconds = self.deadline.as_secs();
        timeout_at(ends, self.exchange(request)).await.map_err(|_| Error::Timeout(seconds))?
    }

    async fn exchange<M: Method>(&mut self, request: M) -> Result<M::Answer, Error> {
        let id = self.ask(&request).await?;
        loop {
            let answer = read_response(id, self.answer().await?.as_slice());
            if let Some(outcome) = answer.map_err(|e| Error::Protocol(shape_of(&e)))? {
                return Ok(outcome?);
            }
        }
    }

    /// Sends a request and gives its id. A server that refuses early may have closed; its answer is still there to read.
    async fn ask<M: Method>(&mut self, request: &M) -> Result<u64, Error> {
        self.last_id += 1;
        let line = write_request(self.last_id, M::NAME, request).map_err(|e| Error::Protocol(e.to_string()))?;
        self.is_broken = self.writer.write_all(line.as_slice()).await.is_err();
        Ok(self.last_id)
    }

    async fn answer(&mut self) -> Result<Buffer, Error> {
        match self.reader.next().await {
            Ok(Frame::Line(line)) => Ok(line),
            Ok(Frame::TooLong) => Err(Error::Protocol("it is too long".into())),
            Ok(Frame::End) if !self.is_broken => Err(Error::Protocol("it closed the connection".into())),
            Ok(Frame::End) | Err(_) => Err(Error::Protocol("the connection broke off".into())),
        }
    }

    /// Ends the connection, and the session that was opened on it, and waits until the daemon has done so.
    pub async fn finish(mut self) {
        let ends = Instant::now() + self.deadline.min(Self::LEAVE);
        // A daemon that has gone, or does not answer, has no session of ours to end.
        let _ = timeout_at(ends, async {
            if self.writer.shutdown().await.is_ok() {
                self.closed().await;
            }
        })
        .await;
    }

    /// Waits until the daemon goes away; for sessions, whose end is the end of their connection.
    pub async fn closed(&mut self) {
        while matches!(self.reader.next().await, Ok(Frame::Line(_) | Frame::TooLong)) {}
    }
}

fn is_for_a_group(socket: &Path, server: u32) -> bool {
    let Ok(file) = std::fs::symlink_metadata(socket) else { return false };
    let folder = socket.parent().and_then(|folder| std::fs::metadata(folder).ok());
    let is_owners = folder.is_some_and(|folder| [0, server].contains(&folder.uid()) && folder.mode() & 0o022 == 0);
    file.uid() == server && file.mode() & 0o777 == 0o660 && is_owners
}

/// Where a JSON error is, without what stands there: the answer may hold a value.
fn shape_of(error: &serde_json::Error) -> String {
    super::api::without_values(&error.to_string())
}

fn not_connected(socket: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotRunning(socket.to_owned()),
        _ => Error::Io { action: "connect to", path: socket.to_owned(), source },
    }
}
