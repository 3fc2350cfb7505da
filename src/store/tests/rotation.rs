//! What a record keeps about rotation, and what each change does to the generations of its value.

use super::*;

fn bytes(value: &[u8]) -> SecretBytes {
    SecretBytes::new(value.to_vec())
}

fn values(record: &SecretRecord) -> (&[u8], Option<&[u8]>) {
    (record.value.expose(), record.former.as_ref().map(|former| former.value.expose()))
}

#[test]
fn everything_about_rotation_reads_back() {
    let house = House::new();
    let store = house.create();
    let plan = RotationPlan {
        format: "json:/data/token".parse().unwrap(),
        every: Some("7d".parse().unwrap()),
        on_lease_expiry: OnLeaseExpiry::Rotate,
    };
    store.insert(new("k", b"\xff-one").rotate_via("hook").plan(plan.clone())).unwrap();
    let ends = Timestamp::from_millis(1_764_000_900_000);
    let health = RotationHealth {
        last_attempt: Some(house.clock.now()),
        failures: 3,
        error: Some("the hook printed nothing".to_owned()),
        next_attempt: Some(ends),
        owed: true,
    };
    let change = SecretChange::new().rotated(bytes(b"two"), Some(ends)).health(health.clone());
    store.update(&name("k"), change).unwrap();
    let record = house.open().unwrap().get(&name("k")).unwrap();
    assert_eq!(values(&record), (&b"two"[..], Some(&b"\xff-one"[..])));
    assert_eq!((&record.plan, &record.health, record.expires_at), (&plan, &health, Some(ends)));
    assert_eq!(record.former.as_ref().unwrap().replaced_at, house.clock.now());
    assert_eq!((record.generation, record.last_rotated), (2, Some(house.clock.now())));
}

#[test]
fn a_secret_that_is_never_rotated_looks_as_agent_secrets_writes_it() {
    let house = House::new();
    house.create().insert(new("k", b"v").rotate_via("hook")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&house.plaintext()).unwrap();
    let keys: Vec<_> = json["secrets"]["k"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["created_at", "last_rotated", "name", "rotate_via", "updated_at", "value"]);
}

#[test]
fn the_last_value_that_worked_is_the_one_that_is_kept() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"one")).unwrap();
    let change = |change: SecretChange| store.update(&name("k"), change).unwrap();
    let rotated = |value| change(SecretChange::new().rotated(bytes(value), None));
    assert_eq!(values(&rotated(b"two")), (&b"two"[..], Some(&b"one"[..])));
    assert_eq!(values(&rotated(b"three")), (&b"three"[..], Some(&b"one"[..])), "`two` never was known to work");
    let undone = change(SecretChange::new().undone());
    assert_eq!((values(&undone), undone.generation), ((&b"one"[..], None), 4));
    assert_eq!(change(SecretChange::new().undone()).generation, 4, "there is nothing to go back to");
    rotated(b"four");
    let settled = change(SecretChange::new().settled());
    assert_eq!((values(&settled), settled.generation), ((&b"four"[..], None), 5));
    assert_eq!(values(&rotated(b"five")), (&b"five"[..], Some(&b"four"[..])));
    assert_eq!(values(&change(SecretChange::new().value(bytes(b"six")))), (&b"six"[..], None));
}

#[test]
fn a_value_that_a_person_gives_ends_what_was_known_of_the_old_one() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"one")).unwrap();
    let failed = RotationHealth { failures: 2, owed: true, ..RotationHealth::default() };
    let change = SecretChange::new().rotated_elsewhere(Some(house.clock.now())).health(failed);
    let changed = store.update(&name("k"), change).unwrap();
    assert_eq!((changed.generation, changed.expires_at.is_some()), (1, true));
    let given = store.update(&name("k"), SecretChange::new().value(bytes(b"two"))).unwrap();
    assert_eq!((given.expires_at, given.health.clone()), (None, RotationHealth::default()));
}

#[test]
fn another_hook_begins_anew_but_owes_what_the_old_one_did() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"one").rotate_via("old")).unwrap();
    let failed = RotationHealth { failures: 2, owed: true, ..RotationHealth::default() };
    let change = |change: SecretChange| store.update(&name("k"), change).unwrap().health.clone();
    change(SecretChange::new().health(failed));
    let mended = change(SecretChange::new().rotate_via(Some("new".to_owned())));
    assert_eq!(mended, RotationHealth { owed: true, ..RotationHealth::default() });
    assert_eq!(change(SecretChange::new().rotate_via(None)), RotationHealth::default());
}

#[test]
fn a_change_for_an_older_generation_is_refused() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"one")).unwrap();
    store.update(&name("k"), SecretChange::new().value(bytes(b"two"))).unwrap();
    let late = SecretChange::new().rotated(bytes(b"canary"), None).of_generation(1);
    let error = store.update(&name("k"), late).unwrap_err();
    assert!(matches!(&error, Error::Changed(_)) && !format!("{error} {error:?}").contains("canary"), "{error}");
    assert_eq!(values(&store.get(&name("k")).unwrap()), (&b"two"[..], None));
}
