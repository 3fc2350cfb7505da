//! The project file: which secrets a project wants under which names.
//!
//! Floor 1: imports `base`. Invariant: what an agent can write only narrows (attacks, I6): a project file names secrets and
//! variables, writes nowhere but below its own folder, and gives no right to anything.

mod cleanup;
mod env_file;
mod error;
mod file;
mod find;
mod keeper;
mod parse_env;
mod quote;

#[cfg(test)]
mod tests;

pub use cleanup::{ExpiredFile, Sweep, Wiped, find_expired, is_env_name, leases_in};
pub use env_file::{EnvFile, Existing, exchange};
pub use error::Error;
pub use file::{ProjectFile, ProviderProject, ProviderScope, ProviderSource, StoreProject, Wanted, Wants};
pub use find::{Project, find};
pub use keeper::pull;
pub use parse_env::{EnvHeader, ParsedEnvFile, Variable, rewritten, variables_of};
