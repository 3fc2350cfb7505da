//! C: guessing (48): what is unknown is answered so often and no oftener, and whoever holds a token does not notice.

use leasehold::{
    base::ClientId,
    broker::{Around, Session},
};

use crate::{
    house::{AUTHORITY, HOST, House, SECRET},
    seen::{assert_refused, bearer, code},
    support::{Answer, RawClient},
};

/// A token of the right looks that was never issued.
fn guess(lease: &str, number: usize) -> String {
    bearer(&format!("{}{number:03}xyz", &lease[..lease.len() - 6]))
}

async fn ask(client: &mut RawClient, authorization: &str) -> Answer {
    client.get(HOST, "/echo", &[("Authorization", authorization)]).await
}

/// Guesses until it is too much; how many were answered as unknown.
async fn guess_on(client: &mut RawClient, lease: &str) -> usize {
    for number in 0..999 {
        let answer = ask(client, &guess(lease, number)).await;
        if code(&answer) == "limit" {
            assert_refused(&answer, 429, "limit");
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
            return number;
        }
        assert_refused(&answer, 403, "token_unknown");
    }
    panic!("nobody minds how often somebody guesses");
}

fn session(house: &House, client: &str) -> std::sync::Arc<Session> {
    let client: ClientId = client.parse().unwrap();
    house.broker().open_session(client, Around::default()).unwrap()
}

async fn client_of(house: &House, session: &Session) -> RawClient {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let (user, password) = session.proxy_credentials();
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    let mut client = RawClient::connect(house.proxy()).await;
    client.write(format!("CONNECT {AUTHORITY} HTTP/1.1\r\nProxy-Authorization: Basic {credentials}\r\n\r\n")).await;
    assert_eq!(client.read_answer_to("CONNECT").await.status, 200);
    client.start_tls(HOST, &house.roots, &[b"http/1.1"]).await.unwrap()
}

#[tokio::test]
async fn attack_48_who_guesses_on_is_put_off_and_valid_tokens_are_not() {
    let house = House::new().await;
    let lease = house.lease();
    let mut client = house.http1().await;
    let unknown = guess_on(&mut client, &lease).await;
    assert!((60..200).contains(&unknown), "{unknown} guesses"); // one more for each second that it took
    let refused = house.records_of("request_refused");
    assert_eq!(refused.len(), unknown + 1);
    assert_eq!((refused[unknown].code.as_deref(), refused[unknown].status), (Some("limit"), Some(429)));
    assert!(refused[unknown].lease_id.is_none());
    house.assert_nothing_left(&lease);
    assert_eq!(ask(&mut client, &bearer(&lease)).await.status, 200, "on the same connection");
    assert_eq!(house.origin.only_request().values("authorization"), [bearer(SECRET)]);
    // A token that was ours says why it is none now, however many guesses there were.
    house.broker().revoke_all().unwrap();
    assert_refused(&ask(&mut client, &bearer(&lease)).await, 403, "revoked");
}

#[tokio::test]
async fn attack_48_one_session_that_guesses_puts_off_no_other() {
    let house = House::new().await;
    let lease = house.lease();
    let (noisy, quiet) = (session(&house, "noisy"), session(&house, "quiet"));
    guess_on(&mut client_of(&house, &noisy).await, &lease).await;
    let mut again = client_of(&house, &noisy).await; // a new connection is the same session
    let mut answers = Vec::new();
    while answers.last().is_none_or(|last| last != "limit") && answers.len() < 20 {
        answers.push(code(&ask(&mut again, &guess(&lease, 1)).await)); // each second gives one more
    }
    assert!(answers.last().is_some_and(|last| last == "limit"), "{answers:?}");
    assert_refused(&ask(&mut client_of(&house, &quiet).await, &guess(&lease, 1)).await, 403, "token_unknown");
    assert_refused(&ask(&mut house.http1().await, &guess(&lease, 1)).await, 403, "token_unknown");
    house.assert_nothing_left(&lease);
}
