//! agent-secrets' walk-through, typed line by line into a shell that finds our program under the name `secrets`.
//!
//! Nothing here is ours: commands, flags, fields, exit codes and habits are those that scripts of agent-secrets' users
//! rely on. The home is the default one, in a user folder of the test's own.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod shell;
#[path = "../support/mod.rs"]
mod support;
mod walk;
mod without_daemon;
