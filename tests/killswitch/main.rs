//! The emergency stop and the heartbeat, end to end: one test for each promise, with real traffic and real servers.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests stop at the first thing that is not as it should be, and use a part of what they share"
)]

#[path = "../hand/mod.rs"]
mod hand;
#[path = "../house/mod.rs"]
mod house;
#[path = "../proxy/kit.rs"]
mod kit;
#[path = "../support/mod.rs"]
mod support;

mod beacon;
mod cut;
mod heartbeat;
mod latch;
mod program;
mod revoke;
mod signed;
mod wipe;

use leasehold::{
    audit::Record,
    killswitch::{KillReport, Plan, Step, Tripper},
};

use house::House;

/// Trips the switch of a house as an operator.
pub async fn kill(house: &House, plan: Plan) -> KillReport {
    house.broker().kill(plan, Tripper::Operator, "a test told it to").await
}

/// Which steps failed.
pub fn failed(report: &KillReport) -> Vec<Step> {
    report.steps.iter().filter(|done| done.result.is_err()).map(|done| done.step).collect()
}

/// What the record says of the switch, step by step.
pub fn steps(records: &[Record]) -> Vec<String> {
    let of = |record: &Record| record.details.as_deref().unwrap_or_default().split(':').next().unwrap().to_owned();
    records.iter().filter(|record| record.action == "killswitch").map(of).collect()
}
