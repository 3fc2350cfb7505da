//! `cargo bench --bench policy`: what deciding one request costs with few and with many services and grants loaded, in
//! nanoseconds and allocations, and how long loading takes; all in one run.
//!
//! A decision is what the proxy does for it: what is known of the host, then the verdict. Sets are measured in turn, and
//! the figures are medians over the rounds. It exits 1 when many cost more than twice as much as one, or when loading 500
//! services takes 50 ms or more: of one's own, or shipped and one's own together, as a user has them. `--quick` measures for two
//! seconds.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must stop, and its output is its purpose"
)]

use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use leasehold::{
    base::{Authority, ClientId, Scheme, SecretName, ServiceId},
    policy::{Content, LeaseFacts, PolicySet, Protocol, RequestFacts, Verdict},
};

/// How many services and grants are many.
const SERVICES: usize = 500;
const GRANTS: usize = 1_000;

/// A request of the last service with the last secret, and the set that it is judged by.
struct Case {
    name: &'static str,
    set: PolicySet,
    service: ServiceId,
    secret: SecretName,
    client: ClientId,
    authority: Authority,
    method: &'static str,
    path: &'static str,
    verdict: Verdict,
}

/// What one case cost, by round.
#[derive(Default)]
struct Cost {
    nanoseconds: Vec<f64>,
    allocations: u64,
}

fn main() -> ExitCode {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, time) = if quick { (5, Duration::from_millis(40)) } else { (21, Duration::from_millis(100)) };
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = (folder.path().join("few"), folder.path().join("many"));
    write(&few, 1, 1);
    write(&many, SERVICES, GRANTS);
    let cases = cases(&few, &many);
    let mut costs: Vec<Cost> = cases.iter().map(|_| Cost::default()).collect();
    for _ in 0..rounds {
        for (case, cost) in cases.iter().zip(&mut costs) {
            cost.nanoseconds.push(nanoseconds(case, time));
            cost.allocations = allocation_counter::measure(|| decide(case)).count_total;
        }
    }
    let mut within = true;
    println!("\n| one decision | 1 service, 1 grant | {SERVICES} services, {GRANTS} grants | ratio | allocations |");
    println!("|---|--:|--:|--:|--:|");
    for (pair, cost) in cases.chunks(2).zip(costs.chunks(2)) {
        let (one, all) = (median(&cost[0].nanoseconds), median(&cost[1].nanoseconds));
        let allocations = (cost[0].allocations, cost[1].allocations);
        within &= all <= 2.0 * one && allocations.0 == allocations.1;
        println!("| {} | {one:.0} ns | {all:.0} ns | {:.2} | {} |", pair[0].name, all / one, allocations.1);
    }
    let shipped = PolicySet::catalogue().unwrap().services().count();
    let (own, beside) = (SERVICES - shipped, folder.path().join("beside"));
    write(&beside, own, GRANTS);
    let loads: Vec<(f64, f64)> =
        (0..rounds).map(|_| (load(&many, Loading::Alone), load(&beside, Loading::Beside))).collect();
    let (alone, together): (Vec<f64>, Vec<f64>) = loads.into_iter().unzip();
    let (alone, together) = (median(&alone), median(&together));
    within &= alone < 50.0 && together < 50.0;
    println!("\nLoading {SERVICES} services of one's own and {GRANTS} grants: {alone:.1} ms.");
    println!("Loading {shipped} shipped services, {own} of one's own and {GRANTS} grants: {together:.1} ms.");
    println!("Medians of {rounds} rounds of {} ms each.", time.as_millis());
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cases(few: &Path, many: &Path) -> Vec<Case> {
    let requests = [
        ("allowed", "GET", "/v1/projects/acme/items/42", Verdict::Allow),
        ("allowed, with a path to decode", "GET", "/v1/projects/acme/items/%34%32", Verdict::Allow),
        ("denied, with the nearest call", "DELETE", "/v1/projects/acme/items/42", Verdict::Deny),
    ];
    let mut cases = Vec::new();
    for (name, method, path, verdict) in requests {
        for folder in [few, many] {
            let set = PolicySet::load_alone(folder).unwrap();
            let (service, grant) = (set.services().count() - 1, set.grants().count() - 1);
            cases.push(Case {
                name,
                set,
                service: format!("s{service}").parse().unwrap(),
                secret: format!("k{grant}").parse().unwrap(),
                client: "claude-code".parse().unwrap(),
                authority: Authority::parse(&format!("api{service}.example.com"), Some(443)).unwrap(),
                method,
                path,
                verdict,
            });
        }
    }
    cases
}

