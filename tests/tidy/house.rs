//! The plan of the house: which folder stands on which floor, and which library has which rooms.

/// Folders by floor. A module imports from lower floors only, never from a neighbour on its own.
pub(crate) const FLOORS: &[(u8, &[&str])] = &[
    (0, &["base", "recipe"]),
    (1, &["store", "lease", "audit", "ca", "net", "project", "sandbox", "trust"]),
    (2, &["inject", "policy", "source", "mint", "rotation", "killswitch", "scan"]),
    (3, &["broker", "fleet"]),
    (4, &["proxy", "control", "dashboard"]),
    (5, &["daemon", "mcp"]),
    (6, &["cli", "demo"]),
];

/// The one exception to the rule of floors: who may use which neighbour.
pub(crate) const NEIGHBOURS: &[(&str, &str)] = &[("recipe", "base")];

/// Libraries that only some folders may use; a library that is not listed is free.
pub(crate) const ROOMS: &[(&str, &[&str])] = &[
    ("age", &["store"]),
    ("aho_corasick", &["inject", "scan"]),
    ("apollo_parser", &["policy"]),
    ("async_compression", &["proxy"]),
    ("aws_lc_rs", &["base"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("h2", &["proxy"]),
    ("http_body_util", &["net", "proxy", "demo"]),
    ("hyper", &["net", "proxy", "demo"]),
    ("hyper_util", &["net", "proxy", "demo"]),
    ("idna", &["base"]),
    ("ignore", &["scan"]),
    ("jiff", &["base"]),
    ("nix", &["control"]),
    ("rcgen", &["ca", "demo"]),
    ("regex", &["scan"]),
    ("rustls", &["ca", "net", "proxy", "demo"]),
    ("rustls_native_certs", &["net", "trust", "demo"]),
    ("serde_saphyr", &["policy"]),
    ("tokio_rustls", &["ca", "net", "proxy", "demo"]),
    ("toml", &["policy", "daemon", "ca", "trust", "project", "cli"]),
    ("rustls_pki_types", &["base"]),
    ("tower", &["proxy", "demo"]),
    ("x509_parser", &["ca", "trust"]),
];

/// Who may call `.expose()`: folders, or single files.
pub(crate) const EXPOSE: &[&str] = &[
    "src/broker/",
    "src/control/api.rs",
    "src/control/api/",
    "src/inject/",
    "src/lease/",
    "src/mint/",
    "src/source/",
    "src/store/",
];

/// The longest file, in lines, tests included.
pub(crate) const MAX_LINES: usize = 400;

/// The floor of a folder.
pub(crate) fn floor(folder: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, folders)| folders.contains(&folder)).map(|(floor, _)| *floor)
}

/// Whether code in `from` may name what is in `to`.
pub(crate) fn may_import(from: &str, to: &str) -> bool {
    let lower = matches!((floor(from), floor(to)), (Some(from), Some(to)) if to < from);
    from == to || lower || NEIGHBOURS.contains(&(from, to))
}
