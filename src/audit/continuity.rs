//! What the log says about its own files, and how that is understood when it is read back.

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

/// Details of [`Action::LogRemove`](super::Action::LogRemove).
pub(super) fn removed(last: u64, keep: u32) -> String {
    format!("{REMOVED}{last} are removed; `audit.keep` is {keep}")
}

const REMOVED: &str = "lines up to ";

/// The last line that the settings had removed.
pub(super) fn removed_up_to(details: &str) -> Option<u64> {
    details.strip_prefix(REMOVED)?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        assert!(is_moved(&moved(7, "00")) && !is_moved(&rolled("audit.log.000000000007")) && !is_moved(&cut(1, 2)));
        assert_eq!(removed_up_to(&removed(420, 3)), Some(420));
        assert_eq!(removed_up_to("lines up to eleven"), None);
    }
}
