//! Bodies stream in both directions as they come, at the pace of whoever reads them.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
};
use leasehold::base::{hex, sha256};
use tokio::sync::mpsc;

use crate::{
    house::{HOST, House, Plan},
    kit::{H1, H2, bearer, h2},
    support::{self, AnswerState, BodyState, Speaks, within},
};

const PAIRS: [(&[&[u8]], Speaks); 4] =
    [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)];

/// More than every buffer on the way together: those of TCP (10 MiB on each of two legs at the most), the windows of
/// HTTP/2 (8 MiB), and a little of our own.
const BOUND: u64 = 40 << 20;

async fn speaking(speaks: Speaks) -> House {
    House::build(Plan { speaks, ..Plan::default() }).await
}

/// The next data of an h2 answer.
async fn data(response: &mut Response<Incoming>) -> Bytes {
    within("a frame", response.frame()).await.unwrap().unwrap().into_data().unwrap()
}

/// The end of an h2 answer; an empty frame may carry it.
async fn ended(response: &mut Response<Incoming>) {
    while let Some(frame) = within("the end", response.frame()).await {
        assert_eq!(frame.unwrap().into_data().unwrap(), "");
    }
}

/// So many exchanges that whoever could run ahead meanwhile has done so.
async fn let_others_run(house: &House, lease: &str) {
    let mut client = house.http1().await;
    for _ in 0..200 {
        assert_eq!(client.get(HOST, "/status/200", &[("Authorization", lease)]).await.status, 200);
    }
}

/// A body that the test feeds, of unknown length.
fn fed() -> (mpsc::UnboundedSender<Bytes>, StreamBody<impl futures_util::Stream<Item = Fed> + Send + 'static>) {
    let (feed, pieces) = mpsc::unbounded_channel();
    let pieces = futures_util::stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
    (feed, StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))))
}

type Fed = Result<Frame<Bytes>, std::io::Error>;

#[tokio::test]
async fn attack_70_each_event_arrives_before_the_next_is_made() {
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let (lease, gate) = (bearer(&house.lease()), house.origin.gate("events"));
        let client = house.client(alpn).await;
        let path = "/sse?gate=events";
        if alpn == H2 {
            let client = client.h2(HOST).await;
            let request = Request::get(format!("https://{HOST}{path}")).header("authorization", &lease);
            let mut answer = client.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            assert_eq!(answer.headers()["content-type"], "text/event-stream");
            for i in 0..3 {
                gate.next();
                assert_eq!(data(&mut answer).await, format!("data: event {i}\n\n"), "{speaks:?}");
            }
            gate.finish();
            ended(&mut answer).await;
        } else {
            let mut client = client;
            client.write(support::head("GET", HOST, path, &[("Authorization", &lease)], 0)).await;
            let head = client.read_head().await; // before the first event
            assert_eq!(head.header("content-type").as_deref(), Some("text/event-stream"));
            for i in 0..3 {
                gate.next();
                assert_eq!(
                    client.read_piece().await.unwrap(),
                    format!("data: event {i}\n\n").into_bytes(),
                    "{speaks:?}"
                );
            }
            gate.finish();
            assert_eq!(client.read_piece().await, None, "{speaks:?}");
        }
        assert_eq!(house.ended(1).await[0].outcome.as_deref(), Some("ok"));
    }
}

/// A message of gRPC ends with any byte, and its receiver may answer before the next is sent.
#[tokio::test]
async fn attack_70_a_piece_that_ends_like_the_beginning_of_an_echo_arrives_before_the_next() {
    let house = House::new().await;
    let (lease, gate) = (bearer(&house.lease()), house.origin.gate("pieces"));
    let mut client = house.http1().await;
    client.write(support::head("GET", HOST, "/stream?gate=pieces", &[("Authorization", &lease)], 0)).await;
    client.read_head().await;
    for end in ["a", "acme", "YWNt", "6163"] {
        let piece = format!("the end is {end}").into_bytes();
        gate.send(piece.clone());
        let mut arrived = Vec::new();
        while arrived.len() < piece.len() {
            arrived.extend(client.read_piece().await.unwrap());
        }
        assert_eq!(arrived, piece);
    }
}

#[tokio::test]
async fn both_directions_of_one_exchange_run_at_once() {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let house = speaking(speaks).await;
        let (feed, body) = fed();
        let client = h2(&house).await;
        let request = Request::post(format!("https://{HOST}/duplex")).header("authorization", bearer(&house.lease()));
        feed.send(Bytes::from_static(b"first\n")).unwrap();
        let mut answer = client.request(request.body(body).unwrap()).await.unwrap();
        assert_eq!(data(&mut answer).await, "first\n", "{speaks:?}");
        for i in 0..10 {
            feed.send(format!("message {i}\n").into()).unwrap();
            assert_eq!(data(&mut answer).await, format!("message {i}\n"), "{speaks:?}"); // the upload is still open
        }
        drop(feed);
        ended(&mut answer).await;
        assert_eq!(house.ended(1).await[0].outcome.as_deref(), Some("ok"));
    }
}

