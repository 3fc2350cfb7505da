//! The kill switch and the heartbeat: the emergency stop, its latch on disk, its plan, and who pulls it unasked.
//!
//! Floor 2: imports `base`, `ca` and `net`. Invariant: whatever cannot be read means tripped, and nothing but
//! [`KillSwitch::reset`] makes it ready again.

mod error;
mod heartbeat;
mod offline;
mod plan;
mod switch;
mod trip;
mod wipe;

pub use error::Error;
pub use heartbeat::{FailAction, Heart, Heartbeat, HeartbeatMethod, HeartbeatSection, Miss, Pulse, Record, Verdict};
pub use offline::kill_offline;
pub use plan::{KillReport, Plan, Step, StepDone};
pub use switch::{KillState, KillSwitch};
pub use trip::{Trip, Tripper};
pub use wipe::wipe_home;
