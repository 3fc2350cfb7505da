//! The data plane from outside: real sockets, real TLS, a real origin that remembers what it received.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests stop at the first thing that is not as it should be"
)]

#[path = "../hand/mod.rs"]
mod hand;
#[path = "../house/mod.rs"]
mod house;
#[path = "../support/mod.rs"]
mod support;

mod anonymous;
mod approvals;
mod approvals_change;
mod approvals_people;
mod approvals_record;
mod blocks;
mod bodies;
#[expect(clippy::print_stderr, reason = "how long each cut took is for whoever reads the run")]
mod cutting;
mod discovery;
mod identity;
mod kit;
mod limits;
mod messages;
mod meters;
mod money;
mod moved;
mod needs;
mod own_port;
mod places;
mod protocols;
mod pushes;
mod restart;
mod roots;
mod scrub;
mod streaming;
mod swap;
mod unknown_hosts;
mod ways_in;
mod websocket;
