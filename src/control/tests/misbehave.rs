//! Every way to misbehave on the socket, and what the typed client makes of the answers.

use std::os::unix::net::UnixListener as StdListener;

use super::*;
use crate::control::Peers;

#[tokio::test]
async fn hostile_lines_get_errors_and_the_conversation_goes_on() {
    let house = House::open(Limits { frame: 4_096, ..Limits::default() });
    let mut line = house.line().await;
    let deep = format!(r#"{{"id":1,"method":"secrets.add","params":{}1{}}}"#, "[".repeat(1_500), "]".repeat(1_500));
    let deep_method = format!(r#"{{"id":1,"method":{}1{}}}"#, "[".repeat(1_500), "]".repeat(1_500));
    let odd: Vec<(Vec<u8>, i64)> = vec![
        (b"\xff\xfe".to_vec(), -32_700),
        (b"{".to_vec(), -32_700),
        (b"null".to_vec(), -32_600),
        (b"[]".to_vec(), -32_600),
        (br#"[{"id":1,"method":"daemon.ping"}]"#.to_vec(), -32_600),
        (br#"{"id":1}"#.to_vec(), -32_600),
        (br#"{"id":1,"method":null}"#.to_vec(), -32_600),
        (br#"{"id":1,"method":"daemon.pong"}"#.to_vec(), -32_601),
        (br#"{"id":1,"method":"secrets.lease"}"#.to_vec(), -32_602),
        (br#"{"id":1,"method":"secrets.lease","params":"x"}"#.to_vec(), -32_602),
        (br#"{"id":1,"method":"secrets.lease","params":{"secret_name":"","client_id":"c"}}"#.to_vec(), -32_602),
        (br#"{"id":1,"method":"daemon.ping","params":{"x":1}}"#.to_vec(), -32_602),
        (br#"{"id":1,"method":"secrets.add","params":{"name":"a","value":"1","value":"2"}}"#.to_vec(), -32_602),
        (deep.into_bytes(), -32_602),
        (vec![b'x'; 10_000], -32_600),
    ];
    for (text, code) in odd {
        let got = line.ask(&text).await;
        assert_eq!(got["error"]["code"], code, "{}", String::from_utf8_lossy(&text[..text.len().min(100)]));
    }
    let got = line.ask(deep_method).await; // too deep to parse, or no text: an error either way
    assert!(got["error"]["code"].is_i64());
    assert!(line.ask(r#"{"id":9,"method":"daemon.ping"}"#).await["result"].is_object());
    house.stop().await;
}

#[tokio::test]
async fn answers_come_as_calls_finish() {
    let house = House::open(Limits::default());
    let mut line = house.line().await;
    line.send(r#"{"id":"slow","method":"secrets.lease","params":{"secret_name":"a","client_id":"waits"}}"#).await;
    assert_eq!(line.ask(r#"{"id":"fast","method":"daemon.ping"}"#).await["id"], "fast");
    house.service.release.notify_one();
    assert_eq!(line.answer().await["id"], "slow");
    house.stop().await;
}

#[tokio::test]
async fn a_call_that_panics_is_an_error_of_that_call_alone() {
    let house = House::open(Limits::default());
    let mut line = house.line().await;
    let got = line.ask(r#"{"id":1,"method":"secrets.lease","params":{"secret_name":"a","client_id":"panics"}}"#).await;
    assert_eq!(got["error"]["data"]["kind"], "internal");
    assert!(line.ask(r#"{"id":2,"method":"daemon.ping"}"#).await["result"].is_object());
    house.stop().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_told() {
    let house = House::open(Limits { call: Duration::from_millis(20), ..Limits::default() });
    let mut line = house.line().await;
    let got = line.ask(r#"{"id":1,"method":"secrets.lease","params":{"secret_name":"a","client_id":"waits"}}"#).await;
    assert_eq!(got["error"]["data"]["kind"], "timeout");
    house.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_its_connection_does_and_not_before() {
    let house = House::open(Limits { idle: Duration::from_millis(20), ..Limits::default() });
    let mut idle = house.line().await;
    let open = OpenSession { client_id: None, secrets: vec![], project_dir: "/p".into(), ..OpenSession::default() };
    let mut client = loop {
        // It is let go itself when the machine is too slow to speak in time.
        let Ok(mut client) = Client::connect(&house.socket(), Duration::from_secs(30)).await else { continue };
        if client.call(open.clone()).await.is_ok() {
            break client;
        }
    };
    assert!(idle.is_closed().await, "a connection that holds nothing is let go when idle");
    client.call(Ping {}).await.unwrap(); // the one with the session is not
    assert_eq!(house.service.ended_sessions.load(Ordering::SeqCst), 0);
    drop(client);
    house.service.session_ended.notified().await;
    assert_eq!(house.service.ended_sessions.load(Ordering::SeqCst), 1);
    house.stop().await;
}

#[tokio::test]
async fn a_client_that_stops_sending_still_gets_its_answer() {
    let house = House::open(Limits::default());
    let mut line = house.line().await;
    line.send(r#"{"id":1,"method":"secrets.lease","params":{"secret_name":"a","client_id":"waits"}}"#).await;
    line.0.get_mut().shutdown().await.unwrap();
    house.service.release.notify_one();
    assert_eq!(line.answer().await["id"], 1);
    assert!(line.is_closed().await);
    house.stop().await;
}

#[tokio::test]
async fn half_a_line_is_not_waited_for_without_end() {
    let house = House::open(Limits { line: Duration::from_millis(20), ..Limits::default() });
    let mut line = house.line().await;
    let _ = line.0.write_all(b"{\"id\":").await; // may find it closed already
    assert!(line.is_closed().await);
    house.stop().await;
}

#[tokio::test]
async fn attack_90_another_user_is_turned_away_unheard() {
    let other = rustix::process::geteuid().as_raw() + 1;
    let house = House::open(Limits { peers: Peers::Only(other), ..Limits::default() });
    let mut line = house.line().await;
    let _ = line.0.write_all(b"{\"id\":1,\"method\":\"daemon.ping\"}\n").await; // may find it closed already
    assert!(line.is_closed().await);
    house.stop().await;
}

#[tokio::test]
async fn a_stop_lets_a_running_call_finish_and_ends_sessions() {
    let house = House::open(Limits::default());
    let mut client = house.client().await;
    let open = OpenSession { client_id: None, secrets: vec![], project_dir: "/p".into(), ..OpenSession::default() };
    client.call(open).await.unwrap();
    let mut line = house.line().await;
    line.send(r#"{"id":1,"method":"secrets.lease","params":{"secret_name":"a","client_id":"waits"}}"#).await;
    assert!(line.ask(r#"{"id":2,"method":"daemon.ping"}"#).await["result"].is_object()); // so the first has been read
    house.stop.cut(CutReason::Drained);
    client.closed().await;
    house.service.session_ended.notified().await;
    house.service.release.notify_one();
    assert_eq!(line.answer().await["id"], 1);
    house.stop().await;
}

#[tokio::test]
async fn the_client_reads_answers_failures_and_binary_values() {
    let house = House::open(Limits::default());
    let mut client = house.client().await;
    let lease = LeaseSecret { secret_name: "a".parse().unwrap(), client_id: client_id("c"), ttl: None };
    assert_eq!(client.call(lease).await.unwrap().value.into_secret().expose(), b"sk-\xff");
    let largest = WireValue::new(SecretBytes::new(vec![0; SecretBytes::MAX_LEN]));
    let mut add = AddSecret {
        name: "a".parse().unwrap(),
        value: largest,
        rotate_via: None,
        service: None,
        credential: None,
        raw: None,
        rotate_format: None,
        rotate_every: None,
        on_lease_expiry: None,
        easy: None,
    };
    assert_eq!(client.call(add.clone()).await.unwrap().message, "1048576 bytes");
    add.name = "taken".parse().unwrap();
    let Err(Error::Failed(failure)) = client.call(add).await else { panic!("the name is taken") };
    assert_eq!((failure.code, failure.fix.as_deref()), (FailureCode::SecretExists, Some("secrets update taken")));
    house.stop().await;
}

#[tokio::test]
async fn the_client_says_when_nobody_listens_or_answers() {
    let folder = crate::base::short_folder();
    let path = folder.path().join("s");
    assert!(matches!(Client::connect(&path, Duration::from_mins(1)).await, Err(Error::NotRunning(_))));
    let long = folder.path().join("x".repeat(120));
    assert!(matches!(Client::connect(&long, Duration::from_mins(1)).await, Err(Error::LongPath(_))));
    let listener = StdListener::bind(&path).unwrap(); // accepts into its queue and never answers
    assert!(matches!(Client::connect(&path, Duration::from_secs(1)).await, Err(Error::Timeout(_))));
    drop(listener);
    // Not at once: a child that another test is just starting has our descriptors until it runs its program.
    let mut looks = 0..600;
    while !matches!(Client::connect(&path, Duration::from_millis(100)).await, Err(Error::NotRunning(_))) {
        assert!(looks.next().is_some(), "somebody listens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
