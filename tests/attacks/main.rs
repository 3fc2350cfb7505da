//! Attacks by number: each is made through real sockets, and seen from the client, the audit log and the origin.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests stop at the first thing that is not as it should be"
)]

#[path = "../house/mod.rs"]
mod house;
#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod bait;
mod bodies;
mod fixes;
mod framing;
mod guesses;
mod h2_frames;
mod handshakes;
mod heads;
mod hello;
mod identity;
mod identity_h2;
mod secrets;
mod seen;
mod signed;
mod spellings;
mod swaps;
mod tokens;
mod tunnels;
mod upstream_tls;
mod upstreams;
mod yard;
