//! The store on real files: what opens, what is refused, what survives.

mod refusals;
mod rotation;

use std::{io::Read as _, os::unix::fs::PermissionsExt as _, path::Path};

use age::{secrecy::ExposeSecret as _, x25519};
use tempfile::TempDir;

use super::*;
use crate::base::{ServiceId, Timestamp};

/// A home in a temporary folder of its own.
struct House {
    folder: TempDir,
    home: Home,
    clock: Clock,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        Self { folder, home, clock: Clock::manual(Timestamp::from_millis(1_764_000_000_123)) }
    }

    fn create(&self) -> Store {
        Store::create(&self.home, self.clock.clone()).unwrap().0
    }

    fn open(&self) -> Result<Store, Error> {
        Store::open(&self.home, self.clock.clone())
    }

    /// An identity and a store as agent-secrets would leave them, with this plaintext.
    fn foreign(plain: &str) -> Self {
        let house = Self::new();
        std::fs::create_dir(house.home.folder()).unwrap();
        let identity = x25519::Identity::generate();
        write(&house.home.identity(), identity.to_string().expose_secret().as_bytes());
        write(&house.home.store(), &age::encrypt(&identity.to_public(), plain.as_bytes()).unwrap());
        house
    }

    /// The plaintext, got with the library alone.
    fn plaintext(&self) -> String {
        let line = std::fs::read_to_string(self.home.identity()).unwrap();
        let identity: x25519::Identity = line.parse().unwrap();
        let sealed = std::fs::read(self.home.store()).unwrap();
        let mut plain = String::new();
        let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
        decryptor.decrypt(std::iter::once(&identity as _)).unwrap().read_to_string(&mut plain).unwrap();
        plain
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.folder()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    chmod(path, 0o600);
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn new(text: &str, value: &[u8]) -> NewSecret {
    NewSecret::new(name(text), SecretBytes::new(value.to_vec()))
}

fn value(store: &Store, text: &str) -> Vec<u8> {
    store.get(&name(text)).unwrap().value.expose().to_vec()
}

#[test]
fn init_makes_what_is_missing_once_and_with_tight_modes() {
    let house = House::new();
    let (store, created) = Store::create(&house.home, house.clock.clone()).unwrap();
    assert_eq!(created, Created { folder: true, identity: true, store: true });
    assert_eq!(mode(house.home.folder()), 0o700);
    assert_eq!(mode(&house.home.identity()), 0o600);
    assert_eq!(mode(&house.home.store()), 0o600);
    assert_eq!(house.files(), ["identity.age", "secrets.age", "secrets.age.lock"]);
    let line = std::fs::read_to_string(house.home.identity()).unwrap();
    assert!(line.starts_with("AGE-SECRET-KEY-1") && !line.contains('\n'));
    assert!(store.list().is_empty());
    store.insert(new("k", b"v")).unwrap();

    let (again, created) = Store::create(&house.home, house.clock.clone()).unwrap();
    assert_eq!(created, Created { folder: false, identity: false, store: false });
    assert_eq!(value(&again, "k"), b"v");
    assert_eq!(again.recipient(), store.recipient());
}

#[test]
fn an_interrupted_init_is_finished_by_the_next() {
    let house = House::new();
    house.create();
    std::fs::remove_file(house.home.store()).unwrap();
    let leftover = house.home.folder().join("identity.age.0011223344556677.tmp");
    write(&leftover, b"AGE-SECRET-KEY-1");
    assert!(matches!(house.open(), Err(Error::StoreMissing { previous: false, .. })));
    let (_, created) = Store::create(&house.home, house.clock.clone()).unwrap();
    assert_eq!(created, Created { folder: false, identity: false, store: true });
    assert!(!leftover.exists());
    house.open().unwrap();
}

#[test]
fn values_of_any_bytes_are_stored_exactly() {
    let house = House::new();
    let store = house.create();
    let all: Vec<u8> = (0..=255).collect();
    let values: [(&str, Vec<u8>); 7] = [
        ("lines", b"-----BEGIN KEY-----\r\nabc\n\n  \t\n-----END KEY-----\n".to_vec()),
        ("json", br#"{"private_key":"a\nb","x":"<&>"}"#.to_vec()),
        ("text", "sk-ü😀\u{0}\u{1f}\u{2028}\\\"".as_bytes().to_vec()),
        ("bytes", all.clone()),
        ("one", vec![0xff]),
        ("large text", vec![b'\n'; SecretBytes::MAX_LEN]),
        ("large bytes", all.repeat(SecretBytes::MAX_LEN / 256)),
    ];
    for (key, value) in &values {
        store.insert(new(key, value)).unwrap();
    }
    let reopened = house.open().unwrap();
    for (key, expected) in &values {
        assert!(value(&reopened, key) == *expected, "{key}");
    }
}

#[test]
fn a_secret_is_added_changed_and_removed() {
    let house = House::new();
    let store = house.create();
    let binding = Binding { service: "github".parse::<ServiceId>().unwrap(), credential: "token".into() };
    let added = store.insert(new("gh", b"one").rotate_via("gh auth token").binding(binding.clone())).unwrap();
    assert_eq!((added.generation, added.created_at, added.raw), (1, house.clock.now(), RawReveal::Allow));

    house.clock.advance(std::time::Duration::from_mins(1));
    let rotated = SecretChange::new().rotated(SecretBytes::new(b"two".to_vec()), None).raw(RawReveal::Deny);
    let changed = store.update(&name("gh"), rotated).unwrap();
    assert_eq!((changed.generation, changed.created_at), (2, added.created_at));
    assert_eq!((changed.updated_at, changed.last_rotated), (house.clock.now(), Some(house.clock.now())));
    let changed = store.update(&name("gh"), SecretChange::new().rotate_via(None)).unwrap();
    assert_eq!((changed.generation, changed.rotate_via.as_deref()), (2, None));

    let reopened = house.open().unwrap().get(&name("gh")).unwrap();
    assert_eq!(reopened.value.expose(), b"two");
    assert_eq!((reopened.generation, reopened.raw), (2, RawReveal::Deny));
    assert_eq!((reopened.binding.as_ref(), reopened.last_rotated), (Some(&binding), changed.last_rotated));

    store.remove(&name("gh")).unwrap();
    assert!(store.get(&name("gh")).is_none() && house.open().unwrap().list().is_empty());
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"canary-value")).unwrap();
    let before = std::fs::read(house.home.store()).unwrap();
    let too_large = vec![b'x'; SecretBytes::MAX_LEN + 1];
    let change = |bytes: &[u8]| SecretChange::new().value(SecretBytes::new(bytes.to_vec()));
    let errors = [
        store.insert(new("k", b"other")).unwrap_err(),
        store.insert(new("empty", b"")).unwrap_err(),
        store.insert(new("large", &too_large)).unwrap_err(),
        store.update(&name("k"), change(b"")).unwrap_err(),
        store.update(&name("k"), change(&too_large)).unwrap_err(),
        store.update(&name("none"), change(b"x")).unwrap_err(),
        store.remove(&name("none")).unwrap_err(),
    ];
    let words = ["exists already", "is empty", "1048577 bytes", "is empty", "1048577", "no secret", "no secret"];
    for (error, words) in errors.iter().zip(words) {
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error} {error:?} {store:?}").contains("canary"), "{error}");
    }
    assert_eq!(std::fs::read(house.home.store()).unwrap(), before);
    assert_eq!(value(&store, "k"), b"canary-value");
}