fn decide(case: &Case) {
    let Case { set, service, secret, client, authority, .. } = case;
    let lease =
        LeaseFacts { service, credential: "key", secret, client, project: None, environment: None, narrow: &[] };
    let request = RequestFacts {
        scheme: Scheme::Https,
        authority,
        method: case.method,
        path: case.path,
        protocol: Protocol::Http,
        content: Content::unknown(),
    };
    assert!(black_box(set.host(request.scheme, request.authority)).is_some());
    let decision = black_box(set.decide(&lease, &request));
    assert_eq!(decision.verdict, case.verdict, "{}", decision.reason);
}

/// Of one decision, over as many as the time allows.
fn nanoseconds(case: &Case, time: Duration) -> f64 {
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < time {
        for _ in 0..100 {
            decide(case);
        }
        count += 100;
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

/// What is loaded beside a folder.
#[derive(Clone, Copy)]
enum Loading {
    /// Nothing.
    Alone,
    /// The catalogue.
    Beside,
}

/// In milliseconds.
fn load(folder: &Path, loading: Loading) -> f64 {
    let begun = Instant::now();
    let set = black_box(match loading {
        Loading::Alone => PolicySet::load_alone(folder).unwrap(),
        Loading::Beside => PolicySet::load(folder).unwrap(),
    });
    let time = begun.elapsed();
    drop(set); // which is no part of loading
    time.as_secs_f64() * 1e3
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// One file for each service; all grants in one. Each service has one grant, the last has all the rest.
fn write(folder: &Path, services: usize, grants: usize) {
    fs::create_dir(folder).unwrap();
    for number in 0..services {
        fs::write(folder.join(format!("s{number}.toml")), service(number)).unwrap();
    }
    let mut text = String::from("schema = 1\nkind = \"policy\"\n");
    for number in 0..grants {
        let service = number.min(services - 1);
        write!(
            text,
            "[[grant]]\nservice = \"s{service}\"\nitem = \"k{number}\"\nagents = [\"claude-*\"]\n\
             allow = [\"read\", \"write\"]\nask = [\"delete\"]\ndeny = [\"admin\"]\nonly = {{ project = [\"ac*\"] }}\n"
        )
        .unwrap();
    }
    fs::write(folder.join("grants.toml"), text).unwrap();
}

/// As large as a shipped one of middle size.
fn service(number: usize) -> String {
    format!(
        r#"schema = 1
kind = "service"
id = "s{number}"
name = "Service {number}"
[host.api]
origin = "https://api{number}.example.com"
[host.tenant]
origin = "https://*.t{number}.example.com"
[param.project]
about = "a project"
[credential.key]
type = "token"
env = ["KEY_{number}"]
[[inject]]
host = ["api", "tenant"]
use = "key"
at = [{{ header = "authorization", as = "Bearer {{}}" }}]
[cap.read]
about = "Look"
risk = "read"
allow = [
  {{ host = "api", method = ["GET", "HEAD"], path = ["/v1/me", "/v1/status", "/v1/search/**", "/v1/projects/{{project}}"] }},
  {{ host = "api", method = ["GET", "HEAD"], path = ["/v1/projects/{{project}}/items/*", "/v1/projects/{{project}}/files/**"] }},
]
deny = [{{ path = ["/v1/projects/*/keys/**", "/v1/projects/*/hooks/**"] }}]
[cap.write]
about = "Create and change"
risk = "write"
allow = [
  {{ host = "api", method = ["POST", "PATCH", "PUT"], path = ["/v1/projects/{{project}}/items", "/v1/projects/{{project}}/items/*"] }},
  {{ host = "tenant", method = "POST", path = "/upload/**" }},
]
[cap.delete]
about = "Delete"
risk = "destroy"
allow = [{{ host = "api", method = "DELETE", path = "/v1/projects/{{project}}/files/*" }}]
[cap.admin]
about = "Members and keys"
risk = "admin"
allow = [{{ host = "api", path = ["/v1/members/**", "/v1/projects/{{project}}/keys/**"] }}]
"#
    )
}
