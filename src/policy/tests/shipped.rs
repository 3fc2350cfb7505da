//! Tests of shipped files under the grant that `secrets add` writes: what each vector's risk says is what becomes of it.

use bytes::Bytes;

use super::super::{Body, Content, LeaseFacts, PolicySet, Risk, Verdict, catalogue::CATALOGUE};
use crate::policy::services::{Expected, Service, Vector};

fn verdict(set: &PolicySet, service: &Service, vector: &Vector) -> Verdict {
    let (secret, client) = ("k".parse().unwrap(), "codex".parse().unwrap());
    let lease = LeaseFacts {
        service: service.id(),
        credential: &vector.credential,
        secret: &secret,
        client: &client,
        project: None,
        environment: None,
        narrow: &[],
    };
    let bytes = vector.body.as_deref().map_or_else(Bytes::new, |text| Bytes::from(text.to_owned()));
    let body = Body::read(bytes, &vector.headers);
    let content = Content { query: None, headers: &vector.headers, body: &body };
    set.decide(&lease, &vector.asked.facts(content)).verdict
}

#[test]
fn what_a_body_asks_for_is_judged_by_its_risk_under_a_default_grant() {
    let catalogue = PolicySet::catalogue().unwrap();
    let mut seen = 0;
    for service in
        catalogue.services().filter(|service| service.vectors_read().iter().any(|vector| vector.body.is_some()))
    {
        let id = service.id();
        let grant = catalogue.default_grant(id, Vec::new()).unwrap();
        let lists = format!("allow = {:?}\nask = {:?}", grant.allow, grant.ask);
        let items: Vec<_> = service.credentials().iter().map(|one| format!("{} = \"k\"", one.name())).collect();
        let items = items.first().unwrap();
        let policy =
            format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"{id}\"\nitem = {{ {items} }}\n{lists}\n");
        let (name, text) = CATALOGUE.iter().find(|(name, _)| *name == format!("{id}.toml")).unwrap();
        let set = PolicySet::of_texts(&[(name, text), ("mine.toml", &policy)]).unwrap();
        let risk =
            |name: &str| service.capabilities().iter().find(|capability| capability.name() == name).unwrap().risk();
        // Where the lease stands, or under which limit, is another question.
        let plain = |vector: &&Vector| vector.body.is_some() && vector.place.is_none() && vector.only.is_empty();
        for vector in service.vectors_read().iter().filter(plain) {
            let expected = match &vector.expected {
                Expected::Gives(names) => match names.as_slice() {
                    [one] => match risk(one) {
                        Risk::Read | Risk::Write | Risk::Spend => Verdict::Allow,
                        Risk::Destroy | Risk::Admin => Verdict::Ask,
                        Risk::Secret => Verdict::Deny,
                    },
                    _ => continue,
                },
                Expected::Refused(_) => Verdict::Deny,
            };
            assert_eq!(verdict(&set, service, vector), expected, "{id}: {:?}", vector.body);
            seen += 1;
        }
    }
    assert!(seen >= 18, "{seen}");
}
