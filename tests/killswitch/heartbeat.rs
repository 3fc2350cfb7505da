//! The heartbeat, with a real server that goes away and comes back.

use std::time::Duration;

use leasehold::{
    audit::Record,
    base::{Clock, Timestamp},
    control::{Client, HeartbeatQuery, HeartbeatStatus, HeartbeatTested, Kill, ResetKill, StatusQuery, TestHeartbeat},
    killswitch::Tripper,
    policy::EasyPlace,
    store::SecretChange,
};

use crate::{
    beacon::{ALIVE, Beacon, Says},
    house::{AUTHORITY, HOST, House, Plan, SECRET},
    kit::{H1, Yard, assert_problem, bearer, get},
    steps,
    support::{self, RawClient, TestCa, count, until, within},
};

/// `[heartbeat]` that beats as fast as a test can follow, without a grace.
pub fn settings(url: &str, more: &str) -> String {
    format!(
        "[heartbeat]\nenabled = true\nurl = \"{url}\"\ninterval = \"20ms\"\njitter = \"0s\"\ngrace = \"0s\"\n\
         timeout = \"5s\"\n{more}\n"
    )
}

/// A failure trips the switch.
pub const TRIPS: &str = "fail_action.revoke_all = true";

pub async fn house(settings: String) -> House {
    House::build(Plan { settings, ..Plan::default() }).await
}

pub async fn control(house: &House) -> Client {
    Client::connect(&house.home.socket(), Duration::from_mins(1)).await.unwrap()
}

pub async fn test(house: &House) -> HeartbeatTested {
    control(house).await.call(TestHeartbeat {}).await.unwrap()
}

async fn status(house: &House) -> HeartbeatStatus {
    control(house).await.call(HeartbeatQuery {}).await.unwrap()
}

fn is_tripped(house: &House) -> bool {
    house.broker().kill_switch().is_tripped()
}

fn details(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.details.as_deref().unwrap()).collect()
}

#[tokio::test]
async fn attack_121_a_server_that_is_away_for_less_than_the_threshold_trips_nothing() {
    let mut beacon = Beacon::new(ALIVE).await;
    let house = house(settings(&beacon.url(), &format!("misses = 1000\n{TRIPS}"))).await;
    until("it beats", || !beacon.asked().is_empty()).await;
    beacon.go_away().await;
    until("misses are recorded", || house.records_of("heartbeat_fail").len() >= 3).await;
    beacon.come_back().await;
    until("it is back", || !house.records_of("heartbeat_recovered").is_empty()).await;
    assert!(!is_tripped(&house));
    let failed = house.records_of("heartbeat_fail");
    assert_eq!(details(&failed)[..2], ["miss 1 of 1000", "miss 2 of 1000"]);
    assert!(failed[0].error.as_deref().unwrap().contains("cannot connect") && !failed[0].success, "{failed:?}");
    let recovered = house.records_of("heartbeat_recovered");
    assert_eq!((recovered.len(), recovered[0].success), (1, true));
    assert_eq!(status(&house).await.heartbeat.misses, Some(0));
}

#[tokio::test]
async fn it_trips_at_the_threshold_cuts_what_is_live_and_is_armed_again_by_a_reset() {
    let mut beacon = Beacon::new(ALIVE).await;
    let house = house(settings(&beacon.url(), TRIPS)).await;
    until("it beats", || !beacon.asked().is_empty()).await;
    let lease = bearer(&house.lease());
    let mut live = house.http1().await;
    live.write(support::head("GET", HOST, "/hang/body?gate=live", &[("Authorization", &lease)], 0)).await;
    assert_eq!(live.read_head().await.status, 200);
    live.read_piece().await.unwrap();

    beacon.go_away().await;
    assert!(within("the cut", live.try_read_piece()).await.is_err());
    let answer = RawClient::connect(house.proxy()).await.ask_connect(AUTHORITY).await;
    assert_problem(&answer, 503, "killed");
    assert!(answer.json()["detail"].as_str().unwrap().contains("by the heartbeat: 3 heartbeats"), "{answer:?}");
    until("it is recorded", || steps(&house.records()).len() == 4).await;
    assert_eq!(details(&house.records_of("heartbeat_fail"))[..3], ["miss 1 of 3", "miss 2 of 3", "miss 3 of 3"]);
    let shown = status(&house).await;
    assert_eq!(shown.heartbeat.armed, Some(false));
    assert!(matches!(shown.kill, Kill::Tripped { by: Tripper::Heartbeat, .. }), "{shown:?}");

    // It goes on, and does not trip again what is tripped.
    beacon.come_back().await;
    until("it is back", || !house.records_of("heartbeat_recovered").is_empty()).await;
    assert!(is_tripped(&house), "a server that is back resets nothing");
    assert_eq!(steps(&house.records()), ["latch", "revoke_all", "cut", "keep"]);
    control(&house).await.call(ResetKill {}).await.unwrap();
    assert!(!is_tripped(&house));
    let lease = bearer(&house.lease());
    assert_eq!(get(&house, H1, "/echo", &[("Authorization", &lease)]).await.status, 200);

    beacon.go_away().await;
    until("it trips again", || is_tripped(&house)).await;
}

