//! `cargo bench`: what the proxy adds to a keep-alive request, against a direct request and a bare tunnel, in one run.
//!
//! Options after `--`: `--quick` (about ten seconds), `--rounds N` (5), `--seconds S` (2, for one measurement),
//! `--anywhere` (leave it to the system where processes run; else all share one processor, which is steadier).
//!
//! Load, origin and each subject are processes of their own. A round takes the subjects in turn and the figures are
//! medians over the rounds, so that a slow moment of the machine hits all alike. The proxy's processor time is that of
//! its process while requests run; connections are opened and warmed up before.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a benchmark that cannot measure must stop, and its output is its purpose"
)]

mod child;
mod histogram;
mod load;
mod origin;
mod report;
mod subject;
#[path = "../support/mod.rs"]
mod support;
mod tunnel;

use std::{path::Path, process::ExitCode, time::Duration};

use child::{Child, Place};
use load::{Order, Outcome, Pace, Protocol};
use origin::{HOST, Origin};
use report::{Measured, Table};
use subject::{Kind, Subject};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--role=origin", folder] => runtime().block_on(origin::run(Path::new(folder))),
        ["--role=tunnel"] => runtime().block_on(tunnel::run()),
        ["--role=load", order] => runtime().block_on(load::run(serde_json::from_str(order).unwrap())),
        options => {
            if let Err(error) = Settings::read(options).and_then(|settings| measure(&settings)) {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// How much to measure.
struct Settings {
    rounds: usize,
    seconds: f64,
    place: Place,
}

impl Settings {
    fn read(options: &[&str]) -> Result<Self, String> {
        let mut settings = Self { rounds: 5, seconds: 2.0, place: Place::steady() };
        let mut options = options.iter();
        while let Some(&option) = options.next() {
            let mut value = || options.next().ok_or_else(|| format!("`{option}` needs a number"));
            match option {
                "--bench" => {} // cargo says it to every benchmark
                "--quick" => (settings.rounds, settings.seconds) = (1, 0.3),
                "--rounds" => settings.rounds = positive(value()?)?,
                "--seconds" => settings.seconds = positive(value()?)?,
                "--anywhere" => settings.place = Place::Anywhere,
                other => {
                    let known = "`--quick`, `--rounds N`, `--seconds S` and `--anywhere`";
                    return Err(format!("unknown option `{other}`; there are {known}"));
                }
            }
        }
        Ok(settings)
    }
}

fn positive<T: std::str::FromStr + PartialOrd + Default>(text: &str) -> Result<T, String> {
    text.parse().ok().filter(|n| *n > T::default()).ok_or_else(|| format!("`{text}` is no number above zero"))
}

/// One line of the table before it is measured: protocol, connections, requests at a time on each, pace.
type Case = (Protocol, usize, usize, Pace);

/// 1, 32 and 256 connections, and h2 with eight requests at a time on each of fewer; then a calm pace, to see the delay
/// alone.
const CASES: [Case; 10] = [
    (Protocol::H1, 1, 1, Pace::AsFastAsPossible),
    (Protocol::H1, 32, 1, Pace::AsFastAsPossible),
    (Protocol::H1, 256, 1, Pace::AsFastAsPossible),
    (Protocol::H2, 1, 1, Pace::AsFastAsPossible),
    (Protocol::H2, 32, 1, Pace::AsFastAsPossible),
    (Protocol::H2, 256, 1, Pace::AsFastAsPossible),
    (Protocol::H2, 4, 8, Pace::AsFastAsPossible),
    (Protocol::H2, 32, 8, Pace::AsFastAsPossible),
    (Protocol::H1, 8, 1, Pace::PerSecond(200)),
    (Protocol::H2, 8, 1, Pace::PerSecond(200)),
];

fn name((protocol, connections, streams, pace): Case) -> String {
    let protocol = if protocol == Protocol::H1 { "h1" } else { "h2" };
    let load = match (connections, streams) {
        (1, 1) => "1 connection".to_owned(),
        (n, 1) => format!("{n} connections"),
        (n, streams) => format!("{n} × {streams} streams"),
    };
    match pace {
        Pace::AsFastAsPossible => format!("{protocol}, {load}"),
        Pace::PerSecond(rate) => format!("{protocol}, {load}, {rate}/s"),
    }
}

fn measure(settings: &Settings) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let origin = Origin::start(settings.place, folder.path())?;
    let mut subjects = Vec::new();
    for kind in Kind::ALL {
        match kind.start(settings.place, &origin) {
            Ok(subject) => subjects.push(subject),
            Err(why) => eprintln!("not measured: {why}"),
        }
    }
    let mut table = Table::default();
    for case in CASES {
        for round in 1..=settings.rounds {
            eprintln!("{}, round {round} of {}", name(case), settings.rounds);
            for subject in &subjects {
                table.add(&name(case), subject.name, once(settings, case, subject)?);
            }
        }
    }
    let place = if settings.place == Place::OneProcessor { "all on one processor" } else { "anywhere" };
    println!("\nKeep-alive requests over TLS 1.3, answer {} bytes; {}, {place};", origin::ANSWER, child::machine());
    println!("medians of {} rounds of {} s.\n\n{table}", settings.rounds, settings.seconds);
    Ok(())
}

fn once(settings: &Settings, case: Case, subject: &Subject) -> Result<Measured, String> {
    let (protocol, connections, streams, pace) = case;
    let order = Order {
        dial: subject.dial,
        connect: subject.connect.clone(),
        authority: HOST.to_owned(),
        roots: subject.roots.clone(),
        credential: subject.credential.clone(),
        protocol,
        connections,
        streams,
        pace,
        seconds: settings.seconds,
    };
    let order = serde_json::to_string(&order).map_err(|error| error.to_string())?;
    let mut load = Child::role(settings.place, "load", &[&order])?;
    if load.line()? != "ready" {
        return Err(format!("{} did not answer as it should", subject.name));
    }
    // The system counts in steps of 10 ms, too coarse for the little work of a calm pace.
    let counted = subject.process.as_ref().filter(|_| pace == Pace::AsFastAsPossible);
    let cpu = || counted.map(Child::cpu).transpose();
    let before = cpu()?;
    load.tell("go")?;
    let outcome: Outcome = serde_json::from_str(&load.line()?).map_err(|error| error.to_string())?;
    let cpu = cpu()?.zip(before).map(|(after, before): (Duration, Duration)| after.saturating_sub(before));
    Ok(Measured { outcome, cpu })
}
