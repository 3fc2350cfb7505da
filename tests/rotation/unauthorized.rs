//! A 401 from the upstream: the value is replaced, and the request made once more with the new one.

use leasehold::base::{hex, sha256};

use crate::{
    house::{HOST, House, SECRET},
    kit::{NEW, Script, get, key, record, recorded, set_credential, set_hook, value},
    support::until,
};

const H1: &[&[u8]] = &[b"http/1.1"];
const H2: &[&[u8]] = &[b"h2"];

/// A house whose service says that a 401 means a value that has ended.
async fn house(hook: &str) -> (House, Script) {
    let (house, script) = (House::new().await, Script::new());
    set_credential(&house, "on_401 = \"rotate\"");
    set_hook(house.broker(), &script.hook(hook));
    (house, script)
}

fn bearer(value: &str) -> Vec<String> {
    vec![format!("Bearer {value}")]
}

#[tokio::test]
async fn the_client_sees_the_second_answer_and_the_record_shows_both() {
    for alpn in [H1, H2] {
        let (house, script) = house(&format!("echo {NEW}")).await;
        let lease = format!("Bearer {}", house.lease());
        let path = format!("/only/{NEW}");
        let headers = [("Authorization", lease.as_str()), ("X-Kept", "yes")];
        let mut client = house.client(alpn).await;
        let answer = if alpn == H2 {
            client.h2(HOST).await.get(&path, &headers).await
        } else {
            client.get(HOST, &path, &headers).await
        };
        assert_eq!((answer.status, answer.text().as_str()), (200, "welcome"));
        let requests = house.origin.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(
            requests.iter().map(|one| one.values("authorization")).collect::<Vec<_>>(),
            [bearer(SECRET), bearer(NEW)]
        );
        assert_eq!(
            (requests[1].target.as_str(), requests[1].values("x-kept")),
            (path.as_str(), vec!["yes".to_owned()])
        );
        assert_eq!(script.runs(), ["unauthorized"]);
        let ended = house.ended(1).await;
        assert_eq!((ended.len(), ended[0].status), (1, Some(200)));
        assert!(ended[0].details.as_deref().unwrap().contains("made again with a new value"), "{ended:?}");
        assert_eq!(house.records_of("request_begun").len(), 1);
        assert_eq!(house.records_of("secret_rotate").len(), 1);
        recorded(&house, "rotation_settled", 1).await; // its success proves the new value
    }
}