#[tokio::test]
async fn without_a_fail_action_a_failure_is_only_recorded() {
    let mut beacon = Beacon::new(ALIVE).await;
    let house = house(settings(&beacon.url(), "misses = 2")).await;
    beacon.go_away().await;
    until("the threshold is passed", || house.records_of("heartbeat_fail").len() >= 3).await;
    assert!(!is_tripped(&house) && house.records_of("killswitch").is_empty());
    assert_eq!(status(&house).await.heartbeat.armed, Some(false));
}

#[tokio::test]
async fn rotate_all_rotates_what_has_a_hook() {
    let mut beacon = Beacon::new(ALIVE).await;
    let house = house(settings(&beacon.url(), "fail_action.rotate_all = true")).await;
    let name = "acme_key".parse().unwrap();
    house.broker().update(&name, SecretChange::new().rotate_via(Some("printf rotated".into())), None).unwrap();
    until("it beats", || !beacon.asked().is_empty()).await;
    beacon.go_away().await;
    until("all is done", || steps(&house.records()).last().is_some_and(|step| step == "rotate_all")).await;
    assert!(is_tripped(&house), "any fail action latches");
    assert_eq!(house.broker().store().get(&name).unwrap().generation, 2);
    assert!(house.records_of("killswitch").iter().all(|record| record.success));
}

#[tokio::test]
async fn wipe_store_wipes_and_the_daemon_stops() {
    let mut beacon = Beacon::new(ALIVE).await;
    let house = house(settings(&beacon.url(), "fail_action.wipe_store = true")).await;
    until("it beats", || !beacon.asked().is_empty()).await;
    assert!(house.home.store().exists());
    beacon.go_away().await;
    within("the daemon to stop", house.running.watch().wait()).await;
    assert!(!house.home.store().exists() && !house.home.identity().exists());
    assert_eq!(steps(&house.records()), ["latch", "revoke_all", "cut", "keep", "wipe_store"]);
}

#[tokio::test]
async fn attack_121_only_a_2xx_is_a_heartbeat() {
    let beacon = Beacon::new(ALIVE).await;
    let within = |time: &str| {
        let own = format!("misses = 1000\ntimeout = \"{time}\"");
        settings(&beacon.url(), &own).replacen("timeout = \"5s\"\n", "", 1)
    };
    let house = house(within("60s")).await;
    for (says, reason) in [
        (Says::Head("HTTP/1.1 500 Oh\r\n\r\n"), "status 500"),
        (Says::Head("HTTP/1.1 404 Gone\r\n\r\n"), "status 404"),
        (Says::Head("HTTP/1.1 302 There\r\nLocation: /elsewhere\r\n\r\n"), "redirect (status 302)"),
        (Says::Head("HTTP/1.1 304 Same\r\n\r\n"), "redirect (status 304)"),
        (Says::Head("SSH-2.0-OpenSSH\r\n"), "broke off"),
    ] {
        beacon.says(says);
        let tested = test(&house).await;
        assert!(!tested.success && tested.message.contains(reason), "{tested:?}");
    }
    assert!(!beacon.asked().iter().any(|asked| asked.head.contains("elsewhere")), "redirects are not followed");
    for says in [ALIVE, Says::Head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")] {
        beacon.says(says);
        assert!(test(&house).await.success, "a body is not waited for");
    }
    beacon.says(Says::Nothing);
    let tested = test(&self::house(within("50ms")).await).await;
    assert!(!tested.success && tested.message.contains("within 50 ms"), "{tested:?}");
}

