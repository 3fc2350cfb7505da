//! What comes by a session's port alone, which any program on the machine can use.

use std::{net::SocketAddr, time::Duration};

use leasehold::{
    base::CutReason,
    broker::Answer,
    control::{Client, OpenSession, SessionOpened},
    policy::Remember,
};

use crate::{
    house::House,
    kit::assert_problem,
    support::{self, RawClient},
    unknown_hosts::{TUNNEL, answer, asking, connect, set, waiting},
};

/// A session with a port of its own, for as long as its client is there.
async fn opened(house: &House) -> (Client, SessionOpened, SocketAddr) {
    let mut control = Client::connect(&house.home.socket(), Duration::from_mins(1)).await.unwrap();
    let open =
        OpenSession { client_id: Some("other".parse().unwrap()), project_dir: "/".into(), ..OpenSession::default() };
    let session = control.call(open).await.unwrap();
    let port = SocketAddr::from(([127, 0, 0, 1], session.proxy_port));
    (control, session, port)
}

#[tokio::test]
async fn what_the_session_itself_was_let_do_is_asked_again_of_whoever_has_its_port() {
    let (house, _) = asking().await;
    let (_control, opened, port) = opened(&house).await;
    assert!(opened.wants_proof, "its programs are to say whose they are");
    let session = house.broker().session(opened.session_id).unwrap();
    let allow = async {
        let entry = waiting(&house).await;
        assert!(entry.ask.is_proven && entry.ask.shown[0].1 == "the session's own proxy credentials", "{entry:?}");
        answer(&house, &entry, Answer::Allow(Remember::Session));
    };
    let ((_, first), ()) = tokio::join!(connect(&house, &session, TUNNEL), allow);
    assert_eq!((first.status, connect(&house, &session, TUNNEL).await.1.status), (200, 200), "it is remembered");

    let mut stranger = RawClient::connect(port).await;
    let given = |given: Answer| {
        let house = &house;
        async move {
            let entry = waiting(house).await;
            assert!(!entry.ask.is_proven, "{entry:?}");
            answer(house, &entry, given);
        }
    };
    let (refused, ()) = tokio::join!(stranger.ask_connect(TUNNEL), given(Answer::Deny));
    assert_problem(&refused, 403, "approval_denied");
    // Whoever lets a stranger pass has let the session pass, too; not the other way round.
    let (mut other, elsewhere) = (RawClient::connect(port).await, "other.acme.test:443");
    let (passed, ()) = tokio::join!(other.ask_connect(elsewhere), given(Answer::Allow(Remember::Session)));
    assert_eq!(passed.status, 200);
    assert_eq!(connect(&house, &session, elsewhere).await.1.status, 200);
    assert_eq!((house.records_of("approval_asked").len(), house.records_of("tunnel_refused").len()), (3, 1));
}

/// Connections live on when their session has ended.
#[tokio::test]
async fn a_connection_of_a_session_that_has_ended_gets_no_way_and_asks_nobody() {
    let (house, session) = asking().await;
    let allow = async { answer(&house, &*waiting(&house).await, Answer::Allow(Remember::Session)) };
    let ((_, first), ()) = tokio::join!(connect(&house, &session, TUNNEL), allow);
    assert_eq!(first.status, 200);
    let (_control, other, port) = opened(&house).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(RawClient::connect(port).await);
    }
    // One of them is let pass for the session, so that what it asked is remembered.
    let allow = async {
        let entry = waiting(&house).await;
        assert!(entry.ask.shown[0].1.contains("which any program on this machine can use"), "{entry:?}");
        answer(&house, &entry, Answer::Allow(Remember::Session));
    };
    let (passed, ()) = tokio::join!(clients[0].ask_connect(TUNNEL), allow);
    assert_eq!(passed.status, 200);
    support::until("both are there", || house.origin.connections().len() == 2).await;
    house.broker().end_session(other.session_id, CutReason::SessionEnded);
    assert_problem(&clients[1].ask_connect(TUNNEL).await, 403, "token_foreign_session");
    set(&house, "tunnel");
    assert_problem(&clients[2].ask_connect(TUNNEL).await, 403, "token_foreign_session");
    assert!(house.broker().approvals().1.is_empty());
    assert_eq!(house.origin.connections().len(), 2, "nothing more was dialled");
    assert_eq!(house.records_of("tunnel_refused").len(), 2);
}
