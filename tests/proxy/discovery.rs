//! `http://leasehold.internal`: what an agent is told of its own session, and of nothing else.

use leasehold::{base::ClientId, broker::Around};

use crate::{
    house::{House, SECRET},
    kit::{assert_problem, proxy_credentials},
    support::{Answer, RawClient},
};

async fn ask(house: &House, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    ask_at(house, "leasehold.internal", method, path, fields).await
}

async fn ask_at(house: &House, host: &str, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    let mut client = RawClient::connect(house.proxy()).await;
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let fields = fields.concat();
    client.write(format!("{method} http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).await;
    client.read_answer_to(method).await
}

#[tokio::test]
async fn a_session_is_told_what_it_may_do_and_nothing_of_secrets_or_others() {
    let house = House::new().await;
    house.add(
        "other_key",
        "other-REAL-0123456789",
        "other.acme.test",
        leasehold::policy::EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap()),
    );
    let open = |client: &str| {
        let client: ClientId = client.parse().unwrap();
        house.broker().open_session(client, Around::default()).unwrap()
    };
    let (session, other) = (open("agent"), open("stranger"));
    let tokens = [house.lease_of("acme_key", Some(&session)), house.lease_of("other_key", Some(&other))];
    let credentials = proxy_credentials(&session);
    let fields = [("Proxy-Authorization", credentials.as_str())];
    let answer = ask(&house, "GET", "/v1/me", &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let me = answer.json();
    assert_eq!((&me["client_id"], me["services"].as_array().unwrap().len()), (&"agent".into(), 1), "{me}");
    let service = &me["services"][0];
    assert_eq!(service["hosts"][0], "https://api.acme.test");
    let verdict = |name: &str| {
        let all = service["capabilities"].as_array().unwrap();
        all.iter().find(|cap| cap["name"] == name).map(|cap| cap["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(verdict("read").as_deref(), Some("allow"), "{me}");
    assert!(me["ca"].as_str().unwrap().ends_with("root.pem"));

    let other_name = ask_at(&house, "lease.localhost", "GET", "/v1/me", &fields).await;
    assert_eq!(other_name.json()["services"], me["services"], "the same by its other name");

    let fields = [fields[0], ("Accept", "text/markdown")];
    let markdown = ask(&house, "GET", "/v1/me", &fields).await;
    assert!(String::from_utf8_lossy(&markdown.body).contains("- `read` (allowed)"), "{markdown:?}");
    for said in [&answer.body, &markdown.body] {
        let said = String::from_utf8_lossy(said);
        assert!(!said.contains(SECRET) && !said.contains("other") && !said.contains("stranger"), "{said}");
        assert!(
            tokens.iter().all(|token| !said.contains(token.as_str())) && !said.contains(session.proxy_credentials().1)
        );
    }
    let asked = house.records_of("discovery");
    assert_eq!((asked.len(), asked[0].client_id.as_deref()), (3, Some("agent")));
    assert!(house.origin.requests().is_empty(), "nothing is dialled");
}

#[tokio::test]
async fn what_is_not_there_and_whoever_has_no_session_get_a_clear_answer() {
    let house = House::new().await;
    let answer = ask(&house, "GET", "/v1/me", &[]).await;
    assert_problem(&answer, 403, "no_lease");
    assert!(answer.json()["fix"].as_str().unwrap().starts_with("secrets exec"));
    assert_problem(&ask(&house, "GET", "/v2/me", &[]).await, 404, "not_found");
    assert_problem(&ask(&house, "POST", "/v1/me", &[]).await, 405, "method_denied");
    assert_eq!(ask(&house, "GET", "/", &[]).await.status, 200);
    assert_eq!(house.records_of("request_refused").len(), 3);
}
