//! Station 6, second half: a request that may pass counts towards its limits, or is refused and counts towards none.

use std::time::Duration;

use http::{StatusCode, header::RETRY_AFTER};

use super::{
    admit::Decided,
    exchange::{Refused, Site},
    forward::Sent,
};
use crate::{
    base::RefusalCode,
    broker::{Over, Refusal, Taken},
    policy::Applied,
};

/// What a vendor's 429 without a number of seconds stands for.
const UNSAID: Duration = Duration::from_secs(1);

/// Counts the request; what comes back runs until the exchange's record is closed. A second try after a 401 is the same
/// exchange, so it is counted once.
pub(super) fn charge(site: &Site, decided: Decided) -> Result<Counted, Refused> {
    let Some(towards) = &decided.towards else { return Ok((decided, None)) };
    match site.broker.count(&towards.limits) {
        Ok(taken) => Ok((decided, Some(Box::new(taken)))),
        Err(over) => {
            let refusal = refusal(&over, towards.explained.clone());
            Err(Refused::Before(Box::new(decided.received.notes), refusal))
        }
    }
}

/// A request, and what it was counted towards.
pub(super) type Counted = (Decided, Option<Box<Taken>>);

/// The same for a request that has waited since: it counts towards the limits of now, unless they are those that have
/// counted it. What they counted by then stays counted, so that a change forgives nothing.
pub(super) fn recharge(
    site: &Site,
    decided: Decided,
    before: &[Applied],
    taken: Option<Box<Taken>>,
) -> Result<Counted, Refused> {
    let has_counted = |now: &Applied| before.iter().any(|was| was.scope == now.scope && was.limit == now.limit);
    if decided.towards.as_ref().is_none_or(|towards| towards.limits.iter().all(has_counted)) {
        return Ok((decided, taken));
    }
    drop(taken); // what runs at once is given back first
    charge(site, decided)
}

fn refusal(over: &Over, fix: String) -> Refusal {
    let next = match over.wait {
        Some(wait) => format!("next in {} s", wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        None => "next when one of those that run has ended".to_owned(),
    };
    let detail = format!("limit {} is reached; {next}", over.limit);
    Refusal { retry_after: over.wait, ..Refusal::new(RefusalCode::Limit, detail, fix) }
}

/// A vendor's own 429 goes to the client as it is, and holds back what comes next under the same limits.
pub(super) fn heed(sent: &Sent) {
    let response = &sent.arrived.response;
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return;
    }
    if let Some(counted) = sent.arrived.outcome.counted() {
        let stated = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        counted.slow_down(stated.map_or(UNSAID, Duration::from_secs));
    }
}
