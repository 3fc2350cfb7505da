//! The origin's answers, by path.
//!
//! Where a path repeats "the credential", that is the last word of `Authorization`, or what the query points to:
//! `header=NAME` (last word of its value), `basic=user|password` (that part of the Basic credential), `query=NAME`.
//! `gate=NAME` lets the test release the answer piece by piece.
//!
//! | path | answer |
//! |---|---|
//! | `/echo` | JSON: method, target, version, headers, body, trailers, credential |
//! | `/echo-raw` | the whole value of `Authorization` (or of `header=`) |
//! | `/echo-as/SPELLING?before=&after=` | the credential in one of `SPELLINGS` |
//! | `/echo-header` | the credential in `X-Echo`, two `Set-Cookie`, `Location` and `WWW-Authenticate` |
//! | `/split?at=K[&gate=]` | `before CREDENTIAL after`, cut at byte K into two pieces |
//! | `/gzip /br /zstd /deflate /coded?codings=A,B[&label=][&members=][&size=][&as=]` | the echo, coded, in pieces of 7 bytes |
//! | `/bomb?codings=&mib=` | that many mebibytes of zeros, coded |
//! | `/range` | the credential, or the part that `Range` asks for |
//! | `/trailers` | the trailers `X-End: done` and `X-Echo: CREDENTIAL` |
//! | `/answer?status=&header=NAME:VALUE&body=[&codings=]` | just that, with as many headers as given, the body coded |
//! | `/only/VALUE` | 200 when the credential is that, else 401 |
//! | `/status/NNN` | that status, the number as body where one is allowed |
//! | `/early/NNN` | that status at once, the request's body unread |
//! | `/redirect?to=URL` | 302 |
//! | `/bytes/N`, `/flood` | N bytes with a length; bytes without end |
//! | `/stream?n=N[&size=][&gate=]`, `/sse?n=N[&gate=]` | N pieces or events |
//! | `/hang/head?gate=`, `/hang/body?gate=` | nothing, or a head and `begun`, until released |
//! | `/close`, `/close/body` | the connection breaks before the head, or within the body |
//! | `/upload[?gate=]`, `/continue` | JSON: length and SHA-256 of the body; with a gate each piece is read when released |
//! | `/duplex` | each piece of the request as it comes |
//! | `/ws` | WebSocket echo; the text `credential` is answered with the credential |
//! | `/git/...` | smart HTTP |

use std::{io, sync::Arc};

use aws_lc_rs::digest;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use leasehold::base::hex;
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    body::{self, Body, Item, Watched, full},
    coding,
    place::{Pending, Place, fields},
    query::Query,
    record::{BodyState, KEPT},
    websocket,
};

/// Records a request and answers it; an error breaks the connection.
pub async fn answer(place: Arc<Place>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let number = place.begin(&request);
    let _pending = Pending { log: place.log.clone(), number };
    let case = Case { place, number, query: Query::parse(request.uri().query().unwrap_or_default()) };
    let response = case.route(request).await?;
    let log = case.place.log.clone();
    Ok(response.map(|body| Watched::new(body, log, number).boxed_unsync()))
}

/// Whether a body is wanted beyond its record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    Nothing,
}

/// One request and what it asks for.
pub struct Case {
    pub(super) place: Arc<Place>,
    pub(super) number: usize,
    pub(super) query: Query,
}

