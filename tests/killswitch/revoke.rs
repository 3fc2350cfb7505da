//! Revoking by client, by secret, by session and all at once, without a latch: what is meant ends, and nothing else.

use std::time::Duration;

use leasehold::{
    base::{ClientId, LeaseId},
    broker::Around,
    control::{Client, Revoke, RevokeAll},
    policy::EasyPlace,
};

use crate::{
    house::{HOST, House, SECRET},
    kit::{H1, bearer, get},
    support::{self, AnswerState},
};

/// Leases of two clients, two secrets and a session.
struct World {
    house: House,
    control: Client,
}

impl World {
    async fn new() -> Self {
        let house = House::new().await;
        let place = EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
        house.add("other_key", SECRET, "other.acme.test", place);
        let control = Client::connect(&house.home.socket(), Duration::from_mins(1)).await.unwrap();
        Self { house, control }
    }

    fn lease(&self, secret: &str, client: &str) -> (String, LeaseId) {
        let client: ClientId = client.parse().unwrap();
        let issued = self
            .house
            .broker()
            .issue_token(&secret.parse().unwrap(), &client, None, &leasehold::broker::Asked::default())
            .unwrap();
        (issued.token.expose().to_owned(), issued.lease.id)
    }

    fn lives(&self, id: &LeaseId) -> bool {
        self.house.broker().leases().get(id).is_some()
    }
}

#[tokio::test]
async fn by_client() {
    let mut world = World::new().await;
    let (token, ends) = world.lease("acme_key", "a");
    let (other, lives) = world.lease("acme_key", "b");
    let (token, other) = (bearer(&token), bearer(&other));
    let mut live = world.house.http1().await;
    live.write(support::head("GET", HOST, "/hang/body?gate=live", &[("Authorization", &token)], 0)).await;
    assert_eq!(live.read_head().await.status, 200);
    let revoked = world.control.call(Revoke::Client("a".parse().unwrap())).await.unwrap();
    assert_eq!(revoked.leases_revoked, 1);
    assert!(!world.lives(&ends) && world.lives(&lives));
    world.house.origin.wait_for_answer(0, AnswerState::Cut).await;
    assert_eq!(world.house.ended(1).await[0].reason.as_deref(), Some("revoked"));
    assert_eq!(get(&world.house, H1, "/echo", &[("Authorization", &other)]).await.status, 200);
}

#[tokio::test]
async fn by_secret() {
    let mut world = World::new().await;
    let (_, ends) = world.lease("acme_key", "a");
    let (_, also) = world.lease("acme_key", "b");
    let (_, lives) = world.lease("other_key", "a");
    let revoked = world.control.call(Revoke::Secret("acme_key".parse().unwrap())).await.unwrap();
    assert_eq!(revoked.leases_revoked, 2);
    assert!(!world.lives(&ends) && !world.lives(&also) && world.lives(&lives));
    assert_eq!(world.house.records_of("lease_revoke").len(), 2);
}

#[tokio::test]
async fn by_session() {
    let mut world = World::new().await;
    let broker = world.house.broker();
    let session = broker.open_session("agent".parse().unwrap(), Around::default()).unwrap();
    let name = "acme_key".parse().unwrap();
    let ends = broker
        .issue_token(&name, session.client(), Some(&session), &leasehold::broker::Asked::default())
        .unwrap()
        .lease
        .id;
    let (_, lives) = world.lease("acme_key", "agent");
    let revoked = world.control.call(Revoke::Session(session.id())).await.unwrap();
    assert_eq!(revoked.leases_revoked, 1);
    assert!(!world.lives(&ends) && world.lives(&lives));
    assert!(world.house.broker().session(session.id()).is_none());
    let again = world.control.call(Revoke::Session(session.id())).await;
    assert!(again.unwrap_err().to_string().contains(&session.id().to_string()));
}

#[tokio::test]
async fn all_without_a_latch_lets_the_next_lease_be_issued_at_once() {
    let mut world = World::new().await;
    world.lease("acme_key", "a");
    world.lease("other_key", "b");
    let revoked = world.control.call(RevokeAll {}).await.unwrap();
    assert_eq!(revoked.leases_revoked, 2);
    assert!(world.house.broker().leases().list().is_empty());
    let (token, _) = world.lease("acme_key", "a");
    assert_eq!(get(&world.house, H1, "/echo", &[("Authorization", &bearer(&token))]).await.status, 200);
    assert!(world.house.records_of("killswitch").is_empty());
}
