//! The test tools tested: real clients against the origins, with no proxy between.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, reason = "a test stops where it fails")]

#[path = "bench/histogram.rs"]
mod histogram;
mod support;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame as BodyFrame;
use leasehold::base::{hex, sha256};
use support::{
    Answer, AnswerState, BodyState, Flaw, Frame, GitRepos, Handshake, Life, Opcode, Origin, Program, RawClient,
    RawOrigin, SPELLINGS, Speaks, Step, StreamEnd, TestCa, Then, decode, find_program, spell,
};

const HOST: &str = "api.acme.test";
const BEARER: (&str, &str) = ("Authorization", "Bearer sk-real-\"42\"");
const CREDENTIAL: &str = "sk-real-\"42\"";

async fn client(ca: &TestCa, origin: &Origin, alpn: &[&[u8]]) -> RawClient {
    RawClient::connect(origin.address()).await.start_tls(HOST, &ca.roots(), alpn).await.unwrap()
}

async fn pair(speaks: Speaks, alpn: &[&[u8]]) -> (Origin, RawClient) {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf(HOST)).speaks(speaks).start();
    let client = client(&ca, &origin, alpn).await;
    (origin, client)
}

#[tokio::test]
async fn a_head_is_recorded_byte_for_byte_over_several_requests() {
    let (origin, mut client) = pair(Speaks::Both, &[b"http/1.1"]).await;
    let first = "POST /echo?q=%2F HTTP/1.1\r\nhost:  api.acme.test\r\nX-TWICE: a\r\nx-twice: b\r\n\
        transfer-encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    client.write(format!("{first}5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n")).await;
    let answer = client.read_answer().await;
    let second = client.get(HOST, "//odd/../path", &[]).await;
    origin.wait_for(2).await;

    let requests = origin.requests();
    assert_eq!(String::from_utf8_lossy(&requests[0].head), first);
    assert_eq!(requests[0].target, "/echo?q=%2F");
    assert_eq!(requests[0].values("x-twice"), ["a", "b"]);
    assert_eq!(requests[0].headers[1].0, "X-TWICE");
    assert_eq!(requests[0].body, b"hello!");
    assert_eq!(requests[0].body_sha256, hex(&sha256(b"hello!")));
    assert_eq!(requests[0].trailers, [("x-sum".to_owned(), b"6".to_vec())]);
    assert_eq!(answer.json()["headers"][0], serde_json::json!(["host", HOST]));
    assert_eq!((second.status, requests[1].target.as_str()), (404, "//odd/../path"));

    let connection = &origin.connections()[0];
    assert_eq!(connection.sni.as_deref(), Some(HOST));
    assert_eq!(
        (connection.offered_alpn.as_slice(), connection.alpn.as_deref()),
        (&["http/1.1".to_owned()][..], Some("http/1.1"))
    );
    assert_eq!((origin.handshakes(), connection.handshake.clone()), (1, Handshake::Full));
    assert_eq!(origin.count(b"X-TWICE"), 1);
}

#[tokio::test]
async fn h2_requests_are_recorded_with_pseudo_headers_and_trailers() {
    let (origin, client) = pair(Speaks::Both, &[b"h2", b"http/1.1"]).await;
    assert_eq!(client.alpn(), Some("h2"));
    let h2 = client.h2(&origin.authority(HOST)).await;
    let mut sum = http::HeaderMap::new();
    sum.insert("x-sum", "4".parse().unwrap());
    let frames = [BodyFrame::data(Bytes::from("four")), BodyFrame::trailers(sum)].map(Ok::<_, std::io::Error>);
    let answer = h2.send("PUT", "/echo-raw", &[BEARER], StreamBody::new(futures_util::stream::iter(frames))).await;
    assert_eq!(answer.text(), format!("Bearer {CREDENTIAL}"));
    let (one, two) = tokio::join!(h2.get("/trailers", &[BEARER]), h2.get("/status/204", &[]));
    assert_eq!((one.trailers[1].1.as_slice(), two.status), (CREDENTIAL.as_bytes(), 204));

    origin.wait_for(3).await;
    let request = &origin.requests()[0];
    let pseudo: Vec<_> = request.headers.iter().take(4).map(|(name, _)| name.as_str()).collect();
    assert_eq!(pseudo, [":method", ":scheme", ":authority", ":path"]);
    assert_eq!(request.header(":authority"), Some(origin.authority(HOST)));
    assert_eq!((request.target.as_str(), request.body.as_slice()), ("/echo-raw", &b"four"[..]));
    assert_eq!(request.trailers, [("x-sum".to_owned(), b"4".to_vec())]);
    assert_eq!(origin.connections().len(), 1);
    assert_eq!(origin.count(CREDENTIAL.as_bytes()), 2);
}

