//! Secrets in files: looked for by the shapes of tokens, by the names of variables, and shown redacted.
//!
//! Floor 2. Invariants: memory is bounded whatever a file holds; a finding carries no more of a secret than four
//! characters at each end; our own lease tokens are told from the keys that they stand for.

mod assignment;
mod baseline;
mod entropy;
mod error;
mod finding;
mod known;
mod patterns;
mod search;
mod service_shape;
mod severity;
mod shape;
#[cfg(test)]
mod tests;
mod walk;
mod windows;

pub use baseline::Baseline;
pub use error::Error;
pub use finding::{Finding, Fingerprint};
pub use patterns::{Patterns, Recognised};
pub use search::{Found, MAX_FINDINGS, Request, search};
pub use service_shape::{Fits, ServiceShape};
pub use severity::Severity;
pub use walk::{DEFAULT_EXCLUDES, Ignored, Reach, is_env_file};
