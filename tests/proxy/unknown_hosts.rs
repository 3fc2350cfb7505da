//! `unknown_host = "ask"`: the way to a host that no grant names is held until a person opens it, and no credential goes there.

use std::sync::Arc;

use leasehold::{
    base::{Clock, CutReason},
    broker::{Answer, Around, Entry, Session},
    killswitch::{Plan as KillPlan, Tripper},
    policy::Remember,
};

use crate::{
    approvals::{BODY, bank, me, send},
    house::{AUTHORITY, HOST, House, SECRET},
    kit::{H1, Yard, assert_paired, assert_problem, bearer, proxy_credentials, records},
    support::{self, Answer as Reply, RawClient},
};

pub const TUNNEL: &str = "tunnel.test:443";

/// A house that asks about unknown hosts, and a session.
pub async fn asking() -> (House, Arc<Session>) {
    let house = House::new().await;
    set(&house, "ask");
    let session = house.broker().open_session("agent".parse().unwrap(), Around::default()).unwrap();
    (house, session)
}

pub fn set(house: &House, unknown_host: &str) {
    let text = format!("schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"{unknown_host}\"\n");
    std::fs::write(house.home.policies().join("defaults.toml"), text).unwrap();
    house.broker().live_policy().reload().unwrap();
}

/// Asks for a tunnel by a session's way in.
pub async fn connect(house: &House, session: &Session, authority: &str) -> (RawClient, Reply) {
    let mut client = RawClient::connect(house.proxy()).await;
    client.write(asked_of(session, authority)).await;
    let answer = client.read_answer_to("CONNECT").await;
    (client, answer)
}

fn asked_of(session: &Session, authority: &str) -> String {
    let credentials = proxy_credentials(session);
    format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nProxy-Authorization: {credentials}\r\n\r\n")
}

/// A request in clear text by a session's way in.
async fn plain(house: &House, session: &Session, headers: &str) -> Reply {
    let mut client = RawClient::connect(house.proxy()).await;
    let credentials = proxy_credentials(session);
    client
        .write(format!(
            "GET http://tunnel.test/echo?q=1 HTTP/1.1\r\nHost: tunnel.test\r\n\
             Proxy-Authorization: {credentials}\r\n{headers}\r\n"
        ))
        .await;
    client.read_answer().await
}

/// A daemon in front of an origin without TLS that asks about unknown hosts, and a session.
async fn plain_yard(origin: &support::Origin) -> (Yard, Arc<Session>) {
    let hosts = [("tunnel.test", origin.address())];
    let yard = Yard::new(&support::TestCa::new(), &hosts, "", Clock::system()).await;
    let text = "schema = 1\nkind = \"policy\"\n[defaults]\nunknown_host = \"ask\"\n";
    std::fs::write(yard.home.policies().join("defaults.toml"), text).unwrap();
    yard.broker().live_policy().reload().unwrap();
    let session = yard.broker().open_session("agent".parse().unwrap(), Around::default()).unwrap();
    (yard, session)
}

pub async fn waiting(house: &House) -> Arc<Entry> {
    crate::approvals::waiting(house).await
}

pub fn answer(house: &House, entry: &Entry, answer: Answer) {
    house.broker().answer_approval(&entry.id, answer, &me()).unwrap();
}

