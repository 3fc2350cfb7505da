//! What is legal in policy files and still not as its author will have meant it.

mod meant;
mod never;
mod overlap;
mod unused;

use std::fmt;

use serde::Serialize;

use crate::policy::{Fault, PolicySet, Service};

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file and the block: `FILE [cap.NAME]`.
    pub place: String,
    /// What is odd.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.message, self.fix)
    }
}

impl Finding {
    /// What a file asks for and the program cannot do.
    fn not_yet(note: &Fault) -> Self {
        Self {
            place: format!("{}:{}:{}", note.file, note.line, note.column),
            message: format!("{}: what needs it is refused", note.message),
            fix: note.fix.clone(),
        }
    }
}

impl PolicySet {
    /// Looks at a service and at the grants of it, in the order of their files.
    pub fn lint(&self, service: &Service) -> Vec<Finding> {
        let mut findings: Vec<Finding> = service.not_yet().iter().map(Finding::not_yet).collect();
        findings.extend(overlap::find(service));
        findings.extend(unused::in_service(service));
        findings.extend(never::find(service));
        findings.extend(meant::in_service(self, service));
        let grants = self.grants().filter(|grant| grant.service() == service.id());
        findings.extend(
            grants.flat_map(|grant| [unused::in_grant(service, grant), meant::in_grant(service, grant)].concat()),
        );
        findings
    }
}

impl Service {
    fn place_of(&self, capability: &str) -> String {
        format!("{} [cap.{capability}]", self.file())
    }
}
