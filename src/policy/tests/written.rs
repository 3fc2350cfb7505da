//! Tests of the files that `secrets add` writes: they load back and say what was meant.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::super::{Draft, EasyPlace, EasyService, Error, NewGrant, PolicySet, Verdict, leave};
use super::{ASKER, Asker, ask};
use crate::policy::tools::grant_text;
use crate::{base::Origin, recipe::BasicPart};

fn easy(origin: &str, place: EasyPlace) -> EasyService {
    let origin: Origin = origin.parse().unwrap();
    EasyService { id: EasyService::id_for(&origin).unwrap(), origin, place, env: vec!["ACME_KEY".to_owned()] }
}

/// Writes one grant; where it is, or nowhere when it was there already.
fn write_grant(folder: &Path, grant: &NewGrant) -> Result<Option<PathBuf>, Error> {
    let mut draft = Draft::new(folder)?;
    draft.grant(grant)?;
    Ok(draft.write()?.paths().first().cloned())
}

/// Binds and grants a secret as `secrets add --host` does; the service and the credential.
fn bind(folder: &Path, easy: &EasyService, secret: &str) -> (String, String) {
    let mut draft = Draft::new(folder).unwrap();
    let (service, credential) = draft.service(easy).unwrap();
    let items = vec![(credential.clone(), secret.parse().unwrap())];
    let grant = draft.set().default_grant(&service, items).unwrap();
    draft.grant(&grant).unwrap();
    draft.write().unwrap();
    (service.to_string(), credential.into())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
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
        (EasyPlace::Basic(BasicPart::Password, None), "the password of basic credentials"),
        (EasyPlace::Basic(BasicPart::User, Some("x".into())), "the user name of basic credentials"),
    ];
    for (place, shown) in places {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("policies");
        let service = easy("https://api.acme.test:8443", place);
        assert_eq!(service.id.as_str(), "api-acme-test-8443");
        let secret = "team/acme \"key\"";
        assert_eq!(bind(&folder, &service, secret), ("api-acme-test-8443".to_owned(), "key".to_owned()));
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        for name in names(&folder) {
            assert_eq!(folder.join(name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
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
        let grant = catalogue.default_grant(service.id(), items.collect()).unwrap();
        // A draft loads the whole folder; what it would write is loaded here once for all.
        std::fs::write(folder.path().join(format!("{}.toml", service.id())), grant_text(&grant)).unwrap();
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
    let path = write_grant(folder.path(), &grant).unwrap().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(write_grant(folder.path(), &grant).unwrap(), None, "the same again is no error");
    let edited = text.replace("\"models\", ", "");
    assert_ne!(edited, text);
    std::fs::write(&path, &edited).unwrap();
    assert!(matches!(write_grant(folder.path(), &grant), Err(Error::Unusable(_))), "they overlap");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), edited);

    let unknown = NewGrant { allow: vec!["nope".to_owned()], items: items("other"), ..grant.clone() };
    let error = write_grant(folder.path(), &unknown).unwrap_err();
    assert!(error.to_string().contains("no capability `nope`"), "{error}");
    // The same secret under another file name overlaps with the first grant.
    std::fs::rename(&path, folder.path().join("renamed.toml")).unwrap();
    let error = write_grant(folder.path(), &grant).unwrap_err();
    assert!(error.to_string().contains("overlaps"), "{error}");
    assert_eq!(names(folder.path()), ["renamed.toml"]);
}

#[test]
fn a_broken_neighbour_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.toml"), "kind = 1").unwrap();
    let error = Draft::new(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Broken(errors) if errors.faults().iter().all(|f| f.file.ends_with("broken.toml"))));
}

#[test]
fn what_cannot_be_written_whole_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = easy("https://api.acme.test", EasyPlace::Query("key".into()));
    let mut draft = Draft::new(folder.path()).unwrap();
    let (id, credential) = draft.service(&service).unwrap();
    let grant = draft.set().default_grant(&id, vec![(credential, "a".parse().unwrap())]).unwrap();
    draft.grant(&grant).unwrap();
    // Somebody puts a folder where the second file belongs.
    std::fs::create_dir(folder.path().join("grant-api-acme-test-a.toml")).unwrap();
    assert!(draft.write().is_err());
    assert_eq!(names(folder.path()), ["grant-api-acme-test-a.toml"], "the first file is gone again");
}

