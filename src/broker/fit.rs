//! Whether a value can be written where its service wants it, told when it is stored and not when it is used (attack 41).

use super::{Broker, Error};
use crate::{
    base::{SecretBytes, SecretName},
    inject,
    store::Binding,
};

impl Broker {
    /// Refuses a value that none of the places of its binding can carry. A binding to what policy does not know fits;
    /// that is for others to say.
    pub(super) fn check_fits(&self, name: &SecretName, binding: &Binding, value: &SecretBytes) -> Result<(), Error> {
        let policy = self.policy();
        let Some(service) = policy.service(&binding.service) else { return Ok(()) };
        let mut fault = None;
        for place in service.places_of(&binding.credential) {
            match inject::check(place, value.expose()) {
                Ok(()) => return Ok(()),
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        match fault {
            Some(error) => Err(Error::Unfit { secret: name.clone(), error }),
            None => Ok(()),
        }
    }
}