/// Shaped as agent-secrets' Go program prints it.
const GO_STORE: &str = r#"{
  "version": 1,
  "secrets": {
    "anthropic_key": {
      "name": "anthropic_key",
      "created_at": "2025-12-01T09:30:00.123456789-08:00",
      "updated_at": "2025-12-02T10:00:00Z",
      "rotate_via": "pass show \u003canthropic\u003e",
      "last_rotated": "0001-01-01T00:00:00Z",
      "value": "sk-ant-\u0026more"
    },
    "bad\nname": {"name": "bad\nname", "created_at": "2025-12-01T09:30:00Z", "value": "kept"},
    "plain": {
      "name": "plain",
      "created_at": "2025-12-01T17:30:00+01:00",
      "updated_at": "2025-12-01T17:30:00+01:00",
      "last_rotated": null,
      "namespace": {"a": [1.0,  1e400, 18446744073709551616], "b":"\u00fc"},
      "value": "v"
    }
  },
  "future": [ 1,2 ]
}"#;

#[test]
fn a_store_of_agent_secrets_opens_and_keeps_what_we_do_not_know() {
    let house = House::foreign(GO_STORE);
    let store = house.open().unwrap();
    let record = store.get(&name("anthropic_key")).unwrap();
    assert_eq!(record.value.expose(), b"sk-ant-&more");
    assert_eq!(Some(record.created_at), Timestamp::parse("2025-12-01T17:30:00.123Z"));
    assert_eq!(record.rotate_via.as_deref(), Some("pass show <anthropic>"));
    assert_eq!((record.last_rotated, record.generation, store.generation()), (None, 1, 0));
    assert_eq!(store.get(&name("plain")).unwrap().last_rotated, None);
    assert_eq!(store.unusable(), ["bad\nname"]);

    store.insert(new("more", b"x")).unwrap();
    store.update(&name("plain"), SecretChange::new().value(SecretBytes::new(b"w".to_vec()))).unwrap();
    let plain = house.plaintext();
    for kept in [
        r#""namespace": {"a": [1.0,  1e400, 18446744073709551616], "b":"\u00fc"}"#,
        r#""bad\nname": {"name": "bad\nname", "created_at": "2025-12-01T09:30:00Z", "value": "kept"}"#,
        r#""future": [ 1,2 ]"#,
    ] {
        assert!(plain.contains(kept), "{kept} in {plain}");
    }
    let reopened = house.open().unwrap();
    assert_eq!((reopened.list().len(), reopened.generation()), (3, 2));
}

