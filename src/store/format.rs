//! The plaintext of the store: agent-secrets' JSON with our own fields where they say something.
//!
//! Invariant: what is read is written again; fields that we do not know keep their exact text. Values are parsed
//! and printed without passing through buffers that are not wiped.

use std::{borrow::Cow, collections::BTreeMap, fmt, io, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::{Error as _, SerializeMap},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    json_text::unescape,
    record::{Binding, KeptField, RawReveal, SecretRecord},
    rotation::{Former, HookFormat, OnLeaseExpiry, RotationHealth, RotationPlan},
};
use crate::base::{SecretBytes, SecretName, Timestamp};

/// The format that we read and write.
const VERSION: u64 = 1;

/// The whole content of a store.
#[derive(Clone, Default)]
pub(super) struct Document {
    /// The secrets by name.
    pub(super) records: BTreeMap<SecretName, Arc<SecretRecord>>,
    /// Secrets whose names we would not take; kept for whoever wrote them.
    pub(super) unusable: Vec<KeptField>,
    /// Top-level fields of other programs.
    pub(super) extra: Vec<KeptField>,
    /// How often the store was written by us; 0 for a store of agent-secrets.
    pub(super) generation: u64,
}

/// Why a plaintext is no document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FormatFault {
    /// A newer program's format.
    Version(u64),
    /// Anything else, in words that quote no value.
    Malformed(String),
}

/// Reads a plaintext. Nothing is skipped in silence: a record that makes no sense is a fault.
pub(super) fn parse(plain: &[u8]) -> Result<Document, FormatFault> {
    let text = std::str::from_utf8(plain).map_err(|_| malformed("it is not UTF-8 text"))?;
    let mut top: Fields = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    match top.take::<u64>("version")? {
        Some(VERSION) => {}
        Some(version) if version > VERSION => return Err(FormatFault::Version(version)),
        _ => return Err(malformed("field `version` is missing or no version that exists")),
    }
    let secrets = top.take_raw("secrets").ok_or_else(|| malformed("field `secrets` is missing"))?;
    let secrets: Option<Fields> = from_raw(secrets, "secrets")?; // Go writes an empty map as `null`
    let mut document =
        Document { generation: top.take("generation")?.unwrap_or(0), extra: top.keep(), ..Document::default() };
    for (key, raw) in secrets.map(|fields| fields.0).unwrap_or_default() {
        match key.parse::<SecretName>() {
            Ok(name) => {
                let record = parse_record(name.clone(), raw)
                    .map_err(|fault| malformed(format!("secret `{}`: {}", name, fault.words())))?;
                document.records.insert(name, Arc::new(record));
            }
            Err(_) => document.unusable.push(kept(&key, raw)),
        }
    }
    Ok(document)
}

fn parse_record(name: SecretName, raw: &RawValue) -> Result<SecretRecord, FormatFault> {
    let mut fields: Fields = from_raw(raw, "record")?;
    let value = fields.take_raw("value").ok_or_else(|| malformed("field `value` is missing"))?;
    let value = parse_value(value, fields.take::<String>("encoding")?.as_deref())?;
    let created_at = fields.take_time("created_at")?.ok_or_else(|| malformed("field `created_at` is missing"))?;
    let updated_at = fields.take_time("updated_at")?.unwrap_or(created_at);
    let service = fields.take("service")?;
    let credential: Option<Box<str>> = fields.take("credential")?;
    let binding = match (service, credential) {
        (Some(service), Some(credential)) => Some(Binding { service, credential }),
        (None, None) => None,
        _ => return Err(malformed("`service` and `credential` stand together or not at all")),
    };
    fields.take_raw("name"); // the key is the name; agent-secrets writes it twice
    Ok(SecretRecord {
        name,
        value,
        created_at,
        updated_at,
        rotate_via: fields.take::<String>("rotate_via")?.filter(|command| !command.is_empty()),
        last_rotated: fields.take_time("last_rotated")?,
        binding,
        raw: match fields.take::<String>("raw")?.as_deref() {
            None | Some("allow") => RawReveal::Allow,
            Some("deny") => RawReveal::Deny,
            Some(_) => return Err(malformed("field `raw` is neither `allow` nor `deny`")),
        },
        generation: fields.take("generation")?.unwrap_or(1),
        plan: RotationPlan {
            format: fields.take("rotate_format")?.unwrap_or_default(),
            every: fields.take("rotate_every")?,
            on_lease_expiry: fields.take("on_lease_expiry")?.unwrap_or_default(),
        },
        expires_at: fields.take_time("expires_at")?,
        health: fields.take("rotation_health")?.unwrap_or_default(),
        former: fields.take_raw("former_value").map(parse_former).transpose()?,
        extra: fields.keep(),
    })
}

