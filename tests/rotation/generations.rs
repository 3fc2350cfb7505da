//! Which value is used when: the old one until there is a new one, both until the new one is proven.

use leasehold::{
    broker::{Replaced, RotationFault},
    rotation::{Error as HookFault, Trigger},
    store::{SecretChange, Store},
};

use crate::{
    house::{House, SECRET},
    kit::{NEW, Script, assert_nowhere, get, key, record, recorded, set, set_check, set_hook, value},
    support::{count, until},
};

async fn rotate(house: &House) -> Result<Replaced, RotationFault> {
    house.broker().rotate(&key(), Trigger::Manual).await.outcome
}

#[tokio::test]
async fn the_next_request_carries_the_new_value_and_its_success_proves_it() {
    let (house, script) = (House::new().await, Script::new());
    set_hook(house.broker(), &script.hook(&format!("echo {NEW}; echo canary-on-stderr >&2")));
    assert_eq!(rotate(&house).await.unwrap(), Replaced::Unproven);
    let kept = record(house.broker());
    assert_eq!((kept.value.expose(), kept.generation), (NEW.as_bytes(), 2));
    assert_eq!(kept.former.as_ref().unwrap().value.expose(), SECRET.as_bytes());

    // While both live, neither comes back.
    let answer = get(&house, &format!("/answer?header=X-Old:{SECRET}&body=old-{SECRET}-new-{NEW}")).await;
    assert_eq!(house.origin.only_request().values("authorization"), [format!("Bearer {NEW}")]);
    assert_eq!((answer.count(SECRET.as_bytes()), answer.count(NEW.as_bytes())), (0, 0), "{}", answer.text());
    assert!(answer.text().starts_with("old-lse_"), "the lease stands for either: {}", answer.text());

    let settled = recorded(&house, "rotation_settled", 1).await;
    assert_eq!(settled[0].details.as_deref(), Some("an upstream took it"));
    let record = record(house.broker());
    assert!(record.former.is_none() && record.last_rotated.is_some());
    let (begun, ended) = (house.records_of("rotation_begun"), house.records_of("secret_rotate"));
    assert_eq!((begun.len(), ended.len()), (1, 1));
    let details = ended[0].details.as_deref().unwrap();
    assert!(ended[0].success && details.starts_with("manual; exit status 0; value replaced"), "{details}");
    for text in [NEW, SECRET, "canary-on-stderr"] {
        assert_nowhere(&house, text);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_consent_proves_nothing() {
    let (house, script) = (House::new().await, Script::new());
    set_hook(house.broker(), &script.hook(&format!("echo {NEW}")));
    rotate(&house).await.unwrap();
    for status in [401, 403, 404, 500] {
        assert_eq!(get(&house, &format!("/status/{status}")).await.status, status);
    }
    house.ended(4).await;
    assert!(record(house.broker()).former.is_some());
    assert!(house.records_of("rotation_settled").is_empty());
}

#[tokio::test]
async fn a_value_that_its_check_accepts_is_settled_at_once() {
    let (house, script) = (House::new().await, Script::new());
    set_check(&house, &format!("/only/{NEW}"));
    set_hook(house.broker(), &script.hook(&format!("echo {NEW}")));
    assert_eq!(rotate(&house).await.unwrap(), Replaced::Works);
    assert!(record(house.broker()).former.is_none());
    let request = house.origin.only_request();
    assert_eq!(request.values("authorization"), [format!("Bearer {NEW}")]);
    assert_eq!((request.method.as_str(), request.values("host")), ("GET", vec!["api.acme.test".to_owned()]));
    let checks = house.records_of("rotation_check");
    assert_eq!((checks.len(), checks[0].host.as_deref()), (1, Some("api.acme.test")));
    assert_eq!(house.records_of("rotation_settled").len(), 1);
    assert_nowhere(&house, SECRET);
}

#[tokio::test]
async fn a_value_that_its_check_refuses_makes_way_for_the_old_one() {
    let (house, script) = (House::new().await, Script::new());
    set_check(&house, &format!("/only/{SECRET}"));
    set_hook(house.broker(), &script.hook("echo acme-GARBAGE"));
    let fault = rotate(&house).await.unwrap_err();
    assert!(matches!(fault, RotationFault::Refused { status: 401, .. }), "{fault}");
    assert_eq!(house.origin.requests().len(), 3, "issuers take a moment, so it was tried again");
    let kept = record(house.broker());
    assert_eq!((kept.value.expose(), kept.former.is_none()), (SECRET.as_bytes(), true));
    assert_eq!((kept.health.failures, kept.health.next_attempt.is_some()), (1, true));
    let undone = house.records_of("rotation_undone");
    assert_eq!((undone.len(), undone[0].status, undone[0].success), (1, Some(401), false));
    get(&house, "/echo").await;
    assert_eq!(house.origin.requests()[3].values("authorization"), [format!("Bearer {SECRET}")]);
    assert_nowhere(&house, "acme-GARBAGE");
}

#[tokio::test]
async fn a_check_that_says_nothing_leaves_both_alive() {
    let (house, script) = (House::new().await, Script::new());
    set_check(&house, "/status/503");
    set_hook(house.broker(), &script.hook(&format!("echo {NEW}")));
    assert_eq!(rotate(&house).await.unwrap(), Replaced::Unproven);
    assert_eq!(record(house.broker()).former.as_ref().unwrap().value.expose(), SECRET.as_bytes());
    assert_eq!(house.origin.requests().len(), 1);
    // A second rotation keeps the value that is known to have worked, not the one in between.
    set_hook(house.broker(), &script.hook("echo acme-THIRD"));
    assert_eq!(rotate(&house).await.unwrap(), Replaced::Unproven);
    assert_eq!(record(house.broker()).former.as_ref().unwrap().value.expose(), SECRET.as_bytes());
    set_check(&house, &format!("/only/{SECRET}"));
    set_hook(house.broker(), &script.hook("echo acme-FOURTH"));
    rotate(&house).await.unwrap_err();
    assert_eq!(value(house.broker()), SECRET);
}

#[tokio::test]
async fn attack_125_hostile_hooks_change_nothing_but_the_record() {
    let (house, script) = (House::new().await, Script::new());
    for (at, (hook, status)) in [
        ("printf half-canary; exit 3", "exit status 3"),
        ("true", "exit status 0"),
        ("printf 'canary\\nsecond line\\n'", "exit status 0"),
        ("printf '\\033[31mcanary\\033[0m'", "exit status 0"),
        ("printf 'canary\\000x'", "exit status 0"),
        ("printf 'canary sch\\303\\266n'", "exit status 0"), // no header can carry it
        ("head -c 100000000 /dev/zero | tr '\\0' c", "no exit status"),
        ("echo canary; kill -9 $$", "no exit status"),
        ("sleep 1000 & echo canary", "exit status 0"),
        ("no-such-program canary", "exit status 127"),
    ]
    .into_iter()
    .enumerate()
    {
        set_hook(house.broker(), &script.hook(hook));
        let fault = rotate(&house).await.unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault}");
        let ended = house.records_of("secret_rotate");
        assert_eq!(ended.len(), at + 1, "{hook}");
        let last = &ended[at];
        assert!(!last.success && last.error.is_some(), "{last:?}");
        assert_eq!(last.details.as_deref(), Some(format!("manual; {status}").as_str()), "{hook}");
        assert_eq!(record(house.broker()).health.failures, 1, "another hook is another matter");
    }
    let kept = record(house.broker());
    assert_eq!((kept.value.expose(), kept.generation, kept.last_rotated), (SECRET.as_bytes(), 1, None));
    assert!(kept.health.error.as_deref().unwrap().contains("exit status 127"));
    assert_nowhere(&house, "canary");
    get(&house, "/echo").await;
    assert_eq!(house.origin.only_request().values("authorization"), [format!("Bearer {SECRET}")]);

    set_hook(house.broker(), &script.hook(&format!("echo {NEW}")));
    rotate(&house).await.unwrap();
    assert_eq!(record(house.broker()).health.failures, 0, "one success forgets them all");
}

#[tokio::test]
async fn a_hook_that_refreshes_elsewhere_or_prints_the_same_leaves_the_generation() {
    let (house, script) = (House::new().await, Script::new());
    set(
        house.broker(),
        SecretChange::new().rotate_via(Some(script.hook("echo whatever"))).format("none".parse().unwrap()),
    );
    assert_eq!(rotate(&house).await.unwrap(), Replaced::Elsewhere);
    let change = SecretChange::new().format("value".parse().unwrap());
    set(house.broker(), change.rotate_via(Some(script.hook(&format!("echo {SECRET}")))));
    assert_eq!(rotate(&house).await.unwrap(), Replaced::Unchanged);
    let record = record(house.broker());
    assert_eq!((record.generation, record.former.is_none()), (1, true));
    assert!(record.last_rotated.is_some());
}

#[tokio::test]
async fn attack_126_a_value_that_cannot_be_saved_is_used_from_memory_until_it_can() {
    let (house, script) = (House::new().await, Script::new());
    let previous = house.home.folder().join("secrets.age.previous");
    // The upstream has replaced the key when the disk turns out not to take it.
    let blocks = format!("rm -f '{0}'; mkdir -p '{0}'; echo {NEW}", previous.display());
    set_hook(house.broker(), &script.hook(&blocks));
    let fault = rotate(&house).await.unwrap_err();
    assert!(matches!(fault, RotationFault::NotSaved { .. }), "{fault}");
    assert_eq!(value(house.broker()), NEW);
    let answer = get(&house, &format!("/answer?body={SECRET}{NEW}")).await;
    assert_eq!(house.origin.only_request().values("authorization"), [format!("Bearer {NEW}")]);
    assert_eq!((answer.count(SECRET.as_bytes()), answer.count(NEW.as_bytes())), (0, 0));
    let failed = house.records_of("secret_rotate");
    assert!(!failed[0].success && failed[0].error.as_deref().unwrap().contains("not saved yet"), "{failed:?}");
    assert_eq!(house.broker().rotation_health(&record(house.broker())).failures, 1);

    let again = rotate(&house).await.unwrap_err();
    assert!(matches!(again, RotationFault::NotSaved { .. }), "{again}");
    assert_eq!(script.runs().len(), 1, "no second value is asked for while the first is in memory only");

    std::fs::remove_dir(&previous).unwrap();
    until("the value is saved", || record(house.broker()).value.expose() == NEW.as_bytes()).await;
    let on_disk = Store::open(&house.home, leasehold::base::Clock::system()).unwrap().get(&key()).unwrap();
    assert_eq!(on_disk.value.expose(), NEW.as_bytes());
    assert_eq!(on_disk.health.failures, 0);
    let saved = house.records_of("secret_rotate").pop().unwrap();
    assert!(saved.success && saved.details.unwrap().starts_with("saved after all"));
    assert_nowhere(&house, NEW);
}

#[tokio::test]
async fn attack_126_a_value_that_a_person_gives_meanwhile_wins() {
    let (house, script) = (House::new().await, Script::new());
    let go_on = script.path("go-on");
    set_hook(house.broker(), &script.hook("until test -e \"$D/go-on\"; do sleep 0.01; done; echo from-the-hook"));
    let broker = house.broker().clone();
    let rotating = tokio::spawn(async move { broker.rotate(&key(), Trigger::Manual).await.outcome });
    until("the hook runs", || !script.runs().is_empty()).await;
    let given = leasehold::base::SecretBytes::new(b"from-a-person".to_vec());
    set(house.broker(), SecretChange::new().value(given));
    std::fs::write(go_on, b"").unwrap();
    let fault = rotating.await.unwrap().unwrap_err();
    assert!(matches!(fault, RotationFault::Changed(_)), "{fault}");
    assert_eq!(value(house.broker()), "from-a-person");
    assert_nowhere(&house, "from-the-hook");

    set_hook(
        house.broker(),
        &script.hook("rm -f \"$D/go-on\"; until test -e \"$D/go-on\"; do sleep 0.01; done; echo late"),
    );
    let broker = house.broker().clone();
    let rotating = tokio::spawn(async move { broker.rotate(&key(), Trigger::Manual).await.outcome });
    until("the hook runs", || script.runs().len() == 2).await;
    house.broker().remove(&key()).unwrap();
    until("the hook waits", || !script.path("go-on").exists()).await;
    std::fs::write(script.path("go-on"), b"").unwrap();
    assert!(matches!(rotating.await.unwrap(), Err(RotationFault::Unknown(_))));
    assert!(house.broker().store().get(&key()).is_none(), "it does not come back");
}

#[tokio::test]
async fn without_a_hook_or_a_record_nothing_runs() {
    let (house, script) = (House::new().await, Script::new());
    assert!(matches!(rotate(&house).await, Err(RotationFault::NoHook(_))));
    let none = house.broker().rotate(&"nobody".parse().unwrap(), Trigger::Manual).await;
    assert!(matches!(none.outcome, Err(RotationFault::Unknown(_))));
    assert!(house.records_of("rotation_begun").is_empty());
    set_hook(house.broker(), &script.hook("sleep 1000"));
    assert_eq!(count(format!("{:?}", record(house.broker())).as_bytes(), SECRET.as_bytes()), 0);
}

#[tokio::test]
async fn a_hook_that_hangs_ends_with_its_time() {
    let plan = crate::house::Plan { settings: "rotation_timeout = \"300ms\"".to_owned(), ..Default::default() };
    let (house, script) = (House::build(plan).await, Script::new());
    set_hook(house.broker(), &script.hook("trap '' TERM; sleep 1000"));
    let fault = rotate(&house).await.unwrap_err();
    assert!(matches!(fault, RotationFault::Hook { fault: HookFault::Timeout(_), .. }), "{fault}");
    assert_eq!(value(house.broker()), SECRET);
    let ended = house.records_of("secret_rotate");
    assert_eq!(ended[0].details.as_deref(), Some("manual; no exit status"));
}
