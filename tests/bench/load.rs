//! Role `load`: keeps connections busy for a while and says how long each request took.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncBufReadExt as _, sync::watch};

use crate::{
    histogram::Histogram,
    origin::{ANSWER, HOST},
    support::{RawClient, roots_of_pem},
};

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Where to open TCP connections.
    pub dial: SocketAddr,
    /// What to ask for by CONNECT.
    pub connect: Option<String>,
    /// The origin's host and port as requests name it.
    pub authority: String,
    /// The file with the trusted roots.
    pub roots: PathBuf,
    /// What to send after `Bearer `.
    pub credential: String,
    /// How to speak.
    pub protocol: Protocol,
    /// How many connections.
    pub connections: usize,
    /// How many requests at a time on each; more than one needs h2.
    pub streams: usize,
    /// When to send.
    pub pace: Pace,
    /// For how long, after a warm-up.
    pub seconds: f64,
}

/// How to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    H1,
    /// h2.
    H2,
}

/// When to send.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pace {
    /// The next request as soon as the last is answered.
    AsFastAsPossible,
    /// So many a second over all connections.
    PerSecond(u32),
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Requests that were answered as they should be; any other answer ends the load.
    pub requests: u64,
    /// From the start to the end of the last request.
    pub seconds: f64,
    /// Microseconds.
    pub p50: f64,
    /// Microseconds.
    pub p99: f64,
}

/// Requests that each worker sends before it is measured.
const WARM_UP: usize = 20;

/// The role itself: says `ready`, waits for a line, and answers with an [`Outcome`].
pub async fn run(order: Order) {
    let (go, gone) = watch::channel(None::<Instant>);
    let workers = order.connections * order.streams;
    let (warm, mut warmed) = tokio::sync::mpsc::channel::<()>(workers);
    let mut tasks = Vec::new();
    for _ in 0..order.connections {
        for sender in open(&order).await {
            let worker = Worker { order: order.clone(), sender, number: tasks.len(), workers };
            tasks.push(tokio::spawn(worker.run(warm.clone(), gone.clone())));
        }
    }
    for _ in 0..workers {
        warmed.recv().await.expect("every worker gets warm");
    }
    println!("ready");
    tokio::io::BufReader::new(tokio::io::stdin()).read_line(&mut String::new()).await.unwrap();
    let begun = Instant::now();
    go.send(Some(begun)).unwrap();
    let mut times = Histogram::default();
    for task in tasks {
        task.await.expect("every worker ends well").iter().for_each(|&time| times.record(time));
    }
    let outcome = Outcome {
        requests: times.count(),
        seconds: begun.elapsed().as_secs_f64(),
        p50: times.quantile(0.5),
        p99: times.quantile(0.99),
    };
    println!("{}", serde_json::to_string(&outcome).unwrap());
}

struct Worker {
    order: Order,
    sender: Sender,
    number: usize,
    workers: usize,
}

impl Worker {
    async fn run(
        mut self,
        warm: tokio::sync::mpsc::Sender<()>,
        mut go: watch::Receiver<Option<Instant>>,
    ) -> Vec<Duration> {
        for _ in 0..WARM_UP {
            self.request().await;
        }
        warm.send(()).await.unwrap();
        let begun = go.wait_for(Option::is_some).await.unwrap().unwrap();
        let end = begun + Duration::from_secs_f64(self.order.seconds);
        let mut times = Vec::new();
        match self.order.pace {
            Pace::AsFastAsPossible => {
                let mut sent = Instant::now();
                while sent < end {
                    self.request().await;
                    let done = Instant::now();
                    times.push(done - sent);
                    sent = done;
                }
            }
            Pace::PerSecond(rate) => {
                let step = Duration::from_secs(1) / rate;
                let mut slot = begun + step * u32::try_from(self.number).unwrap();
                while slot < end {
                    let is_late = Instant::now() > slot;
                    tokio::time::sleep_until(slot.into()).await;
                    // A request that had to wait for the one before it counts its wait; the timer's own lateness
                    // (up to a millisecond) is not the subject's.
                    let sent = if is_late { slot } else { Instant::now() };
                    self.request().await;
                    times.push(sent.elapsed());
                    slot += step * u32::try_from(self.workers).unwrap();
                }
            }
        }
        times
    }

    /// One request; anything but the right answer stops the benchmark.
    async fn request(&mut self) {
        let authority = &self.order.authority;
        let request = match self.order.protocol {
            Protocol::H1 => Request::get("/v1/answer").header("host", authority),
            Protocol::H2 => Request::get(format!("https://{authority}/v1/answer")),
        };
        let request = request
            .header("user-agent", "bench/1")
            .header("accept", "application/json")
            .header("authorization", format!("Bearer {}", self.order.credential))
            .body(Empty::new())
            .unwrap();
        let response = self.sender.send(request).await;
        assert_eq!(response.status(), StatusCode::OK, "{:?}", response.headers());
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), ANSWER);
    }
}

/// One connection's senders: one for each stream.
async fn open(order: &Order) -> Vec<Sender> {
    let roots = roots_of_pem(&std::fs::read_to_string(&order.roots).unwrap());
    let mut client = RawClient::connect(order.dial).await;
    if let Some(authority) = &order.connect {
        let answer = client.ask_connect(authority).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let alpn: &[u8] = if order.protocol == Protocol::H2 { b"h2" } else { b"http/1.1" };
    let client = client.start_tls(HOST, &roots, &[alpn]).await.unwrap();
    assert_eq!(client.alpn().map(str::as_bytes), Some(alpn));
    let io = TokioIo::new(client.into_io());
    match order.protocol {
        Protocol::H1 => {
            assert_eq!(order.streams, 1, "HTTP/1.1 has one request at a time");
            let (sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            vec![Sender::H1(sender)]
        }
        Protocol::H2 => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            (0..order.streams).map(|_| Sender::H2(sender.clone())).collect()
        }
    }
}

enum Sender {
    H1(http1::SendRequest<Empty<Bytes>>),
    H2(http2::SendRequest<Empty<Bytes>>),
}

impl Sender {
    async fn send(&mut self, request: Request<Empty<Bytes>>) -> Response<Incoming> {
        match self {
            Self::H1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Self::H2(sender) => sender.send_request(request).await.unwrap(),
        }
    }
}
