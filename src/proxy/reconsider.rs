//! What a person has let pass is judged once more: files may have changed and leases ended while it waited.
//!
//! Invariant: an answer lets pass what was shown and nothing else; whatever is denied by now is denied.

use super::{
    admit::{self, Decided},
    count::{self, Counted},
    exchange::{Refused, Site},
};
use crate::{
    base::RefusalCode,
    broker::{Refusal, Taken},
};

/// Judges a request again by the policy in force now, counts it towards limits that are new, and refuses it where it
/// would ask for more than was shown.
pub(super) fn reconsider(site: &Site, mut decided: Decided, taken: Option<Box<Taken>>) -> Result<Counted, Refused> {
    if let Some(refusal) = decided.permits.iter().find_map(|permit| site.broker.still(permit).err()) {
        return Err(Refused::Before(Box::new(decided.received.notes), refusal));
    }
    let shown = std::mem::take(&mut decided.asks);
    let before = decided.towards.take().map_or_else(Vec::new, |towards| towards.limits);
    let policy = site.broker.policy();
    let granted = policy.host(site.scheme, &site.authority);
    let mut decided = admit::decide(&policy, site, decided.undecided(granted.as_ref()))?;
    if let Some((service, asking)) = decided.asks.iter().find(|asked| !shown.contains(asked)) {
        let name = &asking.capability;
        let detail = format!(
            "policy was changed while a person was asked; it now asks about `{name}` of `{service}` in another way than \
             was shown"
        );
        let refusal = Refusal::new(RefusalCode::NeedsApproval, detail, "send the request again");
        let refusal = Refusal { capability: Some((**name).into()), ..refusal };
        return Err(Refused::Before(Box::new(decided.received.notes), refusal));
    }
    decided.asks = shown;
    count::recharge(site, decided, &before, taken)
}
