//! Sealing to one X25519 recipient and unsealing again: the age format, read more strictly than the library reads it.
//!
//! Invariant: nothing in a file makes us work beyond its length: the header is bounded and checked before the
//! library sees it, passphrase stanzas are refused unread, and a payload is handed out whole or not at all.

use std::io::{Read as _, Write as _};

use age::{DecryptError, Decryptor, Encryptor, x25519};
use zeroize::Zeroizing;

/// What is wrong with sealed bytes, and the fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// PEM-like armor.
    #[error("it is ASCII-armored; turn it into a binary age file with `age -d` and `age -r`")]
    Armored,
    /// Cut off, altered, or with something behind its end.
    #[error("it is damaged or cut off; restore it from a backup")]
    Damaged,
    /// Sealed to a different identity.
    #[error("it is sealed to another identity; put the identity back that it was made with")]
    Foreign,
    /// No age file.
    #[error("it is not an age file; restore it from a backup")]
    NotAge,
    /// Sealed with a passphrase.
    #[error("it is sealed with a passphrase; seal it to the identity with `age -d` and `age -r`")]
    Passphrase,
    /// Sealed to several recipients; rewriting it would lock the others out.
    #[error("it is sealed to more than one recipient; seal it to the identity alone with `age -d` and `age -r`")]
    SeveralRecipients,
}

impl SealFault {
    /// The generation before may be whole.
    pub(super) fn or_previous(self, path: &std::path::Path) -> String {
        match self {
            Self::Damaged | Self::NotAge => format!(" or from `{}.previous`", path.display()),
            _ => String::new(),
        }
    }
}

/// The longest header that is read, in bytes; ours have about 300.
const MAX_HEADER: usize = 16 * 1024;
const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// Seals bytes to one recipient. Fails only if the library does, which it has no reason to.
pub(super) fn seal(recipient: &x25519::Recipient, plain: &[u8]) -> Result<Vec<u8>, SealFault> {
    let encryptor = Encryptor::with_recipients(std::iter::once(recipient as _)).map_err(|_| SealFault::Damaged)?;
    let sealed = Vec::with_capacity(plain.len() + plain.len() / 4096 + 1024);
    let finished = encryptor.wrap_output(sealed).and_then(|mut writer| {
        writer.write_all(plain)?;
        writer.finish()
    });
    finished.map_err(|_| SealFault::Damaged)
}

/// Unseals what was sealed to this identity; the buffer is wiped on drop and was never moved while it grew.
pub(super) fn unseal(identity: &x25519::Identity, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealFault> {
    check_header(sealed)?;
    let decryptor = Decryptor::new_buffered(sealed).map_err(|_| SealFault::Damaged)?;
    let mut reader = decryptor.decrypt(std::iter::once(identity as _)).map_err(|error| match error {
        DecryptError::NoMatchingKeys => SealFault::Foreign,
        _ => SealFault::Damaged,
    })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len())); // a payload is shorter than its file
    reader.read_to_end(&mut plain).map_err(|_| SealFault::Damaged)?;
    Ok(plain)
}

/// The grammar of a header (C2SP age.md): a tag line per stanza, body lines of exactly 64 characters and a shorter
/// last one, which may be empty. The library also takes bodies without that last line; we do not.
fn check_header(sealed: &[u8]) -> Result<(), SealFault> {
    if sealed.starts_with(b"-----BEGIN AGE") {
        return Err(SealFault::Armored);
    }
    let header = sealed.get(..sealed.len().min(MAX_HEADER)).unwrap_or_default();
    let Some(mut rest) = header.strip_prefix(MAGIC) else {
        return Err(if MAGIC.starts_with(header) { SealFault::Damaged } else { SealFault::NotAge });
    };
    let mut recipients = 0;
    loop {
        let line = next_line(&mut rest)?;
        if line.starts_with(b"--- ") {
            break;
        }
        let stanza = line.strip_prefix(b"-> ").ok_or(SealFault::Damaged)?;
        match stanza.split(|&b| b == b' ').next() {
            Some(b"scrypt") => return Err(SealFault::Passphrase),
            Some(b"X25519") => recipients += 1,
            _ => {} // grease, or a kind that we cannot open
        }
        while next_body_line(&mut rest)? == 64 {}
    }
    match recipients {
        0 => Err(SealFault::Foreign),
        1 => Ok(()),
        _ => Err(SealFault::SeveralRecipients),
    }
}

