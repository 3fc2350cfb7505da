//! The certificate authority: one root per installation, one leaf per intercepted host.
//!
//! Floor 1: knows `base`. What certificates look like is data, `certs/profile.toml`.

mod cache;
mod error;
mod leaf;
mod profile;
mod root;
mod scope;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc};

use rustls::ServerConfig;
use zeroize::Zeroizing;

pub use error::Error;
pub use root::{PublicRoot, root_files};
pub use scope::NameScope;

use self::{
    cache::{Cache, MintBudget},
    leaf::{Leaf, Shared},
    profile::PROFILE,
    root::Root,
};
use crate::base::{Clock, Host};

/// Seals the root key at rest and opens it again; the store does, with the user's identity.
pub trait Sealer {
    /// Seals bytes so that only [`Sealer::unseal`] of the same owner opens them; the error is a sentence for people.
    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String>;
    /// Opens what [`Sealer::seal`] made; the error is a sentence for people, without any of the content.
    fn unseal(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String>;
}

/// Vouches for hosts towards our own clients. Clones share root, leaves and ticket keys.
///
/// A root does not change while it is held: a daemon that finds [`CertificateAuthority::is_renewal_due`] opens the
/// authority again, and sessions that began before go on believing the old root and have to be started again.
#[derive(Clone)]
pub struct CertificateAuthority(Arc<Authority>);

struct Authority {
    root: Root,
    shared: Shared,
    leaves: Cache<Arc<Leaf>>,
    budget: MintBudget,
    clock: Clock,
}

impl CertificateAuthority {
    /// Opens the root in this folder, or makes one: when there is none, less than 30 days of it are left, or it does not
    /// vouch for the names of `scope`. The old certificate stays beside the new one as `root-<fingerprint>.pem`; its key
    /// does not.
    pub fn create_or_open(folder: &Path, sealer: &dyn Sealer, clock: Clock, scope: &NameScope) -> Result<Self, Error> {
        let root = Root::create_or_open(folder, sealer, &clock, scope)?;
        let limits = &PROFILE.cache;
        let budget = MintBudget::new(limits.new_hosts_burst, limits.new_hosts_per_second, clock.boot());
        let (leaves, shared) = (Cache::new(limits.hosts), Shared::new()?);
        Ok(Self(Arc::new(Authority { root, shared, leaves, budget, clock })))
    }

    /// Everything of the root that is public.
    pub fn root(&self) -> &PublicRoot {
        &self.0.root.public
    }

    /// The root certificate as PEM text.
    pub fn certificate_pem(&self) -> &str {
        &self.root().pem
    }

    /// SHA-256 over the root certificate, as browsers and `openssl` show it.
    pub fn fingerprint(&self) -> String {
        self.root().fingerprint.clone()
    }

    /// Whether the next [`CertificateAuthority::create_or_open`] would make a new root.
    pub fn is_renewal_due(&self) -> bool {
        !self.root().is_fresh(self.0.clock.now())
    }

    /// Serves TLS as exactly this host, HTTP/2 and HTTP/1.1. Made at the first use, then from the cache.
    pub async fn server_config(&self, host: &Host) -> Result<Arc<ServerConfig>, Error> {
        self.0.leaf(host).await.map(|leaf| Arc::clone(&leaf.every_protocol))
    }

    /// The same leaf, offering HTTP/1.1 alone.
    pub async fn http1_server_config(&self, host: &Host) -> Result<Arc<ServerConfig>, Error> {
        self.0.leaf(host).await.map(|leaf| Arc::clone(&leaf.http1))
    }
}

impl Authority {
    async fn leaf(&self, host: &Host) -> Result<Arc<Leaf>, Error> {
        if !self.root.public.scope.covers(host) {
            return Err(Error::OutOfScope(host.clone()));
        }
        let admit = || self.budget.take(self.clock.boot());
        let slot = self.leaves.slot(host, admit).ok_or_else(|| Error::Flood(host.clone()))?;
        let leaf = slot.get_or_try_init(async || self.mint(host)).await?;
        if leaf.is_fresh(self.clock.now()) {
            return Ok(Arc::clone(leaf));
        }
        let slot = self.leaves.replace(host, &slot);
        slot.get_or_try_init(async || self.mint(host)).await.cloned()
    }

    fn mint(&self, host: &Host) -> Result<Arc<Leaf>, Error> {
        Leaf::mint(&self.root, host, self.clock.now(), &self.shared).map(Arc::new)
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateAuthority").field(self.root()).finish()
    }
}
