//! What the log says about its own files, and how that is understood when it is read back.

use crate::base::{Ed25519Key, SigningKey, is_signed_by};

/// Details of [`Action::LogContinued`](super::Action::LogContinued): somebody else moved the file away.
pub(super) fn moved(seq: u64, hash: &str) -> String {
    format!("{MOVED}line {seq} with hash {hash}")
}

const MOVED: &str = "goes on after ";

/// Whether a file begins here because somebody else moved the one before away.
pub(super) fn is_moved(details: &str) -> bool {
    details.starts_with(MOVED)
}

/// Details of [`Action::LogContinued`](super::Action::LogContinued): the file before was rolled over.
pub(super) fn rolled(name: &str) -> String {
    format!("goes on from `{name}`")
}

/// Details of [`Action::LogContinued`](super::Action::LogContinued): lines that were noted are not there any more.
pub(super) fn cut(first: u64, last: u64) -> String {
    format!("lines {first} to {last} are missing or changed: the log was cut while no daemon ran")
}

/// Details of [`Action::LogRemove`](super::Action::LogRemove); signed, or whoever adds a line could excuse a removal.
pub(super) fn removed(last: u64, keep: u32, key: Option<&SigningKey>) -> String {
    let signature = key.map(|key| format!("{SIGNED}{}", key.sign(removal(last).as_bytes()))).unwrap_or_default();
    format!("{REMOVED}{last} are removed; `audit.keep` is {keep}{signature}")
}

const REMOVED: &str = "lines up to ";
const SIGNED: &str = "; signed ";

/// The last line that the settings had removed; with a key, only when that signed it.
pub(super) fn removed_up_to(details: &str, key: Option<&Ed25519Key>) -> Option<u64> {
    let last = details.strip_prefix(REMOVED)?.split(' ').next()?.parse().ok()?;
    let signature = || details.split_once(SIGNED).map_or("", |(_, signature)| signature);
    key.is_none_or(|key| is_signed_by(key, removal(last).as_bytes(), signature())).then_some(last)
}

/// What is signed. The first line says for what, so that the key's other signatures are worth nothing here.
fn removal(last: u64) -> String {
    format!("leasehold audit removal 1\n{last}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        assert!(is_moved(&moved(7, "00")) && !is_moved(&rolled("audit.log.000000000007")) && !is_moved(&cut(1, 2)));
        assert_eq!(removed_up_to("lines up to eleven", None), None);
        let (key, other) = (SigningKey::generate(), SigningKey::generate().public());
        let (plain, signed) = (removed(420, 3, None), removed(420, 3, Some(&key)));
        for (details, believed, up_to) in [
            (&plain, None, Some(420)),
            (&plain, Some(&other), None),
            (&signed, None, Some(420)),
            (&signed, Some(&other), None),
            (&signed, Some(&key.public()), Some(420)),
            (&signed.replace("420", "421"), Some(&key.public()), None),
        ] {
            assert_eq!(removed_up_to(details, believed), up_to, "{details}");
        }
    }
}
