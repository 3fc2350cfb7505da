//! The control socket of a real daemon, spoken to in raw lines as agent-secrets' clients speak.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod health;
mod hostile;
mod line;
mod methods;
mod swarm;
