//! Station 8: from permits to the bytes that go on the wire, and the matcher for their echoes.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

use super::{Broker, Permit, Refusal};
use crate::{
    base::{RefusalCode, SecretBytes, SecretName},
    inject::Echoes,
};

/// The credentials of one exchange, in the order of its permits.
pub struct Credentials {
    values: Vec<SecretBytes>,
    echoes: Arc<Echoes>,
}

impl Credentials {
    /// The bytes, for arming.
    pub fn values(&self) -> &[SecretBytes] {
        &self.values
    }

    /// What the answer is freed of.
    pub fn echoes(&self) -> Arc<Echoes> {
        Arc::clone(&self.echoes)
    }
}

/// Which versions of which secrets a matcher is for.
type Versions = Vec<(SecretName, u64)>;

/// Matchers are built once per secret version: building costs more than a whole exchange.
#[derive(Default)]
pub(super) struct EchoCache(ArcSwap<HashMap<Versions, Arc<Echoes>>>);

impl EchoCache {
    /// More combinations than a machine has in use; beyond it the cache starts anew.
    const MOST: usize = 512;

    fn get(&self, versions: &Versions, values: &[SecretBytes]) -> Arc<Echoes> {
        if let Some(echoes) = self.0.load().get(versions) {
            return Arc::clone(echoes);
        }
        let echoes = Arc::new(Echoes::of(values));
        self.0.rcu(|known| {
            let mut next = if known.len() < Self::MOST { HashMap::clone(known) } else { HashMap::new() };
            next.insert(versions.clone(), Arc::clone(&echoes));
            next
        });
        echoes
    }

    /// Forgets matchers of a secret that has changed or gone.
    pub(super) fn forget(&self, name: &SecretName) {
        self.0.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.retain(|versions, _| !versions.iter().any(|(known, _)| known == name));
            next
        });
    }
}

impl Broker {
    /// The current values of the secrets that these permits are for.
    pub fn credentials(&self, permits: &[Permit]) -> Result<Credentials, Refusal> {
        let mut values = Vec::with_capacity(permits.len());
        let mut versions = Vec::with_capacity(permits.len());
        for permit in permits {
            let name = &permit.lease().secret;
            let Some(record) = self.parts.store.get(name) else {
                let detail = format!("secret `{name}` is no longer in the store");
                let fix = format!("secrets add {name}");
                return Err(Refusal::new(RefusalCode::CredentialUnavailable, detail, fix));
            };
            if record.value.is_empty() {
                let detail = format!("the stored value of `{name}` is empty");
                let fix = format!("secrets update {name}");
                return Err(Refusal::new(RefusalCode::CredentialUnavailable, detail, fix));
            }
            versions.push((record.name.clone(), record.generation));
            values.push(record.value.clone());
        }
        let echoes = self.echoes.get(&versions, &values);
        Ok(Credentials { values, echoes })
    }
}