#[tokio::test]
async fn events_come_when_the_test_lets_them() {
    let (origin, mut client) = pair(Speaks::Http1, &[]).await;
    let gate = origin.gate("events");
    client.write(support::head("GET", HOST, "/sse?gate=events", &[], 0)).await;
    assert_eq!(client.read_head().await.header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(origin.only_request().answer, AnswerState::Streaming);
    gate.next();
    assert_eq!(client.read_piece().await.unwrap(), b"data: event 0\n\n");
    gate.send("data: mine\n\n");
    assert_eq!(client.read_piece().await.unwrap(), b"data: mine\n\n");
    gate.finish();
    assert_eq!(client.read_piece().await, None);
    origin.wait_for_answer(0, AnswerState::Sent).await;
}

#[tokio::test]
async fn a_client_that_leaves_shows_as_a_cut_answer() {
    for target in ["/hang/head", "/hang/body", "/sse?gate=never", "/flood"] {
        let (origin, mut client) = pair(Speaks::Http1, &[b"http/1.1"]).await;
        client.write(support::head("GET", HOST, target, &[], 0)).await;
        origin.wait_for(1).await;
        assert_ne!(origin.only_request().answer, AnswerState::Cut, "{target}");
        drop(client);
        origin.wait_for_answer(0, AnswerState::Cut).await;
        origin.wait_connections("the connection to close", |all| all[0].life == Life::Closed).await;
    }
}

#[tokio::test]
async fn an_origin_breaks_off_when_told() {
    for (target, gated) in [("/close", false), ("/close/body", false), ("/hang/body?gate=g", true)] {
        let (origin, mut client) = pair(Speaks::Http1, &[b"http/1.1"]).await;
        client.write(support::head("GET", HOST, target, &[], 0)).await;
        if gated {
            origin.gate("g").abort();
        }
        let broke = match client.try_read_head_to("GET").await {
            Err(_) => true,
            Ok(_) => loop {
                match client.try_read_piece().await {
                    Ok(Some(_)) => {}
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            },
        };
        assert!(broke, "{target}");
        origin.wait_for_answer(0, AnswerState::Cut).await;
    }
    let (origin, mut client) = pair(Speaks::Http1, &[b"http/1.1"]).await;
    client.get(HOST, "/status/200", &[]).await;
    origin.drop_connections();
    assert!(client.read_to_end().await.is_empty());
}

#[tokio::test]
async fn coded_answers_decode_to_the_echo() {
    let (origin, mut client) = pair(Speaks::Both, &[b"http/1.1"]).await;
    for target in
        ["/gzip", "/br", "/zstd", "/deflate", "/coded?codings=gzip,br&size=1", "/coded?codings=gzip&members=2&as=raw"]
    {
        let answer = client.get(HOST, target, &[BEARER]).await;
        let coding = answer.header("content-encoding").unwrap();
        let text = decode(&coding, &answer.body).await.unwrap();
        let spelled = if target.contains("as=raw") { CREDENTIAL.repeat(2) } else { CREDENTIAL.replace('"', "\\\"") };
        assert!(String::from_utf8(text).unwrap().contains(&spelled), "{target}");
        assert!(answer.pieces.len() > 1 && answer.pieces[0].len() <= 7, "{target}: {} pieces", answer.pieces.len());
        assert_eq!(answer.count(CREDENTIAL.as_bytes()), 0, "{target}");
    }
    let bomb = client.get(HOST, "/bomb?codings=zstd&mib=4", &[]).await;
    assert!(bomb.body.len() < 10_000, "{}", bomb.body.len());
    assert_eq!(decode("zstd", &bomb.body).await.unwrap(), vec![0; 4 << 20]);
    drop(origin);
}

#[tokio::test]
async fn echoes_repeat_the_credential_where_they_say() {
    let (_origin, mut client) = pair(Speaks::Http1NoAlpn, &[b"h2", b"http/1.1"]).await;
    assert_eq!(client.alpn(), None);
    let answer = client.get(HOST, "/split?at=9", &[BEARER]).await;
    assert_eq!(answer.pieces, [&b"before sk"[..], b"-real-\"42\" after"]);
    for spelling in SPELLINGS {
        let answer = client.get(HOST, &format!("/echo-as/{spelling}?before=x"), &[BEARER]).await;
        assert_eq!(answer.text(), spell(spelling, format!("x{CREDENTIAL}").as_bytes()), "{spelling}");
    }
    assert_eq!(spell("json-all", b"\"a"), "\\u0022\\u0061");
    assert_eq!(spell("json", b"\"a"), "\\u0022a");
    let header = [("Authorization", "Bearer plain")];
    let answer = client.get(HOST, "/echo-header", &header).await;
    assert_eq!(answer.count(b"plain"), 4);
    assert_eq!(answer.values("set-cookie").len(), 2);
    let basic = [("Authorization", "Basic dXNlcjpwYXNz")]; // user:pass
    assert_eq!(client.get(HOST, "/echo-as/raw?basic=password", &basic).await.text(), "pass");
    assert_eq!(client.get(HOST, "/echo-as/raw?query=key&key=a%26b", &[]).await.text(), "a&b");
    let range = [("Authorization", "Bearer plain"), ("Range", "bytes=1-2")];
    let answer = client.get(HOST, "/range", &range).await;
    assert_eq!((answer.status, answer.text().as_str()), (206, "la"));
    let given = client.get(HOST, "/answer?status=418&header=alt-svc:h3&header=x-a:1&body=tea", &[]).await;
    assert_eq!((given.status, given.text().as_str(), given.header("alt-svc").as_deref()), (418, "tea", Some("h3")));
    let moved = client.get(HOST, "/redirect?to=https%3A%2F%2Fevil.test%2F", &[]).await;
    assert_eq!((moved.status, moved.header("location").as_deref()), (302, Some("https://evil.test/")));
}

#[tokio::test]
async fn uploads_are_counted_and_held_back() {
    let (origin, mut client) = pair(Speaks::Http1, &[b"http/1.1"]).await;
    let body = vec![b'x'; 300_000];
    let answer = client.send("POST", HOST, "/upload", &[], &body).await;
    assert_eq!(answer.json()["sha256"], hex(&sha256(&body)));
    let expect = "POST /continue HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    client.write(expect).await;
    let interim = client.read_exactly(25).await.unwrap();
    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.write("ok").await;
    assert_eq!(client.read_answer().await.json()["length"], 2);
    client.write(expect.replace("/continue", "/early/413")).await;
    let early = client.read_answer().await;
    assert_eq!((early.status, early.interim.len()), (413, 0));
    assert_eq!(origin.requests()[2].body_state, BodyState::Arriving);

    let (origin, mut client) = pair(Speaks::Http1, &[b"http/1.1"]).await;
    client.write(support::head("POST", HOST, "/upload?gate=g", &[], 4)).await;
    client.write("four").await;
    origin.wait_for_heads(1).await;
    assert_eq!(origin.only_request().body_length, 0);
    origin.gate("g").next();
    origin.wait("the first piece", |all| all[0].body_length == 4).await;
    origin.gate("g").finish();
    assert_eq!(client.read_answer().await.json()["length"], 4);
}

#[tokio::test]
async fn bytes_of_known_length_and_a_duplex_stream() {
    let (origin, client) = pair(Speaks::Http2, &[]).await;
    let h2 = client.h2(HOST).await;
    let answer = h2.get("/bytes/100000", &[]).await;
    assert_eq!((answer.body.len(), answer.header("content-length").as_deref()), (100_000, Some("100000")));
    origin.wait_for_answer(0, AnswerState::Sent).await;
    assert_eq!(origin.requests()[0].answer_bytes, 100_000);

    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let stream = futures_util::stream::poll_fn(move |cx| {
        receiver.poll_recv(cx).map(|text| text.map(|text| Ok::<_, std::io::Error>(BodyFrame::data(Bytes::from(text)))))
    });
    let request = http::Request::post(format!("https://{HOST}/duplex")).body(StreamBody::new(stream)).unwrap();
    let mut body = h2.request(request).await.unwrap().into_body();
    for text in ["ping", "pong"] {
        sender.send(text).unwrap();
        let frame = support::within("an echo", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    drop(sender);
    // The end may come as an empty frame of its own.
    assert!(support::within("the end", body.collect()).await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn a_websocket_echoes_and_its_frames_are_recorded() {
    let (origin, client) = pair(Speaks::Both, &[b"http/1.1"]).await;
    let offer = [BEARER, ("Sec-WebSocket-Protocol", "chat, other")];
    let mut socket = client.websocket(HOST, "/ws", &offer).await.ok().unwrap();
    assert_eq!(socket.answer.header("sec-websocket-protocol").as_deref(), Some("chat"));
    let big = Frame::new(Opcode::Binary, vec![7; 70_000]);
    for frame in [Frame::text("hello"), big, Frame { fin: false, ..Frame::new(Opcode::Text, vec![b'a'; 200]) }] {
        socket.send(&frame).await;
        assert_eq!(socket.receive().await.unwrap(), frame);
    }
    socket.send(&Frame::new(Opcode::Ping, "p")).await;
    assert_eq!(socket.receive().await.unwrap(), Frame::new(Opcode::Pong, "p"));
    socket.send(&Frame::text("credential")).await;
    assert_eq!(socket.receive().await.unwrap().as_text(), CREDENTIAL);
    assert_eq!(origin.connections()[0].life, Life::Open);
    socket.send(&Frame::close(1000)).await;
    assert_eq!(socket.receive().await.unwrap().opcode, Opcode::Close);
    assert!(socket.receive().await.is_none());
    assert_eq!(origin.frames().len(), 6);
    origin.wait_connections("the connection to close", |all| all[0].life == Life::Closed).await;
    let refused = RawClient::connect(Origin::clear().address()).await.websocket(HOST, "/echo", &[]).await;
    assert_eq!(refused.err().map(|answer: Answer| answer.status), Some(200));
}

#[tokio::test]
async fn each_flawed_leaf_is_refused_and_nothing_is_sent() {
    let ca = TestCa::new();
    for flaw in Flaw::ALL {
        let origin = Origin::builder(ca.flawed(HOST, flaw)).start();
        let result = RawClient::connect(origin.address()).await.start_tls(HOST, &ca.roots(), &[b"h2"]).await;
        assert!(result.is_err(), "{flaw:?} was accepted");
        origin.wait_connections("a failed handshake", |all| matches!(all[0].handshake, Handshake::Failed(_))).await;
        assert_eq!(origin.connections()[0].received_length, 0, "{flaw:?}");
    }
    let origin = Origin::builder(ca.leaf("127.0.0.1")).start();
    let client = RawClient::connect(origin.address()).await.start_tls("127.0.0.1", &ca.roots(), &[]).await;
    assert!(client.is_ok_and(|client| client.certificates().len() == 1));
}

#[tokio::test]
async fn a_scripted_origin_sends_what_it_is_told() {
    let ca = TestCa::new();
    let heads =
        "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\nContent-Length: 5\r\n\r\n";
    let script = vec![
        Step::AwaitHead,
        Step::send(heads),
        Step::Hold,
        Step::send("hello"),
        Step::AwaitHead,
        Step::send("not HTTP"),
    ];
    let origin = RawOrigin::tls(&ca.leaf(HOST), script);
    let mut client = RawClient::connect(origin.address()).await.start_tls(HOST, &ca.roots(), &[]).await.unwrap();
    client.write("GET /1 HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.read_exactly(heads.len()).await.unwrap(), heads.as_bytes());
    origin.release();
    assert_eq!(client.read_exactly(5).await.unwrap(), b"hello");
    client.write("GET /2 HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.read_to_end().await, b"not HTTP");
    assert_eq!((origin.count(b"GET /"), origin.received().len()), (2, 1));

    let reset = RawOrigin::clear(vec![Step::Await(1), Step::Reset]);
    let mut client = RawClient::connect(reset.address()).await;
    client.write("x").await;
    let error = client.read_exactly(1).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn raw_h2_frames_reach_the_origin_as_written() {
    let (origin, client) = pair(Speaks::Http2, &[b"h2"]).await;
    let mut h2 = client.raw_h2().await;
    let head = |path| [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path), ("x-odd", "1")];
    for (path, status) in [("/status/200", 200), ("/status/421", 421), ("/status/403", 403), ("/status/304", 304)] {
        let stream = h2.open(&head(path), Then::End).await;
        let StreamEnd::Answered { status: came, .. } = h2.end_of(stream).await else { panic!("{path}") };
        assert_eq!(came, status, "{path}");
    }
    let stream = h2.open(&head("/bytes/200000"), Then::More).await;
    h2.data(stream, b"", Then::End).await;
    assert_eq!(h2.end_of(stream).await, StreamEnd::Answered { status: 200, body: vec![0; 200_000] });
    let long = "v".repeat(300);
    let stream = h2.open(&[&head("/echo")[..], &[("x-long", &long)]].concat(), Then::End).await;
    assert!(matches!(h2.end_of(stream).await, StreamEnd::Answered { status: 200, .. }));
    assert_eq!(origin.requests().last().unwrap().header("x-long"), Some(long));
    let stream = h2.open(&[&head("/echo")[..], &[("Upper-Case", "1")]].concat(), Then::End).await;
    assert_eq!(h2.end_of(stream).await, StreamEnd::GoneAway(1), "PROTOCOL_ERROR");
}

#[test]
fn git_clones_and_pushes_over_the_origin() {
    if find_program("git").is_none() {
        return;
    }
    let (ca, repositories) = (TestCa::new(), GitRepos::new("x-access-token", "ghp_real"));
    repositories.create("demo", "hello\n");
    let origin = Origin::builder(ca.leaf("localhost")).git(&repositories).start();
    let folder = tempfile::tempdir().unwrap();
    let root = ca.write_root(folder.path());
    let git = |user: &str, args: &[&str]| {
        let url = format!("https://x-access-token:{user}@localhost:{}/git/demo.git", origin.port());
        let args: Vec<_> = args.iter().map(|arg| arg.replace("URL", &url)).collect();
        Program::start(GitRepos::command(folder.path()).env("GIT_SSL_CAINFO", &root).args(args)).finish()
    };
    assert!(!git("wrong", &["clone", "URL", "copy"]).status.success());
    let _ = git("ghp_real", &["clone", "URL", "copy"]).expect_success();
    assert_eq!(std::fs::read_to_string(folder.path().join("copy/README.md")).unwrap(), "hello\n");
    // 64 digits a line are 32 bytes in a pack: enough for git to give up on one buffer and stream.
    let noise: String = (0..50_000_u32).map(|i| hex(&sha256(&i.to_be_bytes())) + "\n").collect();
    std::fs::write(folder.path().join("copy/README.md"), &noise).unwrap();
    let _ = git("ghp_real", &["-C", "copy", "commit", "--all", "--message=second"]).expect_success();
    let _ = git("ghp_real", &["-C", "copy", "push", "URL", "main"]).expect_success();
    assert_eq!(repositories.show("demo", "README.md"), noise);
    let push = origin.requests().into_iter().rfind(|request| request.method == "POST").unwrap();
    assert!(push.body_length > 1 << 20, "{}", push.body_length);
    assert_eq!(push.header("content-length"), None);
}

#[test]
fn a_program_is_gone_when_its_guard_is() {
    let mut sleep = std::process::Command::new("sleep");
    let program = Program::start(sleep.arg("1000"));
    let proc = std::path::PathBuf::from(format!("/proc/{}", program.id()));
    assert!(proc.exists());
    drop(program);
    assert!(!proc.exists());
    let said = Program::start(std::process::Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).finish();
    assert_eq!((said.status.code(), said.stdout.as_str(), said.stderr.as_str()), (Some(3), "out\n", "err\n"));
}

#[test]
fn the_benchmarks_histogram_is_within_two_percent() {
    let mut times = histogram::Histogram::default();
    for nanos in 1..=100_000 {
        times.record(std::time::Duration::from_nanos(nanos));
    }
    for (share, exact) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
        let micros = times.quantile(share);
        assert!((micros - exact).abs() <= exact * 0.02 || exact < 2.0 && micros < 0.01, "{share}: {micros}");
    }
    assert_eq!(times.count(), 100_000);
    assert!(histogram::Histogram::default().quantile(0.5).abs() < f64::EPSILON);
}
