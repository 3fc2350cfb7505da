//! JSON in the one reading that everybody shares, and pointers into it.
//!
//! Invariant: a text that two readers could understand differently (a key twice, a key and its twin in another case) is
//! not read as either when it is to give something.

use std::{cell::Cell, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::policy::rules::Reading;

/// The most values of one text, each of which takes many times its length while it is held.
const MOST: usize = 1_000_000;

/// Reads a whole text (RFC 8259); `None` for anything else, for a key that stands twice in one object, and for more
/// than 127 levels or a million values.
pub(super) fn read_json(text: &[u8]) -> Option<Value> {
    let left = Cell::new(MOST);
    let mut from = serde_json::Deserializer::from_slice(text);
    let value = Once { left: &left }.deserialize(&mut from).ok()?;
    from.end().is_ok().then_some(value)
}

/// A value in which no object has a key twice.
#[derive(Clone, Copy)]
struct Once<'l> {
    /// How many values there may still be.
    left: &'l Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| de::Error::custom("too many values"))?;
        self.left.set(left);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if all.insert(key, entries.next_value_seed(self)?).is_some() {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}

/// A JSON pointer (RFC 6901) in which `*` stands for every element of a list and every member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Pointer(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Each,
    Key(Box<str>),
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Each => f.write_str("/*"),
            Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")),
        })
    }
}

impl Pointer {
    /// Parses; the error says what is wrong.
    pub(in crate::policy) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or_else(|| format!("`{text}` must begin with `/`"))?;
        let step = |step: &str| match step {
            "*" => Ok(Step::Each),
            _ if step.replace("~0", "").replace("~1", "").contains('~') => {
                Err(format!("`{text}` has a `~` that is neither `~0` nor `~1`"))
            }
            _ => Ok(Step::Key(step.replace("~1", "/").replace("~0", "~").into())),
        };
        rest.split('/').map(step).collect::<Result<_, _>>().map(Self)
    }

    /// The texts of the scalars that it points at. Read exactly, `None` unless the way is clear everywhere and ends at
    /// scalars only. Read loosely, everything that could be meant.
    pub(super) fn texts(&self, value: &Value, reading: Reading) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        let clear = collect(&self.0, value, reading, &mut texts);
        (clear || reading == Reading::Loose).then_some(texts)
    }
}

/// Whether every way to an end was clear.
fn collect(steps: &[Step], value: &Value, reading: Reading, texts: &mut Vec<String>) -> bool {
    let Some((step, later)) = steps.split_first() else {
        return end(value, reading, texts);
    };
    match (step, value) {
        (Step::Each, Value::Array(items)) => all(items.iter(), later, reading, texts),
        (Step::Each, Value::Object(members)) => all(members.values(), later, reading, texts),
        (Step::Key(key), Value::Object(members)) => {
            let mut alike = members.iter().filter(|(name, _)| fold(name) == fold(key));
            match reading {
                Reading::Loose => {
                    alike.fold(true, |clear, (_, member)| collect(later, member, reading, texts) && clear)
                }
                Reading::Exact => {
                    let (first, twin) = (alike.next(), alike.next());
                    let found = first.filter(|(name, _)| twin.is_none() && ***name == **key);
                    found.is_some_and(|(_, member)| collect(later, member, reading, texts))
                }
            }
        }
        (Step::Key(key), Value::Array(items)) => {
            let item = key.parse::<usize>().ok().filter(|at| at.to_string() == **key).and_then(|at| items.get(at));
            item.is_some_and(|item| collect(later, item, reading, texts))
        }
        _ => false,
    }
}

fn all<'v>(items: impl Iterator<Item = &'v Value>, later: &[Step], reading: Reading, texts: &mut Vec<String>) -> bool {
    let mut clear = true;
    for item in items {
        clear &= collect(later, item, reading, texts);
    }
    clear
}

/// A scalar as text; read loosely also the scalars inside, for servers that take one for the other.
fn end(value: &Value, reading: Reading, texts: &mut Vec<String>) -> bool {
    match value {
        // `"false"` is true to many programs, so that it is not what a rule means that says `false`.
        Value::String(text) if matches!(&**text, "true" | "false" | "null") => {
            texts.push(format!("\"{text}\""));
            texts.extend((reading == Reading::Loose).then(|| text.clone()));
        }
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) if reading == Reading::Loose => {
            for item in items {
                end(item, reading, texts);
            }
        }
        Value::Object(members) if reading == Reading::Loose => {
            for member in members.values() {
                end(member, reading, texts);
            }
        }
        Value::Array(_) | Value::Object(_) => return false,
        Value::Number(number) => {
            texts.push(number.to_string());
            // 1e2 and 100.0 are 100 to most readers.
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(whole) = whole.filter(|_| reading == Reading::Loose) {
                texts.push(format!("{whole:.0}"));
            }
        }
        Value::Bool(_) | Value::Null => texts.push(value.to_string()),
    }
    true
}

