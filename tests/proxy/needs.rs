//! What an agent says that it needs: kept for a person, bounded, and never a right.

use std::sync::Arc;

use leasehold::{
    base::CutReason,
    broker::{Answer, Around, Session},
    policy::Remember,
};
use serde_json::json;

use crate::{
    approvals::{bank, grant, me, regrant, waiting},
    house::{HOST, House},
    kit::{assert_problem, connect, proxy_credentials},
    support::{Answer as Reply, RawClient, Speaks},
};

fn open(house: &House, client: &str) -> Arc<Session> {
    house.broker().open_session(client.parse().unwrap(), Around::default()).unwrap()
}

async fn post(house: &House, session: Option<&Session>, body: &str) -> Reply {
    let mut client = RawClient::connect(house.proxy()).await;
    let credentials =
        session.map_or_else(String::new, |session| format!("Proxy-Authorization: {}\r\n", proxy_credentials(session)));
    let length = body.len();
    client
        .write(format!(
            "POST http://leasehold.internal/v1/needs HTTP/1.1\r\nHost: leasehold.internal\r\n{credentials}\
             Content-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    client.read_answer_to("POST").await
}

fn ids(house: &House) -> Vec<String> {
    house.broker().needs().iter().map(|(need, _)| need.id.clone()).collect()
}

#[tokio::test]
async fn a_refused_agent_is_told_how_to_ask_and_what_it_asks_gives_nothing_until_a_person_edits_policy() {
    let (house, _) = bank(Speaks::Both, "", "").await;
    let session = open(&house, "agent");
    let lease = house.lease_of("acme_key", Some(&session));
    let credentials = proxy_credentials(&session);
    let send = async || {
        let mut client = connect(&house, Some(&credentials)).await;
        client.send("POST", HOST, "/upload", &[("x-api-key", &lease)], b"x").await
    };
    let refused = send().await;
    assert_problem(&refused, 403, "cap_denied");
    let command = refused.json()["ask"].as_str().unwrap().to_owned();
    let body = command.strip_prefix("curl -d '").unwrap().strip_suffix("' http://leasehold.internal/v1/needs").unwrap();
    let by_name: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&by_name["service"], &by_name["caps"]), (&"acme".into(), &json!(["log"])), "{command}");

    // By its request, of the two that would give it the one that is not granted.
    let body = json!({ "method": "POST", "url": format!("https://{HOST}/upload?key=hidden"), "why": "a\u{1b}[31mb" });
    let kept = post(&house, Some(&session), &body.to_string()).await;
    assert_eq!((kept.status, &kept.json()["caps"]), (202, &json!(["log"])), "{kept:?}");
    let again = post(&house, Some(&session), &body.to_string()).await;
    assert_eq!(again.json()["id"], kept.json()["id"], "the same is kept once");
    let recorded = house.records_of("need_sent");
    assert_eq!(
        (recorded.len(), recorded[0].capability.as_deref(), recorded[0].client_id.as_deref()),
        (1, Some("log"), Some("agent"))
    );

    let (need, cure) = house.broker().needs().remove(0);
    assert_eq!(
        (need.lack.call().unwrap(), need.why.as_str()),
        (format!("POST https://{HOST}/upload"), "a\\u{1b}[31mb")
    );
    let leasehold::policy::Remedy::Edit { place, lines } = cure.remedy.unwrap() else { panic!("there is a grant") };
    assert!(place.ends_with("mine.toml:3"), "{place}");
    assert_eq!(lines, "ask      = [\"transfer\", \"note\", \"log\"]\n");
    let allowed = house.broker().answer_approval(&need.id, Answer::Allow(Remember::Never), &me()).unwrap_err();
    assert!(allowed.to_string().contains("only your own policy files grant"), "{allowed}");
    assert_problem(&send().await, 403, "cap_denied");

    regrant(&house, &grant(&format!("allow = [\"read\"]\n{lines}")));
    assert!(ids(&house).is_empty(), "what policy gives is not needed any more");
    assert!(house.records_of("need_ended")[0].details.as_ref().unwrap().ends_with(", policy gives it by now"));
    assert_problem(&post(&house, Some(&session), &body.to_string()).await, 409, "need_met");
    let deny = async {
        let entry = waiting(&house).await;
        house.broker().answer_approval(&entry.id, Answer::Deny, &me()).unwrap();
    };
    let (answer, ()) = tokio::join!(send(), deny);
    assert_problem(&answer, 403, "approval_denied");
    assert!(house.origin.requests().is_empty());
}

