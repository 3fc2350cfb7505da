//! What integration tests stand on: certificates, origins that record, clients that say exactly what they are told.
//!
//! A test crate says `mod support;` (or `#[path = "../support/mod.rs"] mod support;` from a folder). Nothing here knows
//! the proxy: it only speaks HTTP and TLS, so that a fault in the product cannot hide in the tools that look for it.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "every test crate uses a part of this, and a test tool that cannot do its work must stop the test"
)]

mod ca;
mod client;
mod folder;
mod frames;
mod git;
mod origin;
mod port;
mod program;
mod raw_origin;
mod wait;

pub use ca::{Flaw, Leaf, TestCa, client_config, roots_of_pem};
pub use client::{
    Answer, H2Client, RawClient, RawH2, StreamEnd, Then, WebSocketClient, collect, connect_tls, connect_tls_with,
    field_block, flag, head, kind,
};
pub use folder::short_folder;
pub use frames::{Frame, Opcode, accept_key};
pub use git::GitRepos;
pub use origin::{
    AnswerState, BodyState, Connection, Gate, Handshake, Life, Origin, OriginBuilder, Recorded, SPELLINGS, Speaks,
    count, decode, encode, spell,
};
pub use port::HeldPort;
pub use program::{Finished, Program, REQUIRED, find_program, skip, write_script};
pub use raw_origin::{RawOrigin, Step};
pub use wait::{LIMIT, until, until_blocking, within};
