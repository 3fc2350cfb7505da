//! What is given, and how much: grants, what narrows them, limits, and how a person is asked.

mod ask;
mod breadth;
mod grant;
mod less;
mod limit;
mod limited;
mod may;
mod money;
mod tariff;

pub(super) use ask::read_approve;
pub use ask::{Approve, Asking, Remember};
pub use breadth::BroadGrant;
#[cfg(test)]
pub(super) use grant::Keep;
pub use grant::{Grant, Layer, Narrow, Verdict};
pub(super) use grant::{Only, Those};
pub use less::{Less, NotLess};
pub use limit::{Limit, Measure};
pub(super) use limit::{Limited, read_limits, unpriced};
pub use limited::{Applied, Budget};
pub use may::{May, MayUse};
pub use money::{Money, MoneyError};
pub use tariff::{Cost, Price, Tariff, Usage};
