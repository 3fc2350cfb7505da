//! The numbers that a JSON text has at the places of a meter; nothing else of it is kept.

use std::{borrow::Cow, fmt, sync::Arc};

use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::policy::Meter;

/// What an answer has said for one meter so far.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    meter: Arc<Meter>,
    parts: Vec<Option<u64>>,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn nothing(meter: &Arc<Meter>) -> Self {
        Self { meter: Arc::clone(meter), parts: vec![None; meter.parts()] }
    }

    pub(super) const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// What was used; `None` when nothing was said of it.
    pub(super) fn total(&self) -> Option<u64> {
        self.parts.iter().flatten().copied().reduce(u64::saturating_add)
    }

    /// Whether a text can hold one of the numbers.
    pub(super) fn may_be_in(&self, text: &[u8]) -> bool {
        let mut last = self.meter.places().iter().filter_map(|place| place.steps.last());
        last.any(|word| memmem::find(text, word.as_bytes()).is_some())
    }

    /// Reads one document, or several one after the other; whether all could be read. What stands before a fault counts.
    pub(super) fn read(&mut self, text: &[u8]) -> bool {
        let mut reader = serde_json::Deserializer::from_slice(text);
        loop {
            let places = self.meter.places().iter().map(|place| (place.part, &*place.steps)).collect();
            let seek = Seek { places, parts: &mut self.parts, is_top: self.meter.streams() };
            if seek.deserialize(&mut reader).is_err() {
                return false;
            }
            if reader.end().is_ok() {
                return true;
            }
        }
    }
}

/// A walk to the places that are left, each with the steps that are left to it.
struct Seek<'a> {
    places: Vec<(usize, &'a [Box<str>])>,
    parts: &'a mut [Option<u64>],
    /// A list at the top is a stream of events in another form.
    is_top: bool,
}

impl<'a> Seek<'a> {
    fn down(&self, step: &str) -> Vec<(usize, &'a [Box<str>])> {
        let on = |(part, steps): &(usize, &'a [Box<str>])| {
            let (first, rest) = steps.split_first()?;
            (**first == *step).then_some((*part, rest))
        };
        self.places.iter().filter_map(on).collect()
    }

    fn found(self, number: u64) {
        for (part, _) in self.places.iter().filter(|(_, steps)| steps.is_empty()) {
            if let Some(slot) = self.parts.get_mut(*part) {
                *slot = Some(number);
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        if self.places.is_empty() {
            return from.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let places = self.down(&key);
            map.next_value_seed(Seek { places, parts: &mut *self.parts, is_top: false })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let places = if self.is_top { self.places.clone() } else { self.down(&index.to_string()) };
            if list.next_element_seed(Seek { places, parts: &mut *self.parts, is_top: false })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.found(number);
        Ok(())
    }

    /// Less than nothing was never used.
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    /// Parts of one are rounded up, and what is too large stays as large as it can be.
    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        if number >= 0.0 {
            self.found(format!("{:.0}", number.ceil()).parse().unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&str], streams: bool, text: &str) -> (bool, Option<u64>) {
        let mut seen = Seen::nothing(&Arc::new(Meter::new("tokens", parts, streams).unwrap()));
        (seen.read(text.as_bytes()), seen.total())
    }

    #[test]
    fn numbers_at_the_places_are_added_up_and_everything_else_is_passed_over() {
        let both = ["/usage/in or /m/usage/in", "/usage/out"];
        for (text, total) in [
            (r#"{"usage":{"in":5,"out":7},"m":[]}"#, Some(12)),
            (r#"{"m":{"usage":{"in":4}},"usage":{"in":5,"out":7}}"#, Some(12)),
            (r#"{"usage":{"in":5}}"#, Some(5)),
            (r#"{"usage":{"in":-5,"out":"7"}}"#, None),
            (r#"{"usage":null}"#, None),
            (r#"{"usage":{"in":{"in":1},"out":[3]}}"#, None),
            (r#"{"text":"{\"usage\":{\"in\":9}}","x":{"usage":{"in":9}}}"#, None),
            (r#"{"usage":{"in":0.5,"out":1e300}}"#, Some(u64::MAX)),
            (r#"{"usage":{"in":18446744073709551615,"out":18446744073709551616}}"#, Some(u64::MAX)),
            ("{\"usage\":{\"in\":1}}\n{\"usage\":{\"in\":3,\"out\":1}}\n", Some(4)),
            ("[]", None),
            ("7", None),
        ] {
            assert_eq!(read(&both, false, text), (true, total), "{text}");
        }
        assert_eq!(read(&["/a~1b/0"], false, r#"{"a/b":[8,9]}"#), (true, Some(8)));
        let list = r#"[{"usage":{"in":1}},{"usage":{"in":6}}]"#;
        assert_eq!(read(&["/usage/in"], true, list), (true, Some(6)), "a list of events, of which the last counts");
        assert_eq!(read(&["/usage/in"], false, list), (true, None));
    }

    #[test]
    fn hostile_texts_end_and_what_stands_before_the_fault_counts() {
        let deep = "[".repeat(1 << 20);
        for text in ["", "{", "nonsense", &deep, &format!("{{\"usage\":{deep}"), "{\"usage\":{\"in\":1e999}}"] {
            assert_eq!(read(&["/usage/in"], true, text), (false, None), "{}", &text[..text.len().min(40)]);
        }
        assert_eq!(read(&["/usage/in"], true, r#"{"usage":{"in":5},"more":["#), (false, Some(5)));
    }
}
