//! A Java key store of trusted certificates, written without `keytool`.
//!
//! The format is the old JKS, version 2: every JDK reads it, and its checksum needs no more than SHA-1.

use crate::base::legacy_sha1;

/// The password that Java itself uses for trust stores; it protects nothing.
pub(super) const PASSWORD: &str = "changeit";

const MAGIC: u32 = 0xFEED_FEED;
const VERSION: u32 = 2;
const TRUSTED_CERTIFICATE: u32 = 2;
/// Part of the checksum, fixed by the format.
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// A key store of these certificates (DER). The same certificates give the same bytes.
pub(super) fn write(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut store = Vec::new();
    for number in [MAGIC, VERSION, size(certificates)] {
        store.extend_from_slice(&number.to_be_bytes());
    }
    for (at, certificate) in certificates.iter().enumerate() {
        store.extend_from_slice(&TRUSTED_CERTIFICATE.to_be_bytes());
        push_text(&mut store, &format!("root-{at:04}"));
        store.extend_from_slice(&0_i64.to_be_bytes()); // the entry's date; none, so that equal stores are equal files
        push_text(&mut store, "X.509");
        store.extend_from_slice(&size(certificate).to_be_bytes());
        store.extend_from_slice(certificate);
    }
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let checksum = legacy_sha1(&[&password, WHITENER, &store]);
    store.extend_from_slice(&checksum);
    store
}

/// Bundles are read within bounds far below four gigabytes, so the cast never saturates.
fn size<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
}

/// Only ASCII is written, where Java's own UTF-8 is the common one.
fn push_text(store: &mut Vec<u8>, text: &str) {
    store.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    store.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hex;

    #[test]
    fn a_store_has_header_entries_and_checksum() {
        let store = write(&[b"der".to_vec()]);
        let want = "feedfeed 00000002 00000001 00000002 0009 726f6f742d30303030 \
            0000000000000000 0005 582e353039 00000003 646572";
        let body = store.len() - 20;
        assert_eq!(hex(&store[..body]), want.replace(' ', ""));
        assert_eq!(store, write(&[b"der".to_vec()]));
        assert_ne!(store[body..], write(&[b"dar".to_vec()])[body..]);
    }
}