#[tokio::test]
async fn an_upload_is_passed_on_while_it_comes() {
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let (first, rest) = (vec![b'a'; 300_000], vec![b'b'; 700_000]);
        let whole = hex(&sha256(&[&first[..], &rest].concat()));
        let half_there = |requests: &[support::Recorded]| requests.first().is_some_and(|r| r.body_length >= 300_000);
        if alpn == H2 {
            let (feed, body) = fed();
            let client = h2(&house).await;
            let request = Request::post(format!("https://{HOST}/upload")).header("authorization", &lease);
            let request = request.header("content-length", "1000000").body(body).unwrap();
            let sent = tokio::spawn(async move { support::collect(client.request(request).await.unwrap()).await });
            feed.send(first.into()).unwrap();
            house.origin.wait("the first half", half_there).await; // the second does not exist yet
            feed.send(rest.into()).unwrap();
            drop(feed);
            assert_eq!(sent.await.unwrap().json()["sha256"], whole, "{speaks:?}");
        } else {
            let mut client = house.http1().await;
            client.write(support::head("POST", HOST, "/upload", &[("Authorization", &lease)], 1_000_000)).await;
            client.write(&first).await;
            house.origin.wait("the first half", half_there).await;
            client.write(&rest).await;
            assert_eq!(client.read_answer().await.json()["sha256"], whole, "{speaks:?}");
        }
        assert_eq!(house.ended(1).await[0].bytes_sent, Some(1_000_000));
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    const SIZE: usize = 24 << 20;
    let house = House::new().await;
    let lease = bearer(&house.lease());
    let body: Vec<u8> = (0..SIZE).map(|i| ((i * 31) >> 7).to_le_bytes()[0]).collect();
    let hash = hex(&sha256(&body));
    let mut client = house.http1().await;
    let answer = client.send("PUT", HOST, "/upload", &[("Authorization", &lease)], &body).await;
    assert_eq!((answer.json()["length"].as_u64(), answer.json()["sha256"].as_str()), (Some(SIZE as u64), Some(&*hash)));
    let answer = client.get(HOST, &format!("/bytes/{SIZE}"), &[("Authorization", &lease)]).await;
    assert_eq!(answer.body.len(), SIZE);
    let answer = h2(&house).await.get(&format!("/bytes/{SIZE}"), &[("authorization", &lease)]).await;
    assert_eq!(answer.body.len(), SIZE);
    let ended = house.ended(3).await;
    let received: Vec<_> = ended.iter().map(|record| (record.bytes_sent, record.bytes_received)).collect();
    let size = SIZE as u64;
    assert_eq!((received[0].0, received[1].1, received[2].1), (Some(size), Some(size), Some(size)));
}

#[tokio::test]
async fn attack_118_a_client_that_does_not_read_holds_the_origin_back() {
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let mut client = house.client(alpn).await;
        let (mut held_h1, mut held_h2) = (None, None);
        if alpn == H2 {
            let request = Request::get(format!("https://{HOST}/flood")).header("authorization", &lease);
            let client = client.h2(HOST).await;
            held_h2 = Some(client.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap());
        } else {
            client.write(support::head("GET", HOST, "/flood", &[("Authorization", &lease)], 0)).await;
            assert_eq!(client.read_head().await.status, 200);
            held_h1 = Some(client);
        }
        let_others_run(&house, &lease).await;
        let flood = house.origin.requests().remove(0);
        assert_eq!(flood.answer, AnswerState::Streaming, "{alpn:?} {speaks:?}");
        assert!(flood.answer_bytes < BOUND, "{alpn:?} {speaks:?}: {} bytes for nobody", flood.answer_bytes);
        // It goes on as soon as somebody reads.
        let mut read = 0;
        while read <= flood.answer_bytes {
            read += match (&mut held_h1, &mut held_h2) {
                (Some(client), _) => client.read_piece().await.unwrap().len() as u64,
                (_, Some(answer)) => data(answer).await.len() as u64,
                _ => unreachable!("one of them asked"),
            };
        }
        drop((held_h1, held_h2));
        house.origin.wait_for_answer(0, AnswerState::Cut).await;
    }
}

#[tokio::test]
async fn attack_118_an_origin_that_does_not_read_holds_the_client_back() {
    const PIECE: usize = 64 << 10;
    for (alpn, speaks) in PAIRS {
        let house = speaking(speaks).await;
        let lease = bearer(&house.lease());
        let (taken, counted) = tokio::sync::watch::channel(0_u64);
        let upload = if alpn == H2 {
            let client = h2(&house).await;
            let endless = futures_util::stream::repeat_with(move || {
                taken.send_modify(|bytes| *bytes += PIECE as u64);
                Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; PIECE])))
            });
            let request = Request::post(format!("https://{HOST}/upload?gate=never")).header("authorization", &lease);
            let request = request.body(StreamBody::new(endless)).unwrap();
            tokio::spawn(async move { drop(client.request(request).await) })
        } else {
            let mut client = house.http1().await;
            let head = format!("POST /upload?gate=never HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: {lease}\r\n");
            client.write(format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
            let chunk = [b"10000\r\n".to_vec(), vec![0; PIECE], b"\r\n".to_vec()].concat();
            let mut io = client.into_io();
            tokio::spawn(async move {
                while tokio::io::AsyncWriteExt::write_all(&mut io, &chunk).await.is_ok() {
                    taken.send_modify(|bytes| *bytes += PIECE as u64);
                }
            })
        };
        house.origin.wait_for_heads(1).await;
        let_others_run(&house, &lease).await;
        let bytes = *counted.borrow();
        assert!(bytes > 0 && bytes < BOUND, "{alpn:?} {speaks:?}: {bytes} bytes for nobody");
        upload.abort();
        let is_broken = |state: &BodyState| matches!(state, BodyState::Broken(_));
        house.origin.gate("never").finish();
        house.origin.wait("the upload to break off", |requests| is_broken(&requests[0].body_state)).await;
        let aborted = |records: &[leasehold::audit::Record]| {
            records
                .iter()
                .any(|record| record.path.as_deref() == Some("/upload") && record.outcome.as_deref() != Some("ok"))
        };
        support::until("the end is recorded", || aborted(&house.records_of("request_ended"))).await;
    }
}
