//! WebSocket: an upgraded connection is relayed frame-blind, cut with its lease, and ended when an echo passes. Where the
//! credential belongs into a message, the client's frames are read until it stands there.
//!
//! Compression is not negotiated (the extension is removed), so what the upstream says can be searched as it passes;
//! an echo cannot be replaced inside a frame, so it ends the connection (attack 75).

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    answer::AnswerBody,
    flow::Flow,
    hop::{self, Upgrading},
    letter::{Letter, Unsendable},
    outcome::Outcome,
    scrub::{Arrived, Scrub},
};
use crate::base::CutReason;

/// Both ends of an exchange that switches protocols.
pub(super) struct Switching {
    pub(super) client: OnUpgrade,
    pub(super) arrived: Arrived,
    pub(super) scrub: Option<Scrub>,
    pub(super) letter: Option<Letter>,
}

/// The client's end, taken out of the request before it is taken apart.
pub(super) fn take(request: &mut Request<Incoming>) -> Option<OnUpgrade> {
    request.headers().contains_key(http::header::UPGRADE).then(|| hyper::upgrade::on(request))
}

/// Answers the handshake and relays until either side ends or the lease is cut.
pub(super) fn splice(switching: Switching) -> Response<AnswerBody> {
    let Switching { client, arrived, scrub, letter } = switching;
    let Arrived { mut response, flow, mut outcome, .. } = arrived;
    outcome.status(response.status().as_u16());
    let upstream = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    hop::clean_answer(&mut parts.headers, Upgrading::WebSocket);
    if let Some(scrub) = &scrub {
        scrub.head(&mut parts.headers);
    }
    parts.extensions = http::Extensions::new();
    // Owned by the exchange: it ends with either connection, with the lease, or with the runtime.
    tokio::spawn(async move {
        match tokio::try_join!(client, upstream) {
            Ok((client, upstream)) => {
                let end = relay((client, letter), upstream, scrub, &flow).await;
                close(&mut outcome, end);
            }
            Err(error) => outcome.failed(&error.to_string()),
        }
    });
    Response::from_parts(parts, AnswerBody::from(Bytes::new()))
}

enum End {
    Cut(CutReason),
    Echo,
    /// The client's message cannot be sent.
    Refused(Unsendable),
    Finished(io::Result<()>),
}

fn close(outcome: &mut Outcome, end: End) {
    match end {
        End::Cut(reason) => outcome.failed(reason.as_str()), // recorded as *cut*, because the flow's watch has fired
        End::Echo => outcome.failed("the credential came back over the WebSocket; the connection was ended"),
        End::Refused(why) => outcome.failed(&why.to_string()),
        End::Finished(Ok(())) => outcome.done(),
        End::Finished(Err(error)) => outcome.failed(&error.to_string()),
    }
}

async fn relay(
    (client, mut letter): (Upgraded, Option<Letter>),
    upstream: Upgraded,
    scrub: Option<Scrub>,
    flow: &Flow,
) -> End {
    let (mut client_read, mut client_write) = tokio::io::split(TokioIo::new(client));
    let (mut upstream_read, mut upstream_write) = tokio::io::split(TokioIo::new(upstream));
    let forth = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = client_read.read(&mut buffer).await?;
            if read == 0 {
                return upstream_write.shutdown().await.map(|()| None);
            }
            let data = buffer.get(..read).unwrap_or_default();
            let written = match letter.as_mut().map(|letter| letter.feed(data)) {
                None => upstream_write.write_all(data).await,
                Some(Ok(frames)) => upstream_write.write_all(&frames).await,
                Some(Err(why)) => return Ok(Some(End::Refused(why))),
            };
            written?;
            upstream_write.flush().await?;
            letter.take_if(|letter| letter.is_sent());
            flow.add_sent(read);
        }
    };
    let back = async {
        let mut buffer = vec![0; 16 * 1024];
        let mut search = scrub;
        loop {
            let read = upstream_read.read(&mut buffer).await?;
            if read == 0 {
                return client_write.shutdown().await.map(|()| End::Finished(Ok(())));
            }
            let data = buffer.get(..read).unwrap_or_default();
            // What may begin an echo waits with the rest of its frame; what is one never leaves.
            let (clean, echo) = match &mut search {
                Some(search) => search.watch(data),
                None => (Bytes::copy_from_slice(data), false),
            };
            if echo {
                return Ok(End::Echo);
            }
            client_write.write_all(&clean).await?;
            client_write.flush().await?;
            flow.add_received(read);
        }
    };
    tokio::select! {
        biased;
        reason = flow.wait() => End::Cut(reason),
        end = back => end.unwrap_or_else(|error| End::Finished(Err(error))),
        Some(end) = async {
            match forth.await {
                Ok(None) => None,
                Ok(end) => end,
                Err(error) => Some(End::Finished(Err(error))),
            }
        } => end,
    }
}
