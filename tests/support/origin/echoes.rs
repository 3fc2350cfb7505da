//! Answers that repeat what the request brought.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    answers::Case,
    body::{self, Body, Item, full},
    coding,
    record::{Recorded, values},
};

impl Case {
    pub(super) fn recorded(&self) -> Recorded {
        self.place.log.read().requests[self.number].clone()
    }

    pub(super) fn header_value(&self) -> String {
        let name = self.query.get("header").unwrap_or("authorization");
        values(&self.recorded().headers, name).join(", ")
    }

    /// The credential that the request brought; empty when there is none.
    pub(super) fn credential(&self) -> String {
        if let Some(name) = self.query.get("query") {
            return self.query.get(name).unwrap_or_default().to_owned();
        }
        let value = self.header_value();
        let last = value.rsplit(' ').next().unwrap_or_default();
        let Some(part) = self.query.get("basic") else { return last.to_owned() };
        let pair = String::from_utf8(STANDARD.decode(last).unwrap_or_default()).unwrap_or_default();
        let (user, password) = pair.split_once(':').unwrap_or_default();
        if part == "user" { user.to_owned() } else { password.to_owned() }
    }

    pub(super) fn echo(&self) -> serde_json::Value {
        let request = self.recorded();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pairs = |list: &[(String, Vec<u8>)]| list.iter().map(|(n, v)| json!([n, text(v)])).collect::<Vec<_>>();
        json!({
            "method": request.method,
            "target": request.target,
            "version": format!("{:?}", request.version),
            "headers": pairs(&request.headers),
            "body": text(&request.body),
            "trailers": pairs(&request.trailers),
            "credential": self.credential(),
        })
    }

    pub(super) fn spelled(&self, spelling: &str) -> String {
        let (before, after) = (self.query.get("before").unwrap_or(""), self.query.get("after").unwrap_or(""));
        coding::spell(spelling, format!("{before}{}{after}", self.credential()).as_bytes())
    }

    pub(super) fn echo_header(&self) -> Response<Body> {
        let credential = self.credential();
        Response::builder()
            .header("x-echo", &credential)
            .header(header::SET_COOKIE, "first=1")
            .header(header::SET_COOKIE, format!("second={credential}; Path=/"))
            .header(
                header::LOCATION,
                format!("https://elsewhere.test/?t={}", coding::spell("percent", credential.as_bytes())),
            )
            .header(header::WWW_AUTHENTICATE, format!("Bearer error=\"bad token {credential}\""))
            .body(full("in the headers"))
            .unwrap()
    }

    pub(super) fn split(&self, gate: Option<mpsc::UnboundedReceiver<Item>>) -> Body {
        let mut text = Bytes::from(format!("before {} after", self.credential()));
        let first = text.split_to(self.query.number("at").unwrap().min(text.len()));
        let Some(mut gate) = gate else { return body::pieces(vec![first, text]) };
        body::produced(None, move |out| async move {
            out.data(first).await?;
            gate.recv().await;
            out.data(text).await
        })
    }

    pub(super) async fn coded(&self, codings: &str) -> Response<Body> {
        let plain = self.query.get("as").map_or_else(|| self.echo().to_string(), |spelling| self.spelled(spelling));
        let mut coded = Vec::new();
        for _ in 0..self.query.number("members").unwrap_or(1) {
            coded.extend(coding::encode(codings, plain.as_bytes()).await);
        }
        let size = self.query.number("size").unwrap_or(7);
        let label = self.query.get("label").unwrap_or(if codings == "deflate-raw" { "deflate" } else { codings });
        Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, label)
            .body(body::pieces(coded.chunks(size).map(Bytes::copy_from_slice).collect()))
            .unwrap()
    }

    pub(super) fn trailers(&self) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", "done".parse().unwrap());
        trailers.insert("x-echo", self.credential().parse().unwrap());
        let body = body::produced(None, |out| async move {
            out.data("before the trailers").await?;
            out.trailers(trailers).await
        });
        Response::builder().header(header::TRAILER, "X-End, X-Echo").body(body).unwrap()
    }

    /// The credential, or the part of it that `Range` asks for (attack 76).
    pub(super) fn range(&self) -> Response<Body> {
        let text = self.credential();
        let asked = values(&self.recorded().headers, "range");
        let bounds = asked.first().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((first, last)) = bounds else { return Response::new(full(text)) };
        let first = first.parse().unwrap_or(0).min(text.len());
        let end = last.parse().map_or(text.len(), |last: usize| last + 1).clamp(first, text.len());
        Response::builder()
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, format!("bytes {first}-{}/{}", end.saturating_sub(1), text.len()))
            .body(full(text[first..end].to_owned()))
            .unwrap()
    }
}
