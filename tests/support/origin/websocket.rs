//! The WebSocket end of an origin: the handshake of RFC 6455 and an echo of each message.

use std::{io, sync::Arc};

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::task::AbortOnDropHandle;

use super::{
    body::{Body, full},
    place::Place,
    record::Log,
};
use crate::support::frames::{Frame, Opcode, accept_key};

/// Agrees to the upgrade and serves it, or answers 426.
pub fn accept(place: &Arc<Place>, credential: &str, mut request: Request<Incoming>) -> Response<Body> {
    let headers = request.headers();
    let is_upgrade =
        headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).map(accept_key);
    let (true, Some(key)) = (is_upgrade, key) else {
        return Response::builder().status(StatusCode::UPGRADE_REQUIRED).body(full("a WebSocket lives here")).unwrap();
    };
    let protocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL).cloned();
    let (log, credential) = (place.log.clone(), credential.to_owned());
    let upgrade = hyper::upgrade::on(&mut request);
    let task = tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let _ = echo(TokioIo::new(upgraded), &log, &credential).await; // its end shows in the log of connections
        }
    });
    *place.upgraded.lock().unwrap() = Some(AbortOnDropHandle::new(task));
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, key);
    if let Some(first) = protocol.as_ref().and_then(|list| list.to_str().ok()?.split(',').next()) {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, first.trim());
    }
    response.body(full("")).unwrap()
}

async fn echo(mut io: impl AsyncRead + AsyncWrite + Unpin, log: &Log, credential: &str) -> io::Result<()> {
    while let Some(frame) = Frame::read(&mut io).await? {
        log.write(|pages| pages.frames.push(frame.clone()));
        let answer = match frame.opcode {
            Opcode::Ping => Frame::new(Opcode::Pong, frame.payload),
            Opcode::Pong => continue,
            Opcode::Text if frame.payload == b"credential" => Frame::text(credential),
            _ => frame,
        };
        io.write_all(&answer.encode(None)).await?;
        io.flush().await?;
        if answer.opcode == Opcode::Close {
            return io.shutdown().await;
        }
    }
    Ok(())
}
