//! Limits on what answers say was used: read beside the answer, charged at its end, and never in its way.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming};
use leasehold::base::Clock;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    house::{HOST, House},
    kit::{H1, H2, Yard, assert_paired, bearer, get, lease, with_service},
    limits::{assert_over, grant_file},
    support::{self, Answer, Origin, Speaks, TestCa, within},
};

/// A service without a meter.
pub const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Metered"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type   = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-api-key" }]
[cap.read]
about = "Look"
risk  = "read"
allow = [{ method = "GET", path = "/**" }]
"#;

pub const OPENAI: &str = include_str!("../../policies/openai.toml");
pub const ANTHROPIC: &str = include_str!("../../policies/anthropic.toml");
pub const GEMINI: &str = include_str!("../../policies/gemini.toml");

/// The meter of a shipped service, for two paths of the stand-in origin.
fn meter_of(service: &str) -> String {
    let (_, meter) = service.split_once("[meter.tokens]\n").unwrap();
    let block = meter.split("\n\n").next().unwrap();
    let (_, places) = block.split_once("\njson").unwrap();
    let places = places.split("\nmodel").next().unwrap();
    format!("[meter.tokens]\non = {{ path = [\"/answer\", \"/sse\"] }}\njson{places}\n")
}

/// A house with a meter, whose only grant has this limit, and a lease.
async fn metered(service: &str, limit: &str, speaks: Speaks) -> (House, String) {
    let (house, lease) = with_service(&format!("{SERVICE}{}", meter_of(service)), speaks, "").await;
    let grant = grant_file(&house.home);
    let text = std::fs::read_to_string(&grant).unwrap() + &format!("\nlimit = {{ {limit} }}\n");
    std::fs::write(&grant, &text).unwrap();
    house.broker().live_policy().reload().unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    (house, lease)
}

/// A path that answers with this.
pub fn answer_of(kind: &str, body: &str) -> String {
    format!("/answer?header=Content-Type:{kind}&body={}", utf8_percent_encode(body, NON_ALPHANUMERIC))
}

/// The same as JSON.
pub fn json(body: &str) -> String {
    answer_of("application/json", body)
}

pub async fn call(house: &House, alpn: &[&[u8]], lease: &str, path: &str) -> Answer {
    get(house, alpn, path, &[("x-api-key", lease)]).await
}

/// What the newest of so many ended records says.
pub async fn said(house: &House, ended: usize) -> Option<String> {
    house.ended(ended).await.pop().unwrap().details
}

const OPENAI_JSON: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"\"usage\":{\"total_tokens\":1}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":300,"completion_tokens":100,"total_tokens":400,"prompt_tokens_details":{"cached_tokens":0}}}"#;
const ANTHROPIC_JSON: &str = r#"{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":380,"output_tokens":20}}"#;
const GEMINI_JSON: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"}}],"usageMetadata":{"promptTokenCount":390,"candidatesTokenCount":10,"totalTokenCount":400}}"#;
/// The same as a list of what came, as it streams without `alt=sse`.
const GEMINI_LIST: &str =
    r#"[{"usageMetadata":{"promptTokenCount":390,"totalTokenCount":391}},{"usageMetadata":{"totalTokenCount":400}}]"#;

#[tokio::test]
async fn json_answers_are_charged_and_the_next_request_is_refused_when_the_budget_is_gone() {
    let shapes = [(OPENAI, OPENAI_JSON), (ANTHROPIC, ANTHROPIC_JSON), (GEMINI, GEMINI_JSON), (GEMINI, GEMINI_LIST)];
    for ((service, body), (alpn, speaks)) in
        shapes.into_iter().zip([(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)])
    {
        let (house, lease) = metered(service, "tokens = \"700/day\"", speaks).await;
        for (at, path) in [json(body), json(body) + "&codings=gzip&header=Content-Encoding:gzip"].iter().enumerate() {
            let answer = call(&house, alpn, &lease, path).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, body));
            assert_eq!(said(&house, at + 1).await.as_deref(), Some("tokens 400"), "{body}");
        }
        let seconds = assert_over(&call(&house, alpn, &lease, &json(body)).await, "tokens = 700/day");
        assert!(seconds > 12_000, "eight hundred of seven hundred are used, so a seventh of a day: {seconds}");
        assert_eq!(house.origin.requests().len(), 2, "what was refused never left");
        assert_eq!(call(&house, alpn, &lease, "/echo").await.status, 200, "the meter is not for this path");
        assert_paired(&house.records());
    }
}

const OPENAI_CHAT: &str = "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"delta\":{\"content\":\"Hel\"}}],\"usage\":null}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"delta\":{\"content\":\"lo\"}}],\"usage\":null}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":12,\"total_tokens\":21}}\n\n\
    data: [DONE]\n\n";
const OPENAI_RESPONSES: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"usage\":null}}\n\n\
    event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n\
    event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"usage\":{\"input_tokens\":9,\"output_tokens\":12,\"total_tokens\":21}}}\n\n";
const ANTHROPIC_STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":12}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
/// The numbers of newer streams, which repeat the input.
const ANTHROPIC_REPEATS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":9,\"output_tokens\":12}}\n\n";
const GEMINI_STREAM: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}],\"usageMetadata\":{\"promptTokenCount\":9,\"totalTokenCount\":9}}\r\n\r\n\
    data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":12,\"totalTokenCount\":21}}\r\n\r\n";

