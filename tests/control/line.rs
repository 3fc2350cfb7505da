//! A daemon in this process on a clock of the test's own, and raw lines to its socket.

use std::path::PathBuf;

use leasehold::{
    base::{Clock, Home, Timestamp},
    daemon::{self, Options, Running, Settings},
    store::Store,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

/// A daemon with an empty store.
pub(crate) struct Desk {
    pub(crate) home: Home,
    pub(crate) clock: Clock,
    running: Running,
    _folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let folder = crate::support::short_folder();
        let home = Home::at(folder.path().join("h"));
        let clock = Clock::manual(Timestamp::parse("2026-11-24T12:00:00Z").unwrap());
        Store::create(&home, clock.clone()).unwrap();
        let running = daemon::build(&Options::new(&home, Settings::default()), clock.clone()).await.unwrap();
        Self { home, clock, running, _folder: folder }
    }

    /// Another daemon over the same home, after this one has ended.
    pub(crate) async fn again(self) -> Self {
        self.running.stop().await;
        let running = daemon::build(&Options::new(&self.home, Settings::default()), self.clock.clone()).await.unwrap();
        Self { running, ..self }
    }

    pub(crate) async fn line(&self) -> RawLine {
        RawLine::to(&self.home.socket()).await
    }
}

/// One connection.
pub(crate) struct RawLine {
    stream: BufReader<UnixStream>,
    last_id: u64,
}

impl RawLine {
    pub(crate) async fn to(socket: &PathBuf) -> Self {
        Self { stream: BufReader::new(UnixStream::connect(socket).await.unwrap()), last_id: 0 }
    }

    /// Sends these bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// The next line, or `Null` at the end.
    pub(crate) async fn read(&mut self) -> Value {
        let mut line = String::new();
        let count = self.stream.read_line(&mut line).await.unwrap();
        if count == 0 { Value::Null } else { serde_json::from_str(&line).unwrap() }
    }

    /// Whatever comes until the other end closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await; // a reset is an end too
        rest
    }

    /// Calls a method; the whole answer, whose id must be the call's.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params});
        self.send(format!("{request}\n").as_bytes()).await;
        let answer = self.read().await;
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&"2.0".into(), &self.last_id.into()), "{answer}");
        answer
    }

    /// Calls a method that succeeds; its result.
    pub(crate) async fn ok(&mut self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Calls a method that fails with this number; its error.
    pub(crate) async fn fails(&mut self, method: &str, params: Value, code: i64) -> Value {
        let answer = self.call(method, params).await;
        assert_eq!(answer["error"]["code"], code, "{method}: {answer}");
        assert!(answer.get("result").is_none(), "{method}: {answer}");
        answer["error"].clone()
    }
}
