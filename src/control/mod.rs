//! The control plane: JSON-RPC 2.0 on a Unix socket, from the types of every call to the server and the typed client.
//!
//! Floor 4. The daemon implements [`Service`] and hands it to [`serve`]; the commands speak through [`Client`].
//! A secret value crosses the socket as [`WireValue`] and as nothing else.

mod api;
mod buffer;
mod client;
mod connection;
mod converse;
mod error;
mod failure;
mod frame;
mod serve;
mod service;
mod socket;
mod wire;

pub use api::*;
pub use client::Client;
pub use connection::{Connection, Peer};
pub use error::Error;
pub use failure::{Failure, FailureCode};
pub use serve::{Limits, Peers, serve};
pub use service::Service;
pub use socket::{Listener, SocketAccess};

#[cfg(test)]
mod tests;
