//! Certificates as PEM text (RFC 7468): reading what other programs wrote, writing what they read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

/// What a PEM text held.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PemCertificates {
    /// The certificates, as DER, in the order of the text. Keys and everything else are skipped.
    pub certificates: Vec<Vec<u8>>,
    /// How many sections could not be read.
    pub damaged: usize,
}

/// Reads every certificate of a text; text around and between them is comment.
pub fn read_pem_certificates(text: &[u8]) -> PemCertificates {
    let mut found = PemCertificates::default();
    for section in CertificateDer::pem_slice_iter(text) {
        match section {
            Ok(certificate) => found.certificates.push(certificate.as_ref().to_vec()),
            Err(_) => found.damaged += 1,
        }
    }
    found
}

/// Writes one certificate, lines of 64 characters, with a newline at the end.
pub fn write_pem_certificate(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 64);
    text.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at_checked(64).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = next;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 47, 48, 49, 96, 1_000] {
            let der = vec![0x30; length];
            let text = write_pem_certificate(&der);
            assert!(text.lines().all(|line| line.len() <= 64), "{text}");
            assert_eq!(read_pem_certificates(text.as_bytes()).certificates, [der]);
        }
    }

    #[test]
    fn comments_keys_and_damage_do_not_hide_the_rest() {
        let one = write_pem_certificate(b"one");
        let two = write_pem_certificate(b"two");
        let key = one.replace("CERTIFICATE", "PRIVATE KEY");
        let damaged = one.replace("b25l", "####");
        let text = format!("# Corporate root\r\n{one}{key}\n{damaged}\nsubject=two\n{two}");
        let found = read_pem_certificates(text.as_bytes());
        assert_eq!(found.certificates, [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(found.damaged, 1);
        assert_eq!(read_pem_certificates(b"\xff\0 no certificate"), PemCertificates::default());
    }
}