#[test]
fn what_we_write_has_the_shape_of_agent_secrets() {
    let house = House::new();
    house.create().insert(new("k", b"v")).unwrap();
    let plain = house.plaintext();
    assert!(
        plain.starts_with("{\n  \"version\": 1,\n  \"secrets\": {\n    \"k\": {\n      \"name\": \"k\""),
        "{plain}"
    );
    let json: serde_json::Value = serde_json::from_str(&plain).unwrap();
    let time = "2025-11-24T16:00:00.123Z";
    let expected = serde_json::json!({
        "name": "k", "value": "v", "created_at": time, "updated_at": time, "rotate_via": "", "last_rotated": null,
    });
    assert_eq!(json["secrets"]["k"], expected);
}

#[test]
fn an_identity_of_age_keygen_opens() {
    let house = House::foreign(r#"{"version":1,"secrets":null}"#);
    let line = std::fs::read_to_string(house.home.identity()).unwrap();
    write(&house.home.identity(), format!("# created: now\n# public key: age1...\n{line}\n").as_bytes());
    assert!(house.open().unwrap().list().is_empty());
}

#[test]
fn the_previous_generation_is_kept() {
    let house = House::new();
    let store = house.create();
    store.insert(new("k", b"one")).unwrap();
    store.update(&name("k"), SecretChange::new().value(SecretBytes::new(b"two".to_vec()))).unwrap();
    let previous = house.home.folder().join("secrets.age.previous");
    assert_eq!(mode(&previous), 0o600);
    std::fs::rename(previous, house.home.store()).unwrap();
    assert_eq!(value(&house.open().unwrap(), "k"), b"one");
}

#[test]
fn what_another_process_wrote_is_taken_in_before_writing() {
    let house = House::new();
    let (ours, theirs) = (house.create(), house.open().unwrap());
    ours.insert(new("a", b"1")).unwrap();
    theirs.insert(new("b", b"2")).unwrap();
    assert!(matches!(ours.insert(new("b", b"3")), Err(Error::Duplicate(_))));
    assert_eq!(value(&ours, "b"), b"2", "a refused change still shows what is on disk");
    ours.remove(&name("a")).unwrap();
    assert!(matches!(theirs.update(&name("a"), SecretChange::new()), Err(Error::UnknownSecret(_))));
    assert_eq!(theirs.refresh().unwrap(), Refreshed::Same);
    ours.insert(new("c", b"4")).unwrap();
    assert_eq!(theirs.refresh().unwrap(), Refreshed::Newer);
    assert_eq!((theirs.list().len(), ours.list().len()), (2, 2));
    std::fs::remove_file(house.home.store()).unwrap();
    assert!(matches!(ours.insert(new("d", b"5")), Err(Error::StoreMissing { .. })));
    assert!(!house.home.store().exists(), "a store that went away is not made anew");
}

#[test]
fn many_writers_lose_nothing() {
    let house = House::new();
    let stores = [house.create(), house.open().unwrap()];
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let store = stores[worker % 2].clone();
            scope.spawn(move || {
                for count in 0..5 {
                    store.insert(new(&format!("k{worker}-{count}"), b"v")).unwrap();
                    assert!(store.get(&name(&format!("k{worker}-{count}"))).is_some());
                }
            });
        }
    });
    let reopened = house.open().unwrap();
    assert_eq!((reopened.list().len(), reopened.generation()), (30, 30));
}

#[test]
fn other_parts_seal_with_the_stores_identity() {
    let house = House::new();
    let store = house.create();
    let sealed = store.seal(b"leases").unwrap();
    assert_eq!(*house.open().unwrap().unseal(&sealed).unwrap(), b"leases");
    let stranger = House::new().create();
    assert!(matches!(stranger.unseal(&sealed), Err(Error::Unseal(SealFault::Foreign))));
    assert!(store.recipient().starts_with("age1"));
}

#[test]
fn a_store_that_was_wiped_gives_takes_and_seals_nothing() {
    let house = House::new();
    let store = house.create();
    store.insert(NewSecret::new("a".parse().unwrap(), SecretBytes::new(b"value".to_vec()))).unwrap();
    let sealed = store.seal(b"lease").unwrap();
    let before = std::fs::read(house.home.store()).unwrap();
    store.forget();
    assert!(store.get(&"a".parse().unwrap()).is_none() && store.list().is_empty());
    let new = NewSecret::new("b".parse().unwrap(), SecretBytes::new(b"value".to_vec()));
    assert!(matches!(store.insert(new), Err(Error::Wiped(_))));
    assert!(matches!(store.seal(b"x"), Err(Error::Wiped(_))) && matches!(store.unseal(&sealed), Err(Error::Wiped(_))));
    assert!(store.refresh().is_err() && store.list().is_empty(), "the file is not read again");
    assert_eq!(std::fs::read(house.home.store()).unwrap(), before, "nor written");
}
