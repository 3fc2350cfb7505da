//! C: what the secret itself may do (41, 42, 46, 49): odd values, values with tokens in them, values that are gone.

use leasehold::{base::SecretBytes, policy::EasyPlace, store::SecretChange};
use percent_encoding::percent_decode_str;

use crate::{
    house::{HOST, House, Plan, SECRET},
    seen::{assert_refused, bearer},
};

fn set(house: &House, value: &[u8]) {
    let change = SecretChange::new().value(SecretBytes::new(value.to_vec()));
    house.broker().update(&"acme_key".parse().unwrap(), change, None).unwrap();
}

/// As an older program or another one stored it; ours refuses it at the door.
fn set_past_the_door(house: &House, value: &[u8]) {
    let (name, change) = ("acme_key".parse().unwrap(), SecretChange::new().value(SecretBytes::new(value.to_vec())));
    let refused = house.broker().update(&name, change.clone(), None).unwrap_err().to_string();
    assert!(refused.contains("never reach its service"), "{refused}");
    house.broker().store().update(&name, change).unwrap();
}

#[tokio::test]
async fn attack_41_a_value_that_a_header_cannot_carry_is_not_sent() {
    let house = House::new().await;
    let lease = house.lease();
    for value in [
        &b"real-key-with-newline\n"[..],
        b"real-key-with-crlf\r\n",
        b"real\r\nX-Smuggled: 1",
        b"real\n\nGET /smuggled HTTP/1.1",
        b"real\0key",
        b"real-\xff\xfe-key",
        "schlüssel".as_bytes(),
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n",
    ] {
        set_past_the_door(&house, value);
        let mut client = house.http1().await;
        let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
        assert_refused(&answer, 503, "credential_unavailable");
        house.assert_recorded("request_ended", "credential_unavailable");
        assert_eq!(answer.count(b"real"), 0, "{answer:?}");
    }
    assert!(house.origin.requests().is_empty());
    assert_eq!(house.origin.count(b"real"), 0, "not one byte of HTTP was sent");
    house.assert_no_request(&lease);
    set(&house, SECRET.as_bytes());
    house.assert_still_works().await;
}

#[tokio::test]
async fn attack_42_a_secret_that_holds_a_token_is_sent_as_it_is() {
    let house = House::new().await;
    let place = EasyPlace::Header("x-other-key".parse().unwrap(), "{}".parse().unwrap());
    house.add("other_key", "other-REAL-zyxwvutsrqponmlk-KEY", "other.acme.test", place);
    let (lease, inner) = (house.lease(), house.lease_of("other_key", None));
    for value in [inner.clone(), format!("{inner}{lease}"), format!("{lease} {lease}"), "{} Bearer {}".to_owned()] {
        set(&house, value.as_bytes());
        let answer = house.http1().await.get(HOST, "/status/200", &[("Authorization", &bearer(&lease))]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = house.origin.requests().pop().unwrap();
        assert_eq!(request.values("authorization"), [bearer(&value)], "one pass, nothing looked at twice");
    }
    assert_eq!(house.origin.count(b"other-REAL"), 0);
}

#[tokio::test]
async fn attack_46_a_secret_that_is_gone_from_the_store_refuses_and_forwards_nothing() {
    let house = House::new().await;
    let lease = house.lease();
    house.broker().store().remove(&"acme_key".parse().unwrap()).unwrap();
    for alpn in [&b"http/1.1"[..], b"h2"] {
        let client = house.client(&[alpn]).await;
        let headers = [("authorization", &*bearer(&lease))];
        let answer = if alpn == b"h2" {
            client.h2(HOST).await.get("/echo", &headers).await
        } else {
            let mut client = client;
            client.get(HOST, "/echo", &headers).await
        };
        assert_refused(&answer, 503, "credential_unavailable");
        house.assert_recorded("request_ended", "credential_unavailable");
    }
    house.assert_no_request(&lease);
}

#[tokio::test]
async fn attack_46_a_lease_whose_grant_was_taken_away_is_refused() {
    let house = House::new().await;
    let lease = house.lease();
    for file in std::fs::read_dir(house.home.policies()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("grant-") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let mut early = house.http1().await;
    house.broker().live_policy().reload().unwrap();
    let answer = early.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    house.assert_recorded("request_refused", &crate::seen::code(&answer));
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_46_without_a_record_there_is_no_credential() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let (log, aside) = (house.home.audit(), house.home.folder().join("moved.log"));
    std::fs::rename(&log, aside).unwrap();
    std::fs::create_dir(&log).unwrap(); // no new log can be made there
    assert!(house.broker().audit().flush().is_err());
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await;
    assert_refused(&answer, 503, "audit_unavailable");
    assert!(house.origin.connections().is_empty());
    std::fs::remove_dir(&log).unwrap();
    house.broker().audit().flush().unwrap();
    house.assert_still_works().await;
}

#[tokio::test]
async fn attack_49_a_secret_in_a_query_adds_no_parameter() {
    let place = EasyPlace::Query("key".into());
    let house = House::build(Plan { places: vec![place], ..Plan::default() }).await;
    let lease = house.lease();
    for value in ["a&b=c", "a#b", "100%", "a+b c", "?a=1&key=2", "%41%26x=1", "x HTTP/1.1", "<>\"'`{}|\\^", "ü\r\nX: 1"]
    {
        set(&house, value.as_bytes());
        let mut client = house.http1().await;
        let answer = client.get(HOST, &format!("/echo?first=1&key={lease}&last=2"), &[]).await;
        assert_eq!(answer.status, 200, "{value}: {answer:?}");
        let request = house.origin.requests().pop().unwrap();
        let (path, query) = request.target.split_once('?').unwrap();
        let pairs: Vec<(&str, &str)> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        assert_eq!((path, pairs.len()), ("/echo", 3), "{value}: {}", request.target);
        assert_eq!((pairs[0], pairs[2]), (("first", "1"), ("last", "2")));
        assert_eq!(percent_decode_str(pairs[1].1).decode_utf8().unwrap(), value);
        assert!(!pairs[1].1.contains('+'), "a plus would be read as a blank: {}", request.target);
        let ended = house.ended(house.origin.requests().len()).await;
        assert_eq!(ended.last().unwrap().path.as_deref(), Some("/echo"), "no query in the record");
    }
    house.assert_token_stayed(&lease);
}