#[tokio::test]
async fn a_tunnel_to_an_unknown_host_opens_when_a_person_lets_it_pass() {
    let (house, session) = asking().await;
    let person = async {
        let entry = waiting(&house).await;
        assert!(house.origin.connections().is_empty(), "nothing is dialled before the answer");
        let ask = &entry.ask;
        assert_eq!(
            (ask.method.as_str(), ask.origin.as_str(), ask.target.as_str()),
            ("CONNECT", "https://tunnel.test:443", "")
        );
        assert_eq!((ask.client.as_str(), ask.session, ask.lease), ("agent", Some(session.id()), None));
        assert!(ask.is_about_host() && ask.hash.len() == 64 && ask.longest() == Remember::Session);
        answer(&house, &entry, Answer::Allow(Remember::Never));
        entry
    };
    let ((client, opened), entry) = tokio::join!(connect(&house, &session, TUNNEL), person);
    assert_eq!(opened.status, 200, "{opened:?}");
    let mut inside = client.start_tls("tunnel.test", &house.ca.roots(), H1).await.unwrap();
    assert_eq!(inside.get("tunnel.test", "/echo", &[]).await.status, 200, "the origin's own TLS");
    drop(inside);
    support::until("the tunnel's end is recorded", || !house.records_of("tunnel_ended").is_empty()).await;
    assert_eq!(house.origin.count(SECRET.as_bytes()), 0);

    let all = records(house.broker(), &house.home);
    let of = |action: &str| all.iter().find(|record| record.action == action).unwrap();
    let (asked, begun) = (of("approval_asked"), of("tunnel_begun"));
    assert_eq!((asked.host.as_deref(), asked.port, &asked.lease_id), (Some("tunnel.test"), Some(443), &None));
    assert_eq!((&asked.request_id, &asked.session_id), (&begun.request_id, &begun.session_id));
    assert_eq!(begun.details.as_deref(), Some(&*format!("approval {}", entry.id)));
    assert_paired(&all);

    // Once was once.
    let deny = async { answer(&house, &*waiting(&house).await, Answer::Deny) };
    let ((_, refused), ()) = tokio::join!(connect(&house, &session, TUNNEL), deny);
    assert_problem(&refused, 403, "approval_denied");
    assert_eq!(house.origin.connections().len(), 1);
    assert_eq!(house.records_of("tunnel_refused")[0].code.as_deref(), Some("approval_denied"));
}

#[tokio::test]
async fn a_request_in_clear_text_to_an_unknown_host_is_held_and_sent_as_it_was_shown() {
    let origin = support::Origin::clear();
    let (yard, session) = plain_yard(&origin).await;
    let post = async || {
        let mut client = RawClient::connect(yard.proxy()).await;
        let credentials = proxy_credentials(&session);
        let head = format!(
            "POST http://tunnel.test/echo?q=1 HTTP/1.1\r\nHost: tunnel.test\r\nProxy-Authorization: {credentials}\r\n\
             Content-Length: 4\r\n\r\nbody"
        );
        client.write(head).await;
        client.read_answer().await
    };
    let person = async |given: Answer| {
        support::until("a request waits", || !yard.broker().approvals().1.is_empty()).await;
        let entry = Arc::clone(&yard.broker().approvals().1[0]);
        let sent = origin.requests().len();
        assert_eq!((entry.ask.method.as_str(), entry.ask.target.as_str()), ("POST", "/echo?q=1"));
        assert_eq!((entry.ask.origin.as_str(), entry.ask.lease), ("http://tunnel.test:80", None));
        yard.broker().answer_approval(&entry.id, given, &me()).unwrap();
        sent
    };
    let (answer, sent) = tokio::join!(post(), person(Answer::Deny));
    assert_problem(&answer, 403, "approval_denied");
    let (answer, before) = tokio::join!(post(), person(Answer::Allow(Remember::Session)));
    assert_eq!((answer.status, sent, before), (200, 0, 0), "{answer:?}");
    let request = origin.only_request();
    assert_eq!(
        (&*request.target, &*request.body, request.header("proxy-authorization")),
        ("/echo?q=1", &b"body"[..], None)
    );
    assert_eq!(post().await.status, 200, "it is not asked again in this session");
    yard.ended(2).await;
    assert_eq!(yard.records_of("request_refused").len(), 1);
    assert_paired(&records(yard.broker(), &yard.home));
}

#[tokio::test]
async fn an_answer_that_is_remembered_lets_pass_what_waits_for_the_same_host_and_no_other() {
    let (house, session) = asking().await;
    let other = house.broker().open_session("other".parse().unwrap(), Around::default()).unwrap();
    let person = async {
        support::until("all of them wait", || house.broker().approvals().1.len() == 4).await;
        let all = house.broker().approvals().1;
        let same =
            |entry: &&Arc<Entry>| entry.ask.session == Some(session.id()) && entry.ask.authority.to_string() == TUNNEL;
        let first = all.iter().find(same).unwrap();
        answer(&house, first, Answer::Allow(Remember::Session));
        let left = house.broker().approvals().1;
        assert_eq!(left.len(), 2, "another host and another session still wait");
        for entry in &left {
            assert!(!same(&entry), "{entry:?}");
            answer(&house, entry, Answer::Deny);
        }
    };
    let ((_, one), (_, two), (_, three), (_, four), ()) = tokio::join!(
        connect(&house, &session, TUNNEL),
        connect(&house, &session, TUNNEL),
        connect(&house, &session, "other.acme.test:443"),
        connect(&house, &other, TUNNEL),
        person
    );
    assert_eq!((one.status, two.status), (200, 200));
    assert_problem(&three, 403, "approval_denied");
    assert_problem(&four, 403, "approval_denied");
    let allowed = house.records_of("approval_allowed");
    assert_eq!(allowed.len(), 2);
    assert!(allowed[1].details.as_deref().unwrap().ends_with("was remembered for the same"), "{allowed:?}");
    assert_eq!(connect(&house, &session, TUNNEL).await.1.status, 200, "nobody is asked again");
    // Another port is another way.
    let deny = async { answer(&house, &*waiting(&house).await, Answer::Deny) };
    let ((_, port), ()) = tokio::join!(connect(&house, &session, "tunnel.test:8443"), deny);
    assert_problem(&port, 403, "approval_denied");
}

