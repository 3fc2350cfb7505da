//! Grants that give more than most agents need, for `secrets health`: advice, not verdicts.

use super::grant::Those;
use crate::policy::{Grant, PolicySet, Risk, Verdict};

/// A grant that deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadGrant {
    /// Where it is written: `file:line`.
    pub place: String,
    /// The secret that it is about, if it names one.
    pub secret: Option<String>,
    /// Why it is broad, in a sentence.
    pub why: String,
}

impl PolicySet {
    /// Grants that let every agent destroy, administer or fetch credentials without asking and without any limit by
    /// parameter. What a person is asked about, or what `agents`, `projects`, `environments` or `only` limit, is not broad.
    pub fn broad_grants(&self) -> Vec<BroadGrant> {
        self.grants().filter_map(|grant| self.breadth(grant)).collect()
    }

    fn breadth(&self, grant: &Grant) -> Option<BroadGrant> {
        let is_limited =
            [&grant.agents, &grant.projects, &grant.environments].iter().any(|those| matches!(those, Those::Listed(_)));
        if is_limited || !grant.only.is_empty() {
            return None;
        }
        let service = self.service(grant.service())?;
        let mut risky: Vec<&str> = grant
            .listed_as(Verdict::Allow)
            .filter_map(|index| service.capabilities().get(index))
            .filter(|capability| matches!(capability.risk(), Risk::Destroy | Risk::Admin | Risk::Secret))
            .map(crate::policy::Capability::name)
            .collect();
        risky.sort_unstable();
        let named = risky.join("`, `");
        (!risky.is_empty()).then(|| BroadGrant {
            place: grant.place().to_owned(),
            secret: grant.items().next().map(|(_, secret)| secret.to_string()),
            why: format!("every agent may use `{named}` of `{}` without asking", service.id()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "schema = 1\nkind = \"service\"\nid = \"acme\"\nname = \"Acme\"\n\
        [host.api]\norigin = \"https://api.acme.test\"\n[param.repo]\nabout = \"a repository\"\n\
        [credential.key]\ntype = \"token\"\n[[inject]]\nhost = \"api\"\nuse = \"key\"\nat = [{ header = \"x-key\" }]\n\
        [cap.read]\nabout = \"r\"\nrisk = \"read\"\nallow = [{ host = \"api\", method = \"GET\", path = \"/{repo}/**\" }]\n\
        [cap.admin]\nabout = \"a\"\nrisk = \"admin\"\nallow = [{ host = \"api\", method = \"POST\", path = \"/{repo}/**\" }]\n";

    fn broad(grant: &str) -> Vec<String> {
        let policy =
            format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"acme-key\"\n{grant}");
        let set = PolicySet::of_texts(&[("acme.toml", SERVICE), ("policy.toml", &policy)]).unwrap();
        set.broad_grants().into_iter().map(|broad| broad.why).collect()
    }

    #[test]
    fn what_is_risky_for_everyone_without_asking_is_broad() {
        let found = broad("allow = [\"read\", \"admin\"]");
        assert_eq!(found, ["every agent may use `admin` of `acme` without asking"]);
        for narrow in [
            "allow = [\"read\"]",
            "allow = [\"read\"]\nask = [\"admin\"]",
            "allow = [\"admin\"]\nagents = [\"ops\"]",
            "allow = [\"admin\"]\nenvironments = [\"dev\"]",
            "allow = [\"admin\"]\nprojects = [\"/src/acme/**\"]",
            "allow = [\"admin\"]\nonly = { repo = [\"web\"] }",
        ] {
            assert_eq!(broad(narrow), Vec::<String>::new(), "{narrow}");
        }
    }
}
