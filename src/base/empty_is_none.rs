//! Optional texts of formats that come from Go, where an empty one and a missing one are the same.

use std::{fmt, str::FromStr};

use serde::{Deserialize as _, Deserializer, de::Error as _};

/// Reads a text into what it means; `""`, `null` and a missing field mean nothing. For `deserialize_with`.
pub fn empty_is_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(D::Error::custom),
    }
}