impl Case {
    async fn route(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            // These decide for themselves when the request's body is read.
            ["ws"] => return Ok(websocket::accept(&self.place, &self.credential(), request)),
            ["early", status] => return Ok(answer_with(status, full("early"))),
            ["duplex"] => return Ok(Response::new(self.duplex(request.into_body()))),
            ["git", ..] => {
                let git = self.place.git.clone().ok_or_else(|| io::Error::other("this origin has no repositories"))?;
                let (parts, body) = request.into_parts();
                let body = self.read(body, None, Keep::All).await?;
                return git.answer(&parts, body).await;
            }
            ["close"] => return Err(io::Error::other("closed by the test")),
            _ => {}
        }
        let gate = self.query.get("gate").map(|name| self.place.gates.take(name));
        let body = request.into_body();
        let (read_gate, mut gate) = if path == "/upload" { (gate, None) } else { (None, gate) };
        self.read(body, read_gate, Keep::Nothing).await?;
        Ok(match segments.as_slice() {
            ["echo"] => json(&self.echo()),
            ["echo-raw"] => Response::new(full(self.header_value())),
            ["echo-as", spelling] => Response::new(full(self.spelled(spelling))),
            ["echo-header"] => self.echo_header(),
            ["split"] => Response::new(self.split(gate)),
            ["gzip" | "br" | "zstd" | "deflate"] => self.coded(segments[0]).await,
            ["coded"] => self.coded(self.query.get("codings").unwrap()).await,
            ["bomb"] => self.bomb().await,
            ["range"] => self.range(),
            ["trailers"] => self.trailers(),
            ["answer"] => self.given().await,
            ["only", value] if self.credential() == *value => Response::new(full("welcome")),
            ["only", _] => answer_with("401", full("who are you?")),
            ["status", status] => answer_with(status, status_body(status)),
            ["redirect"] => {
                let to = self.query.get("to").unwrap();
                Response::builder().status(302).header(header::LOCATION, to).body(full("")).unwrap()
            }
            ["bytes", n] => Response::new(zeros(Some(n.parse().unwrap()))),
            ["flood"] => Response::new(zeros(None)),
            ["stream"] => {
                let size = self.query.number("size").unwrap_or(0);
                Response::new(self.released(gate, move |i| format!("{:<size$}", format!("chunk {i}\n"))))
            }
            ["sse"] => {
                let body = self.released(gate, |i| format!("data: event {i}\n\n"));
                Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(body).unwrap()
            }
            ["hang", "head"] => {
                match &mut gate {
                    Some(gate) => drop(gate.recv().await),
                    None => std::future::pending().await,
                }
                Response::new(full("released"))
            }
            ["hang", "body"] => Response::new(hanging(gate)),
            ["late-end"] => Response::new(body::produced(Some(5), |out| async move {
                out.data("whole").await?;
                if let Some(mut gate) = gate {
                    gate.recv().await; // over h2 the end comes in a frame of its own
                }
                Ok(())
            })),
            ["close", "body"] => Response::new(body::produced(Some(100), |out| async move {
                out.data("half a bo").await?;
                out.abort().await
            })),
            ["upload" | "continue"] => {
                let recorded = self.recorded();
                json(&json!({"length": recorded.body_length, "sha256": recorded.body_sha256}))
            }
            _ => answer_with("404", full("no such path")),
        })
    }

    /// Reads the request's body into the record, with a gate one piece for each release.
    async fn read(
        &self,
        mut body: Incoming,
        mut gate: Option<mpsc::UnboundedReceiver<Item>>,
        keep: Keep,
    ) -> io::Result<Bytes> {
        let mut hash = digest::Context::new(&digest::SHA256);
        let log = &self.place.log;
        let mut whole = Vec::new();
        loop {
            if let Some(items) = &mut gate
                && !matches!(items.recv().await, Some(Item::Next))
            {
                gate = None; // finished: the rest is read at once
            }
            match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        hash.update(&data);
                        if keep == Keep::All {
                            whole.extend_from_slice(&data);
                        }
                        log.on_request(self.number, |request| {
                            request.body_length += data.len() as u64;
                            let room = KEPT.saturating_sub(request.body.len()).min(data.len());
                            request.body.extend_from_slice(&data[..room]);
                        });
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        log.on_request(self.number, |request| request.trailers = fields(&trailers));
                    }
                },
                Some(Err(error)) => {
                    log.on_request(self.number, |request| request.body_state = BodyState::Broken(error.to_string()));
                    return Err(io::Error::other(error));
                }
                None => break,
            }
        }
        log.on_request(self.number, |request| {
            request.body_sha256 = hex(hash.finish().as_ref());
            request.body_state = BodyState::Complete;
        });
        Ok(whole.into())
    }

    async fn bomb(&self) -> Response<Body> {
        let codings = self.query.get("codings").unwrap();
        let coded = coding::encode(codings, &vec![0; self.query.number("mib").unwrap() << 20]).await;
        let response = Response::builder().header(header::CONTENT_ENCODING, codings);
        response.header(header::CONTENT_TYPE, "text/plain").body(full(coded)).unwrap()
    }

    async fn given(&self) -> Response<Body> {
        let body = self.query.get("body").unwrap_or("").to_owned();
        let body = match self.query.get("codings") {
            Some(codings) => full(coding::encode(codings, body.as_bytes()).await),
            None => full(body),
        };
        let mut response = answer_with(self.query.get("status").unwrap_or("200"), body);
        for pair in self.query.all("header") {
            let (name, value) = pair.split_once(':').unwrap();
            let name: header::HeaderName = name.parse().unwrap();
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    }

    /// `n` pieces that `make` writes, each when released if there is a gate.
    fn released(
        &self,
        gate: Option<mpsc::UnboundedReceiver<Item>>,
        make: impl Fn(usize) -> String + Send + 'static,
    ) -> Body {
        let n = self.query.number("n").unwrap_or(usize::MAX);
        body::produced(None, move |out| async move {
            let mut gate = gate;
            for i in 0..n {
                let item = match &mut gate {
                    None => Item::Next,
                    Some(gate) => gate.recv().await.unwrap_or(Item::Finish),
                };
                match item {
                    Item::Abort => return out.abort().await,
                    Item::Bytes(bytes) => out.data(bytes).await?,
                    Item::Finish => return Ok(()),
                    Item::Next => out.data(make(i)).await?,
                }
                tokio::task::yield_now().await;
            }
            Ok(())
        })
    }

    fn duplex(&self, mut incoming: Incoming) -> Body {
        let (log, number) = (self.place.log.clone(), self.number);
        body::produced(None, move |out| async move {
            while let Some(frame) = incoming.frame().await {
                let Ok(frame) = frame else { return out.abort().await };
                if let Ok(data) = frame.into_data() {
                    log.on_request(number, |request| request.body_length += data.len() as u64);
                    out.data(data).await?;
                }
            }
            log.on_request(number, |request| request.body_state = BodyState::Complete);
            Ok(())
        })
    }
}

