//! The request being prepared, and the request that carries its credential.
//!
//! Invariant: `Armed` is blind. It has no `Debug`, no `Clone`, no getters; it can only be opened, once, by the code
//! that puts it on the wire.

use std::ops::Range;

use http::{Request, header::CONTENT_LENGTH, request::Parts};
use zeroize::Zeroizing;

use super::{Error, Message, Slot};
use crate::{
    base::{Authority, SecretBytes},
    net::VerifiedUpstream,
};

/// A range of a body, and what belongs there.
pub type Filling = (Range<usize>, Zeroizing<Vec<u8>>);

/// A request without credentials, and the places where they belong.
pub struct Draft<B> {
    parts: Parts,
    body: B,
    authority: Authority,
    slots: Vec<Slot>,
}

/// A request that carries its credential, and one for a message that comes after it.
pub struct Armed<B>(Request<B>, Option<Message>);

impl<B> Draft<B> {
    /// A draft for one authority.
    pub const fn new(authority: Authority, parts: Parts, body: B, slots: Vec<Slot>) -> Self {
        Self { parts, body, authority, slots }
    }

    /// Writes one credential into each slot, in the slots' order. `fill` writes those of the body: it gets the body and
    /// the ranges with what belongs there, by their places.
    ///
    /// # Errors
    /// When the proof is for another authority, or a value cannot be written at its place.
    pub fn arm(
        mut self,
        credentials: &[SecretBytes],
        proof: &VerifiedUpstream,
        fill: impl FnOnce(B, &[Filling]) -> Result<B, Error>,
    ) -> Result<Armed<B>, Error> {
        if *proof.authority() != self.authority {
            return Err(Error::Authority {
                verified: proof.authority().to_string(),
                wanted: self.authority.to_string(),
            });
        }
        if credentials.len() != self.slots.len() {
            return Err(Error::Unwritable { place: "the request", why: "a slot has no credential" });
        }
        // Slots hold ranges of what came: write the last one first.
        let mut order: Vec<(&Slot, &SecretBytes)> = self.slots.iter().zip(credentials).collect();
        order.sort_by_key(|(slot, _)| std::cmp::Reverse(slot.start()));
        let (mut fillings, mut message) = (Vec::new(), None);
        for (slot, credential) in order {
            message = slot.message().map(|pointer| Message::new(pointer, credential.clone())).or(message);
            slot.write(&mut self.parts, credential.expose())?;
            if let (Some(range), Some(text)) = (slot.body(), slot.spell(credential.expose())) {
                fillings.push((range, text?));
            }
        }
        fillings.reverse();
        if !fillings.is_empty() {
            self.body = fill(self.body, &fillings)?;
            self.parts.headers.remove(CONTENT_LENGTH); // the body knows its new one
        }
        Ok(Armed(Request::from_parts(self.parts, self.body), message))
    }

    /// The request as it is, for exchanges that carry no credential.
    pub fn without_credential(self) -> Request<B> {
        Request::from_parts(self.parts, self.body)
    }
}

