//! Pushes that are judged by their commands: what is read ahead ends with them, and the pack streams behind.

use http_body_util::Full;

use crate::{
    house::HOST,
    kit::{H1, H2, assert_paired, assert_problem, records, with_service},
    support::{self, Speaks},
};

/// A forge whose pushes are told apart by ref.
const FORGE: &str = r#"
schema = 1
kind   = "service"
id     = "acme"
name   = "Forge"
[host.api]
origin = "https://api.acme.test"
[credential.key]
type = "token"
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "x-api-key" }]
[cap.push]
about = "Push below agent/"
risk  = "write"
allow = [{ git = "push", ref = "refs/heads/agent/**" }]
"#;

const RECEIVE: &str = "/house.git/git-receive-pack";
const PUSHED: [(&str, &str); 1] = [("content-type", "application/x-git-receive-pack-request")];

/// The commands of a push to one ref.
fn commands(reference: &str, capabilities: &str) -> String {
    let line = format!("{} {} {reference}\0 {capabilities}", "0".repeat(40), "a".repeat(40));
    format!("{:04x}{line}0000", line.len() + 4)
}

#[tokio::test]
async fn a_push_is_judged_by_its_commands_while_its_pack_still_comes() {
    let pairs = [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2)];
    for (alpn, speaks) in pairs {
        let (house, lease) = with_service(FORGE, speaks, "").await;
        let headers = [("x-api-key", &*lease), PUSHED[0]];
        let (front, pack) = (commands("refs/heads/agent/x", "report-status"), vec![b'P'; 3 << 20]);
        let body = [front.as_bytes(), &pack].concat();
        let client = house.client(alpn).await;
        let answer = if alpn == H2 {
            let body = Full::new(bytes::Bytes::from(body.clone()));
            client.h2(HOST).await.send("POST", RECEIVE, &headers, body).await
        } else {
            let mut client = client;
            // Cut in the middle of the commands, in the middle of the flush, and in the pack.
            client.write(support::head("POST", HOST, RECEIVE, &headers, body.len())).await;
            for part in [&body[..30], &body[30..front.len() - 2], &body[front.len() - 2..=front.len()]] {
                client.write(part).await;
            }
            client.write(&body[front.len() + 1..]).await;
            client.read_answer_to("POST").await
        };
        assert_eq!(answer.status, 404, "the origin has no such page: {answer:?}");
        let request = house.origin.only_request();
        assert!(request.body == body, "byte for byte: {} of {}", request.body.len(), body.len());
        if speaks == Speaks::Http1 {
            assert_eq!(request.values("content-length"), [body.len().to_string()], "the length is kept");
        }
        assert_paired(&records(house.broker(), &house.home));
    }
}

#[tokio::test]
async fn a_push_that_may_not_be_leaves_nothing_and_is_told_so_in_git_s_own_words() {
    for alpn in [H1, H2] {
        let (house, lease) = with_service(FORGE, Speaks::Both, "").await;
        let headers = [("x-api-key", &*lease), PUSHED[0]];
        // Over HTTP/1.1, which has no other way to stop a client than to hang up, only as much as the proxy reads.
        let send = async |body: Vec<u8>, read: usize| {
            let client = house.client(alpn).await;
            if alpn == H2 {
                return client
                    .h2(HOST)
                    .await
                    .send("POST", RECEIVE, &headers, Full::new(bytes::Bytes::from(body)))
                    .await;
            }
            let mut client = client;
            client.write(support::head("POST", HOST, RECEIVE, &headers, body.len())).await;
            client.write(&body[..body.len().min(read)]).await;
            client.read_answer_to("POST").await
        };
        let whole = usize::MAX;
        let told = send(commands("refs/heads/main", "report-status side-band-64k").into_bytes(), whole).await;
        assert_eq!((told.status, told.header("x-leasehold-code").as_deref()), (200, Some("cap_denied")), "{told:?}");
        let text = String::from_utf8_lossy(&told.body).into_owned();
        assert!(
            text.contains("ng refs/heads/main cap_denied") && text.contains("\u{2}no granted capability"),
            "{text}"
        );
        // Whoever would take silence for success gets a status.
        assert_problem(&send(commands("refs/heads/main", "atomic").into_bytes(), whole).await, 403, "cap_denied");
        assert_problem(&send(b"no pkt-line".to_vec(), whole).await, 403, "cap_denied");
        let line = format!("{:04x}{}", 1004, "x".repeat(1000));
        let endless = line.repeat(1100).into_bytes();
        assert_problem(&send(endless, 1 << 20).await, 413, "body_too_large");
        // So does a client that has not sent all: one that takes an answer for a success would never end.
        let front = commands("refs/heads/main", "report-status side-band-64k");
        let large = [front.as_bytes(), &vec![b'P'; 2 << 20]].concat();
        assert_problem(&send(large, front.len()).await, 403, "cap_denied");
        assert_eq!(house.origin.requests().len(), 0, "nothing left");
        let refused = house.records_of("request_refused");
        assert_eq!(refused.iter().filter_map(|record| record.status).collect::<Vec<_>>(), [200, 403, 403, 413, 403]);
    }
}

#[tokio::test]
async fn a_lease_token_behind_the_commands_of_a_push_stops_it() {
    let (house, lease) = with_service(FORGE, Speaks::Both, "").await;
    let body = commands("refs/heads/agent/x", "report-status") + "PACK" + &lease;
    let headers = [("x-api-key", &*lease), PUSHED[0]];
    let mut client = house.client(H1).await;
    let answer = client.send("POST", HOST, RECEIVE, &headers, body.as_bytes()).await;
    assert_problem(&answer, 403, "stray_lease");
    assert_eq!(house.origin.count(lease.as_bytes()), 0, "the token stays here");
}