fn next_line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], SealFault> {
    let end = memchr::memchr(b'\n', rest).ok_or(SealFault::Damaged)?;
    let (line, tail) = rest.split_at_checked(end).ok_or(SealFault::Damaged)?;
    *rest = tail.get(1..).unwrap_or_default();
    Ok(line)
}

fn next_body_line(rest: &mut &[u8]) -> Result<usize, SealFault> {
    let line = next_line(rest)?;
    let base64 = line.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    if base64 && line.len() <= 64 { Ok(line.len()) } else { Err(SealFault::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> (x25519::Identity, Vec<u8>) {
        let identity = x25519::Identity::generate();
        let sealed = seal(&identity.to_public(), b"the plaintext of a test").unwrap();
        (identity, sealed)
    }

    #[test]
    fn what_is_sealed_unseals_and_only_for_its_identity() {
        let (identity, sealed) = sealed();
        assert_eq!(*unseal(&identity, &sealed).unwrap(), b"the plaintext of a test");
        assert_eq!(age::decrypt(&identity, &sealed).unwrap(), b"the plaintext of a test");
        assert_eq!(unseal(&x25519::Identity::generate(), &sealed).unwrap_err(), SealFault::Foreign);
    }

    #[test]
    fn attack_100_every_cut_every_flipped_byte_and_every_tail_is_refused() {
        let (identity, sealed) = sealed();
        for end in 0..sealed.len() {
            assert!(unseal(&identity, &sealed[..end]).is_err(), "cut at {end}");
        }
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(unseal(&identity, &altered).is_err(), "flipped at {at}");
        }
        let mut longer = sealed;
        longer.push(b'x');
        assert_eq!(unseal(&identity, &longer).unwrap_err(), SealFault::Damaged);
    }

    #[test]
    fn attack_100_passphrases_are_refused_without_work() {
        let identity = x25519::Identity::generate();
        let mut bomb = b"age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n".to_vec();
        bomb.extend_from_slice(&[b'A'; 43]);
        bomb.extend_from_slice(b"\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
        bomb.extend_from_slice(&[0; 64]);
        assert_eq!(unseal(&identity, &bomb).unwrap_err(), SealFault::Passphrase);
    }

    #[test]
    fn attack_100_stanza_bombs_and_missing_bodies_are_refused() {
        let (identity, _) = sealed();
        let bomb = [MAGIC, &b"-> x\n\n".repeat(1_000_000)].concat();
        assert_eq!(unseal(&identity, &bomb).unwrap_err(), SealFault::Damaged);
        let no_body = [MAGIC, b"-> X25519 AAAA\n--- AAAA\n", &[0; 64]].concat();
        assert_eq!(unseal(&identity, &no_body).unwrap_err(), SealFault::Damaged);
        let no_last = [MAGIC, b"-> X25519 AAAA\n", &[b'A'; 64], b"\n--- AAAA\n", &[0; 64]].concat();
        assert_eq!(unseal(&identity, &no_last).unwrap_err(), SealFault::Damaged);
    }

    #[test]
    fn other_kinds_of_files_are_told_apart() {
        let (identity, _) = sealed();
        let two = [x25519::Identity::generate().to_public(), identity.to_public()];
        let encryptor = Encryptor::with_recipients(two.iter().map(|r| r as _)).unwrap();
        let mut sealed = Vec::new();
        encryptor.wrap_output(&mut sealed).unwrap().finish().unwrap();
        assert_eq!(unseal(&identity, &sealed).unwrap_err(), SealFault::SeveralRecipients);
        assert_eq!(unseal(&identity, b"-----BEGIN AGE ENCRYPTED FILE-----\n").unwrap_err(), SealFault::Armored);
        assert_eq!(unseal(&identity, b"{\"version\":1}").unwrap_err(), SealFault::NotAge);
        assert_eq!(unseal(&identity, b"").unwrap_err(), SealFault::Damaged);
    }
}
