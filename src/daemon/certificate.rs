//! The root: which names it vouches for, and what is shown of it.

use super::{Settings, service::Desk};
use crate::{ca::NameScope, control, policy::PolicySet};

/// What the settings hold the root to. Names are looked at when the daemon starts: a root's are fixed for its life, and
/// clients would have to be started again for every new one.
pub(super) fn scope(settings: &Settings, policy: &PolicySet) -> NameScope {
    if settings.ca.name_constraints { NameScope::Only(policy.granted_names()) } else { NameScope::Any }
}

impl Desk {
    pub(super) fn show_ca(&self) -> control::Certificate {
        let root = self.ca.root();
        let granted = NameScope::Only(self.broker.policy().granted_names());
        control::Certificate {
            pem: root.pem.clone(),
            fingerprint: root.fingerprint.clone(),
            path: self.home.ca().join("root.pem"),
            expires_at: Some(root.ends),
            names: match &root.scope {
                NameScope::Any => None,
                NameScope::Only(names) => Some(names.iter().cloned().collect()),
            },
            uncovered: root.scope.missing(&granted),
        }
    }
}
