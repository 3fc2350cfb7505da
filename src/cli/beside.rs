//! Variables that go along with a lease: texts that its service gives them.

use std::collections::BTreeMap;

use super::{exit::ExitStatus, report::Report};
use crate::base::{SecretName, VariableName};

/// What services want set beside their tokens, by variable.
#[derive(Debug, Default)]
pub(super) struct Beside(BTreeMap<VariableName, (SecretName, String)>);

impl Beside {
    /// Adds what comes with the token for a secret. Two services cannot want two texts in one variable.
    pub(super) fn add(&mut self, secret: &SecretName, texts: &BTreeMap<String, String>) -> Result<(), Report> {
        for (variable, text) in texts {
            let name: VariableName = variable.parse().map_err(Report::internal)?;
            let (first, earlier) = self.0.entry(name).or_insert_with(|| (secret.clone(), text.clone()));
            if earlier != text {
                let message = format!(
                    "the services of `{first}` and `{secret}` want different texts in `{variable}`; use one at a time"
                );
                return Err(Report::new(ExitStatus::Misuse, message, LIST));
            }
        }
        Ok(())
    }

    /// What of it is to be set. A variable that holds a token stays as somebody wanted it; one that leads to the proxy, or
    /// that programs obey, is not a service's to set.
    pub(super) fn over(
        self,
        leads: impl Fn(&VariableName) -> bool,
        holds_token: impl Fn(&VariableName) -> bool,
    ) -> Result<Vec<(VariableName, String)>, Report> {
        if let Some((name, (secret, _))) = self.0.iter().find(|(name, _)| name.is_obeyed() || leads(name)) {
            let message = format!(
                "`{name}` is obeyed by programs or leads them to the proxy; the service of `{secret}` cannot set it"
            );
            return Err(Report::new(ExitStatus::Misuse, message, LIST));
        }
        let texts = self.0.into_iter().map(|(name, (_, text))| (name, text));
        Ok(texts.filter(|(name, _)| !holds_token(name)).collect())
    }
}

const LIST: &str = "secrets policy list";

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn said<T: std::fmt::Debug>(result: Result<T, Report>) -> String {
        format!("{:?}", result.unwrap_err())
    }

    #[test]
    fn a_token_and_the_way_to_the_proxy_come_first() {
        let mut beside = Beside::default();
        beside.add(&"ledger".parse().unwrap(), &texts(&[("KEY", "unused"), ("MODE", "x=1")])).unwrap();
        beside.add(&"other".parse().unwrap(), &texts(&[("MODE", "x=1")])).unwrap();
        let clash = said(beside.add(&"third".parse().unwrap(), &texts(&[("MODE", "x=2")])));
        assert!(clash.contains("`ledger` and `third` want different texts in `MODE`"), "{clash}");
        let set = beside.over(|_| false, |name| name.as_str() == "KEY").unwrap();
        assert_eq!(set, [("MODE".parse().unwrap(), "x=1".to_owned())]);
        for (variable, leads) in [("HTTPS_PROXY", true), ("LD_PRELOAD", false)] {
            let mut beside = Beside::default();
            beside.add(&"ledger".parse().unwrap(), &texts(&[(variable, "x")])).unwrap();
            let refused = said(beside.over(|_| leads, |_| false));
            assert!(refused.contains("the service of `ledger` cannot set it"), "{refused}");
        }
    }
}
