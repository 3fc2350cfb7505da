//! What an origin repeats of the credential does not reach the client, however it is spelled, split or coded.

use http_body_util::Full;
use leasehold::{base::hex, inject::Scrubber, policy::EasyPlace};

use crate::{
    house::{HOST, House, Plan, SECRET},
    kit::{H1, H2, Yard, assert_paired, bearer, get, h2, lease},
    support::{self, RawOrigin, SPELLINGS, Speaks, Step, TestCa, spell},
};

const SPLIT_BEFORE: &str = "before ";
const SPLIT_AFTER: &str = " after";

/// Readings of a text in which a credential could be found again.
fn tells(text: &[u8]) -> bool {
    SPELLINGS.iter().any(|spelling| support::count(text, spell(spelling, SECRET.as_bytes()).as_bytes()) > 0)
}

#[tokio::test]
async fn attack_68_echoes_in_headers_become_the_lease_token() {
    for (alpn, speaks) in [(H1, Speaks::Http1), (H2, Speaks::Http2)] {
        let house = House::build(Plan { speaks, ..Plan::default() }).await;
        let lease = house.lease();
        let answer = get(&house, alpn, "/echo-header", &[("authorization", &bearer(&lease))]).await;
        assert_eq!(answer.header("x-echo"), Some(lease.clone()));
        assert_eq!(answer.values("set-cookie"), ["first=1".to_owned(), format!("second={lease}; Path=/")]);
        assert_eq!(answer.header("location"), Some(format!("https://elsewhere.test/?t={lease}")));
        assert_eq!(answer.header("www-authenticate"), Some(format!("Bearer error=\"bad token {lease}\"")));
        assert!(answer.headers.iter().all(|(_, value)| !tells(value)), "{answer:?}");
    }
}

#[tokio::test]
async fn attack_73_every_spelling_is_replaced_at_every_alignment() {
    let house = House::new().await;
    let lease = house.lease();
    let headers = [("authorization", &*bearer(&lease))];
    let (mut client, h2_client) = (house.http1().await, h2(&house).await);
    for spelling in SPELLINGS {
        for before in ["", "u", "us", "user:"] {
            for after in ["", "x", ":xy"] {
                let path = format!("/echo-as/{spelling}?before={before}&after={after}");
                let echo = spell(spelling, format!("{before}{SECRET}{after}").as_bytes());
                for answer in [client.get(HOST, &path, &headers).await, h2_client.get(&path, &headers).await] {
                    let text = answer.text();
                    assert!(text.contains(&lease), "{path}: {text}");
                    // All but the characters that belong to the neighbours too are gone.
                    let middle = &echo[echo.len() / 3..echo.len() * 2 / 3];
                    assert!(text != echo && !text.contains(middle), "{path}: {text}");
                }
            }
        }
    }
}

/// Writers of JSON and of URLs differ in what they leave as it is.
#[tokio::test]
async fn attack_73_what_common_writers_escape_is_replaced() {
    let house = House::build(Plan { places: Vec::new(), ..Plan::default() }).await;
    let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
    house.add("acme_key", "k+9/<a>&'b'=!(x)*y~z", HOST, place);
    let lease = house.lease();
    let (mut client, h2_client) = (house.http1().await, h2(&house).await);
    for spelt in [
        r"k+9/\u003ca\u003e\u0026'b'=!(x)*y~z",                // Go
        r"k+9\/\u003Ca\u003E\u0026\u0027b\u0027=!(x)*y~z",     // PHP
        r"k\u002B9/\u003Ca\u003E\u0026\u0027b\u0027=!(x)*y~z", // .NET
        "k%2B9%2F%3Ca%3E%26'b'%3D!(x)*y~z",                    // encodeURIComponent
        "k+9/%3ca%3e&'b'=!(x)*y~z",                            // encodeURI, in lower case
        "k%2B9%2F%3Ca%3E%26%27b%27%3D%21%28x%29*y%7Ez",        // a form
    ] {
        let body: String = spelt.bytes().map(|byte| ["%", &hex(&[byte])].concat()).collect();
        let path = format!("/answer?status=200&body=%22{body}%22");
        let headers = [("authorization", &*bearer(&lease))];
        for answer in [client.get(HOST, &path, &headers).await, h2_client.get(&path, &headers).await] {
            assert_eq!((answer.status, answer.text()), (200, format!("\"{lease}\"")), "{spelt}");
        }
    }
}

