//! Which names a root may vouch for, as a name constraint (RFC 5280, 4.2.1.10).

use std::collections::BTreeSet;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

use crate::base::Host;

/// What a root may vouch for. `Any` by default: which hosts have secrets changes with policy, and a constraint is fixed
/// for the root's life. Enforced by every client measured except Java, which ignores it on a trust anchor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NameScope {
    /// Every host, addresses included.
    #[default]
    Any,
    /// These names and everything below them, without leading dot; no address.
    Only(BTreeSet<String>),
}

impl NameScope {
    /// Whether a leaf for this host would be believed.
    pub fn covers(&self, host: &Host) -> bool {
        let Self::Only(permitted) = self else { return true };
        let Some(mut name) = host.name() else { return false };
        loop {
            if permitted.contains(name) {
                return true;
            }
            match name.split_once('.') {
                Some((_, parent)) => name = parent,
                None => return false,
            }
        }
    }

    pub(super) fn constraints(&self) -> Option<NameConstraints> {
        let Self::Only(permitted) = self else { return None };
        let excluded = [CidrSubnet::V4([0; 4], [0; 4]), CidrSubnet::V6([0; 16], [0; 16])];
        Some(NameConstraints {
            permitted_subtrees: permitted.iter().cloned().map(GeneralSubtree::DnsName).collect(),
            excluded_subtrees: excluded.into_iter().map(GeneralSubtree::IpAddress).collect(),
        })
    }

    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let Ok(Some(constraints)) = certificate.name_constraints() else { return Self::Any };
        let permitted =
            constraints.value.permitted_subtrees.iter().flatten().filter_map(|subtree| match subtree.base {
                GeneralName::DNSName(name) => Some(name.trim_start_matches('.').to_owned()),
                _ => None,
            });
        Self::Only(permitted.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_its_names_and_what_is_below_them() {
        let only = NameScope::Only(["github.com".to_owned(), "api.openai.com".to_owned()].into());
        for (host, want) in [
            ("github.com", true),
            ("api.github.com", true),
            ("evilgithub.com", false),
            ("openai.com", false),
            ("api.openai.com", true),
            ("127.0.0.1", false),
        ] {
            assert_eq!(only.covers(&host.parse().unwrap()), want, "{host}");
            assert!(NameScope::Any.covers(&host.parse().unwrap()));
        }
    }
}