fn parse_former(raw: &RawValue) -> Result<Former, FormatFault> {
    let mut fields: Fields = from_raw(raw, "former_value")?;
    let value = fields.take_raw("value").ok_or_else(|| malformed("field `value` of `former_value` is missing"))?;
    Ok(Former {
        value: parse_value(value, fields.take::<String>("encoding")?.as_deref())?,
        replaced_at: fields
            .take_time("replaced_at")?
            .ok_or_else(|| malformed("field `replaced_at` of `former_value` is missing"))?,
        expires_at: fields.take_time("expires_at")?,
    })
}

fn parse_value(raw: &RawValue, encoding: Option<&str>) -> Result<SecretBytes, FormatFault> {
    let mut text = unescape(raw.get()).ok_or_else(|| malformed("field `value` is no text"))?;
    match encoding {
        None => Ok(SecretBytes::new(std::mem::take(&mut *text).into_bytes())),
        Some("base64") => {
            let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
            let decoded = BASE64_STANDARD.decode_vec(text.as_bytes(), &mut bytes);
            decoded.map_err(|_| malformed("field `value` is not base64"))?;
            Ok(SecretBytes::new(std::mem::take(&mut *bytes)))
        }
        Some(_) => Err(malformed("field `encoding` is not `base64`")),
    }
}

/// Prints a document as indented JSON, into a buffer of exactly its length, so that no part of it is moved and left.
pub(super) fn print(document: &Document) -> Result<Zeroizing<Vec<u8>>, FormatFault> {
    let mut length = Counter(0);
    print_to(&mut length, document)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(length.0));
    print_to(&mut *plain, document)?;
    Ok(plain)
}

fn print_to(writer: impl io::Write, document: &Document) -> Result<(), FormatFault> {
    let mut serializer = serde_json::Serializer::pretty(writer);
    Document::serialize(document, &mut serializer).map_err(|error| malformed(error.to_string()))
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("secrets", &Secrets(self))?;
        if self.generation > 0 {
            map.serialize_entry("generation", &self.generation)?;
        }
        serialize_kept(&mut map, &self.extra)?;
        map.end()
    }
}

struct Secrets<'a>(&'a Document);

impl Serialize for Secrets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, record) in &self.0.records {
            map.serialize_entry(name, &PlainRecord(record))?;
        }
        serialize_kept(&mut map, &self.0.unusable)?;
        map.end()
    }
}

struct PlainRecord<'a>(&'a SecretRecord);

impl Serialize for PlainRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &record.name)?;
        serialize_value(&mut map, &record.value)?;
        map.serialize_entry("created_at", &record.created_at)?;
        map.serialize_entry("updated_at", &record.updated_at)?;
        map.serialize_entry("rotate_via", record.rotate_via.as_deref().unwrap_or_default())?;
        map.serialize_entry("last_rotated", &record.last_rotated)?;
        if let Some(binding) = &record.binding {
            map.serialize_entry("service", &binding.service)?;
            map.serialize_entry("credential", &binding.credential)?;
        }
        if record.raw == RawReveal::Deny {
            map.serialize_entry("raw", "deny")?;
        }
        if record.generation != 1 {
            map.serialize_entry("generation", &record.generation)?;
        }
        serialize_rotation(&mut map, record)?;
        serialize_kept(&mut map, &record.extra)?;
        map.end()
    }
}

