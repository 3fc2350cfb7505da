//! Tests of what `secrets policy dump` lists.

use std::collections::BTreeSet;

use super::super::{PolicySet, Taken};
use super::examples;

fn line(one: &Taken) -> String {
    let Taken { service, hosts, scheme, place, name, format, mint, sign } = one;
    let engine = mint.iter().map(|mint| format!(" mint={mint}")).chain(sign.iter().map(|sign| format!(" sign={sign}")));
    let engine: String = engine.collect();
    format!("{service} {} {scheme} {place} {name} {format}{engine}", hosts.join(","))
}

#[test]
fn a_few_services_are_listed_exactly_and_each_at_least_once() {
    let set = PolicySet::catalogue().unwrap();
    let all = set.dump();
    let of = |id: &str| all.iter().filter(|one| one.service == id).map(line).collect::<Vec<_>>();
    assert_eq!(of("openai"), ["openai https://api.openai.com bearer header authorization Bearer {}"]);
    assert_eq!(
        of("telegram"),
        [
            "telegram https://api.telegram.org key path /bot{}/** {}",
            "telegram https://api.telegram.org key path /file/bot{}/** {}"
        ]
    );
    assert_eq!(
        of("crates"),
        [
            "crates https://crates.io key header authorization {}",
            "crates https://crates.io bearer header authorization Bearer {}"
        ]
    );
    assert_eq!(of("deepgram")[0], "deepgram https://api.deepgram.com token header authorization Token {}");
    assert!(of("zendesk").iter().any(|one| one.contains(" basic basic password ")), "{:?}", of("zendesk"));
    let listed: BTreeSet<&str> = all.iter().map(|one| &*one.service).collect();
    let services: BTreeSet<&str> = set.services().map(|service| service.id().as_str()).collect();
    assert_eq!(listed, services);
    assert!(all.iter().all(|one| !one.hosts.is_empty() && !one.place.is_empty() && one.format.contains("{}")));
    assert!(all.windows(2).all(|pair| pair[0].service <= pair[1].service), "by id");
    assert_eq!(all, set.dump(), "the same each time");
}

#[test]
fn minters_and_signers_are_named() {
    let texts = examples::texts();
    let set = PolicySet::of_texts(&texts).unwrap();
    let all: Vec<String> = set.dump().iter().map(line).collect();
    for expected in [
        "aws https://**.amazonaws.com,https://**.api.aws,https://**.on.aws sigv4    sign=sigv4",
        "google-service-account https://*.googleapis.com bearer header authorization Bearer {} mint=jwt_bearer",
        "acme-ledger https://{tenant}.ledger.acme.example hmac header x-acme-key {cred.key_id} sign=hmac",
        "acme-ledger https://{tenant}.ledger.acme.example hmac header x-acme-sign v1={sig.hex} sign=hmac",
    ] {
        assert!(all.iter().any(|one| one == expected), "{expected}: {all:#?}");
    }
}
