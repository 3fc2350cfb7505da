//! The bytes of a secret value: wiped on drop, without `Display`, `Serialize` or a telling `Debug`.
//!
//! Invariant: `expose` is the only way in; `tests/tidy.rs` counts who calls it.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

/// Secret bytes of any content; clones share one wiped-on-drop buffer.
#[derive(Clone)]
pub struct SecretBytes(Arc<Zeroizing<Vec<u8>>>);

impl SecretBytes {
    /// The largest value that the store takes: 1 MiB.
    pub const MAX_LEN: usize = 1024 * 1024;

    /// Takes ownership of the bytes; the caller's buffer is the one that is wiped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes themselves. For putting them on the wire, into the sealed store or into the hands that asked.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        super::constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for SecretBytes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_nothing() {
        assert_eq!(format!("{:?}", SecretBytes::new(b"sk-canary".to_vec())), "SecretBytes(..)");
    }
}