#[tokio::test]
async fn attack_121_a_name_that_does_not_resolve_and_a_certificate_that_nobody_vouches_for_are_misses() {
    let settings_of_it = settings("https://nowhere.invalid/", "misses = 1000");
    let house = house(settings_of_it.replacen("timeout = \"5s\"", "timeout = \"60s\"", 1)).await;
    let tested = test(&house).await;
    assert!(!tested.success && tested.message.contains("nowhere.invalid"), "{tested:?}");

    let stranger = support::Origin::https(&TestCa::new(), &["localhost"]);
    let url = format!("https://localhost:{}/status/200", stranger.port());
    let tested = test(&self::house(settings(&url, "misses = 1000")).await).await;
    assert!(!tested.success && tested.message.contains("certificate"), "a captive portal: {tested:?}");
    assert!(stranger.requests().is_empty());
}

#[tokio::test]
async fn it_beats_over_tls_with_the_operators_roots() {
    let house = house(settings("https://other.acme.test/status/200", "misses = 1000")).await;
    assert!(test(&house).await.success);
    assert_eq!(house.origin.requests()[0].method.as_str(), "GET");
}

#[tokio::test]
async fn attack_60_metadata_services_are_never_asked() {
    let house = house(settings("https://169.254.169.254/latest", "misses = 1000")).await;
    let tested = test(&house).await;
    assert!(!tested.success && tested.message.contains("a metadata service"), "{tested:?}");
}

#[tokio::test]
async fn a_bearer_comes_from_the_store_and_goes_nowhere_else() {
    let beacon = Beacon::new(ALIVE).await;
    let house = house(settings(&beacon.url(), "misses = 1000\nbearer = \"beat_key\"\nmethod = \"POST\"")).await;
    let tested = test(&house).await;
    assert!(!tested.success && tested.message.contains("`beat_key`"), "{tested:?}");
    assert!(beacon.asked().is_empty(), "nothing is sent without it");
    house.add(
        "beat_key",
        SECRET,
        "other.acme.test",
        EasyPlace::Header(http::header::AUTHORIZATION, "{}".parse().unwrap()),
    );
    assert!(test(&house).await.success);
    let asked = beacon.asked().pop().unwrap();
    assert!(asked.head.starts_with("POST /alive?token=tell-nobody HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.field("authorization"), Some(&*bearer(SECRET)));
    assert_eq!(asked.body, format!("{{\"nonce\":\"{}\"}}", asked.nonce()));
    let shown = serde_json::to_string(&control(&house).await.call(StatusQuery {}).await.unwrap()).unwrap();
    for text in [shown.into_bytes(), std::fs::read(house.home.audit()).unwrap()] {
        assert_eq!(count(&text, SECRET.as_bytes()) + count(&text, b"tell-nobody"), 0);
    }
}

#[tokio::test]
async fn attack_107_misses_after_a_sleep_have_their_grace_on_the_clock_that_stood_still() {
    let mut beacon = Beacon::new(ALIVE).await;
    let clock = Clock::manual(Timestamp::from_millis(1_764_000_000_000));
    let text = settings(&beacon.url(), TRIPS).replace("grace = \"0s\"", "grace = \"30s\"");
    let yard = Yard::new(&TestCa::new(), &[], &text, clock.clone()).await;
    clock.advance(Duration::from_secs(30)); // the grace of the start
    until("it beats", || !beacon.asked().is_empty()).await;
    clock.suspend(Duration::from_hours(8));
    beacon.go_away().await;
    let forgiven =
        || yard.records_of("heartbeat_fail").iter().filter(|r| r.details.as_deref() == Some("in its grace")).count();
    until("more than enough misses", || forgiven() >= 4).await;
    let tripped = || yard.broker().kill_switch().is_tripped();
    assert!(!tripped(), "{:?}", yard.records_of("heartbeat_fail"));
    clock.advance(Duration::from_secs(30));
    until("it trips when the grace is over", tripped).await;
}