#[tokio::test]
async fn a_body_that_was_kept_is_sent_again_byte_for_byte() {
    for (alpn, length) in [(H1, 5), (H1, 256 * 1024), (H2, 200_000)] {
        let (house, script) = house(&format!("echo {NEW}")).await;
        let lease = format!("Bearer {}", house.lease());
        let body: Vec<u8> = (0..length).map(|at: u32| (at % 251) as u8).collect();
        let digest = hex(&sha256(&body));
        let path = format!("/only/{NEW}");
        let headers = [("Authorization", lease.as_str())];
        let mut client = house.client(alpn).await;
        let answer = if alpn == H2 {
            let body = http_body_util::Full::new(bytes::Bytes::from(body));
            client.h2(HOST).await.send("POST", &path, &headers, body).await
        } else {
            client.send("POST", HOST, &path, &headers, &body).await
        };
        assert_eq!(answer.status, 200, "{length}");
        let requests = house.origin.requests();
        assert_eq!((requests.len(), requests[1].method.as_str()), (2, "POST"));
        for request in &requests {
            assert_eq!((request.body_length, &request.body_sha256), (u64::from(length), &digest), "{length}");
        }
        assert_eq!(script.runs().len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_goes_once_and_the_next_request_has_the_new_value() {
    let (house, script) = house(&format!("echo {NEW}")).await;
    let lease = format!("Bearer {}", house.lease());
    let body = vec![b'x'; 256 * 1024 + 1];
    let mut client = house.http1().await;
    let answer = client.send("POST", HOST, &format!("/only/{NEW}"), &[("Authorization", &lease)], &body).await;
    assert_eq!((answer.status, answer.text().as_str()), (401, "who are you?"));
    assert_eq!(house.origin.requests().len(), 1);
    until("the value is replaced", || value(house.broker()) == NEW).await;
    assert_eq!(get(&house, &format!("/only/{NEW}")).await.status, 200);
    assert_eq!(script.runs(), ["unauthorized"]);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_over_is_passed_on() {
    let (house, script) = house(&format!("echo {NEW}")).await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let head = format!(
        "POST /early/401 HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {lease}\r\nContent-Length: 1000\r\n\r\nhalf"
    );
    client.write(head).await;
    assert_eq!(client.read_head().await.status, 401);
    until("the value is replaced", || value(house.broker()) == NEW).await;
    assert_eq!((house.origin.requests().len(), script.runs().len()), (1, 1));
}

#[tokio::test]
async fn a_401_means_nothing_unless_the_service_says_so_and_there_is_a_hook() {
    let (house, script) = (House::new().await, Script::new());
    set_hook(house.broker(), &script.hook(&format!("echo {NEW}")));
    assert_eq!(get(&house, &format!("/only/{NEW}")).await.status, 401);
    set_credential(&house, "on_401 = \"rotate\"");
    set_hook(house.broker(), "");
    assert_eq!(get(&house, &format!("/only/{NEW}")).await.status, 401);
    set_hook(house.broker(), &script.hook(&format!("echo {NEW}")));
    for status in [400, 403, 404, 500] {
        assert_eq!(get(&house, &format!("/status/{status}")).await.status, status);
    }
    house.ended(6).await;
    assert!(script.runs().is_empty() && house.records_of("rotation_begun").is_empty());
    assert_eq!((house.origin.requests().len(), value(house.broker())), (6, SECRET.to_owned()));
}

#[tokio::test]
async fn an_agent_cannot_make_the_hook_run_as_often_as_it_likes() {
    for (hook, value_after) in [("exit 1".to_owned(), SECRET), (format!("echo {NEW}"), NEW)] {
        let (house, script) = house(&hook).await;
        for _ in 0..5 {
            let answer = get(&house, "/status/401").await;
            assert_eq!((answer.status, answer.text().as_str()), (401, "401"), "the upstream's own answer");
        }
        assert_eq!((script.runs().len(), value(house.broker()).as_str()), (1, value_after));
        let tries = if value_after == NEW { 6 } else { 5 };
        assert_eq!(house.origin.requests().len(), tries, "a request is made again once at the most");
    }
}

#[tokio::test]
async fn many_at_once_share_one_run_and_all_succeed() {
    let (house, script) = house(&format!("until test -e \"$D/go-on\"; do sleep 0.01; done; echo {NEW}")).await;
    let house = std::sync::Arc::new(house);
    let lease = house.lease();
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (house, lease) = (std::sync::Arc::clone(&house), lease.clone());
            tokio::spawn(async move {
                let headers = [("Authorization", &*format!("Bearer {lease}"))];
                house.http1().await.get(HOST, &format!("/only/{NEW}"), &headers).await.status
            })
        })
        .collect();
    house.origin.wait_for(8).await;
    until("the hook runs", || !script.runs().is_empty()).await;
    std::fs::write(script.path("go-on"), b"").unwrap();
    for one in asking {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!((script.runs().len(), house.origin.requests().len()), (1, 16));
}

#[tokio::test]
async fn a_401_for_a_value_that_its_check_accepts_is_about_something_else() {
    let (house, script) = house(&format!("echo {NEW}")).await;
    let check = format!("check = {{ method = \"GET\", url = \"https://{HOST}/only/{SECRET}\" }}");
    set_credential(&house, &format!("{check}\non_401 = \"rotate\""));
    for _ in 0..3 {
        assert_eq!(get(&house, "/status/401").await.status, 401);
    }
    assert!(script.runs().is_empty());
    let checks = house.origin.requests().iter().filter(|one| one.target.starts_with("/only/")).count();
    assert_eq!((checks, house.records_of("rotation_check").len()), (1, 1), "nor does an agent make checks at will");
    assert_eq!(record(house.broker()).generation, 1);
}

#[tokio::test]
async fn a_lease_that_ends_while_the_hook_runs_gets_no_second_try() {
    let (house, script) = house(&format!("until test -e \"$D/go-on\"; do sleep 0.01; done; echo {NEW}")).await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let asking = tokio::spawn(async move {
        client.get(HOST, &format!("/only/{NEW}"), &[("Authorization", &format!("Bearer {lease}"))]).await
    });
    until("the hook runs", || !script.runs().is_empty()).await;
    house.broker().revoke_secret(&key()).unwrap();
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, answer.header("x-leasehold-code").as_deref()), (403, Some("revoked")), "{answer:?}");
    std::fs::write(script.path("go-on"), b"").unwrap();
    until("the value is replaced", || value(house.broker()) == NEW).await;
    assert_eq!(house.origin.requests().len(), 1);
    let ended = house.ended(1).await;
    assert_eq!((ended[0].outcome.as_deref(), ended[0].reason.as_deref()), (Some("cut"), Some("revoked")), "{ended:?}");
}
