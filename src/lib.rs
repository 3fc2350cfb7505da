//! Leasehold: agents hold leases, the proxy holds the keys.
//!
//! A local forward proxy and secret store for AI agents. An agent process gets `HTTPS_PROXY`, a bundle of certificates
//! and opaque **lease tokens** where its API keys would be. On each outbound request the proxy finds the lease token,
//! checks the lease and the policy of the verified upstream, and puts the real credential on the wire. The agent, its
//! children, its logs and its model's context never hold a key. The program is `secrets`.
//!
//! # The floors
//!
//! A folder imports from lower floors only, never from a neighbour; `tests/tidy.rs` reads the source and says so.
//!
//! | floor | folders | what they are |
//! |--:|---|---|
//! | 0 | [`base`], [`recipe`] | words: ids, hosts, time, secret bytes; how a credential stands in a request |
//! | 1 | [`store`], [`lease`], [`audit`], [`ca`], [`net`], [`project`], [`trust`] | nouns |
//! | 2 | [`inject`], [`killswitch`], [`policy`], [`rotation`], [`scan`] | verbs |
//! | 3 | [`broker`] | the use-cases |
//! | 4 | [`proxy`], [`control`] | doors: data plane and control plane |
//! | 5 | [`daemon`] | the house: settings to a running whole |
//! | 6 | [`cli`], [`demo`] | hands |
//!
//! [`inject`] is a verb and not a noun because arming a request takes [`net::VerifiedUpstream`], the proof that only a
//! verified TLS dial can give.
//!
//! # The walk of one request
//!
//! [`proxy`] lists the twelve stations and what stands between them; `proxy/exchange.rs` calls them in order. Every station consumes what the one
//! before gave, so that none can be skipped, repeated or moved without a type error.
//!
//! # Invariants
//!
//! 1. *Armed is blind*: [`inject::Armed`] has no `Debug`, no `Clone`, no getters, and one consuming `open`.
//! 2. *No record, no credential*: the begun event is with the kernel before the credential is fetched; dropping the
//!    guard writes the end.
//! 3. *Authorise per request*, not per tunnel.
//! 4. *Watch, then check*: an exchange subscribes to its lease's cut before it looks at the lease.
//! 5. *One authority*: CONNECT, SNI, `Host`, `:authority` and target agree, or nothing is dialled.
//! 6. *A lease is swapped once, at a listed place, for a host of its own service*; anywhere else it stops the request.
//! 7. *One rule engine*: [`policy::PolicySet::decide`] serves the proxy and every explanation.
//! 8. *One map of refusals*: only `proxy/reject.rs` decides what a refused client is told.
//! 9. *A project file can only narrow.*
//! 10. *Load, or say why and stop*: only `init` creates.
//!
//! # What it does not protect against
//!
//! A process that runs as the daemon's own user and is not confined can read the identity and open the store, or trace
//! the daemon where the system lets it. Leasehold keeps keys out of an agent's environment, files, logs and context; it
//! is no sandbox. The README says what is left.
#![forbid(unsafe_code)]

pub mod base;
pub mod recipe;

pub mod audit;
pub mod ca;
pub mod lease;
pub mod net;
pub mod project;
pub mod store;
pub mod trust;

pub mod inject;
pub mod killswitch;
pub mod policy;
pub mod rotation;
pub mod scan;

pub mod broker;

pub mod control;
pub mod proxy;

pub mod daemon;

pub mod cli;
pub mod demo;
