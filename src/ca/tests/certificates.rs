//! Finished certificates, read back with a parser and compared with the profile.

use x509_parser::{
    extensions::{GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Certificate},
};

use super::*;

fn is_critical(certificate: &X509Certificate<'_>, pick: fn(&ParsedExtension<'_>) -> bool) -> Option<bool> {
    certificate.extensions().iter().find(|extension| pick(extension.parsed_extension())).map(|e| e.critical)
}

fn key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn authority_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

const P256: &str = "1.2.840.10045.3.1.7";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

fn assert_p256(certificate: &X509Certificate<'_>) {
    let key = &certificate.public_key().algorithm;
    assert_eq!(key.parameters.as_ref().unwrap().as_oid().unwrap().to_id_string(), P256);
    assert_eq!(certificate.signature_algorithm.algorithm.to_id_string(), ECDSA_SHA256);
}

fn is_usage(extension: &ParsedExtension<'_>) -> bool {
    matches!(extension, ParsedExtension::KeyUsage(_))
}

fn is_san(extension: &ParsedExtension<'_>) -> bool {
    matches!(extension, ParsedExtension::SubjectAlternativeName(_))
}

#[test]
fn the_root_has_the_profile() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let der = root_der(&ca);
    let (rest, root) = X509Certificate::from_der(&der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(root.version().0, 2);
    assert_p256(&root);
    let constraints = root.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = root.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
    assert_eq!(usage.value.flags.count_ones(), 2);
    assert!(key_identifier(&root).is_some());
    assert!(root.name_constraints().unwrap().is_none());
    assert!(root.verify_signature(None).is_ok());
    let seconds = clock.now().as_millis() / 1_000;
    assert_eq!(root.validity().not_before.timestamp(), seconds - 86_400);
    assert_eq!(root.validity().not_after.timestamp(), seconds + 365 * 86_400);
    assert_eq!(root.subject().iter_organization().next().unwrap().as_str().unwrap(), "Leasehold");
    let other = tempfile::tempdir().unwrap();
    assert_ne!(authority(other.path(), &clock).root().common_name, ca.root().common_name, "names are unique");
    assert_eq!(ca.fingerprint().len(), 32 * 3 - 1);
}

#[tokio::test]
async fn a_leaf_has_the_profile_and_comes_alone() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let seen = seen(&ca, "api.openai.com").await;
    assert_eq!(seen.chain.len(), 1, "the leaf only");
    let (_, leaf) = X509Certificate::from_der(&seen.chain[0]).unwrap();
    let der = root_der(&ca);
    let (_, root) = X509Certificate::from_der(&der).unwrap();
    assert_p256(&leaf);
    assert_ne!(leaf.public_key().raw, root.public_key().raw, "a key of its own");
    assert_eq!(leaf.issuer().as_raw(), root.subject().as_raw());
    assert_eq!(authority_identifier(&leaf), key_identifier(&root));
    assert!(key_identifier(&leaf).is_some());
    let constraints = leaf.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && !constraints.value.ca);
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature());
    assert_eq!(usage.value.flags.count_ones(), 1);
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && !extended.client_auth && !extended.any && extended.other.is_empty());
    let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(names, &[GeneralName::DNSName("api.openai.com")]);
    assert_eq!(is_critical(&leaf, is_san), Some(false));
    assert_eq!(leaf.subject().iter_common_name().next().unwrap().as_str().unwrap(), "api.openai.com");
    assert_eq!(is_critical(&leaf, is_usage), Some(true));
    let seconds = clock.now().as_millis() / 1_000;
    assert_eq!(leaf.validity().not_before.timestamp(), seconds - 3_600);
    assert_eq!(leaf.validity().not_after.timestamp(), seconds + 7 * 86_400);
    assert!(leaf.verify_signature(Some(root.public_key())).is_ok());
}

#[tokio::test]
async fn attack_29_an_address_is_vouched_for_as_an_address() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    for (host, octets) in [("192.0.2.7", vec![192, 0, 2, 7]), ("[::1]", [vec![0; 15], vec![1]].concat())] {
        let seen = seen(&ca, host).await; // a client that asks for the address accepts it
        let (_, leaf) = X509Certificate::from_der(&seen.chain[0]).unwrap();
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names, &[GeneralName::IPAddress(&octets)]);
    }
    let config = ca.server_config(&"192.0.2.7".parse().unwrap()).await.unwrap();
    assert!(connect(&config, &client(&ca), "192.0.2.8").is_err());
    assert!(connect(&config, &client(&ca), "example.com").is_err());
}

#[tokio::test]
async fn a_long_host_has_an_empty_subject_and_a_critical_name() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let just = format!("{}.{}", "a".repeat(30), "b".repeat(33));
    let long = format!("{just}.example.com");
    assert_eq!(just.len(), 64);
    for (host, critical) in [(just, false), (long, true)] {
        let seen = seen(&ca, &host).await;
        let (_, leaf) = X509Certificate::from_der(&seen.chain[0]).unwrap();
        assert_eq!(leaf.subject().iter().next().is_none(), critical, "{host}");
        assert_eq!(is_critical(&leaf, is_san), Some(critical), "{host}");
    }
}
