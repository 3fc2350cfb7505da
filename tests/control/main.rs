//! The control socket of a real daemon, spoken to in raw lines as agent-secrets' clients speak.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test that cannot go on fails, and uses a part of what tests share"
)]

#[path = "../hand/mod.rs"]
mod hand;
#[path = "../support/mod.rs"]
mod support;

mod grants;
mod health;
mod hostile;
mod line;
mod methods;
mod other_program;
mod race;
mod swarm;
