//! Which names a root may vouch for, as a name constraint (RFC 5280, 4.2.1.10).

use std::collections::BTreeSet;

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

use crate::base::Host;

/// What a root may vouch for. `Any` by default: which hosts have secrets changes with policy, and a constraint is fixed
/// for the root's life, so that a new host needs a new root. Enforced by every client measured except Java, which
/// ignores it on a trust anchor.
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
        host.name().is_some_and(|name| is_below(name, permitted))
    }

    /// The names of another scope that this one leaves out.
    pub fn missing(&self, wanted: &Self) -> Vec<String> {
        match (self, wanted) {
            (Self::Only(permitted), Self::Only(wanted)) => {
                wanted.iter().filter(|name| !is_below(name, permitted)).cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether a root of this scope serves where one of another is wanted: one that vouches for more names than it need
    /// does, but none that was to be held to names, and none that was not.
    pub(super) fn serves(&self, wanted: &Self) -> bool {
        matches!((self, wanted), (Self::Any, Self::Any) | (Self::Only(_), Self::Only(_)))
            && self.missing(wanted).is_empty()
    }

    pub(super) fn constraints(&self) -> Option<NameConstraints> {
        let Self::Only(permitted) = self else { return None };
        // Without any permitted name, every name would be (RFC 5280, 4.2.1.10); this one nobody has (RFC 6761, 6.4).
        let nothing = permitted.is_empty().then(|| "invalid".to_owned());
        let excluded = [CidrSubnet::V4([0; 4], [0; 4]), CidrSubnet::V6([0; 16], [0; 16])];
        Some(NameConstraints {
            permitted_subtrees: permitted.iter().cloned().chain(nothing).map(GeneralSubtree::DnsName).collect(),
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

/// Whether a name or one above it is permitted.
fn is_below(mut name: &str, permitted: &BTreeSet<String>) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> NameScope {
        NameScope::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_root_of_more_names_serves_and_one_of_fewer_does_not() {
        let (narrow, wide) = (only(&["api.github.com"]), only(&["github.com", "api.openai.com"]));
        assert!(wide.serves(&narrow) && wide.serves(&wide) && NameScope::Any.serves(&NameScope::Any));
        assert!(!narrow.serves(&wide) && !NameScope::Any.serves(&wide) && !wide.serves(&NameScope::Any));
        assert_eq!(narrow.missing(&wide), ["api.openai.com", "github.com"]);
        assert!(NameScope::Any.missing(&wide).is_empty());
    }

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
