//! C: signed requests (51). The proxy passes a signature as it is and makes none: what it covers must not be the lease.

use aws_lc_rs::hmac;
use leasehold::policy::EasyPlace;

use crate::{
    house::{HOST, House, Plan, SECRET},
    seen::{assert_refused, bearer},
    support::Recorded,
};

const PATH: &str = "/echo?amount=12.50&to=b%2Fc";

/// A signature with a key of the client's own, over the named fields and the target.
fn sign(target: &str, fields: &[(&str, &str)]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"the client's own signing key");
    let lines = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<Vec<_>>().concat();
    leasehold::base::hex(hmac::sign(&key, format!("{target}\n{lines}").as_bytes()).as_ref())
}

/// Whether the signature fits what arrived.
fn fits(request: &Recorded, covered: &[&str]) -> bool {
    let values: Vec<_> = covered.iter().map(|name| request.header(name).unwrap_or_default()).collect();
    let fields: Vec<_> = covered.iter().copied().zip(values.iter().map(String::as_str)).collect();
    request.header("x-signature").unwrap() == sign(&request.target, &fields)
}

#[tokio::test]
async fn attack_51_a_signature_that_covers_other_fields_still_fits_and_one_over_the_swapped_field_does_not() {
    let place = EasyPlace::Header("x-api-key".parse().unwrap(), "{}".parse().unwrap());
    let house = House::build(Plan { places: vec![place], ..Plan::default() }).await;
    let lease = house.lease();
    for (covered, is_whole) in [(&["x-date"][..], true), (&["x-date", "x-api-key"], false)] {
        let fields = [("x-date", "20260101T000000Z"), ("x-api-key", &*lease)];
        let signed: Vec<_> = fields.into_iter().filter(|(name, _)| covered.contains(name)).collect();
        let signature = sign(PATH, &signed);
        for alpn in [&b"http/1.1"[..], b"h2"] {
            let headers = [fields[0], ("x-api-key", &lease), ("x-signature", &signature)];
            let client = house.client(&[alpn]).await;
            let answer = if alpn == b"h2" {
                client.h2(HOST).await.get(PATH, &headers).await
            } else {
                let mut client = client;
                client.get(HOST, PATH, &headers).await
            };
            assert_eq!(answer.status, 200, "{answer:?}");
            let request = house.origin.requests().pop().unwrap();
            assert_eq!(request.values("x-signature"), [&*signature], "passed as it is");
            assert_eq!((request.values("x-api-key"), &*request.target), (vec![SECRET.to_owned()], PATH));
            assert_eq!(fits(&request, covered), is_whole, "{covered:?}");
        }
    }
    house.assert_token_stayed(&lease);
}

#[tokio::test]
async fn attack_51_a_lease_inside_the_words_of_a_signature_goes_nowhere() {
    let house = House::new().await;
    let lease = house.lease();
    let scope = "20260101/eu-west-1/s3/aws4_request";
    for authorization in [
        format!("AWS4-HMAC-SHA256 Credential={lease}/{scope}, SignedHeaders=host, Signature=0123456789abcdef"),
        format!("Signature keyId=\"{lease}\",algorithm=\"hmac-sha256\",signature=\"MDEyMzQ1Njc4OWFiY2RlZg==\""),
    ] {
        let answer = house.http1().await.get(HOST, "/echo", &[("Authorization", &authorization)]).await;
        assert_refused(&answer, 403, "foreign_credential");
        house.assert_recorded("request_refused", "foreign_credential");
    }
    let target = format!("/echo?X-Amz-Credential={lease}%2F{}&X-Amz-Signature=0123", scope.replace('/', "%2F"));
    let answer = house.http1().await.get(HOST, &target, &[("Authorization", &bearer(&lease))]).await;
    assert_refused(&answer, 403, "stray_lease");
    house.assert_recorded("request_refused", "stray_lease");
    house.assert_nothing_left(&lease);
}
