//! Rotation from end to end: real hooks, a real daemon, a real origin that takes one value and not another.
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

mod commands;
mod generations;
mod kit;
mod on_time;
mod together;
mod unauthorized;