fn serialize_value<M: SerializeMap>(map: &mut M, value: &SecretBytes) -> Result<(), M::Error> {
    if let Ok(text) = std::str::from_utf8(value.expose()) {
        return map.serialize_entry("value", text);
    }
    map.serialize_entry("value", Zeroizing::new(BASE64_STANDARD.encode(value.expose())).as_str())?;
    map.serialize_entry("encoding", "base64")
}

/// Only what says something: most secrets are never rotated.
fn serialize_rotation<M: SerializeMap>(map: &mut M, record: &SecretRecord) -> Result<(), M::Error> {
    let RotationPlan { format, every, on_lease_expiry } = &record.plan;
    if *format != HookFormat::Value {
        map.serialize_entry("rotate_format", format)?;
    }
    if let Some(every) = every {
        map.serialize_entry("rotate_every", every)?;
    }
    if *on_lease_expiry != OnLeaseExpiry::Keep {
        map.serialize_entry("on_lease_expiry", on_lease_expiry)?;
    }
    if let Some(expires_at) = record.expires_at {
        map.serialize_entry("expires_at", &expires_at)?;
    }
    if record.health != RotationHealth::default() {
        map.serialize_entry("rotation_health", &record.health)?;
    }
    record.former.as_ref().map_or(Ok(()), |former| map.serialize_entry("former_value", &PlainFormer(former)))
}

struct PlainFormer<'a>(&'a Former);

impl Serialize for PlainFormer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        serialize_value(&mut map, &self.0.value)?;
        map.serialize_entry("replaced_at", &self.0.replaced_at)?;
        map.serialize_entry("expires_at", &self.0.expires_at)?;
        map.end()
    }
}

fn serialize_kept<M: SerializeMap>(map: &mut M, fields: &[KeptField]) -> Result<(), M::Error> {
    fields.iter().try_for_each(|field| {
        let raw: &RawValue = serde_json::from_str(&field.json).map_err(M::Error::custom)?;
        map.serialize_entry(&field.key, raw)
    })
}

/// The fields of one object in their order, each still the text that it was written as.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn take_raw(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// A field that may be absent or `null`.
    fn take<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, FormatFault> {
        self.take_raw(key).map_or(Ok(None), |raw| from_raw(raw, key))
    }

    /// A time that may be absent, `null`, or Go's zero time.
    fn take_time(&mut self, key: &str) -> Result<Option<Timestamp>, FormatFault> {
        const GO_ZERO_MILLIS: i64 = -62_135_596_800_000; // 0001-01-01T00:00:00Z
        Ok(self.take::<Timestamp>(key)?.filter(|time| time.as_millis() > GO_ZERO_MILLIS))
    }

    fn keep(self) -> Vec<KeptField> {
        self.0.iter().map(|(key, raw)| kept(key, raw)).collect()
    }
}

fn kept(key: &str, raw: &RawValue) -> KeptField {
    KeptField { key: key.into(), json: Arc::new(Zeroizing::new(raw.get().to_owned())) }
}

fn from_raw<'a, T: Deserialize<'a>>(raw: &'a RawValue, key: &str) -> Result<T, FormatFault> {
    // the library's own message could quote a value
    serde_json::from_str(raw.get()).map_err(|_| malformed(format!("field `{key}` makes no sense")))
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = BTreeMap::new();
                let mut order = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    let shown: String = key.chars().take(40).flat_map(char::escape_default).collect();
                    if fields.insert(key.clone(), ()).is_some() {
                        return Err(A::Error::custom(format!("field `{shown}` stands twice")));
                    }
                    order.push((Cow::Owned(key), map.next_value::<&RawValue>()?));
                }
                Ok(Fields(order))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

impl FormatFault {
    fn words(self) -> String {
        match self {
            Self::Version(version) => format!("version {version}"),
            Self::Malformed(why) => why,
        }
    }
}

fn malformed(why: impl Into<String>) -> FormatFault {
    FormatFault::Malformed(why.into())
}
