//! Station 8: from permits to the bytes that go on the wire, and the matcher for their echoes.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

use super::{Broker, Permit, Refusal};
use crate::{
    base::{RefusalCode, SecretBytes, SecretName},
    inject::Echoes,
    net::{Identity, IdentityError},
};

/// The credentials of one exchange, in the order of its permits.
pub struct Credentials {
    values: Vec<SecretBytes>,
    echoes: Arc<Echoes>,
    versions: Vec<SecretVersion>,
    unproven: Vec<SecretVersion>,
}

/// Which value of which secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretVersion {
    pub(super) name: SecretName,
    pub(super) generation: u64,
}

impl Credentials {
    /// The bytes, for arming.
    pub fn values(&self) -> &[SecretBytes] {
        &self.values
    }

    /// The client certificate that the value of a permit is.
    ///
    /// # Errors
    /// When it is none; the fault of whoever stored it.
    pub fn identity(&self, at: usize) -> Result<Identity, IdentityError> {
        Identity::parse(self.values.get(at).map_or(&[], SecretBytes::expose))
    }

    /// Which values these are, and those among them that an upstream's consent would prove; once.
    pub fn take_versions(&mut self) -> (Vec<SecretVersion>, Vec<SecretVersion>) {
        (std::mem::take(&mut self.versions), std::mem::take(&mut self.unproven))
    }

    /// What the answer is freed of: these values, and those that they replaced and that still live.
    pub fn echoes(&self) -> Arc<Echoes> {
        Arc::clone(&self.echoes)
    }
}

/// Matchers are built once per secret version: building costs more than a whole exchange.
#[derive(Default)]
pub(super) struct EchoCache(ArcSwap<HashMap<Vec<SecretVersion>, Arc<Echoes>>>);

impl EchoCache {
    /// More combinations than a machine has in use; beyond it the cache starts anew.
    const MOST: usize = 512;

    fn get(&self, versions: &[SecretVersion], values: &[SecretBytes], former: &[(usize, SecretBytes)]) -> Arc<Echoes> {
        if let Some(echoes) = self.0.load().get(versions) {
            return Arc::clone(echoes);
        }
        let former = former.iter().map(|(owner, value)| (*owner, value));
        let echoes = Arc::new(Echoes::of_generations(values.iter().enumerate().chain(former)));
        self.0.rcu(|known| {
            let mut next = if known.len() < Self::MOST { HashMap::clone(known) } else { HashMap::new() };
            next.insert(versions.to_vec(), Arc::clone(&echoes));
            next
        });
        echoes
    }

    /// Forgets every matcher.
    pub(super) fn forget_all(&self) {
        self.0.store(Arc::default());
    }

    /// Forgets matchers of a secret that has changed or gone.
    pub(super) fn forget(&self, name: &SecretName) {
        self.0.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.retain(|versions, _| !versions.iter().any(|version| version.name == *name));
            next
        });
    }
}

impl Broker {
    /// The current values of the secrets that these permits are for.
    pub fn credentials(&self, permits: &[Permit]) -> Result<Credentials, Refusal> {
        self.ready()?;
        let mut values = Vec::with_capacity(permits.len());
        let mut versions = Vec::with_capacity(permits.len());
        let (mut former, mut unproven) = (Vec::new(), Vec::new());
        for (at, permit) in permits.iter().enumerate() {
            let name = &permit.lease().secret;
            let Some(record) = self.parts.store.get(name) else {
                let detail = format!("secret `{name}` is no longer in the store");
                let fix = format!("secrets add {}", crate::base::shell_word(name.as_str()));
                return Err(Refusal::new(RefusalCode::CredentialUnavailable, detail, fix));
            };
            let current = self.current(&record);
            if current.value.is_empty() {
                let detail = format!("the stored value of `{name}` is empty");
                let fix = format!("secrets update {}", crate::base::shell_word(name.as_str()));
                return Err(Refusal::new(RefusalCode::CredentialUnavailable, detail, fix));
            }
            let version = SecretVersion { name: name.clone(), generation: current.generation };
            if let Some(value) = current.former {
                former.push((at, value));
                unproven.push(version.clone());
            }
            versions.push(version);
            values.push(current.value);
        }
        let echoes = self.echoes.get(&versions, &values, &former);
        Ok(Credentials { values, echoes, versions, unproven })
    }
}
