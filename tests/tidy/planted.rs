//! Proof that the checker sees: each rule is broken once on purpose, and once obeyed where it looks like a breach.

use super::rules::{Fault, check_errors, check_manifest, check_no_key, check_source};

fn faults(path: &str, body: &str) -> Vec<String> {
    let text = format!("//! A planted file.\n{body}\n");
    check_source(path, &text).into_iter().map(|Fault(line)| line).collect()
}

#[track_caller]
fn caught(path: &str, body: &str, line: usize, part: &str) {
    let faults = faults(path, body);
    let found = faults.iter().any(|f| f.starts_with(&format!("{path}:{line}: ")) && f.contains(part));
    assert!(found, "{path} line {line} should say `{part}`: {faults:?}\n{body}");
}

#[track_caller]
fn fine(path: &str, body: &str) {
    let faults = faults(path, body);
    assert!(faults.is_empty(), "{faults:?}\n{body}");
}

#[test]
fn imports_come_from_lower_floors_only() {
    caught("src/audit/x.rs", "use crate::store::Store;", 2, "`crate::store::Store`");
    caught("src/base/x.rs", "use crate::{\n  recipe::Place,\n};", 3, "`crate::recipe::Place`");
    caught("src/broker/x.rs", "fn f() {\n  crate::proxy::serve();\n}", 3, "`crate::proxy::serve`");
    caught("src/policy/x.rs", "use super::super::broker::Broker;", 2, "broker");
    caught("src/policy/deep/x.rs", "use super::super::super::broker::Broker;", 2, "broker");
    caught("src/ca/x.rs", "mod tests {\n  use super::super::super::net::Dial;\n}", 3, "net");
    caught("src/ca/x.rs", "#[cfg(test)]\nmod tests {\n  use crate::net::Dial;\n}", 4, "net");
    caught("src/audit/x.rs", "use crate::{base::{Clock, Home}, lease::{self, Lease as L}};", 2, "`crate::lease`");
    caught("src/audit/x.rs", "pub(crate) use crate::lease::Lease;", 2, "lease");
    caught("src/audit/x.rs", "fn f(a: &dyn crate::ca::Sealer) -> <u8 as crate::net::T>::X {}", 2, "`crate::net::T`");
    caught("src/audit/x.rs", "use crate::attic::Box;", 2, "leads to no folder");
    caught("src/attic/x.rs", "", 1, "has no floor");
    fine("src/recipe/x.rs", "use crate::base::Host;");
    fine("src/broker/deep/x.rs", "use super::other::Thing;\nuse super::super::Broker;\nuse crate::broker::deep::y::Z;");
    fine("src/cli/x.rs", "use crate::{base::{Clock, Home}, proxy::Proxy, daemon};\nfn f() { daemon::build() }");
    fine("src/lib.rs", "pub mod base;\npub mod audit;");
}

#[test]
fn comments_and_strings_are_not_code() {
    fine(
        "src/base/x.rs",
        "// use crate::cli::X;\n/* /* println!() */ use crate::cli::X; */\nconst A: &str = \"crate::cli::X \\\" unsafe\";\n\
         const B: &str = r#\"crate::cli::X \" hyper::Y\"#;\nconst C: (char, u8) = ('\"', b'\\'');\nfn f<'a>(x: &'a str) {}",
    );
    caught("src/base/x.rs", "const C: char = '\\\"'; use crate::cli::X;", 2, "cli");
    caught("src/base/x.rs", "const C: &[u8] = br##\"x\"#\n\"##; use crate::cli::X;", 3, "cli");
    caught("src/base/x.rs", "fn f<'a>(x: &'a str) -> crate::cli::X {}", 2, "cli");
}

#[test]
fn outsiders_use_the_one_door() {
    caught("src/store/x.rs", "use crate::base::clock::Clock;", 2, "one door");
    caught("src/store/x.rs", "use crate::{base::{clock::{Clock}}};", 2, "one door");
    caught("src/store/x.rs", "use crate::base;\nfn f() { base::clock::Clock::system() }", 3, "one door");
    caught("src/store/x.rs", "use crate::base::*;", 2, "one door");
    caught("src/main.rs", "fn main() { leasehold::cli::commands::run() }", 2, "one door");
    fine(
        "src/store/x.rs",
        "fn f() { crate::base::random::<8>(); crate::base::Clock::system(); crate::base::hex(b\"\"); }",
    );
    fine("src/main.rs", "use leasehold::cli;\nfn main() { cli::run() }");
}

#[test]
fn a_library_stays_in_its_room() {
    caught("src/broker/x.rs", "use hyper::Request;", 2, "`hyper` lives in");
    caught("src/store/x.rs", "fn f() { let _ = rustls::version::TLS13; }", 2, "rustls");
    caught("src/audit/x.rs", "use {std::fmt, aws_lc_rs::digest};", 2, "`aws_lc_rs::digest`");
    caught("src/audit/x.rs", "fn f(t: ::jiff::Timestamp) {}", 2, "jiff");
    caught("src/cli/x.rs", "#[cfg(test)]\nmod tests { use rcgen::KeyPair; }", 3, "rcgen");
    fine("src/cli/x.rs", "use clap::Parser;\n#[derive(clap::Args)]\nstruct A;");
    fine("src/net/x.rs", "use rustls::crypto::aws_lc_rs;\nfn f() { aws_lc_rs::default_provider(); }");
    fine("src/policy/x.rs", "mod age;\nuse age::Limit;\nfn f(age: u8) -> u8 { age }");
}

