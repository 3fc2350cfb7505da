//! Wiping: nothing that opens anything is left, in files or in memory, and the audit log is.

use leasehold::{
    audit,
    base::{CutReason, SecretBytes},
    broker::NewValue,
    killswitch::Plan,
    policy::{EasyPlace, EasyService},
    store::{RawReveal, RotationPlan},
};

use crate::{
    failed,
    house::{House, SECRET},
    kill, steps,
    support::{count, within},
};

const WIPE: Plan = Plan { rotate: false, wipe: true };

#[tokio::test]
async fn store_identity_leases_and_authority_key_are_destroyed_and_the_audit_log_stays() {
    let house = House::new().await;
    house.lease();
    let home = &house.home;
    let gone = [home.identity(), home.store(), home.leases(), home.ca().join("root.key.age")];
    // Another name of the same file shows what became of its bytes.
    let links = home.folder().with_extension("links");
    std::fs::create_dir(&links).unwrap();
    let mut kept = Vec::new();
    for (at, file) in gone.iter().enumerate() {
        let link = links.join(at.to_string());
        std::fs::hard_link(file, &link).unwrap();
        kept.push((link, std::fs::read(file).unwrap()));
    }
    let report = kill(&house, WIPE).await;
    assert_eq!(failed(&report), []);
    for file in &gone {
        assert!(!file.exists(), "{}", file.display());
    }
    // The leases are replaced, not written in place, by the step before; what is left of the other three is noise.
    for (link, before) in kept.iter().filter(|(link, _)| !link.ends_with("2")) {
        let after = std::fs::read(link).unwrap();
        assert_eq!(after.len(), before.len(), "{}", link.display());
        let same = after.iter().zip(before).filter(|(a, b)| a == b).count();
        assert!(same < before.len() / 4 + 8, "{}: {same} of {} bytes are as before", link.display(), before.len());
    }
    assert!(!home.folder().join("secrets.age.previous").exists());
    assert_eq!(steps(&house.records()).last().map(String::as_str), Some("wipe_store"));
    let verified = audit::verify(&home.audit()).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
    for (path, content) in house.public_files() {
        assert_eq!(count(&content, SECRET.as_bytes()), 0, "{}", path.display());
    }
}

#[tokio::test]
async fn a_wiped_daemon_holds_nothing_and_takes_nothing() {
    let house = House::new().await;
    kill(&house, WIPE).await;
    let broker = house.broker();
    assert!(broker.store().list().is_empty());
    let new = || NewValue {
        name: "late".parse().unwrap(),
        value: SecretBytes::new(b"value".to_vec()),
        rotate_via: None,
        plan: RotationPlan::default(),
        binding: None,
        raw: RawReveal::Allow,
    };
    let why = broker.add(new()).err().unwrap().to_string();
    assert!(why.contains("wiped") && why.contains("secrets init"), "{why}");
    // Not even for a moment, in which the daemon might end.
    let changes = house.records_of("policy_change").len();
    let origin = "https://late.acme.test".parse().unwrap();
    let place = EasyPlace::Header(http::header::AUTHORIZATION, "{}".parse().unwrap());
    let service = EasyService { id: EasyService::id_for(&origin).unwrap(), origin, place, env: Vec::new() };
    let why = broker.add_easy(new(), &service).err().unwrap().to_string();
    assert!(why.contains("wiped"), "{why}");
    assert_eq!(house.records_of("policy_change").len(), changes, "no policy is written for it");
    assert!(broker.persist_all().is_err(), "no leases are sealed for nobody");
    assert!(!house.home.store().exists() && !house.home.leases().exists());
}

#[tokio::test]
async fn the_daemon_answers_and_stops() {
    let house = House::new().await;
    let mut control =
        leasehold::control::Client::connect(&house.home.socket(), std::time::Duration::from_mins(1)).await.unwrap();
    let stops = house.running.watch();
    let killed = control.call(leasehold::control::TripKill { rotate: false, wipe: true }).await.unwrap();
    assert!(killed.success, "{killed:?}");
    assert_eq!(within("the daemon to stop", stops.wait()).await, CutReason::Drained);
    assert!(audit::verify(&house.home.audit()).unwrap().is_whole());
}
