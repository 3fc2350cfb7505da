//! C: tokens in disguise (40): decoded only where the policy says, blocked where they are recognised, never swapped.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use leasehold::policy::EasyPlace;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::{
    house::{HOST, House, Plan, SECRET},
    seen::{assert_refused, bearer, code, count},
};

/// Every byte percent-encoded.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

/// Only what is not a letter or digit percent-encoded, and the percent signs again.
fn twice(text: &str) -> String {
    let once = percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
    percent_encode(once.as_bytes(), NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn attack_40_disguises_in_target_and_headers_are_recognised() {
    let house = House::new().await;
    let lease = house.lease();
    let hidden = |n: usize| format!("{}{lease}", "u".repeat(n));
    for (target, name, value) in [
        (format!("/echo/{}", percent(&lease)), "X-Kept", "1".to_owned()),
        (format!("/echo/{}", twice(&lease)), "X-Kept", "1".to_owned()),
        (format!("/echo?k={}", percent(&lease)), "X-Kept", "1".to_owned()),
        (format!("/echo?k={}", twice(&lease)), "X-Kept", "1".to_owned()),
        (format!("/echo?k={}", percent(&percent(&lease))), "X-Kept", "1".to_owned()),
        (format!("/echo?{}=1", percent(&lease)), "X-Kept", "1".to_owned()),
        (format!("/echo?k={}", STANDARD_NO_PAD.encode(&lease)), "X-Kept", "1".to_owned()),
        ("/echo".to_owned(), "X-Note", percent(&lease)),
        ("/echo".to_owned(), "X-Note", STANDARD.encode(&lease)),
        ("/echo".to_owned(), "X-Note", STANDARD.encode(hidden(1))),
        ("/echo".to_owned(), "X-Note", STANDARD.encode(hidden(2))),
        ("/echo".to_owned(), "X-Note", URL_SAFE.encode(hidden(4))),
        ("/echo".to_owned(), "X-Note", percent(&STANDARD.encode(&lease))),
        ("/echo".to_owned(), "Cookie", format!("s={}", STANDARD.encode(format!("{{\"k\":\"{lease}\"}}")))),
        ("/echo".to_owned(), "X-Note", format!("Basic {}", STANDARD.encode(format!("user:{lease}")))),
    ] {
        let headers = [("Authorization", &*bearer(&lease)), (name, &value)];
        let answer = house.http1().await.get(HOST, &target, &headers).await;
        assert_eq!((answer.status, &*code(&answer)), (403, "stray_lease"), "{target} {name}: {value}: {answer:?}");
        house.assert_recorded("request_refused", "stray_lease");
        house.assert_nothing_left(&lease);
        for file in house.public_files() {
            assert_eq!(count(&file.1, &percent(&lease)) + count(&file.1, &twice(&lease)), 0, "{}", file.0.display());
        }
    }
}

#[tokio::test]
async fn attack_40_disguises_at_the_place_are_no_token() {
    let house = House::new().await;
    let lease = house.lease();
    let (front, back) = lease.split_at(15);
    let mut client = house.http1().await;
    for value in [
        bearer(&percent(&lease)),
        bearer(&STANDARD.encode(&lease)),
        format!("Basic {}", STANDARD.encode(format!("user:{lease}"))),
        format!("Basic {}", STANDARD.encode(&lease)),
        bearer(front),
        bearer(back),
        format!("Bearer  {lease}"),
        format!("Bearer\t{lease}"),
        format!("Bearer {front} {back}"),
    ] {
        let answer = client.get(HOST, "/echo", &[("Authorization", &value), ("X-Rest", back)]).await;
        assert_eq!(answer.status, 403, "{value}: {answer:?}");
        house.assert_recorded("request_refused", &code(&answer));
    }
    let answer = client.get(HOST, "/echo", &[("Authorization", &bearer(front)), ("Authorization", back)]).await;
    assert_refused(&answer, 400, "bad_request");
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_40_a_listed_query_place_is_decoded_once_and_encoded_again() {
    let place = EasyPlace::Query("key".into());
    let house = House::build(Plan { places: vec![place], ..Plan::default() }).await;
    let lease = house.lease();
    let mut client = house.http1().await;
    for target in [
        format!("/echo?key={}", percent(&lease)),
        format!("/echo?a=%20&key={}&b", percent_encode(lease.as_bytes(), NON_ALPHANUMERIC)),
        format!("/echo?k%65y={lease}"),
    ] {
        let answer = client.get(HOST, &target, &[]).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
    }
    assert!(house.origin.requests().iter().all(|request| request.count(SECRET.as_bytes()) == 1));
    let before = house.origin.requests().len();
    for (target, status) in [
        (format!("/echo?key={}", twice(&lease)), 403),
        (format!("/echo?key={}", STANDARD_NO_PAD.encode(&lease)), 403),
        (format!("/echo?key={lease}&key={lease}"), 400),
        (format!("/echo?key={lease}&k%65y={lease}"), 400),
        (format!("/echo?key={lease}&%6b%65%79=x"), 400),
        (format!("/echo?key=&key={lease}"), 400),
        (format!("/echo?key={lease}&KEY={lease}"), 403),
        (format!("/echo?key={lease}&b={}", percent(&lease)), 403),
        (format!("/echo?a;key={lease}"), 403),
        (format!("/echo?key={lease}%26b"), 403),
        (format!("/echo?key={lease}+"), 403),
        (format!("/{lease}?key={lease}"), 403),
    ] {
        let answer = house.http1().await.get(HOST, &target, &[]).await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        house.assert_recorded("request_refused", &code(&answer));
    }
    assert_eq!(house.origin.requests().len(), before, "none of them went out");
    house.assert_token_stayed(&lease);
}