#[test]
fn forbidden_calls_are_found() {
    caught("src/audit/x.rs", "fn f(s: S) {\n  s.value\n    .expose();\n}", 4, "expose");
    caught("src/proxy/x.rs", "fn f() { map(SecretBytes::expose) }", 2, "expose");
    caught("src/control/serve.rs", "fn f(s: S) { s.expose() }", 2, "expose");
    fine("src/control/api.rs", "fn f(s: S) { s.expose() }");
    fine("src/store/format.rs", "fn f(s: S) { s.expose() }");
    fine("src/proxy/x.rs", "fn expose() {}\n#[cfg(test)]\nmod tests { fn f(s: S) { s.expose() } }");
    caught("src/proxy/x.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nfn f(s: S) { s.expose() }", 4, "expose");
    caught("src/proxy/x.rs", "#[cfg(test)]\nuse std::fmt;\nfn f(s: S) { s.expose() }", 4, "expose");
    caught("src/cli/x.rs", "fn f() { std::process::exit(1) }", 2, "end the process");
    caught("src/cli/x.rs", "use std::process::{Command, exit};", 2, "end the process");
    fine("src/main.rs", "fn main() { std::process::exit(1) }");
    caught("src/cli/x.rs", "fn f() { println!(\"x\") }", 2, "prints");
    caught("src/cli/x.rs", "fn f() { std::eprintln!(\"x\") }", 2, "prints");
    fine("src/cli/printer.rs", "fn f() { println!(\"x\") }");
    caught("src/lease/x.rs", "fn f() { SystemTime::now(); }", 2, "for the time");
    caught("src/lease/x.rs", "use std::time;\nfn f() { time::Instant::now(); }", 3, "for the time");
    fine("src/lease/x.rs", "use tokio::time::Instant;\nfn f() { Instant::now(); tokio::time::Instant::now(); }");
    fine("src/lease/x.rs", "#[cfg(test)]\nmod tests { fn f() { std::time::Instant::now(); } }");
    fine("src/lease/tests.rs", "fn f() { std::time::Instant::now(); }");
    caught("src/lease/x.rs", "fn f() { unsafe { g() } }", 2, "unsafe");
    caught("src/lease/x.rs", "fn f() {\n todo!() }", 3, "todo");
    caught("tests/x.rs", "fn f() { unimplemented!() }", 2, "unimplemented");
    fine("tests/x.rs", "use leasehold::base::Clock;\nfn f() { println!(\"{:?}\", std::time::Instant::now()) }");
}

#[test]
fn a_file_has_a_first_sentence_and_an_end() {
    caught("tests/x.rs", &"\n".repeat(400), 402, "402 lines");
    fine("tests/x.rs", &"\n".repeat(398));
    let faults = check_source("src/base/x.rs", "use std::fmt;\n//! Too late.\n");
    assert_eq!(faults, [Fault("src/base/x.rs:1: the first line is no `//!` sentence".to_owned())]);
}

#[test]
fn an_error_type_stands_in_the_error_file() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let declares = "//! X.\n#[derive(Debug, thiserror::Error)]\npub enum Error {}\n";
    let (a, b) = (file("src/audit/writer.rs", declares), file("src/audit/error.rs", declares));
    assert_eq!(check_errors(std::slice::from_ref(&a)).len(), 1);
    assert_eq!(check_errors(&[a, b]), []);
    assert_eq!(check_errors(&[file("src/base/ids.rs", declares)]), [], "floor 0 keeps errors beside their words");
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let text = "[package]\nname = \"x\"\n[dependencies]\na = \"1\" # why: because\nb = \"1\"\nc = { version = \"#1 in town\" }\n\
                [lints.rust]\nx = \"y\"\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n[dev-dependencies]\ne = \"1\" #\n";
    let faults: Vec<String> = check_manifest("Cargo.toml", text).into_iter().map(|Fault(line)| line).collect();
    let names: Vec<&str> = faults.iter().filter_map(|line| line.split('`').nth(1)).collect();
    assert_eq!(names, ["b", "c", "d", "e"]);
}

#[test]
fn a_private_key_is_found_and_talk_of_one_is_not() {
    let body = "MC4CAQAwBQYDK2VwBCIEIA".repeat(3);
    let pem = |kind: &str| format!("x\n-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----\n");
    for kind in ["", "EC ", "RSA ", "OPENSSH ", "ENCRYPTED "] {
        let faults = check_no_key("certs/a.pem", pem(kind).as_bytes());
        assert_eq!(faults, [Fault("certs/a.pem:2: a private key is committed".to_owned())], "{kind}");
    }
    let escaped = pem("").replace('\n', "\\n");
    assert_eq!(check_no_key("a.json", escaped.as_bytes()).len(), 1);
    let identity = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
    assert_eq!(check_no_key("a", identity.as_bytes()).len(), 1);
    let talk =
        "assert!(!text.contains(\"-----BEGIN PRIVATE KEY-----\")); // nor AGE-SECRET-KEY-1\nlet more_of_the_same = 1;";
    assert_eq!(check_no_key("src/x.rs", talk.as_bytes()), []);
    let public = pem("").replace("PRIVATE", "PUBLIC");
    assert_eq!(check_no_key("certs/a.pem", public.as_bytes()), []);
}
