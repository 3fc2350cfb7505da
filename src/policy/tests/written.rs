//! Tests of the files that `secrets add` writes: they load back and say what was meant.

use std::os::unix::fs::PermissionsExt as _;

use super::super::{EasyPlace, EasyService, Error, NewGrant, PolicySet, Verdict, write_grant, write_service};
use super::{ASKER, Asker, ask};
use crate::{base::Origin, recipe::BasicPart};

fn easy(origin: &str, place: EasyPlace) -> EasyService {
    let origin: Origin = origin.parse().unwrap();
    EasyService { id: EasyService::id_for(&origin).unwrap(), origin, place, env: vec!["ACME_KEY".to_owned()] }
}

#[test]
fn an_easy_service_and_its_grant_load_back() {
    let places = [
        (EasyPlace::Header("x-api-key".parse().unwrap(), "{}".parse().unwrap()), "header `x-api-key` as `{}`"),
        (
            EasyPlace::Header("authorization".parse().unwrap(), "Key \"{}\"".parse().unwrap()),
            "header `authorization` as `Key \"{}\"`",
        ),
        (EasyPlace::Query("k\"e\\y".into()), "query parameter `k\"e\\y`"),
        (EasyPlace::Basic(BasicPart::Password), "the password of basic credentials"),
        (EasyPlace::Basic(BasicPart::User), "the user name of basic credentials"),
    ];
    for (place, shown) in places {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("policies");
        let service = easy("https://api.acme.test:8443", place);
        assert_eq!(service.id.as_str(), "api-acme-test-8443");
        let path = write_service(&folder, &service).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let set = PolicySet::load(&folder).unwrap();
        let secret = "team/acme \"key\"";
        let grant = set.default_grant(&service.id, vec![("key".into(), secret.parse().unwrap())]).unwrap();
        write_grant(&folder, &grant).unwrap();
        let set = PolicySet::load(&folder).unwrap();
        assert_eq!(set.service(&service.id).unwrap().credentials()[0].env().collect::<Vec<_>>(), ["ACME_KEY"]);
        let asker = Asker { service: "api-acme-test-8443", secret, ..ASKER };
        let decision = ask(&set, &asker, "POST https://api.acme.test:8443/any/thing");
        assert_eq!(decision.verdict, Verdict::Allow, "{}", decision.reason);
        assert_eq!(decision.inject.unwrap().places[0].to_string(), shown);
        assert_eq!(ask(&set, &asker, "DELETE https://api.acme.test:8443/any").verdict, Verdict::Ask);
        assert_eq!(ask(&set, &asker, "POST https://api.acme.test/any").verdict, Verdict::Deny);
    }
}

#[test]
fn a_grant_of_every_known_service_loads_back() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = PolicySet::catalogue().unwrap();
    for service in catalogue.services() {
        let items = service
            .credentials()
            .iter()
            .map(|c| (c.name().into(), format!("{}-{}", service.id(), c.name()).parse().unwrap()));
        write_grant(folder.path(), &catalogue.default_grant(service.id(), items.collect()).unwrap()).unwrap();
    }
    let set = PolicySet::load(folder.path()).unwrap();
    assert_eq!(set.grants().count(), catalogue.services().count());
}

#[test]
fn nothing_is_overwritten_and_nothing_unusable_stays() {
    let folder = tempfile::tempdir().unwrap();
    let set = PolicySet::catalogue().unwrap();
    let items = |secret: &str| vec![("key".into(), secret.parse().unwrap())];
    let grant = set.default_grant(&"openai".parse().unwrap(), items("work")).unwrap();
    let path = write_grant(folder.path(), &grant).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(write_grant(folder.path(), &grant).unwrap(), path, "the same again is no error");
    let edited = text.replace("\"models\", ", "");
    assert_ne!(edited, text);
    std::fs::write(&path, &edited).unwrap();
    assert!(matches!(write_grant(folder.path(), &grant), Err(Error::Exists(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), edited);

    let unknown = NewGrant { allow: vec!["nope".to_owned()], items: items("other"), ..grant.clone() };
    let error = write_grant(folder.path(), &unknown).unwrap_err();
    assert!(error.to_string().contains("no capability `nope`"), "{error}");
    // The same secret under another file name overlaps with the first grant.
    std::fs::rename(&path, folder.path().join("renamed.toml")).unwrap();
    let error = write_grant(folder.path(), &grant).unwrap_err();
    assert!(error.to_string().contains("overlaps"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only the renamed file is left");
}

#[test]
fn a_broken_neighbour_does_not_stop_a_good_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.toml"), "kind = 1").unwrap();
    let service = easy("https://api.acme.test", EasyPlace::Query("key".into()));
    write_service(folder.path(), &service).unwrap();
    assert!(
        PolicySet::load(folder.path()).unwrap_err().faults().iter().all(|fault| fault.file.ends_with("broken.toml"))
    );
}