#[test]
fn a_second_secret_of_a_host_shares_its_service_or_has_one_for_its_own_place() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bearer = || EasyPlace::Header(http::header::AUTHORIZATION, "Bearer {}".parse().unwrap());
    let at = |place| easy("https://api.acme.test", place);
    assert_eq!(bind(folder, &at(bearer()), "one").0, "api-acme-test");
    assert_eq!(bind(folder, &at(bearer()), "two"), ("api-acme-test".to_owned(), "key".to_owned()));
    let own = EasyPlace::Header("x-api-key".parse().unwrap(), "{}".parse().unwrap());
    assert_eq!(bind(folder, &at(own.clone()), "three").0, "api-acme-test-2");
    assert_eq!(bind(folder, &at(own), "four").0, "api-acme-test-2");
    assert_eq!(bind(folder, &at(EasyPlace::Query("key".into())), "five").0, "api-acme-test-3");
    // Another host whose id would be the same, and one whose id is a shipped service's.
    let other = easy("https://api-acme.test", bearer());
    assert_eq!(bind(folder, &other, "six").0, "api-acme-test-4");
    assert_eq!(bind(folder, &easy("https://openai", bearer()), "seven").0, "openai-2");

    let set = PolicySet::load(folder).unwrap();
    assert_eq!((set.grants().count(), set.service(&"openai".parse().unwrap()).unwrap().credentials().len()), (7, 1));
    for secret in ["one", "two"] {
        let asker = Asker { service: "api-acme-test", secret, ..ASKER };
        assert_eq!(ask(&set, &asker, "POST https://api.acme.test/any").verdict, Verdict::Allow);
    }
    let asker = Asker { service: "api-acme-test", secret: "six", ..ASKER };
    assert_eq!(ask(&set, &asker, "POST https://api.acme.test/any").verdict, Verdict::Deny, "one secret, one host");
}

#[test]
fn a_service_that_was_widened_by_hand_is_not_shared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = easy("https://api.acme.test", EasyPlace::Query("key".into()));
    bind(folder, &service, "one");
    let path = folder.join("service-api-acme-test.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("https://api.acme.test", "https://*.acme.test")).unwrap();
    assert_eq!(bind(folder, &service, "two").0, "api-acme-test-2", "it is for one host only");
}

#[test]
fn a_secret_that_goes_takes_its_generated_files_along() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = easy("https://api.acme.test", EasyPlace::Query("key".into()));
    bind(folder, &service, "one");
    bind(folder, &service, "two");
    let unused = |_: &str| false;
    let left = leave(folder, &"one".parse().unwrap(), unused);
    assert_eq!(left.removed, [folder.join("grant-api-acme-test-one.toml")]);
    assert_eq!(names(folder), ["grant-api-acme-test-two.toml", "service-api-acme-test.toml"]);
    let used = leave(folder, &"two".parse().unwrap(), |id| id == "api-acme-test");
    assert_eq!(used.removed.len(), 1, "another secret belongs to the service");
    bind(folder, &service, "two");
    assert_eq!(leave(folder, &"two".parse().unwrap(), unused).removed.len(), 2);
    assert!(names(folder).is_empty());
    assert_eq!(leave(folder, &"two".parse().unwrap(), unused), super::super::Left::default());
}

#[test]
fn what_a_person_wrote_or_edited_stays_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = easy("https://api.acme.test", EasyPlace::Query("key".into()));
    bind(folder, &service, "one");
    let path = folder.join("grant-api-acme-test-one.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"write\"", "\"read\"").replace("\"read\", \"read\"", "\"read\"")).unwrap();
    let mine = folder.join("mine.toml");
    let grant =
        "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"openai\"\nitem = \"one\"\nallow = [\"models\"]\n";
    std::fs::write(&mine, grant).unwrap();
    std::fs::write(folder.join("broken.toml"), "\"one\"").unwrap();
    let left = leave(folder, &"one".parse().unwrap(), |_| false);
    assert_eq!((left.removed, left.kept), (vec![], vec![path, mine]));
    assert_eq!(names(folder).len(), 4);
}
