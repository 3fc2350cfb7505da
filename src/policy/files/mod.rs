//! Reads files of policy: TOML with spans to values, every fault collected with its place and the way to mend it.

mod check;
mod credential;
mod emulate;
mod engine;
mod host;
mod inject;
mod issue;
mod place;
mod policy;
mod prices;
mod read;
mod read_files;
mod rule;
mod service;
mod source;
mod syntax;
mod vector;

pub(super) use policy::{Defaults, Known, ReadGrant, Services, read_policy, read_project};
pub use policy::{Need, Project, UnknownHost};
pub(super) use prices::{Tariffs, read_prices};
pub(super) use read::{At, Source, Span, Table, expected, is_name};
pub(super) use read_files::{Kind, ReadFile, head, read_files, service_of, spread};
pub(super) use rule::{Names, read_rule};
