//! Where a request arrives, and the opening of its record.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Version};
use hyper::body::{Body as _, Incoming};
use leasehold::base::{hex, sha256};
use tokio_util::task::AbortOnDropHandle;

use super::{
    body::Gates,
    record::{AnswerState, BodyState, Log, Recorded},
    tap::{Heads, head_fields},
};
use crate::support::git::GitRepos;

/// Where a request arrived.
pub struct Place {
    pub log: Log,
    pub gates: Gates,
    pub git: Option<GitRepos>,
    pub connection: usize,
    pub heads: Heads,
    pub upgraded: Upgraded,
}

/// The task that serves a connection after its upgrade.
pub type Upgraded = Arc<Mutex<Option<AbortOnDropHandle<()>>>>;

/// Records the loss of an answer that was never begun, and of the body that was being read for it.
pub struct Pending {
    pub log: Log,
    pub number: usize,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.log.on_request(self.number, |request| {
            if request.answer == AnswerState::Pending {
                request.answer = AnswerState::Cut;
                if request.body_state == BodyState::Arriving {
                    request.body_state = BodyState::Broken("the connection went away".to_owned());
                }
            }
        });
    }
}

impl Place {
    /// Opens the record of a request.
    pub fn begin(&self, request: &Request<Incoming>) -> usize {
        let mut headers = fields(request.headers());
        let mut target = request.uri().to_string();
        let mut head = Vec::new();
        if request.version() == Version::HTTP_2 {
            target = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
            let uri = request.uri();
            let pseudo = [
                (":method", Some(request.method().as_str())),
                (":scheme", uri.scheme_str()),
                (":authority", uri.authority().map(http::uri::Authority::as_str)),
                (":path", Some(target.as_str())),
            ];
            let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
            headers = pseudo.chain(headers).collect();
        } else if let Some(bytes) = self.heads.lock().unwrap().pop_front() {
            headers = head_fields(&bytes);
            let line = String::from_utf8_lossy(bytes.split(|&b| b == b'\n').next().unwrap()).into_owned();
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut target);
            head = bytes;
        }
        let (method, version) = (request.method().to_string(), request.version());
        let is_bodiless = request.body().is_end_stream();
        self.log.write(|pages| {
            let number = pages.requests.len();
            pages.requests.push(Recorded {
                number,
                connection: self.connection,
                method,
                target,
                version,
                headers,
                head,
                body: Vec::new(),
                body_length: 0,
                body_sha256: if is_bodiless { hex(&sha256(b"")) } else { String::new() },
                body_state: if is_bodiless { BodyState::Complete } else { BodyState::Arriving },
                trailers: Vec::new(),
                answer: AnswerState::Pending,
                answer_bytes: 0,
            });
            number
        })
    }
}

/// Every field of a header map, in its order.
pub fn fields(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}
