//! The table at rest: hashes and ends, never a token. To be sealed before it is written.
//!
//! Invariant: no lease comes back longer than it was: its wall-clock end is kept, and so is what was left of it.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::{Zeroize, Zeroizing};

use super::{
    AskedBy, Error, Lease, LeaseTable, Right, Terms,
    book::{Book, EndedToken},
};
use crate::{
    base::{ClientId, Clock, CutReason, CutSwitch, HashKey, KeyedHash, LeaseId, SecretName, Timestamp, hex},
    recipe::{Alphabet, TokenShape},
};

const VERSION: u64 = 1;

/// A saved table. Leases of sessions are not in it, because a session dies with its daemon; their tokens are
/// remembered as ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    version: u64,
    key: SavedKey,
    leases: Vec<SavedLease>,
    ended: Vec<SavedEnd>,
    shapes: Vec<SavedShape>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLease {
    id: LeaseId,
    secret: SecretName,
    right: Right,
    client: ClientId,
    #[serde(default, skip_serializing_if = "Terms::is_default")]
    terms: Terms,
    created_at: Timestamp,
    ends: Timestamp,
    left_millis: u64,
    hash: Option<Hash>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedEnd {
    hash: Hash,
    reason: CutReason,
    at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedShape {
    prefix: Box<str>,
    alphabet: Alphabet,
    length: usize,
}

impl Snapshot {
    /// As JSON, in a buffer that is wiped.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let room = 4096 + 2048 * self.leases.len() + 256 * self.ended.len(); // so that the key is not left behind
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *bytes, self).map_err(|error| Error::Snapshot(error.to_string()))?;
        Ok(bytes)
    }

    /// From [`Snapshot::to_bytes`]; anything else is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let malformed = |error: serde_json::Error| Error::Snapshot(format!("line {}", error.line()));
        match serde_json::from_slice::<Version>(bytes).map_err(malformed)?.version {
            VERSION => serde_json::from_slice(bytes).map_err(malformed),
            version => Err(Error::SnapshotVersion(version)),
        }
    }
}

impl LeaseTable {
    /// The table as it is now, for [`LeaseTable::restore`].
    pub fn snapshot(&self) -> Snapshot {
        let now = self.0.clock.now();
        let book = self.book();
        let mut ended: Vec<_> = book.ended().copied().collect();
        let mut leases = Vec::new();
        for lease in book.leases() {
            if lease.session.is_none() {
                leases.push(self.save(lease));
            } else if let Some(hash) = lease.hash {
                ended.push(EndedToken { hash, reason: CutReason::SessionEnded, at: now });
            }
        }
        Snapshot {
            version: VERSION,
            key: SavedKey(Zeroizing::new(*self.0.key.expose())),
            leases,
            ended: ended.into_iter().map(|t| SavedEnd { hash: Hash(t.hash.0), reason: t.reason, at: t.at }).collect(),
            shapes: book.shapes.iter().map(SavedShape::of).collect(),
        }
    }

    fn save(&self, lease: &Lease) -> SavedLease {
        let left = lease.deadline.remaining(&self.0.clock);
        SavedLease {
            id: lease.id,
            secret: lease.secret.clone(),
            right: lease.right.clone(),
            client: lease.client.clone(),
            terms: lease.terms.clone(),
            created_at: lease.created_at,
            ends: lease.deadline.wall(),
            left_millis: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            hash: lease.hash.map(|hash| Hash(hash.0)),
        }
    }

    /// A table that goes on where a snapshot stopped. What ran out meanwhile is expired already, and the first
    /// [`LeaseTable::sweep`] reports it.
    pub fn restore(clock: Clock, snapshot: Snapshot) -> Self {
        let table = Self::new(clock, HashKey::from_bytes(*snapshot.key.0));
        let mut book = table.book();
        for shape in &snapshot.shapes {
            if let Ok(shape) = TokenShape::new(&shape.prefix, shape.alphabet, shape.length) {
                table.learn_shape(&mut book, &shape);
            }
        }
        for end in snapshot.ended {
            table.remember(&mut book, EndedToken { hash: KeyedHash(end.hash.0), reason: end.reason, at: end.at });
        }
        for lease in snapshot.leases {
            table.restore_lease(&mut book, lease);
        }
        drop(book);
        table
    }

    fn restore_lease(&self, book: &mut Book, saved: SavedLease) {
        let clock = &self.0.clock;
        let hash = saved.hash.map(|hash| KeyedHash(hash.0));
        let left = Duration::from_millis(saved.left_millis);
        let deadline = clock.deadline_at(saved.ends).earlier(clock.deadline(left));
        let lease = Arc::new(Lease {
            id: saved.id,
            secret: saved.secret,
            right: saved.right,
            client: saved.client,
            session: None,
            asked_by: AskedBy::default(),
            terms: saved.terms,
            created_at: saved.created_at,
            deadline,
            hash,
            boot_end: self.boot_end(deadline),
            cut: CutSwitch::new(),
        });
        book.add(&lease);
        self.show(&lease);
    }
}

impl SavedShape {
    fn of(shape: &TokenShape) -> Self {
        Self { prefix: shape.prefix().into(), alphabet: shape.alphabet(), length: shape.length() }
    }
}

/// The key of the token hashes; wiped on drop, never printed.
struct SavedKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for SavedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SavedKey(..)")
    }
}

impl Serialize for SavedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for SavedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut hash = Hash::deserialize(deserializer)?;
        let key = Self(Zeroizing::new(hash.0));
        hash.0.zeroize();
        Ok(key)
    }
}

/// 32 bytes in hexadecimal.
#[derive(Clone, Copy, Debug)]
struct Hash([u8; 32]);

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(D::Error::custom("not 32 bytes in hexadecimal"));
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * at..2 * at + 2).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).map_err(D::Error::custom)?;
        }
        Ok(Self(bytes))
    }
}
