//! A well-behaved h2 client.

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Body, Incoming},
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_util::task::AbortOnDropHandle;

use super::{Answer, RawClient};
use crate::support::wait::within;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An h2 connection; clones share it.
#[derive(Clone)]
pub struct H2Client {
    sender: SendRequest<UnsyncBoxBody<Bytes, Failure>>,
    authority: String,
    _connection: std::sync::Arc<AbortOnDropHandle<()>>,
}

impl RawClient {
    /// Speaks h2 on this connection; requests go to `https://AUTHORITY` unless they say otherwise.
    pub async fn h2(self, authority: &str) -> H2Client {
        let io = TokioIo::new(self.into_io());
        let (sender, connection) = Builder::new(TokioExecutor::new()).handshake(io).await.unwrap();
        let task = tokio::spawn(async move {
            let _ = connection.await; // each request says what became of it
        });
        H2Client { sender, authority: authority.to_owned(), _connection: AbortOnDropHandle::new(task).into() }
    }
}

impl H2Client {
    /// Sends a GET and reads the whole answer.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, Full::default()).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn send<B>(&self, method: &str, path: &str, headers: &[(&str, &str)], body: B) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Failure>,
    {
        let mut request = Request::builder().method(method).uri(format!("https://{}{path}", self.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.request(request.body(body).unwrap()).await.unwrap();
        collect(response).await
    }

    /// Sends any request; the answer's body is still to come.
    pub async fn request<B>(&self, request: Request<B>) -> hyper::Result<Response<Incoming>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Failure>,
    {
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        *request.version_mut() = Version::HTTP_2;
        let mut sender = self.sender.clone();
        within("the head of an h2 answer", sender.send_request(request)).await
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Reads an answer to its end.
///
/// # Panics
/// When the body breaks off.
pub async fn collect(response: Response<Incoming>) -> Answer {
    let fields = |map: &http::HeaderMap| map.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
    let (parts, mut body) = response.into_parts();
    let mut answer = Answer { status: parts.status.as_u16(), headers: fields(&parts.headers), ..Answer::default() };
    while let Some(frame) = within("a frame of an h2 answer", body.frame()).await {
        match frame.unwrap().into_data() {
            Ok(data) => {
                answer.body.extend_from_slice(&data);
                answer.pieces.push(data.to_vec());
            }
            Err(frame) => answer.trailers = fields(&frame.into_trailers().unwrap()),
        }
    }
    answer
}
