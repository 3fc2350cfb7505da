//! Tests that the vectors of shipped files leave no hole: each host, injection, capability and refused answer is tried.

use bytes::Bytes;

use super::super::{
    Body, Capability, Content, NormalPath, PolicySet, Risk,
    catalogue::CATALOGUE,
    rules::Call,
    services::{Carries, Expected, Service, Then, Vector},
};
use crate::base::{Authority, RefusalCode, Scheme};

/// What a wrong host of a vector ends with.
const ELSEWHERE: &str = ".evil.example";

/// What a vector's request is to the service; `None` when its host is none of the service's.
fn seen<T>(service: &Service, vector: &Vector, look: impl FnOnce(&Call<'_>) -> T) -> Option<T> {
    let bytes = vector.body.as_deref().map_or_else(Bytes::new, |text| Bytes::copy_from_slice(text.as_bytes()));
    let body = Body::read(bytes, &vector.headers);
    let facts = vector.asked.facts(Content { query: None, headers: &vector.headers, body: &body });
    let (index, block, _) = service.block(facts.scheme, facts.authority)?;
    let path = NormalPath::parse_with(facts.path, block.slash).ok()?;
    let loose = path.loose();
    Some(look(&Call::new(index, &facts, path.as_str(), &loose)))
}

fn gives(vector: &Vector) -> bool {
    matches!(&vector.expected, Expected::Gives(names) if !names.is_empty())
}

fn refused(vector: &Vector, codes: &[RefusalCode]) -> bool {
    matches!(&vector.expected, Expected::Refused(code) if codes.contains(code))
}

/// Whether the vector's host is one of this block with something behind it.
fn is_beside(service: &Service, vector: &Vector, block: usize) -> bool {
    let host = vector.asked.origin().authority.host.to_string();
    let real = host.strip_suffix(ELSEWHERE).map(|real| Authority::parse(real, Some(443)).unwrap());
    real.is_some_and(|real| service.block(Scheme::Https, &real).is_some_and(|(index, ..)| index == block))
}

/// Whether all that a host can do is refused or makes credentials, so that no vector of it can give.
fn only_issues(service: &Service, block: usize) -> bool {
    let is_here = |one: &&Capability| one.allow.iter().any(|rule| rule.blocks.contains(&block));
    let here: Vec<&Capability> = service.capabilities().iter().filter(is_here).collect();
    !here.is_empty() && here.iter().all(|capability| capability.risk() == Risk::Secret)
}

fn host_holes(service: &Service) -> Vec<String> {
    let mut holes = Vec::new();
    for (index, block) in service.hosts.iter().enumerate().filter(|(_, block)| block.carries == Carries::Lease) {
        let at = |vector: &&Vector| seen(service, vector, |call| call.block) == Some(index);
        let has = |kind: &dyn Fn(&Vector) -> bool| service.vectors_read().iter().filter(at).any(kind);
        let denied = [RefusalCode::CapDenied, RefusalCode::IssueRefused];
        let stray = |vector: &Vector| vector.place.is_some() && refused(vector, &[RefusalCode::StrayLease]);
        let beside = |v: &Vector| refused(v, &[RefusalCode::StrayLease]) && is_beside(service, v, index);
        let kinds = [
            ("gives", has(&gives) || only_issues(service, index)),
            ("is denied", has(&|vector| refused(vector, &denied))),
            ("has a stray lease", has(&stray) || only_issues(service, index)),
            ("goes beside it", service.vectors_read().iter().any(beside)),
        ];
        let missing = kinds.into_iter().filter(|(_, there)| !there);
        holes.extend(missing.map(|(kind, _)| format!("{}: no vector of [host.{}] {kind}", service.id(), block.name)));
    }
    holes
}

fn inject_holes(service: &Service) -> Vec<String> {
    let mut holes = Vec::new();
    for (number, rule) in service.injects.iter().enumerate() {
        let by_it = |vector: &&Vector| {
            *vector.credential == *rule.inject.credential
                && seen(service, vector, |call| {
                    service.inject(&vector.credential, call).is_some_and(|r| std::ptr::eq(r, rule))
                }) == Some(true)
        };
        let has = |kind: &dyn Fn(&Vector) -> bool| service.vectors_read().iter().filter(by_it).any(kind);
        let stray = |vector: &Vector| vector.place.is_some() && refused(vector, &[RefusalCode::StrayLease]);
        let missing =
            [("gives", has(&gives)), ("has a stray lease", has(&stray))].into_iter().filter(|(_, there)| !there);
        holes.extend(
            missing.map(|(kind, _)| format!("{}: no vector of [[inject]] {} {kind}", service.id(), number + 1)),
        );
    }
    holes
}

fn issue_holes(service: &Service) -> Vec<String> {
    let mut holes = Vec::new();
    for (number, issue) in service.issues.iter().enumerate().filter(|(_, one)| !matches!(one.then, Then::Scrub(_))) {
        let by_it = |vector: &Vector| {
            refused(vector, &[RefusalCode::IssueRefused])
                && seen(service, vector, |call| issue.on.takes(call)) == Some(true)
        };
        if !service.vectors_read().iter().any(by_it) {
            holes.push(format!("{}: no vector of [[issue]] {} is refused", service.id(), number + 1));
        }
    }
    holes
}

fn holes(service: &Service) -> Vec<String> {
    [host_holes(service), inject_holes(service), issue_holes(service)].concat()
}

#[test]
fn each_host_injection_and_refused_answer_of_every_service_is_tried() {
    let set = PolicySet::catalogue().unwrap_or_else(|errors| panic!("{errors}"));
    let all: Vec<String> = set.services().flat_map(|service| holes(service)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_block_of_a_file_is_there_when_it_is_loaded() {
    let set = PolicySet::catalogue().unwrap_or_else(|errors| panic!("{errors}"));
    for (name, text) in CATALOGUE {
        let service = set.service(&name.trim_end_matches(".toml").parse().unwrap()).unwrap();
        let stated = |word: &str| text.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!(service.injections().count(), stated("[[inject]]"), "{name}");
        assert_eq!(service.hosts.len(), stated("[host."), "{name}");
        assert_eq!(service.capabilities().len(), stated("[cap."), "{name}");
        assert_eq!(service.issues.len(), stated("[[issue]]"), "{name}");
        assert_eq!(service.vectors(), stated("[[test]]"), "{name}");
    }
}

const COMPLETE: &str = r#"
schema = 1
kind   = "service"
id     = "forge"
name   = "Forge"
[host.api]
origin = "https://api.forge.example"
[credential.key]
type = "token"
env  = ["FORGE_TOKEN"]
[[inject]]
host = "api"
use  = "key"
at   = [{ header = "authorization", as = "Bearer {}" }]
[cap.read]
about = "Read"
risk  = "read"
allow = [{ method = "GET", path = "/**" }]
[[issue]]
on   = { method = "POST", path = "/keys" }
then = "refuse"
"#;

/// Vectors that leave no hole, each with the holes that its absence makes.
const TRIED: [(&str, &[&str]); 5] = [
    ("send = \"GET https://api.forge.example/a\"\ngives = \"read\"", &["[host.api] gives", "[[inject]] 1 gives"]),
    ("send = \"PATCH https://api.forge.example/a\"\ncode = \"cap_denied\"", &[]),
    ("send = \"POST https://api.forge.example/keys\"\ncode = \"issue_refused\"", &["[[issue]] 1 is refused"]),
    (
        "send = \"GET https://api.forge.example/a\"\nat = { query = \"k\" }\ncode = \"stray_lease\"",
        &["[host.api] has a stray lease", "[[inject]] 1 has a stray lease"],
    ),
    ("send = \"GET https://api.forge.example.evil.example/a\"\ncode = \"stray_lease\"", &["[host.api] goes beside it"]),
];

fn holes_without(left_out: &[usize]) -> Vec<String> {
    let kept = TRIED.iter().enumerate().filter(|(number, _)| !left_out.contains(number));
    let vectors: Vec<String> = kept.map(|(_, (vector, _))| format!("[[test]]\n{vector}\n")).collect();
    let text = format!("{COMPLETE}{}", vectors.concat());
    let set = PolicySet::of_texts(&[("forge.toml", &text)]).unwrap_or_else(|errors| panic!("{errors}"));
    let service = set.service(&"forge".parse().unwrap()).unwrap();
    assert_eq!(service.try_vectors(), []);
    holes(service)
}

#[test]
fn a_kind_that_is_missing_is_told() {
    assert_eq!(holes_without(&[]), [""; 0]);
    for (number, (_, missing)) in TRIED.iter().enumerate() {
        let expected: Vec<String> = missing.iter().map(|hole| format!("forge: no vector of {hole}")).collect();
        assert_eq!(holes_without(&[number]), expected);
    }
    // What an `[[issue]]` refuses is denied as well; without both nothing is.
    let both = holes_without(&[1, 2]);
    assert_eq!(both, ["forge: no vector of [host.api] is denied", "forge: no vector of [[issue]] 1 is refused"]);
}