#[tokio::test]
async fn a_need_ends_with_its_session_with_the_kill_switch_and_when_a_person_dismisses_it() {
    let (house, _) = bank(Speaks::Both, "", "").await;
    let (one, two) = (open(&house, "one"), open(&house, "two"));
    let body = r#"{"service": "acme", "caps": ["log", "socket"], "why": "to tell"}"#;
    for session in [&one, &two] {
        assert_eq!(post(&house, Some(session), body).await.status, 202);
    }
    let all = ids(&house);
    assert_eq!(all.len(), 2, "another session's is another need");
    let dismissed = house.broker().dismiss_need(&all[0], &me()).unwrap();
    assert_eq!(dismissed.unwrap().session.id(), one.id());
    assert!(house.broker().dismiss_need(&all[0], &me()).unwrap().is_none(), "once");
    let late = house.broker().answer_approval(&all[0], Answer::Deny, &me()).unwrap_err().to_string();
    assert!(late.contains("it was dismissed by uid 1000"), "{late}");
    assert_eq!(ids(&house), [all[1].clone()]);
    house.broker().end_session(two.id(), CutReason::SessionEnded);
    assert!(ids(&house).is_empty());
    assert_eq!(post(&house, Some(&two), body).await.status, 407, "it has no way in any more");

    assert_eq!(post(&house, Some(&one), body).await.status, 202);
    house.broker().close_approvals();
    assert!(ids(&house).is_empty());
    assert_problem(&post(&house, Some(&one), body).await, 503, "draining");
    let ends: Vec<_> = house.records_of("need_ended").into_iter().filter_map(|record| record.details).collect();
    assert_eq!(ends.len(), 3, "{ends:?}");
    for (end, why) in ends.iter().zip(["dismissed, by uid 1000", "its session has ended", "the daemon is stopping"]) {
        assert!(end.contains(why), "{end}");
    }
}

#[tokio::test]
async fn what_is_no_need_is_refused_and_nothing_of_it_is_kept() {
    let (house, _) = bank(Speaks::Both, "", "").await;
    let session = open(&house, "agent");
    let lease = house.lease_of("acme_key", Some(&session));
    let escaped = lease.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<Vec<_>>().concat();
    let with_why = |why: &str| format!(r#"{{"service": "acme", "caps": ["log"], "why": "{why}"}}"#);
    let of_url = |method: &str, url: &str| json!({ "method": method, "url": url }).to_string();
    for (body, status, code) in [
        ("x".to_owned(), 400, "bad_request"),
        ("{}".to_owned(), 400, "bad_request"),
        ("[".repeat(5000), 400, "bad_request"),
        (r#"{"service": "acme", "caps": [], "why": ""}"#.to_owned(), 400, "bad_request"),
        (r#"{"service": "acme", "caps": ["log"], "ttl": "9h"}"#.to_owned(), 400, "bad_request"),
        (r#"{"service": "acme", "caps": ["log"], "url": "https://x.test"}"#.to_owned(), 400, "bad_request"),
        (with_why(&"y".repeat(501)), 400, "bad_request"),
        (with_why(&"y".repeat(16 * 1024)), 413, "body_too_large"),
        (with_why(&lease), 403, "stray_lease"),
        (with_why(&escaped), 403, "stray_lease"),
        (of_url("GET", &format!("https://{HOST}/echo?{lease}")), 403, "stray_lease"),
        (of_url("GET", "no url"), 400, "bad_request"),
        (of_url("TRACE", &format!("https://{HOST}/echo")), 405, "method_denied"),
        (of_url("GET", &format!("https://{HOST}/status/*")), 400, "bad_request"),
        (of_url("DELETE", &format!("https://{HOST}/echo")), 404, "need_unknown"),
        (of_url("GET", "https://nowhere.test/"), 404, "need_unknown"),
        (r#"{"service": "acme", "caps": ["lag"]}"#.to_owned(), 404, "need_unknown"),
        (r#"{"service": "nobody", "caps": ["read"]}"#.to_owned(), 404, "need_unknown"),
        (r#"{"service": "acme", "caps": ["read", "transfer"]}"#.to_owned(), 409, "need_met"),
        (of_url("GET", &format!("https://{HOST}/echo")), 409, "need_met"),
    ] {
        let answer = post(&house, Some(&session), &body).await;
        assert_problem(&answer, status, code);
        assert!(!String::from_utf8_lossy(&answer.body).contains(&lease), "{answer:?}");
    }
    assert_problem(&post(&house, None, &with_why("")).await, 403, "no_lease");
    assert_eq!(house.records_of("request_refused").len(), 21, "each is recorded");
    assert!(ids(&house).is_empty() && house.records_of("need_sent").is_empty());
}

#[tokio::test]
async fn one_session_has_a_bounded_number_of_needs_and_all_have_another() {
    let (house, _) = bank(Speaks::Both, "", "").await;
    let session = open(&house, "agent");
    let need = |path: usize| json!({ "method": "GET", "url": format!("https://{HOST}/status/{path}") }).to_string();
    regrant(&house, &grant("allow = [\"read\"]"));
    for path in 0..8 {
        assert_eq!(post(&house, Some(&session), &need(path)).await.status, 202);
    }
    let ninth = post(&house, Some(&session), &need(8)).await;
    assert_problem(&ninth, 429, "limit");
    assert_eq!(ninth.header("retry-after").as_deref(), Some("60"));
    for other in 0..3 {
        let session = open(&house, &format!("other-{other}"));
        for path in 0..8 {
            assert_eq!(post(&house, Some(&session), &need(path)).await.status, 202);
        }
    }
    let (last, session) = (open(&house, "last"), session);
    assert_problem(&post(&house, Some(&last), &need(0)).await, 429, "limit");
    house.broker().end_session(session.id(), CutReason::SessionEnded);
    assert_eq!(post(&house, Some(&last), &need(0)).await.status, 202, "room again");
    assert_eq!((ids(&house).len(), house.records_of("need_sent").len()), (25, 33));
}
