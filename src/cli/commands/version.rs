//! `secrets version`.

use serde_json::json;

use crate::cli::printer::Outcome;

pub(super) fn run() -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    Outcome::Shown {
        result: json!({"version": version, "os": os, "arch": arch}),
        human: format!("secrets {version} ({os}, {arch})\n"),
        next: vec![],
    }
}
