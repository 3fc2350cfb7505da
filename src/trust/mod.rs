//! Making clients find the proxy and believe our root: variables, bundles, a preload for Node, a store for Java.
//!
//! Floor 1: knows `base`. Which client needs what is data, `certs/trust.toml`.

mod environment;
mod error;
mod inspect;
mod key_store;
mod no_proxy;
mod roots;
mod support;
mod table;
#[cfg(test)]
mod tests;

pub use environment::{Login, Prepared, Setup, environment, prepare};
pub use error::Error;
pub use inspect::{Finding, Surroundings, inspect};
pub use roots::Note;
pub use table::{Append, Effect, Leading, LeftAlone, SupportFile, Value, Variable, When, left_alone, variables};
