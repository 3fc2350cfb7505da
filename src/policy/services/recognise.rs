//! Which service a stored value belongs to: by the variable's name, by the value's shape, never by a guess.

use std::sync::Arc;

use crate::base::ServiceId;

use super::{credential::Credential, service::Service};

/// Beginnings of at most this many letters, such as `sk-`, are in use by many vendors and tell nothing against a name.
const COMMON_PREFIX: usize = 3;

/// The service and credential that a name and a value point to. A more particular shape of another service
/// beats the name, so that no value is sent to a service whose competitor plainly made it; a tie is no answer.
pub(in crate::policy) fn recognise(
    services: &[Arc<Service>],
    name: &str,
    value: &[u8],
) -> Option<(ServiceId, Box<str>)> {
    let variable = name.to_ascii_uppercase().replace(['-', '.', ':', '/', ' '], "_");
    let all =
        || services.iter().flat_map(|service| service.credentials.iter().map(move |credential| (service, credential)));
    let named: Vec<_> = all().filter(|(_, credential)| credential.env().any(|env| env == variable)).collect();
    let shaped: Vec<_> = all().filter_map(|pair| Some((shape(pair.1, value)?, pair))).collect();
    let most = shaped.iter().map(|(length, _)| *length).max();
    let best: Vec<_> = shaped.iter().filter(|(length, _)| Some(*length) == most).map(|(_, pair)| *pair).collect();
    let fitting: Vec<_> = named.into_iter().filter(|(_, credential)| credential.accept.fits(value)).collect();
    let agreed: Vec<_> = match (&*fitting, &*best) {
        (named, []) => named.to_vec(),
        ([], best) => best.to_vec(),
        // A name whose own shape is as particular as any holds; so does one among equals.
        (named, best) => {
            let both: Vec<_> = named.iter().filter(|a| best.iter().any(|b| std::ptr::eq(a.1, b.1))).copied().collect();
            match both.is_empty() {
                true if most.is_some_and(|length| length > COMMON_PREFIX) => best.to_vec(),
                true => named.to_vec(),
                false => both,
            }
        }
    };
    match &*agreed {
        [(service, credential)] => Some((service.id.clone(), (*credential.name).into())),
        _ => None,
    }
}

/// The length of the prefix that fits, when the credential has prefixes at all and the rest fits too.
fn shape(credential: &Credential, value: &[u8]) -> Option<usize> {
    let prefix = credential.accept.prefix_of(value)?;
    credential.accept.fits(value).then_some(prefix.len())
}
