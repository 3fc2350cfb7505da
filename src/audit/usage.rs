//! When each secret was last leased, revealed or put on the wire, out of the log.

use std::{collections::BTreeMap, path::Path};

use super::{Action, Error, Lines};
use crate::base::Timestamp;

/// The last use of every secret that the log names; one pass over the log, one entry of memory per secret.
pub fn last_uses(path: &Path) -> Result<BTreeMap<String, Timestamp>, Error> {
    let lines = match Lines::open(path) {
        Err(error) if error.is_missing() => return Ok(BTreeMap::new()),
        opened => opened?,
    };
    let mut uses = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some(record) = line.record() else { continue };
        let is_use = matches!(
            Action::find(&record.action),
            Some(Action::LeaseAcquire | Action::RequestBegun | Action::SecretReveal)
        );
        if let Some(name) = record.secret_name.as_ref().filter(|_| is_use && record.success) {
            uses.entry(name.clone())
                .and_modify(|last: &mut Timestamp| *last = record.timestamp.max(*last))
                .or_insert(record.timestamp);
        }
    }
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_leases_reveals_and_requests_and_the_last_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        assert!(last_uses(&path).unwrap().is_empty(), "no log, no use");
        let line = |hour: u8, action: &str, secret: &str, success: bool| {
            format!(
                "{{\"timestamp\":\"2026-01-01T{hour:02}:00:00Z\",\"action\":\"{action}\",\"secret_name\":\"{secret}\",\
                 \"success\":{success}}}\n"
            )
        };
        let log = [
            line(1, "lease_acquire", "a", true),
            line(3, "request_begun", "a", true),
            line(2, "secret_reveal", "a", true),
            line(4, "secret_update", "a", true),
            line(5, "lease_acquire", "b", false),
            "not a record\n".to_owned(),
        ];
        std::fs::write(&path, log.concat()).unwrap();
        let uses = last_uses(&path).unwrap();
        assert_eq!(uses.len(), 1, "what failed is no use: {uses:?}");
        assert_eq!(uses.get("a").copied(), Timestamp::parse("2026-01-01T03:00:00Z"));
    }
}