/// An answer that is read piece by piece, over either protocol.
enum Stream {
    Old(Box<support::RawClient>),
    New { _client: support::H2Client, answer: Response<Incoming> },
}

impl Stream {
    async fn open(house: &House, alpn: &[&[u8]], lease: &str) -> Self {
        let mut client = house.client(alpn).await;
        if alpn == H2 {
            let client = client.h2(HOST).await;
            let request = Request::get(format!("https://{HOST}/sse?gate=events")).header("x-api-key", lease);
            let answer = client.request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            return Self::New { _client: client, answer };
        }
        client.write(support::head("GET", HOST, "/sse?gate=events", &[("x-api-key", lease)], 0)).await;
        assert_eq!(client.read_head().await.status, 200);
        Self::Old(Box::new(client))
    }

    async fn piece(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Old(client) => client.read_piece().await,
            Self::New { answer, .. } => {
                let frame = within("a frame", answer.frame()).await?.unwrap();
                Some(frame.into_data().unwrap_or_default().to_vec())
            }
        }
    }

    /// Exactly so many bytes, which must come before anything else is sent.
    async fn take(&mut self, length: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < length {
            taken.extend(self.piece().await.unwrap());
        }
        taken
    }

    async fn rest(&mut self) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(piece) = self.piece().await {
            taken.extend(piece);
        }
        taken
    }
}

#[tokio::test]
async fn streams_are_charged_at_their_end_and_every_piece_passes_before_the_next_is_sent() {
    let shapes = [
        (OPENAI, OPENAI_CHAT),
        (OPENAI, OPENAI_RESPONSES),
        (ANTHROPIC, ANTHROPIC_STREAM),
        (ANTHROPIC, ANTHROPIC_REPEATS),
        (GEMINI, GEMINI_STREAM),
    ];
    for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
        for (service, text) in shapes {
            let (house, lease) = metered(service, "tokens = \"20/day\"", speaks).await;
            let gate = house.origin.gate("events");
            let mut stream = Stream::open(&house, alpn, &lease).await;
            let mut arrived = Vec::new();
            for piece in text.as_bytes().chunks(101) {
                gate.send(piece.to_vec());
                arrived.extend(stream.take(piece.len()).await); // the next does not exist yet
            }
            gate.finish();
            assert!(stream.rest().await.is_empty());
            assert_eq!(String::from_utf8_lossy(&arrived), text);
            assert_eq!(said(&house, 1).await.as_deref(), Some("tokens 21"), "{text}");
            assert_over(&call(&house, alpn, &lease, "/sse?n=1").await, "tokens = 20/day");
            assert_eq!(house.origin.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_is_charged_as_far_as_it_was_seen() {
    let (house, lease) = metered(ANTHROPIC, "tokens = \"9/day\"", Speaks::Http1).await;
    let gate = house.origin.gate("events");
    let mut stream = Stream::open(&house, H1, &lease).await;
    let (start, _) = ANTHROPIC_STREAM.split_at(ANTHROPIC_STREAM.find("event: content").unwrap());
    gate.send(start.to_owned());
    stream.take(start.len()).await;
    drop(stream);
    assert_eq!(said(&house, 1).await.as_deref(), Some("tokens 10"));
    assert_over(&call(&house, H1, &lease, "/sse?n=1").await, "tokens = 9/day");
}

#[tokio::test]
async fn an_answer_that_does_not_say_is_recorded_as_unknown_and_charges_nothing() {
    let (house, lease) = metered(OPENAI, "tokens = \"1/day\"", Speaks::Both).await;
    let unsaid = [
        json("{\"choices\":[]}"),
        "/sse?n=2".to_owned(),
        "/answer?body=text".to_owned(),
        json("{") + "&codings=gzip&header=Content-Encoding:gzip",
    ];
    for (at, path) in unsaid.iter().enumerate() {
        assert_eq!(call(&house, H1, &lease, path).await.status, 200);
        assert_eq!(said(&house, at + 1).await.as_deref(), Some("tokens: usage unknown"), "{path}");
    }
    let failed = call(&house, H1, &lease, "/answer?status=400&header=Content-Type:application/json&body=%7B%7D").await;
    assert_eq!((failed.status, said(&house, 5).await), (400, None), "an error uses nothing");
}

#[tokio::test]
async fn what_was_used_is_still_used_after_a_restart() {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Http1).start();
    let yard = Yard::at(&ca, origin.address()).await;
    let service = yard.home.policies().join("service-api-acme-test.toml");
    std::fs::write(&service, std::fs::read_to_string(&service).unwrap() + "\n" + &meter_of(OPENAI)).unwrap();
    let grant = grant_file(&yard.home);
    std::fs::write(&grant, std::fs::read_to_string(&grant).unwrap() + "\nlimit = { tokens = \"399/day\" }\n").unwrap();
    yard.broker().live_policy().reload().unwrap();
    let token = bearer(&lease(yard.broker(), None, None).0);
    let headers = [("Authorization", &*token)];
    assert_eq!(yard.client(H1).await.get(HOST, &json(OPENAI_JSON), &headers).await.status, 200);
    yard.ended(1).await;
    let yard = yard.restarted(Clock::system()).await;
    assert_over(&yard.client(H1).await.get(HOST, &json(OPENAI_JSON), &headers).await, "tokens = 399/day");
    assert_eq!(origin.requests().len(), 1);
}