impl<B> Armed<B> {
    /// The request. Called by `proxy/forward.rs`, by `broker/rotate/check.rs` for requests of our own, and nowhere else.
    /// With it goes the credential of the first message, where that is its place.
    pub fn open(self) -> (Request<B>, Option<Message>) {
        (self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inject::find,
        recipe::{BasicPart, Place},
    };

    fn authority() -> Authority {
        Authority::parse("api.acme.test", Some(443)).unwrap()
    }

    fn arm(request: Request<()>, places: &[Place], credentials: &[&[u8]]) -> Result<Request<()>, Error> {
        let (parts, body) = request.into_parts();
        let held = places.iter().map(|place| Ok(find(&parts, place)?.unwrap().slot)).collect::<Result<_, Error>>()?;
        let credentials: Vec<_> = credentials.iter().map(|c| SecretBytes::new(c.to_vec())).collect();
        let proof = VerifiedUpstream::pretend(authority());
        Draft::new(authority(), parts, body, held).arm(&credentials, &proof, |(), _| Ok(())).map(|armed| armed.open().0)
    }

    fn header(name: &'static str, wording: &str) -> Place {
        Place::Header { name: http::HeaderName::from_static(name), wordings: vec![wording.parse().unwrap()] }
    }

    #[test]
    fn exactly_the_listed_places_change() {
        let request = Request::get("https://api.acme.test/p//a%2Fb;x?q=%20&key=LEASE&z=+1")
            .header("authorization", "bearer LEASE")
            .header("x-other", "kept")
            .body(())
            .unwrap();
        let places = [header("authorization", "Bearer {}"), Place::Query { name: "key".into() }];
        let armed = arm(request, &places, &[b"real", b"r&l"]).unwrap();
        assert_eq!(armed.headers()["authorization"], "bearer real");
        assert!(armed.headers()["authorization"].is_sensitive());
        assert_eq!(armed.headers()["x-other"], "kept");
        assert_eq!(armed.uri().path_and_query().unwrap().as_str(), "/p//a%2Fb;x?q=%20&key=r%26l&z=+1");
    }

    #[test]
    fn a_bare_wording_does_not_hide_the_one_that_a_client_used() {
        for order in [["{}", "Bearer {}"], ["Bearer {}", "{}"]] {
            let wordings = order.map(|wording| wording.parse().unwrap()).to_vec();
            let place = Place::Header { name: http::HeaderName::from_static("authorization"), wordings };
            for (sent, armed) in [("Bearer LEASE", "Bearer real"), ("LEASE", "real")] {
                let request = Request::get("https://api.acme.test/").header("authorization", sent).body(()).unwrap();
                let request = arm(request, std::slice::from_ref(&place), &[b"real"]).unwrap();
                assert_eq!(request.headers()["authorization"], armed, "{order:?}");
            }
        }
    }

    #[test]
    fn two_keys_in_one_query_are_written_in_any_order() {
        let request = Request::get("https://api.acme.test/?key=AAAA&token=B").body(()).unwrap();
        let places = [Place::Query { name: "key".into() }, Place::Query { name: "token".into() }];
        let armed = arm(request, &places, &[b"first-long", b"second"]).unwrap();
        assert_eq!(armed.uri().query(), Some("key=first-long&token=second"));
    }

    #[test]
    fn basic_keeps_the_other_part() {
        let request = Request::get("https://api.acme.test/").header("authorization", "Basic dXNlcjpMRUFTRQ==");
        let place = Place::Basic { part: BasicPart::Password, other: None };
        let armed = arm(request.body(()).unwrap(), &[place], &[b"real"]).unwrap();
        assert_eq!(armed.headers()["authorization"], "Basic dXNlcjpyZWFs"); // user:real
    }

    #[test]
    fn attack_41_a_value_that_no_header_can_carry_is_not_sent() {
        let request = || Request::get("https://api.acme.test/").header("x-key", "LEASE").body(()).unwrap();
        for value in [&b"a\r\nb"[..], b"a\0b", b"a\xffb", b"-----BEGIN\nKEY"] {
            assert!(matches!(arm(request(), &[header("x-key", "{}")], &[value]), Err(Error::Unwritable { .. })));
        }
    }

    #[test]
    fn a_proof_for_another_authority_arms_nothing() {
        let (parts, body) =
            Request::get("https://api.acme.test/").header("x-key", "LEASE").body(()).unwrap().into_parts();
        let slot = find(&parts, &header("x-key", "{}")).unwrap().unwrap().slot;
        let other = VerifiedUpstream::pretend(Authority::parse("evil.test", Some(443)).unwrap());
        let armed = Draft::new(authority(), parts, body, vec![slot]).arm(
            &[SecretBytes::new(b"real".to_vec())],
            &other,
            |(), _| Ok(()),
        );
        assert!(matches!(armed, Err(Error::Authority { .. })));
    }

    #[test]
    fn attack_18_a_place_that_is_there_twice_is_refused() {
        let request =
            Request::get("https://api.acme.test/").header("x-key", "a").header("x-key", "b").body(()).unwrap();
        assert!(matches!(find(&request.into_parts().0, &header("x-key", "{}")), Err(Error::DuplicateHeader(_))));
    }
}
