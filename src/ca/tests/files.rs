//! The root through its life: on disk, renewed, constrained, damaged.

use std::os::unix::fs::PermissionsExt as _;

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::*;

#[test]
fn attack_96_the_key_is_sealed_and_the_same_root_comes_back() {
    let (home, clock) = (tempfile::tempdir().unwrap(), clock());
    let folder = home.path().join("ca");
    let ca = authority(&folder, &clock);
    let modes: Vec<u32> = [folder.clone(), root::key_path(&folder), root::certificate_path(&folder)]
        .map(|path| path.metadata().unwrap().permissions().mode() & 0o777)
        .into();
    assert_eq!(modes, [0o700, 0o600, 0o644]);
    let key = Mirror::default().unseal(&std::fs::read(root::key_path(&folder)).unwrap()).unwrap();
    let secret = &key[60..92]; // inside the PKCS#8 structure
    for entry in std::fs::read_dir(&folder).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(32).any(|window| window == secret), "no key in clear");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);

    std::fs::write(root::certificate_path(&folder), "tampered with").unwrap();
    let again = authority(&folder, &clock);
    assert_eq!(again.root(), ca.root());
    assert_eq!(PublicRoot::read(&folder).unwrap().as_ref(), Some(ca.root()), "the public copy is put right");
    assert!(format!("{again:?}").contains(&ca.root().common_name));
}

#[test]
fn a_root_near_its_end_is_replaced_and_kept_as_public_only() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let old = authority(folder.path(), &clock);
    clock.advance(Duration::from_secs(335 * 86_400 - 1));
    assert!(!old.is_renewal_due());
    assert_eq!(authority(folder.path(), &clock).root(), old.root());
    clock.advance(SECOND);
    assert!(old.is_renewal_due());
    let new = authority(folder.path(), &clock);
    assert_ne!(new.root().common_name, old.root().common_name);
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let kept = names.iter().find(|name| name.to_string_lossy().starts_with("root-")).unwrap();
    assert_eq!(names.len(), 3);
    assert_eq!(std::fs::read_to_string(folder.path().join(kept)).unwrap(), old.certificate_pem());
}

#[tokio::test]
async fn an_authority_past_its_end_says_so() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let host = "api.example.com".parse().unwrap();
    clock.advance(Duration::from_mins(525_599));
    connect(&ca.server_config(&host).await.unwrap(), &client(&ca), "api.example.com").unwrap();
    clock.advance(Duration::from_mins(1));
    assert!(matches!(ca.server_config(&host).await, Err(Error::Expired)));
}

#[tokio::test]
async fn name_constraints_hold_a_root_to_its_names() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let scope = NameScope::Only(["github.com".to_owned()].into());
    let open = |scope: &NameScope| {
        CertificateAuthority::create_or_open(folder.path(), &Mirror::default(), clock.clone(), scope).unwrap()
    };
    let ca = open(&scope);
    let der = root_der(&ca);
    let (_, root) = X509Certificate::from_der(&der).unwrap();
    assert!(root.name_constraints().unwrap().unwrap().critical);
    seen(&ca, "api.github.com").await;
    for host in ["api.openai.com", "192.0.2.7"] {
        let host: Host = host.parse().unwrap();
        assert!(matches!(ca.server_config(&host).await, Err(Error::OutOfScope(_))));
        // Even a leaf made by a faulty caller is believed by nobody.
        let leaf = Leaf::mint(&ca.0.root, &host, clock.now(), &ca.0.shared).unwrap();
        assert!(connect(&leaf.every_protocol, &client(&ca), &host.to_string()).is_err());
    }
    assert_eq!(open(&scope).root(), ca.root());
    assert_ne!(open(&NameScope::Any).root(), ca.root(), "another scope needs another root");
}

#[tokio::test]
async fn a_root_that_is_held_to_no_name_is_believed_for_none() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let none = NameScope::Only([].into());
    let ca = CertificateAuthority::create_or_open(folder.path(), &Mirror::default(), clock.clone(), &none).unwrap();
    let host: Host = "api.openai.com".parse().unwrap();
    assert!(matches!(ca.server_config(&host).await, Err(Error::OutOfScope(_))));
    let leaf = Leaf::mint(&ca.0.root, &host, clock.now(), &ca.0.shared).unwrap();
    assert!(connect(&leaf.every_protocol, &client(&ca), "api.openai.com").is_err());
}

#[test]
fn a_foreign_damaged_or_missing_key_stops_and_changes_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let open = |sealer: &dyn Sealer| {
        CertificateAuthority::create_or_open(folder.path(), sealer, clock.clone(), &NameScope::Any)
    };
    assert!(matches!(open(&Stranger), Err(Error::Seal(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing half made");

    let ca = open(&Mirror::default()).unwrap();
    let key = root::key_path(folder.path());
    let sealed = std::fs::read(&key).unwrap();
    let error = open(&Stranger).unwrap_err();
    assert!(matches!(error, Error::Unseal { .. }));
    assert!(error.to_string().contains("root.key.age"), "{error}");

    let mut foreign = sealed.clone();
    foreign.rotate_left(1);
    for bad in [&foreign[..], &sealed[..sealed.len() - 1], b"", &sealed[40..]] {
        std::fs::write(&key, bad).unwrap();
        assert!(matches!(open(&Mirror::default()), Err(Error::KeyDamaged(_))));
        assert_eq!(std::fs::read(&key).unwrap(), bad);
    }
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(open(&Mirror::default()), Err(Error::KeyMissing { .. })));
    std::fs::write(&key, &sealed).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(open(&Mirror::default()).unwrap().root(), ca.root());
}

#[test]
fn attack_92_a_folder_or_key_open_to_others_is_refused() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    authority(folder.path(), &clock);
    let open =
        || CertificateAuthority::create_or_open(folder.path(), &Mirror::default(), clock.clone(), &NameScope::Any);
    let key = root::key_path(folder.path());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = open().unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o770)).unwrap();
    assert!(open().unwrap_err().to_string().contains("chmod 700"));
}