#[tokio::test]
async fn without_a_session_or_with_a_lease_in_it_nobody_is_asked() {
    let (house, session) = asking().await;
    let mut client = RawClient::connect(house.proxy()).await;
    let refused = client.ask_connect(TUNNEL).await;
    assert_problem(&refused, 403, "needs_approval");
    assert_eq!(refused.json()["fix"], "secrets exec -- sh");
    let mut client = RawClient::connect(house.proxy()).await;
    assert_problem(&client.get("tunnel.test", "http://tunnel.test/echo", &[]).await, 403, "needs_approval");

    let lease = house.lease_of("acme_key", Some(&session));
    let stray = plain(&house, &session, &format!("Authorization: {}\r\n", bearer(&lease))).await;
    assert_problem(&stray, 403, "stray_lease");
    assert!(house.broker().approvals().1.is_empty() && house.records_of("approval_asked").is_empty());
    assert!(house.origin.connections().is_empty(), "nothing was dialled");
    assert_eq!(house.records_of("tunnel_refused").len(), 1);
    assert_eq!(house.records_of("request_refused").len(), 2);

    // Hosts with a grant are nobody's question.
    let (client, opened) = connect(&house, &session, AUTHORITY).await;
    assert_eq!(opened.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
    let lease = house.lease_of("acme_key", Some(&session));
    assert_eq!(client.get(HOST, "/echo", &[("Authorization", &bearer(&lease))]).await.status, 200);
}

#[tokio::test]
async fn a_question_about_a_host_ends_with_its_client_its_session_and_the_kill_switch() {
    let (house, session) = asking().await;
    tokio::select! {
        (_, answer) = connect(&house, &session, TUNNEL) => panic!("{answer:?}"),
        _ = waiting(&house) => {}
    }
    support::until("it is withdrawn", || house.broker().approvals().1.is_empty()).await;
    support::until("it is recorded", || !house.records_of("tunnel_refused").is_empty()).await;
    let details = |at: usize| house.records_of("approval_withdrawn")[at].details.clone().unwrap();
    assert!(details(0).ends_with("its client went away"), "{}", details(0));

    let end = async {
        waiting(&house).await;
        house.broker().end_session(session.id(), CutReason::SessionEnded);
    };
    let ((_, ended), ()) = tokio::join!(connect(&house, &session, TUNNEL), end);
    assert_eq!(ended.status, 403, "{ended:?}");
    assert!(details(1).ends_with("its session has ended"), "{}", details(1));

    let session = house.broker().open_session("agent".parse().unwrap(), Around::default()).unwrap();
    let kill = async {
        waiting(&house).await;
        house.broker().kill(KillPlan::default(), Tripper::Operator, "a test").await;
    };
    let ((_, killed), ()) = tokio::join!(connect(&house, &session, TUNNEL), kill);
    assert_eq!(killed.status, 503, "{killed:?}");
    assert!(house.origin.connections().is_empty(), "nothing was dialled");
    assert_eq!(house.records_of("tunnel_refused").len(), 3);
    assert_paired(&records(house.broker(), &house.home));
}

#[tokio::test]
async fn a_client_that_goes_away_behind_a_body_takes_its_question_along() {
    let origin = support::Origin::clear();
    let (yard, session) = plain_yard(&origin).await;
    let credentials = proxy_credentials(&session);
    for (framing, body) in [
        ("Content-Length: 200000", "x".repeat(200_000)),
        ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n".to_owned()),
        ("Expect: 100-continue\r\nContent-Length: 4", "body".to_owned()),
    ] {
        let mut client = RawClient::connect(yard.proxy()).await;
        let head = format!(
            "POST http://tunnel.test/echo HTTP/1.1\r\nHost: tunnel.test\r\nProxy-Authorization: {credentials}\r\n{framing}\r\n\r\n"
        );
        client.write(head + &body).await;
        support::until("a request waits", || !yard.broker().approvals().1.is_empty()).await;
        let entry = Arc::clone(&yard.broker().approvals().1[0]);
        assert!(entry.ask.body_len == body.len() || entry.ask.preview == "body", "{framing}: {entry:?}");
        drop(client);
        support::until("it is withdrawn", || yard.broker().approvals().1.is_empty()).await;
    }
    support::until("all is recorded", || yard.records_of("request_refused").len() == 3).await;
    assert_eq!(yard.records_of("approval_withdrawn").len(), 3);
    assert!(origin.connections().is_empty());
    assert_paired(&records(yard.broker(), &yard.home));
}

/// A port is anybody's, so that whoever knows one must not keep the session's own requests from being asked about.
#[tokio::test]
async fn questions_about_hosts_take_no_places_of_those_about_capabilities() {
    let (house, lease) = bank(support::Speaks::Http1, "", "").await;
    set(&house, "ask");
    let session = house.broker().open_session("test-agent".parse().unwrap(), Around::default()).unwrap();
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = RawClient::connect(house.proxy()).await;
        client.write(asked_of(&session, TUNNEL)).await;
        clients.push(client);
    }
    support::until("eight wait", || house.broker().approvals().1.len() == 8).await;
    let (_, ninth) = connect(&house, &session, TUNNEL).await;
    assert_problem(&ninth, 403, "needs_approval");
    assert!(ninth.text().contains("as many as may"), "{ninth:?}");
    let person = async {
        support::until("the request waits too", || house.broker().approvals().1.len() == 9).await;
        let all = house.broker().approvals().1;
        let entry = all.iter().find(|entry| !entry.ask.is_about_host()).unwrap();
        assert_eq!(entry.ask.client.as_str(), "test-agent");
        answer(&house, entry, Answer::Allow(Remember::Never));
    };
    let (sent, ()) = tokio::join!(send(&house, H1, "POST", "/echo", &lease, BODY), person);
    assert_eq!(sent.status, 200, "{sent:?}");
    assert_eq!(house.broker().approvals().1.len(), 8);
}

