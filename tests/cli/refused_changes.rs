//! `add` and `update` that stop before anything is asked of the daemon: every attempt is in the record all the same.

use crate::hand::Hand;

const SECRET: &str = "hunter2-hunter2-hunter2";

fn attempts(hand: &Hand, action: &str) -> Vec<(Option<String>, String)> {
    let refused = hand.records_of(action).into_iter().filter(|record| !record.success);
    refused.map(|record| (record.secret_name.clone(), record.error.unwrap())).collect()
}

#[test]
fn an_add_or_update_that_stops_early_leaves_a_record_of_the_attempt() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", "taken"], b"v").0, 0);
    let pasted = format!("{SECRET}\n{SECRET}");
    for (arguments, input) in [
        (&["add", "taken"][..], &b"other"[..]),
        (&["add", " "], b"v"),
        (&["add", &pasted], b"v"),
        (&["add", "planned", "--rotate-every", "1d"], b"v"),
        (&["add", "empty"], b""),
        (&["add", "hosted", "--host", "api.acme.test"], SECRET.replace('-', "\n").as_bytes()),
        (&["add", "filed", "--value-file", "/nowhere/at/all"], b""),
        (&["update", "unknown"], b"v"),
        (&["update", "taken"], b""),
    ] {
        assert_ne!(hand.envelope(arguments, input).0, 0, "{arguments:?}");
    }
    let added = attempts(&hand, "secret_add");
    let names: Vec<Option<&str>> = added.iter().map(|(name, _)| name.as_deref()).collect();
    assert_eq!(
        names,
        [Some("taken"), None, None, Some("planned"), Some("empty"), Some("hosted"), Some("filed")],
        "{added:?}"
    );
    assert!(added.iter().all(|(_, why)| !why.is_empty()), "{added:?}");
    assert!(added[0].1.contains("`taken`") && added[1].1 == "the name is not usable", "{added:?}");
    let updated = attempts(&hand, "secret_update");
    assert_eq!(updated.iter().map(|(name, _)| name.as_deref()).collect::<Vec<_>>(), [Some("unknown"), Some("taken")]);
    let log = String::from_utf8(hand.read("audit.log")).unwrap();
    assert!(!log.contains("hunter2"), "what is no name may be a value");
}

#[test]
fn a_refused_add_starts_no_daemon() {
    let hand = Hand::with_home();
    assert_eq!(hand.envelope(&["add", " "], b"v").0, 2);
    assert_eq!(hand.envelope(&["--no-autostart", "status"], b"").0, 69);
}