/// An answer with this status; a wrong number is the test's fault.
fn answer_with(status: &str, body: Body) -> Response<Body> {
    Response::builder().status(status).body(body).unwrap()
}

/// The number itself, where the status allows a body.
fn status_body(status: &str) -> Body {
    full(if matches!(status, "204" | "205" | "304") { String::new() } else { status.to_owned() })
}

fn json(value: &serde_json::Value) -> Response<Body> {
    Response::builder().header(header::CONTENT_TYPE, "application/json").body(full(value.to_string())).unwrap()
}

/// Zeros as they are asked for; without a length, for ever.
fn zeros(length: Option<u64>) -> Body {
    body::produced(length, move |out| async move {
        let piece = Bytes::from_static(&[0; 16 << 10]);
        let mut left = length.unwrap_or(u64::MAX);
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            out.data(piece.slice(..size)).await?;
            left -= size as u64;
        }
        Ok(())
    })
}

/// A head and a first piece; then whatever the gate says.
fn hanging(gate: Option<mpsc::UnboundedReceiver<Item>>) -> Body {
    body::produced(None, |out| async move {
        out.data("begun\n").await?;
        match gate {
            Some(mut gate) => match gate.recv().await {
                Some(Item::Abort) => out.abort().await,
                Some(Item::Bytes(bytes)) => out.data(bytes).await,
                _ => out.data("released\n").await,
            },
            None => std::future::pending().await,
        }
    })
}