/// A key as the laxest readers compare it: letters without case, as Unicode folds them.
pub(super) fn fold(key: &str) -> String {
    key.chars().map(|c| if c == 'ſ' { 's' } else { c }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pointer: &str, json: &str, reading: Reading) -> Option<Vec<String>> {
        Pointer::parse(pointer).unwrap().texts(&read_json(json.as_bytes()).unwrap(), reading)
    }

    fn exact(pointer: &str, json: &str) -> Option<Vec<String>> {
        texts(pointer, json, Reading::Exact)
    }

    #[test]
    fn what_readers_differ_about_is_not_read() {
        for text in [
            "",
            "{",
            "{} {}",
            r#"{"a":1,"a":2}"#,
            r#"[{"b":{"a":1,"a":1}}]"#,
            "{'a':1}",
            "{\"a\":1,}",
            "// x\n1",
            "NaN",
        ] {
            assert!(read_json(text.as_bytes()).is_none(), "{text}");
        }
        assert!(read_json(b"\xef\xbb\xbf{}").is_none() && read_json(b"\"\xff\"").is_none());
        assert!(read_json(br#""\ud800""#).is_none(), "half a surrogate pair");
        assert!(read_json(br#"{"a":{"\udc00":1}}"#).is_none(), "and in a key");
        for number in ["1e999", "-1e999", "[1e400]", "1E+309"] {
            assert!(read_json(number.as_bytes()).is_none(), "{number} is infinite to some and an error to others");
        }
        assert!(read_json("[".repeat(200_000).as_bytes()).is_none());
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
        assert!(read_json(many(MOST).as_bytes()).is_some() && read_json(many(MOST + 1).as_bytes()).is_none());
        assert!(read_json(br#"{"a":1,"A":2,"b":[1,null,true,"x",1.5]}"#).is_some());
    }

    #[test]
    fn pointers_show_scalars_when_the_way_is_clear() {
        let json = r#"{"model":"m","a":[{"b":1},{"b":true}],"c":{"d~/":null},"n":100}"#;
        assert_eq!(exact("/model", json).unwrap(), ["m"]);
        assert_eq!(exact("/a/*/b", json).unwrap(), ["1", "true"]);
        assert_eq!(exact("/a/1/b", json).unwrap(), ["true"]);
        assert_eq!(exact("/c/d~0~1", json).unwrap(), ["null"]);
        assert_eq!(exact("/n", json).unwrap(), ["100"]);
        for missing in ["/x", "/a/01/b", "/a/*/c", "/a", "/model/x", "/c/*/x"] {
            assert_eq!(exact(missing, json), None, "{missing}");
        }
        assert_eq!(exact("/a/*", r#"{"a":[]}"#).unwrap(), [""; 0]);
    }

    #[test]
    fn a_key_with_a_twin_gives_nothing_and_is_seen_when_it_takes() {
        for twin in [r#"{"model":"a","Model":"b"}"#, r#"{"Model":"b"}"#, r#"{"model":"a","MODEL":"b"}"#] {
            assert_eq!(exact("/model", twin), None, "{twin}");
            assert!(texts("/model", twin, Reading::Loose).unwrap().contains(&"b".to_owned()), "{twin}");
        }
        assert_eq!(exact("/task", r#"{"taſk":"x","task":"y"}"#), None);
    }

    #[test]
    fn numbers_and_nested_values_are_read_widely_when_they_take() {
        assert!(texts("/n", r#"{"n":1e2}"#, Reading::Loose).unwrap().contains(&"100".to_owned()));
        assert_eq!(texts("/r", r#"{"r":["a",{"x":"b"}]}"#, Reading::Loose).unwrap(), ["a", "b"]);
        assert_eq!(texts("/r", "{}", Reading::Loose).unwrap(), [""; 0]);
    }

    #[test]
    fn unusable_pointers_say_why() {
        assert!(Pointer::parse("model").unwrap_err().contains("must begin"));
        assert!(Pointer::parse("/a~2").unwrap_err().contains("neither"));
    }
}
