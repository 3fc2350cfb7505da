//! Putting a credential into a request, and finding its echoes in the answer.
//!
//! Floor 2: imports `base`, `recipe`, `net`. Lies above `net` because arming takes the proof that only a verified
//! dial can give.

mod basic;
mod begin;
mod body;
mod cookie;
mod draft;
mod echoes;
mod error;
mod message;
mod query;
mod scrubber;
mod slot;
mod spellings;

pub use begin::begin;
pub use draft::{Armed, Draft, Filling};
pub use echoes::Echoes;
pub use error::Error;
pub use message::{Message, Misplaced};
pub use scrubber::Scrubber;
pub use slot::{Held, Slot, check, find, find_in_body, is_body_for};
