//! `secrets version`, and `secrets self-update`, which updates nothing.

use serde_json::json;

use crate::cli::{exit::ExitStatus, printer::Outcome, report::Report};

/// What a release says of itself when it is built; nobody else has to.
const COMMIT: Option<&str> = option_env!("LEASEHOLD_COMMIT");
const BUILD_DATE: Option<&str> = option_env!("LEASEHOLD_BUILD_DATE");

pub(super) fn run() -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let known = |text: Option<&'static str>| text.filter(|text| !text.is_empty()).unwrap_or("unknown");
    let (commit, date, rustc) = (known(COMMIT), known(BUILD_DATE), known(Some(env!("LEASEHOLD_RUSTC"))));
    let built = format!("commit {commit}, built {date} by {rustc}");
    Outcome::Shown {
        result: json!({"version": version, "commit": commit, "build_date": date, "rustc": rustc, "os": os, "arch": arch}),
        human: format!("secrets {version} ({os}, {arch})\n{built}\n"),
        next: vec![],
    }
}

/// A program that holds keys does not replace itself by what it finds on the network.
pub(super) fn update() -> Report {
    let fix = concat!("cargo install --locked --git ", env!("CARGO_PKG_REPOSITORY"), " && secrets daemon restart");
    Report::new(
        ExitStatus::Generic,
        "this program does not replace itself; install the new one as you did this one",
        fix,
    )
}
