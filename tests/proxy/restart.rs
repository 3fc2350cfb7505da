//! Leases over the daemon's death: what lived lives on, what was revoked stays dead, what ran out has run out.

use std::time::Duration;

use leasehold::{
    base::Clock,
    control::{Client, LeaseToken, OpenSession, Ping, RevokeLease, SessionSecret, TokenLeased},
};

use crate::{
    hand::{Hand, SECRET},
    house::{AUTHORITY, HOST},
    kit::{H1, Yard, assert_problem, bearer, lease},
    support::{self, Answer, Origin, Program, Speaks, TestCa},
};

/// A daemon of its own process, in front of an origin.
struct World {
    origin: Origin,
    hand: Hand,
}

impl World {
    fn new() -> Self {
        let ca = TestCa::new();
        let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Http1).start();
        let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
        Self { origin, hand }
    }

    async fn control(&self) -> Client {
        Client::connect(&self.hand.home.join("agent-secrets.sock"), support::LIMIT).await.unwrap()
    }

    async fn lease(&self, client: &str) -> TokenLeased {
        let lease = LeaseToken::of("acme_key".parse().unwrap(), client.parse().unwrap());
        self.control().await.call(lease).await.unwrap()
    }

    async fn revoke(&self, lease: &TokenLeased) {
        self.control().await.call(RevokeLease::of(lease.lease_id)).await.unwrap();
    }

    /// One request with this token, by the main listener.
    async fn ask(&self, token: &str) -> Answer {
        let proxy = self.control().await.call(Ping {}).await.unwrap().proxy_addr.parse().unwrap();
        let pem = std::fs::read_to_string(self.hand.home.join("ca").join("root.pem")).unwrap();
        let mut client = support::connect_tls(proxy, AUTHORITY, &support::roots_of_pem(&pem), H1).await;
        client.get(HOST, "/echo", &[("Authorization", &bearer(token))]).await
    }

    /// The lease still opens its service: the origin receives the credential once more.
    async fn assert_lives(&self, lease: &TokenLeased) {
        let before = self.origin.requests().len();
        let answer = self.ask(lease.token.reveal()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(self.origin.requests()[before].values("authorization"), [bearer(SECRET)]);
        let used = self.hand.records_of("request_ended").pop().unwrap();
        assert_eq!(used.lease_id, Some(lease.lease_id.to_string()));
    }

    /// It does not: nothing is sent, and that is recorded.
    async fn assert_refused(&self, token: &str, code: &str) {
        let before = (self.origin.requests().len(), self.hand.records_of("request_refused").len());
        assert_problem(&self.ask(token).await, 403, code);
        let refused = self.hand.records_of("request_refused");
        assert_eq!((self.origin.requests().len(), refused.len()), (before.0, before.1 + 1));
        assert_eq!(refused.last().unwrap().code.as_deref(), Some(code));
    }
}

/// As a crash: no word of farewell.
fn crash(world: &World, mut daemon: Program) -> Program {
    daemon.kill();
    world.hand.serve()
}

#[tokio::test]
async fn a_lease_outlives_the_daemon_and_a_revoked_one_stays_dead() {
    let world = World::new();
    let daemon = world.hand.serve();
    world.hand.acme(HOST);
    let (lives, dies, last) = (world.lease("lives").await, world.lease("dies").await, world.lease("last").await);
    world.assert_lives(&dies).await;
    world.revoke(&dies).await;

    let daemon = crash(&world, daemon);
    world.assert_lives(&lives).await;
    world.assert_refused(dies.token.reveal(), "revoked").await;

    // The answer to a revocation is a promise, kept by whatever comes after it.
    world.revoke(&last).await;
    let daemon = crash(&world, daemon);
    world.assert_refused(last.token.reveal(), "revoked").await;
    world.assert_lives(&lives).await;

    assert_eq!(world.hand.envelope(&["stop"], b"").0, 0);
    daemon.finish();
    let _again = world.hand.serve();
    world.assert_lives(&lives).await;
    for dead in [&dies, &last] {
        world.assert_refused(dead.token.reveal(), "revoked").await;
    }
    let sealed = world.hand.read("leases.age");
    for lease in [&lives, &dies, &last] {
        assert_eq!(support::count(&sealed, lease.token.reveal().as_bytes()), 0, "the file holds a token");
    }
}

#[tokio::test]
async fn the_leases_of_a_session_die_with_the_daemon() {
    let world = World::new();
    let daemon = world.hand.serve();
    world.hand.acme(HOST);
    let mut control = world.control().await;
    let secrets = vec![SessionSecret { name: "acme_key".parse().unwrap(), env_var: None, ttl: None }];
    let open = OpenSession {
        client_id: Some("exec".parse().unwrap()),
        secrets,
        project_dir: "/".into(),
        ..OpenSession::default()
    };
    let opened = control.call(open).await.unwrap();
    let _again = crash(&world, daemon);
    world.assert_refused(opened.leases[0].token.reveal(), "token_unknown").await;
    assert!(world.origin.connections().is_empty());
}

#[tokio::test]
async fn a_lease_that_has_run_out_is_expired_on_the_wire_before_and_after_a_restart() {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Http1).start();
    let clock = Clock::manual(Clock::system().now()); // certificates are judged by the real one
    let yard = Yard::new(&ca, &[(HOST, origin.address())], "", clock.clone()).await;
    let (short, _) = lease(yard.broker(), None, Some("5m"));
    let (long, _) = lease(yard.broker(), None, Some("20m"));
    let ask = async |yard: &Yard, token: &str| {
        yard.client(H1).await.get(HOST, "/echo", &[("Authorization", &bearer(token))]).await
    };
    let assert_expired = async |yard: &Yard, token: &str, times: usize| {
        assert_problem(&ask(yard, token).await, 403, "expired");
        let refused = yard.records_of("request_refused");
        assert_eq!((refused.len(), refused.last().unwrap().code.as_deref()), (times, Some("expired")));
    };
    assert_eq!(ask(&yard, &short).await.status, 200);
    clock.advance(Duration::from_mins(6));
    assert_expired(&yard, &short, 1).await; // swept or not
    support::until("it is swept", || yard.records_of("lease_expire").len() == 1).await;
    assert_expired(&yard, &short, 2).await;
    assert_eq!(ask(&yard, &long).await.status, 200);

    let yard = yard.restarted(clock.clone()).await;
    assert_expired(&yard, &short, 3).await;
    assert_eq!(ask(&yard, &long).await.status, 200, "its time goes on as before");
    clock.advance(Duration::from_mins(15));
    let yard = yard.restarted(clock.clone()).await; // its time ran out with nobody there to see
    assert_expired(&yard, &long, 4).await;
    assert_eq!(origin.requests().len(), 3);
}