#[tokio::test]
async fn the_proxy_itself_is_no_unknown_host() {
    let (house, session) = asking().await;
    for authority in ["leasehold.internal:443", "lease.localhost:80"] {
        let (_, refused) = connect(&house, &session, authority).await;
        assert_problem(&refused, 403, "host_denied");
        assert_eq!(refused.json()["fix"], "curl http://leasehold.internal/v1/me");
    }
    assert!(house.records_of("approval_asked").is_empty());
}

#[tokio::test]
async fn what_policy_denies_by_the_time_of_the_answer_stays_closed() {
    let (house, session) = asking().await;
    let person = async {
        let entry = waiting(&house).await;
        set(&house, "deny");
        answer(&house, &entry, Answer::Allow(Remember::Session));
    };
    let ((_, refused), ()) = tokio::join!(connect(&house, &session, TUNNEL), person);
    assert_problem(&refused, 403, "host_denied");
    let person = async {
        set(&house, "ask");
        let entry = waiting(&house).await;
        set(&house, "deny");
        answer(&house, &entry, Answer::Allow(Remember::Never));
    };
    set(&house, "ask");
    let ((_, again), ()) = tokio::join!(connect(&house, &session, "other.acme.test:443"), person);
    assert_problem(&again, 403, "host_denied");
    assert!(house.origin.connections().is_empty());
}

#[tokio::test]
async fn a_connection_whose_host_is_granted_no_more_obeys_the_policy_for_unknown_hosts() {
    let (house, session) = asking().await;
    let (client, opened) = connect(&house, &session, AUTHORITY).await;
    assert_eq!(opened.status, 200);
    let mut client = client.start_tls(HOST, &house.roots, H1).await.unwrap();
    let lease = house.lease_of("acme_key", Some(&session));
    let headers = [("Authorization", &*bearer(&lease))];
    assert_eq!(client.get(HOST, "/echo", &headers).await.status, 200);
    for entry in std::fs::read_dir(house.home.policies()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    std::fs::create_dir_all(house.home.policies()).unwrap();
    set(&house, "deny");
    assert_problem(&client.get(HOST, "/echo", &[]).await, 403, "host_denied");
    assert_eq!(house.origin.requests().len(), 1, "nothing more was sent");
}
