//! The age identity that opens the store: made once, read strictly, never printed.

use std::path::Path;

use age::{secrecy::ExposeSecret as _, x25519};
use zeroize::Zeroizing;

use super::{
    Error, IdentityFault,
    permissions::{FILE_MODE, KnownLinks, read_private},
};
use crate::base::replace;

/// The longest identity file that is read: one key line and some comments.
const MAX_LEN: u64 = 64 * 1024;

/// Makes a fresh identity and writes it as agent-secrets does: the bare key line, no newline, mode 0600.
pub(super) fn create(path: &Path) -> Result<x25519::Identity, Error> {
    let identity = x25519::Identity::generate();
    replace(path, identity.to_string().expose_secret().as_bytes(), FILE_MODE, None)?;
    Ok(identity)
}

/// Reads an identity written by us, by agent-secrets or by `age-keygen`.
pub(super) fn load(path: &Path) -> Result<x25519::Identity, Error> {
    let content = Zeroizing::new(read_private(path, MAX_LEN, KnownLinks::Nothing)?);
    parse(&content).map_err(|fault| Error::Identity { path: path.to_owned(), fault })
}

fn parse(content: &[u8]) -> Result<x25519::Identity, IdentityFault> {
    if content.starts_with(b"age-encryption.org/") || content.starts_with(b"-----BEGIN AGE") {
        return Err(IdentityFault::Passphrase);
    }
    let text = std::str::from_utf8(content).map_err(|_| IdentityFault::Malformed)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().ok_or(IdentityFault::Empty)?;
    if line.get(..11).is_some_and(|head| head.eq_ignore_ascii_case("AGE-PLUGIN-")) {
        return Err(IdentityFault::Plugin);
    }
    if lines.next().is_some() {
        return Err(IdentityFault::Several);
    }
    line.parse().map_err(|_| IdentityFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_lines_and_age_keygen_files_are_read() {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let line = identity.to_string();
        let line = line.expose_secret();
        let keygen = format!("# created: 2026-01-02T03:04:05Z\n# public key: {recipient}\n{line}\n");
        for text in [line.to_owned(), keygen, format!("\r\n{line}\r\n")] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_public().to_string(), recipient);
        }
    }

    #[test]
    fn attack_99_plugins_are_never_run() {
        for text in ["AGE-PLUGIN-../../X-1QQQQ", "# c\nAGE-PLUGIN-YUBIKEY-1QQQQ\n", "age-plugin-x-1qqqq"] {
            assert_eq!(parse(text.as_bytes()).err(), Some(IdentityFault::Plugin), "{text}");
        }
    }

    #[test]
    fn everything_else_says_what_it_is() {
        let line = x25519::Identity::generate().to_string();
        let line = line.expose_secret();
        let cut = &line[..line.len() - 1];
        for (text, fault) in [
            ("", IdentityFault::Empty),
            ("# only a comment\n", IdentityFault::Empty),
            ("age-encryption.org/v1\n-> scrypt AAAA 18\n", IdentityFault::Passphrase),
            ("-----BEGIN AGE ENCRYPTED FILE-----\n", IdentityFault::Passphrase),
            ("hello", IdentityFault::Malformed),
            (cut, IdentityFault::Malformed),
            (&format!("{line}\n{line}"), IdentityFault::Several),
        ] {
            assert_eq!(parse(text.as_bytes()).err(), Some(fault), "{fault}");
        }
        assert_eq!(parse(&[0xff, 0xfe]).err(), Some(IdentityFault::Malformed));
    }
}
