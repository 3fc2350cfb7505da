//! The numbers and the model that a JSON text has at the places of meters; nothing else of it is kept.

use std::{borrow::Cow, fmt, sync::Arc};

use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::policy::{Meter, Usage};

/// The longest name of a model, in bytes; a longer one is none.
const MOST_MODEL: usize = 256;

/// What an answer has said for its meters so far.
#[derive(Clone, Default)]
pub(super) struct Seen {
    meters: Vec<Arc<Meter>>,
    /// The parts of each meter.
    parts: Vec<Vec<Option<u64>>>,
    /// The first that was said.
    model: Option<Box<str>>,
}

impl Seen {
    /// Nothing yet; a meter that is there several times is read once.
    pub(super) fn nothing(meters: &[Arc<Meter>]) -> Self {
        let mut seen = Self::default();
        for meter in meters {
            if !seen.meters.contains(meter) {
                seen.meters.push(Arc::clone(meter));
                seen.parts.push(vec![None; meter.parts()]);
            }
        }
        seen
    }

    pub(super) fn is_empty(&self) -> bool {
        self.meters.is_empty()
    }

    /// Whether some meter reads streams.
    pub(super) fn streams(&self) -> bool {
        self.meters.iter().any(|meter| meter.streams())
    }

    /// What was used and by which model; `None` where nothing was said of it.
    pub(super) fn usage(self) -> Usage {
        let total = |parts: Vec<Option<u64>>| parts.into_iter().flatten().reduce(u64::saturating_add);
        Usage { model: self.model, amounts: self.meters.into_iter().zip(self.parts.into_iter().map(total)).collect() }
    }

    /// Whether an event of a stream can hold something that is still to be read.
    pub(super) fn may_be_in(&self, text: &[u8]) -> bool {
        let streaming = || self.meters.iter().filter(|meter| meter.streams());
        let numbers = streaming().flat_map(|meter| meter.places()).filter_map(|place| place.steps.last());
        let models = streaming().filter(|_| self.model.is_none()).flat_map(|meter| meter.model());
        let mut words = numbers.chain(models.filter_map(|steps| steps.last()));
        words.any(|word| memmem::find(text, word.as_bytes()).is_some())
    }

    /// Reads one document, or several one after the other; whether all could be read. What stands before a fault counts.
    pub(super) fn read(&mut self, text: &[u8]) -> bool {
        self.read_for(text, |_| true)
    }

    /// The same of an event, for the meters that read streams.
    pub(super) fn read_event(&mut self, text: &[u8]) -> bool {
        self.read_for(text, Meter::streams)
    }

    fn read_for(&mut self, text: &[u8], reads: impl Fn(&Meter) -> bool) -> bool {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let meters = self.meters.clone();
        loop {
            let named = meters.iter().enumerate().filter(|(_, meter)| reads(meter));
            let places = named.flat_map(|(at, meter)| places(at, meter)).collect();
            let seek = Seek { places, seen: self, is_top: true };
            if seek.deserialize(&mut reader).is_err() {
                return false;
            }
            if reader.end().is_ok() {
                return true;
            }
        }
    }
}

/// The numbers are left out: they are the client's business.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.meters.iter().map(|meter| meter.name()).collect();
        f.debug_struct("Seen").field("meters", &names).finish_non_exhaustive()
    }
}

/// What stands at a place.
#[derive(Clone, Copy)]
enum Slot {
    Model,
    /// A part of a meter.
    Number(usize, usize),
}

/// A place, with the steps that are left to it.
#[derive(Clone)]
struct Place<'a> {
    slot: Slot,
    steps: &'a [Box<str>],
    /// A list at the top is a stream of events in another form.
    streams: bool,
}

fn places(at: usize, meter: &Meter) -> impl Iterator<Item = Place<'_>> {
    let streams = meter.streams();
    let numbers = meter.places().iter().map(move |place| (Slot::Number(at, place.part), &*place.steps));
    let models = meter.model().iter().map(|steps| (Slot::Model, &**steps));
    numbers.chain(models).map(move |(slot, steps)| Place { slot, steps, streams })
}

/// A walk to the places that are left.
struct Seek<'a, 's> {
    places: Vec<Place<'a>>,
    seen: &'s mut Seen,
    is_top: bool,
}

impl<'a> Seek<'a, '_> {
    fn down(&self, step: &str) -> Vec<Place<'a>> {
        let on = |place: &Place<'a>| {
            let (first, steps) = place.steps.split_first()?;
            (**first == *step).then_some(Place { steps, ..*place })
        };
        self.places.iter().filter_map(on).collect()
    }

    fn here(&self) -> impl Iterator<Item = Slot> {
        self.places.iter().filter(|place| place.steps.is_empty()).map(|place| place.slot)
    }

    fn found(self, number: u64) {
        let slots: Vec<Slot> = self.here().collect();
        for slot in slots {
            let Slot::Number(meter, part) = slot else { continue };
            if let Some(slot) = self.seen.parts.get_mut(meter).and_then(|parts| parts.get_mut(part)) {
                *slot = Some(number);
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        if self.places.is_empty() {
            return from.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let places = self.down(&key);
            map.next_value_seed(Seek { places, seen: &mut *self.seen, is_top: false })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let mut places = self.down(&index.to_string());
            if self.is_top {
                places.retain(|place| !place.streams);
                places.extend(self.places.iter().filter(|place| place.streams).cloned());
            }
            if list.next_element_seed(Seek { places, seen: &mut *self.seen, is_top: false })?.is_none() {
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

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let is_model = self.here().any(|slot| matches!(slot, Slot::Model));
        if is_model && self.seen.model.is_none() && (1..=MOST_MODEL).contains(&text.len()) {
            self.seen.model = Some(text.into());
        }
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
        let mut seen = Seen::nothing(&[Arc::new(Meter::new("tokens", parts, streams).unwrap())]);
        (seen.read(text.as_bytes()), seen.usage().amounts[0].1)
    }

    #[test]
    fn the_first_model_that_is_said_is_the_answer_s() {
        let meter = Meter::new("tokens", &["/n"], true).unwrap();
        assert!(meter.clone().with_model("model").is_err());
        let meter = Arc::new(meter.with_model("/model or /message/model").unwrap());
        for (text, model) in [
            (r#"{"n":1,"model":"gpt-4o"}"#, Some("gpt-4o")),
            (r#"{"message":{"model":"claude"},"model":"other"}"#, Some("claude")),
            (r#"[{"model":"a"},{"model":"b"}]"#, Some("a")),
            (r#"{"model":7,"message":{"model":["x"]}}"#, None),
            (r#"{"model":""}"#, None),
            (&format!("{{\"model\":\"{}\"}}", "m".repeat(257)), None),
        ] {
            let mut seen = Seen::nothing(&[Arc::clone(&meter), Arc::clone(&meter)]);
            assert!(seen.may_be_in(text.as_bytes()) && seen.read(text.as_bytes()));
            assert!(!format!("{seen:?}").contains("claude"));
            let usage = seen.usage();
            assert_eq!((usage.model.as_deref(), usage.amounts.len()), (model, 1), "{text}");
        }
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