#[tokio::test]
async fn attack_69_an_echo_is_found_wherever_it_is_split() {
    let house = House::new().await;
    let lease = house.lease();
    let headers = [("authorization", &*bearer(&lease))];
    let whole = SPLIT_BEFORE.len() + SECRET.len() + SPLIT_AFTER.len();
    let (mut client, h2_client) = (house.http1().await, h2(&house).await);
    for at in 0..=whole {
        let path = format!("/split?at={at}");
        for answer in [client.get(HOST, &path, &headers).await, h2_client.get(&path, &headers).await] {
            // What came of it before the split may be there, if it is too short to tell anything.
            let text = answer.text();
            let told = text.strip_prefix(SPLIT_BEFORE).and_then(|t| t.strip_suffix(&format!("{lease}{SPLIT_AFTER}")));
            let told = told.unwrap_or_else(|| panic!("split at {at}: {text}"));
            assert!(told.len() < Scrubber::TELLING && SECRET.starts_with(told), "split at {at}: {text}");
        }
    }
}

#[tokio::test]
async fn attack_69_only_what_may_become_an_echo_waits_for_the_rest() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let path = format!("/split?at={}&gate=rest", SPLIT_BEFORE.len() + SECRET.len() / 2);
    client.write(support::head("GET", HOST, &path, &[("Authorization", &bearer(&lease))], 0)).await;
    client.read_head().await;
    assert_eq!(client.read_piece().await.unwrap(), SPLIT_BEFORE.as_bytes(), "before the rest exists");
    house.origin.gate("rest").next();
    let mut rest = Vec::new();
    while let Some(piece) = client.read_piece().await {
        rest.extend(piece);
    }
    assert_eq!(String::from_utf8_lossy(&rest), format!("{lease}{SPLIT_AFTER}"));
}

#[tokio::test]
async fn attack_71_coded_answers_are_read_and_leave_without_their_coding() {
    let house = House::new().await;
    let lease = house.lease();
    let headers = [("authorization", &*bearer(&lease)), ("accept-encoding", "gzip, deflate, br, zstd, compress")];
    let (mut client, h2_client) = (house.http1().await, h2(&house).await);
    for codings in ["gzip", "br", "zstd", "deflate", "deflate-raw", "gzip,br", "deflate,zstd,gzip", "identity,gzip"] {
        for size in [1, 7, 100_000] {
            let path = format!("/coded?codings={codings}&size={size}");
            for answer in [client.get(HOST, &path, &headers).await, h2_client.get(&path, &headers).await] {
                assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{path}: {answer:?}");
                // A beginning too short to tell anything may leave while the rest is on its way.
                let json = answer.json();
                let told = json["credential"].as_str().and_then(|text| text.strip_suffix(&*lease));
                let told = told.unwrap_or_else(|| panic!("{path}: {json}"));
                assert!(told.len() < Scrubber::TELLING && SECRET.starts_with(told), "{path}: {json}");
                assert!(!tells(&answer.body), "{path}");
            }
        }
    }
    for coding in ["gzip", "zstd"] {
        let answer = client.get(HOST, &format!("/coded?codings={coding}&members=2"), &headers).await;
        assert_eq!(
            (answer.text().matches(&lease).count(), tells(&answer.body)),
            (4, false),
            "both members: {answer:?}"
        );
    }
    let asked = house.origin.requests().remove(0).header("accept-encoding");
    assert_eq!(asked.as_deref(), Some("gzip, deflate, br, zstd"), "only what can be read is asked for");
}

