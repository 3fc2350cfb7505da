//! One connection: requests in, answers out as they finish, and an end that lets go of everything it held.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc};

use futures_util::FutureExt as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    Answer, Call, Connection, Failure, FailureCode, Limits, Peer, Service,
    buffer::Buffer,
    frame::{Frame, FrameReader},
    wire::{Id, read_request, write_response},
};
use crate::base::{CutReason, CutWatch};

/// Answers that wait for a slow reader.
const QUEUE: usize = 16;

/// Speaks with one client until it goes away, misbehaves in time, or the server stops.
pub(super) async fn converse<S: Service>(
    stream: UnixStream,
    peer: Peer,
    service: Arc<S>,
    limits: Limits,
    stop: CutWatch,
) {
    let (read, write) = stream.into_split();
    let (answers, queue) = mpsc::channel(QUEUE);
    let connection = Connection::new();
    let writer = tokio::spawn(write_answers(write, queue, limits, connection.clone()));
    let mut calls = JoinSet::new();
    let desk = Desk { service, peer, connection: connection.clone(), limits, answers };
    let reason = read_requests(read, &desk, &mut calls, &stop).await;
    connection.close(reason);
    // What was asked before the end is still answered: a client may have closed its sending side only.
    tokio::select! {
        () = async { while calls.join_next().await.is_some() {} } => {}
        () = sleep(limits.call) => {}
        () = async { stop.wait().await; sleep(limits.grace).await } => {}
    }
    calls.abort_all();
    drop(desk);
    let _ = timeout(limits.answer, writer).await;
}

/// What every call of one connection needs.
struct Desk<S> {
    service: Arc<S>,
    peer: Peer,
    connection: Connection,
    limits: Limits,
    answers: mpsc::Sender<Buffer>,
}

async fn read_requests<S: Service>(
    read: OwnedReadHalf,
    desk: &Desk<S>,
    calls: &mut JoinSet<()>,
    stop: &CutWatch,
) -> CutReason {
    let places = Arc::new(Semaphore::new(desk.limits.calls));
    let mut reader = FrameReader::new(read, desk.limits.frame);
    let closed = desk.connection.closed();
    loop {
        while calls.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, next_frame(&mut reader, desk, &places).await)
        };
        let (place, frame) = tokio::select! {
            biased;
            _ = stop.wait() => return CutReason::Drained,
            _ = closed.wait() => return CutReason::SessionEnded,
            next = next => next,
        };
        match frame {
            Frame::End => return CutReason::SessionEnded,
            Frame::Line(line) => {
                let (id, call) = read_request(line.as_slice());
                drop(line);
                let work = answer(Arc::clone(&desk.service), desk.peer, desk.connection.clone(), desk.limits, call);
                let answers = desk.answers.clone();
                calls.spawn(async move {
                    let _ = answers.send(write_response(&id, &work.await)).await; // nobody left to tell
                    drop(place);
                });
            }
            Frame::TooLong => {
                let why = format!("a request line has at most {} bytes", desk.limits.frame);
                let refusal = write_response(&Id::default(), &Err(Failure::new(FailureCode::InvalidRequest, why)));
                let _ = desk.answers.send(refusal).await;
            }
        }
    }
}

/// The next frame; the end when the client takes too long over a line, or idles with nothing to wait for.
async fn next_frame<S>(reader: &mut FrameReader<OwnedReadHalf>, desk: &Desk<S>, places: &Semaphore) -> Frame {
    let mut line_ends = None;
    loop {
        if let Some(frame) = reader.take() {
            return frame;
        }
        let now = Instant::now();
        let ends =
            if reader.is_partial() { *line_ends.get_or_insert(now + desk.limits.line) } else { now + desk.limits.idle };
        let mut timer = pin!(sleep_until(ends));
        tokio::select! {
            filled = reader.fill() => match filled {
                Ok(true) => {}
                Ok(false) | Err(_) => return Frame::End,
            },
            () = &mut timer => {
                // One place is this reader's own; the others are calls that run.
                let busy = desk.connection.is_holding() || places.available_permits() + 1 < desk.limits.calls;
                if reader.is_partial() || !busy {
                    return Frame::End;
                }
            }
        }
    }
}

async fn answer<S: Service>(
    service: Arc<S>,
    peer: Peer,
    connection: Connection,
    limits: Limits,
    call: Result<Call, Failure>,
) -> Result<Answer, Failure> {
    let call = call?;
    let method = call.method();
    // A task of its own: a caller that goes away, or waits no longer, leaves no act half done.
    let work = tokio::spawn(async move {
        AssertUnwindSafe(async { service.call(&peer, &connection, call).await }).catch_unwind().await
    });
    match timeout(limits.call, work).await {
        Ok(Ok(Ok(answer))) => answer,
        Ok(Ok(Err(_)) | Err(_)) => {
            tracing::error!(target: "control", method, "a call broke off");
            Err(Failure::new(FailureCode::Internal, format!("`{method}` broke off by a fault of the daemon")))
        }
        Err(_) => {
            let why = format!("`{method}` took longer than {} s", limits.call.as_secs());
            Err(Failure::new(FailureCode::Timeout, why))
        }
    }
}

/// Writes answers in the order in which they finish; a client that does not read them is let go.
async fn write_answers(
    mut write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Buffer>,
    limits: Limits,
    connection: Connection,
) {
    while let Some(line) = queue.recv().await {
        if !matches!(timeout(limits.answer, write.write_all(line.as_slice())).await, Ok(Ok(()))) {
            connection.close(CutReason::SessionEnded);
            return;
        }
    }
    let _ = write.shutdown().await; // the client may have gone
}
