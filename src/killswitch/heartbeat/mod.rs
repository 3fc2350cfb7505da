//! The heartbeat: an outside address that has to go on answering, or the switch is tripped.

mod heart;
mod probe;
mod pulse;
mod section;
mod target;

pub use heart::Heart;
pub use probe::Miss;
pub use pulse::{Pulse, Record, Verdict};
pub use section::{FailAction, Heartbeat, HeartbeatMethod, HeartbeatSection};