#[tokio::test]
async fn attack_71_what_cannot_be_read_is_a_502_and_tells_nothing() {
    let paths = [
        "/coded?codings=gzip&label=compress",         // a coding that nobody here reads
        "/coded?codings=gzip&label=br&size=100000",   // labelled as another
        "/coded?codings=identity&label=gzip",         // not coded at all
        "/coded?codings=gzip&label=zstd&size=100000", //
        "/coded?codings=gzip&label=gzip,gzip&size=100000",
        "/coded?codings=gzip,gzip,gzip,gzip", // more layers than serve anybody
    ];
    for alpn in [H1, H2] {
        let house = House::new().await;
        let lease = bearer(&house.lease());
        for (at, path) in paths.into_iter().enumerate() {
            let answer = get(&house, alpn, path, &[("authorization", &lease)]).await;
            assert_eq!((answer.status, tells(&answer.body)), (502, false), "{path}: {answer:?}");
            assert_eq!(answer.header("x-leasehold-code").as_deref(), Some("upstream_failed"), "{path}: {answer:?}");
            let ended = house.ended(at + 1).await.remove(at);
            assert_ne!(ended.outcome.as_deref(), Some("ok"), "{path}");
        }
        assert_paired(&house.records());
    }
}

/// An answer that breaks off inside its coding is no whole answer.
#[tokio::test]
async fn attack_71_a_coded_answer_that_breaks_off_does_not_end_well() {
    let ca = TestCa::new();
    let text: String = (0..20_000_u32).map(|i| hex(&i.wrapping_mul(2_654_435_761).to_be_bytes())).collect();
    let coded = support::encode("gzip", text.as_bytes()).await;
    let (quarter, half) = (coded.len() / 4, coded.len() / 2);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {half}\r\n\r\n");
    // In one piece with its head, and in the middle.
    for script in [
        vec![Step::AwaitHead, Step::send([head.as_bytes(), &coded[..half]].concat()), Step::ReadOn],
        vec![
            Step::AwaitHead,
            Step::send([head.as_bytes(), &coded[..quarter]].concat()),
            Step::Hold,
            Step::send(&coded[quarter..half]),
            Step::ReadOn,
        ],
    ] {
        let is_held = script.len() > 3;
        let origin = RawOrigin::tls(&ca.leaf(HOST), script);
        let yard = Yard::at(&ca, origin.address()).await;
        let (token, _) = lease(yard.broker(), None, None);
        let mut client = yard.client(H1).await;
        client.write(support::head("GET", HOST, "/x", &[("Authorization", &bearer(&token))], 0)).await;
        let head = client.read_head().await;
        if is_held {
            origin.release();
        }
        let end = loop {
            match client.try_read_piece().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert!(head.status == 502 || end.is_err(), "held {is_held}: a cut-off answer looked whole: {head:?}");
        let outcome = yard.ended(1).await.remove(0).outcome;
        assert!(matches!(outcome.as_deref(), Some("failed" | "refused")), "{outcome:?}");
    }
}

#[tokio::test]
async fn attack_72_a_bomb_is_broken_off_and_an_honest_answer_is_not() {
    for codings in ["gzip", "zstd", "br", "gzip,gzip"] {
        let house = House::new().await;
        let lease = bearer(&house.lease());
        let mut client = house.http1().await;
        let answer = client.get(HOST, &format!("/bomb?codings={codings}&mib=4"), &[("Authorization", &lease)]).await;
        assert_eq!(answer.body.len(), 4 << 20, "{codings}");
        let path = format!("/bomb?codings={codings}&mib=24");
        client.write(support::head("GET", HOST, &path, &[("Authorization", &lease)], 0)).await;
        client.read_head().await;
        let mut read = 0;
        let end = loop {
            match client.try_read_piece().await {
                Ok(Some(piece)) => read += piece.len(),
                end => break end,
            }
        };
        assert!(end.is_err() && read <= 20 << 20, "{codings}: {read} bytes");
        let ended = house.ended(2).await;
        assert_eq!(ended[1].outcome.as_deref(), Some("failed"));
        assert!(ended[1].error.as_deref().is_some_and(|error| error.contains("out of bounds")), "{ended:?}");
    }
}

#[tokio::test]
async fn attack_76_an_answer_in_parts_is_not_asked_for() {
    for alpn in [H1, H2] {
        let house = House::new().await;
        let lease = house.lease();
        let headers = [("authorization", &*bearer(&lease)), ("range", "bytes=3-9"), ("if-range", "\"x\"")];
        let answer = get(&house, alpn, "/range", &headers).await;
        assert_eq!((answer.status, answer.text()), (200, lease));
        let request = house.origin.only_request();
        assert_eq!((request.header("range"), request.header("if-range")), (None, None));
    }
}

#[tokio::test]
async fn answers_to_errors_and_to_head_are_scrubbed_too() {
    let house = House::new().await;
    let lease = house.lease();
    let headers = [("authorization", &*bearer(&lease))];
    for status in [400, 401, 404, 500, 503] {
        let path = format!("/answer?status={status}&header=x-debug:key={SECRET}&body=bad+key+{SECRET}");
        let answer = get(&house, H1, &path, &headers).await;
        assert_eq!((answer.status, answer.header("x-debug")), (status, Some(format!("key={lease}"))));
        assert_eq!(answer.text(), format!("bad+key+{lease}"));
    }
    // Hyper's server, which is the origin's too, leaves it to its user to send no body to a HEAD over HTTP/2.
    let house = House::build(Plan { speaks: Speaks::Http1, ..Plan::default() }).await;
    let lease = house.lease();
    let headers = [("authorization", &*bearer(&lease))];
    let client = h2(&house).await;
    let answer = client.send("HEAD", "/echo-header", &headers, Full::default()).await;
    assert_eq!(answer.header("x-echo"), Some(lease));
}

#[tokio::test]
async fn attack_74_reason_phrases_early_hints_and_chunk_extensions_tell_nothing() {
    let ca = TestCa::new();
    let answer = format!(
        "HTTP/1.1 103 Early Hints\r\nlink: <{SECRET}>\r\n\r\nHTTP/1.1 400 no {SECRET} here\r\n{SECRET}: in a name\r\n\
         transfer-encoding: chunked\r\n\r\n3;key={SECRET}\r\nabc\r\n0\r\n\r\n"
    );
    for alpn in [H1, H2] {
        let origin = RawOrigin::tls(&ca.leaf(HOST), vec![Step::AwaitHead, Step::send(answer.as_bytes()), Step::ReadOn]);
        let yard = Yard::at(&ca, origin.address()).await;
        let (token, _) = lease(yard.broker(), None, None);
        let mut client = yard.client(alpn).await;
        let headers = [("authorization", &*bearer(&token))];
        let answer = if alpn == H2 {
            client.h2(HOST).await.get("/x", &headers).await
        } else {
            client.get(HOST, "/x", &headers).await
        };
        assert_eq!((answer.status, answer.text().as_str()), (400, "abc"));
        let everything = format!("{}{answer:?}{:?}", String::from_utf8_lossy(&answer.head), answer.interim);
        assert!(!everything.to_lowercase().contains(&SECRET.to_lowercase()), "{everything}");
    }
}

/// `{user}:{password}` is echoed as it was sent: the credential inside is found at its alignment.
#[tokio::test]
async fn an_echo_of_the_whole_authorization_field_is_scrubbed() {
    let house = House::new().await;
    let lease = house.lease();
    let answer = get(&house, H1, "/echo-raw", &[("authorization", &bearer(&lease))]).await;
    assert_eq!(answer.text(), bearer(&lease));
}
