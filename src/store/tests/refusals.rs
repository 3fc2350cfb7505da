//! Files that are missing, loose, foreign, damaged or swapped: refused with the fix, and never overwritten.

use std::{os::unix::fs::symlink, time::Duration};

use super::*;
use crate::base::FileLock;

#[test]
fn a_newer_format_is_refused_with_the_fix() {
    let house = House::foreign(r#"{"version":2,"secrets":{"k":"other"}}"#);
    let error = house.open().unwrap_err();
    assert!(matches!(error, Error::Version { version: 2, .. }));
    assert!(error.to_string().contains("install a newer"), "{error}");
}

#[test]
fn attack_100_content_that_makes_no_sense_is_named_without_its_values() {
    let canary = "canary-5e1f";
    let record = |fields: &str| format!(r#"{{"version":1,"secrets":{{"k":{{{fields}}}}}}}"#);
    let time = r#""created_at":"2025-12-01T00:00:00Z""#;
    for (plain, words) in [
        (format!(r#"{{"version":1,"secrets":{{"k":"{canary}"#), "EOF"),
        (format!(r#"["{canary}"]"#), "object"),
        (format!(r#"{{"secrets":{{"{canary}":1}}}}"#), "`version`"),
        (r#"{"version":0,"secrets":{}}"#.to_owned(), "`version`"),
        (format!(r#"{{"version":"{canary}","secrets":{{}}}}"#), "`version`"),
        (r#"{"version":1}"#.to_owned(), "`secrets`"),
        (format!(r#"{{"version":1,"secrets":{{"k":"{canary}"}}}}"#), "secret `k`"),
        (format!(r#"{{"version":1,"secrets":{{"k":{{{time}}},"k":{{{time}}}}}}}"#), "makes no sense"),
        (record(time), "`value` is missing"),
        (record(&format!(r#"{time},"value":["{canary}"]"#)), "`value` is no text"),
        (record(&format!(r#"{time},"value":"{canary}","encoding":"rot13"#)), "EOF"),
        (record(&format!(r#"{time},"value":"{canary}","encoding":"rot13""#)), "`encoding`"),
        (record(&format!(r#"{time},"value":"{canary}","encoding":"base64""#)), "not base64"),
        (record(&format!(r#"{time},"value":"{canary}","raw":"maybe""#)), "`raw`"),
        (record(&format!(r#"{time},"value":"{canary}","service":"x""#)), "together"),
        (record(&format!(r#""value":"{canary}","created_at":"{canary}""#)), "`created_at`"),
        (record(&format!(r#""value":"{canary}""#)), "`created_at` is missing"),
    ] {
        let house = House::foreign(&plain);
        let before = std::fs::read(house.home.store()).unwrap();
        let error = house.open().unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("secrets.age"), "{plain}: {error}");
        assert!(!error.contains(canary), "{error}");
        assert!(Store::create(&house.home, house.clock.clone()).is_err());
        assert_eq!(std::fs::read(house.home.store()).unwrap(), before);
    }
}

#[test]
fn a_missing_half_is_an_error_and_not_a_first_run() {
    let house = House::new();
    let nothing = house.open().unwrap_err();
    assert!(matches!(nothing, Error::NotInitialised(_)) && nothing.to_string().contains("secrets init"));

    house.create().insert(new("k", b"v")).unwrap();
    let sealed = std::fs::read(house.home.store()).unwrap();
    let identity = std::fs::read(house.home.identity()).unwrap();
    std::fs::remove_file(house.home.identity()).unwrap();
    assert!(matches!(house.open(), Err(Error::IdentityMissing { .. })));
    assert!(matches!(Store::create(&house.home, house.clock.clone()), Err(Error::IdentityMissing { .. })));
    assert_eq!(std::fs::read(house.home.store()).unwrap(), sealed);
    assert!(!house.home.identity().exists());

    write(&house.home.identity(), &identity);
    std::fs::remove_file(house.home.store()).unwrap();
    let error = house.open().unwrap_err();
    assert!(matches!(error, Error::StoreMissing { previous: true, .. }));
    assert!(error.to_string().contains("secrets.age.previous"), "{error}");
    assert!(matches!(Store::create(&house.home, house.clock.clone()), Err(Error::StoreMissing { .. })));
    assert!(!house.home.store().exists());
}

#[test]
fn foreign_truncated_and_emptied_stores_are_never_overwritten() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"v")).unwrap();
    let sealed = std::fs::read(house.home.store()).unwrap();
    let other = age::encrypt(&x25519::Identity::generate().to_public(), b"{}").unwrap();
    for (content, words) in [
        (&sealed[..sealed.len() - 1], "cut off"),
        (&other[..], "another identity"),
        (&b""[..], "cut off"),
        (&b"plain"[..], "not an age file"),
    ] {
        write(&house.home.store(), content);
        let error = house.open().unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("secrets.age"), "{error}");
        assert!(Store::create(&house.home, house.clock.clone()).is_err());
        assert!(store.insert(new("more", b"x")).is_err(), "an open store does not write over it either");
        assert!(store.refresh().is_err());
        assert_eq!(std::fs::read(house.home.store()).unwrap(), content);
    }
    assert_eq!(value(&store, "k"), b"v", "what was read stays readable");
    write(&house.home.store(), &sealed);
    store.insert(new("more", b"x")).unwrap();
}

#[test]
fn attack_92_loose_modes_are_refused_with_the_chmod() {
    let house = House::new();
    house.create();
    for (path, wrong, right) in [
        (house.home.identity(), 0o644, 0o600),
        (house.home.store(), 0o660, 0o600),
        (house.home.store(), 0o400, 0o600),
        (house.home.folder().to_owned(), 0o770, 0o700),
    ] {
        chmod(&path, wrong);
        let error = house.open().unwrap_err().to_string();
        let fix = format!("chmod {right:o} {}", path.display());
        assert!(error.contains(&fix) && error.contains(&format!("{wrong:o}")), "{error}");
        assert_eq!(mode(&path), wrong, "nothing is tightened in silence");
        chmod(&path, right);
    }
    house.open().unwrap();
}

#[test]
fn attack_91_links_pipes_and_second_names_are_refused() {
    let house = House::new();
    house.create();
    for path in [house.home.identity(), house.home.store()] {
        let real = house.folder.path().join("real");
        std::fs::rename(&path, &real).unwrap();
        symlink(&real, &path).unwrap();
        assert!(matches!(house.open(), Err(Error::NotAFile(p)) if p == path));
        std::fs::remove_file(&path).unwrap();
        symlink("nowhere", &path).unwrap();
        assert!(Store::create(&house.home, house.clock.clone()).is_err(), "a broken link is not an absence");
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(house.open(), Err(Error::NotAFile(p)) if p == path));
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&real, &path).unwrap();
        assert!(matches!(house.open(), Err(Error::HardLink(p)) if p == path));
        std::fs::remove_file(&real).unwrap();
        house.open().unwrap();
    }
}

#[test]
fn a_file_beyond_the_bound_is_refused_unread() {
    let house = House::new();
    house.create();
    let file = std::fs::OpenOptions::new().write(true).open(house.home.store()).unwrap();
    file.set_len(64 * 1024 * 1024 + 1).unwrap(); // a hole, which takes no room
    let error = house.open().unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }) && error.to_string().contains("secrets.age"), "{error}");
}

#[test]
fn attack_104_a_kill_between_link_and_rename_leaves_a_store_that_opens() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"v")).unwrap();
    let previous = house.home.folder().join("secrets.age.previous");
    std::fs::remove_file(&previous).unwrap();
    std::fs::hard_link(house.home.store(), &previous).unwrap(); // as the killed write left it
    write(&house.home.folder().join("secrets.age.8899aabbccddeeff.tmp"), b"half");
    // A child that another test is just starting has the lock, too, until it runs its program.
    let lock = house.home.folder().join("secrets.age.lock");
    drop(FileLock::acquire_within(&lock, Duration::from_mins(1)).unwrap());
    let reopened = house.open().unwrap();
    assert_eq!(value(&reopened, "k"), b"v");
    assert_eq!(house.files(), ["identity.age", "secrets.age", "secrets.age.lock", "secrets.age.previous"]);
    reopened.insert(new("l", b"w")).unwrap();
    assert_eq!(value(&house.open().unwrap(), "l"), b"w");
}

#[test]
fn attack_105_after_a_failed_save_memory_and_disk_agree() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"v")).unwrap();
    let before = std::fs::read(house.home.store()).unwrap();
    let previous = house.home.folder().join("secrets.age.previous");
    std::fs::remove_file(&previous).unwrap();
    std::fs::create_dir(&previous).unwrap(); // the old generation cannot be kept, so the write fails
    assert!(matches!(store.insert(new("lost", b"x")), Err(Error::File(_))));
    let change = SecretChange::new().value(SecretBytes::new(b"w".to_vec()));
    assert!(store.update(&name("k"), change).is_err());
    assert!(store.remove(&name("k")).is_err());
    assert_eq!((store.list().len(), store.generation()), (1, 1));
    assert_eq!(value(&store, "k"), b"v");
    assert_eq!(std::fs::read(house.home.store()).unwrap(), before);
    assert_eq!(house.files(), ["identity.age", "secrets.age", "secrets.age.lock", "secrets.age.previous"]);
    std::fs::remove_dir(&previous).unwrap();
    store.insert(new("more", b"x")).unwrap();
    assert_eq!(house.open().unwrap().list().len(), 2);
}

#[test]
fn attack_101_an_older_copy_is_noticed_and_generations_go_on() {
    let house = House::new();
    let store = house.create();
    store.insert(new("removed", b"1")).unwrap();
    let copy = std::fs::read(house.home.store()).unwrap();
    store.remove(&name("removed")).unwrap();
    let highest = store.generation();
    write(&house.home.store(), &copy);
    assert_eq!(store.refresh().unwrap(), Refreshed::Older);
    assert!(store.get(&name("removed")).is_some() && store.generation() < highest);
    store.remove(&name("removed")).unwrap();
    assert!(store.generation() > highest);
}
