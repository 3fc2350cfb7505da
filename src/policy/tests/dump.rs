//! Tests of what `secrets policy dump` lists.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::super::{PolicySet, Taken, catalogue::CATALOGUE};
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

/// One text, or several.
fn texts(value: &Value) -> Vec<&str> {
    value
        .as_str()
        .map_or_else(|| value.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect(), |one| vec![one])
}

/// What a place says, read without the program's own reader: scheme, place, name and format of each wording.
fn said(place: &Value) -> Vec<String> {
    let at = |key: &str| place.get(key).and_then(Value::as_str);
    if let Some(name) = at("header") {
        let wordings = place.get("as").map_or_else(|| vec!["{}"], texts);
        let scheme = |wording: &str| {
            let word = wording.split_once("{}").unwrap().0.split([' ', '=']).next().unwrap();
            if name.eq_ignore_ascii_case("authorization") && !word.is_empty() {
                word.to_ascii_lowercase()
            } else {
                "key".into()
            }
        };
        return wordings
            .iter()
            .map(|word| format!("{} header {} {word}", scheme(word), name.to_ascii_lowercase()))
            .collect();
    }
    if let Some(part) = at("basic") {
        let (user, password) = (at("user").unwrap_or("*"), at("password").unwrap_or("*"));
        return vec![match part {
            "password" => format!("basic basic password {user}:{{}}"),
            _ => format!("basic basic {part} {{}}:{password}"),
        }];
    }
    let kind =
        ["cookie", "form", "json", "path", "query", "ws_json"].into_iter().find(|kind| at(kind).is_some()).unwrap();
    vec![format!("key {kind} {} {{}}", at(kind).unwrap())]
}

#[test]
fn every_place_and_wording_of_every_file_is_listed_and_no_other() {
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, text) in CATALOGUE {
        let id = name.trim_end_matches(".toml");
        let file: Table = text.parse().unwrap();
        let of_file = expected.entry(id).or_default();
        for inject in file["inject"].as_array().unwrap() {
            let origins = texts(&inject["host"]).into_iter().flat_map(|host| texts(&file["host"][host]["origin"]));
            let hosts = origins.collect::<Vec<_>>().join(",");
            let said = inject["at"].as_array().unwrap().iter().flat_map(said);
            for place in said.map(|said| format!("{id} {hosts} {said}")) {
                if !of_file.contains(&place) {
                    of_file.push(place);
                }
            }
        }
    }
    let expected: Vec<String> = expected.into_values().flatten().collect();
    let found: Vec<String> = PolicySet::catalogue().unwrap().dump().iter().map(line).collect();
    let differ = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!((differ, found.len()), (None, expected.len()));
}
