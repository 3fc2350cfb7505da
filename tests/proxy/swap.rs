//! The main job: a lease token goes in, the real credential goes out, and it does not come back.

use crate::house::{HOST, House, SECRET};

#[tokio::test]
async fn the_origin_receives_the_credential_where_the_policy_says_and_the_client_never_sees_it() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let answer = client.get(HOST, "/echo?q=1", &[("Authorization", &format!("Bearer {lease}"))]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let request = house.origin.only_request();
    assert_eq!(request.values("authorization"), [format!("Bearer {SECRET}")]);
    assert_eq!(request.target, "/echo?q=1");
    assert_eq!(request.count(SECRET.as_bytes()), 1, "the credential stands in one place");
    assert_eq!(request.count(lease.as_bytes()), 0, "the lease token stays here");

    assert_eq!(answer.count(SECRET.as_bytes()), 0, "the echo is scrubbed");
    assert!(answer.text().contains(&lease), "the lease stands in its place: {}", answer.text());

    let ended = house.ended(1).await;
    assert_eq!(ended[0].status, Some(200));
    assert_eq!(ended[0].path.as_deref(), Some("/echo"));
    assert_eq!(house.records_of("request_begun").len(), 1);
    for (path, content) in house.public_files() {
        assert!(!content.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "{} holds the secret", path.display());
        assert!(!content.windows(lease.len()).any(|w| w == lease.as_bytes()), "{} holds the token", path.display());
    }
}
