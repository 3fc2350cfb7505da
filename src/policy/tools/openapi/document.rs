//! Reads a description: JSON or YAML, with references inside the file.

use serde_json::Value;

use super::DescriptionError;

/// How many references lead to one another at most.
const DEPTH: usize = 16;

pub(super) fn read(text: &[u8]) -> Result<Value, DescriptionError> {
    let document = parse(text)?;
    let is_three = document.get("openapi").and_then(Value::as_str).is_some_and(|version| version.starts_with("3."));
    let is_two = match document.get("swagger") {
        Some(Value::String(version)) => version == "2.0",
        Some(Value::Number(version)) => version.as_f64().is_some_and(|version| (version - 2.0).abs() < f64::EPSILON),
        _ => false,
    };
    if is_three || is_two { Ok(document) } else { Err(DescriptionError::Version) }
}

fn parse(text: &[u8]) -> Result<Value, DescriptionError> {
    if text.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice(text).map_err(|error| DescriptionError::Syntax(error.to_string()));
    }
    let text = std::str::from_utf8(text).map_err(|error| DescriptionError::Syntax(error.to_string()))?;
    serde_saphyr::from_str(text).map_err(|error| {
        let message = error.to_string();
        DescriptionError::Syntax(message.lines().next().unwrap_or_default().chars().take(200).collect())
    })
}

/// The value itself, or what its `$ref` leads to inside the file; `None` for one that leads nowhere.
pub(super) fn resolve<'d>(document: &'d Value, value: &'d Value) -> Option<&'d Value> {
    let mut value = value;
    for _ in 0..DEPTH {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Some(value) };
        value = document.pointer(reference.strip_prefix('#')?)?;
    }
    None
}

/// The same, of an operation: one that stands in another file is `None`.
pub(super) fn resolved<'d>(document: &'d Value, operation: &'d Value) -> Option<&'d Value> {
    resolve(document, operation).filter(|operation| operation.is_object())
}

/// How many references lead out of the file; none of them is followed.
pub(super) fn outside(document: &Value) -> usize {
    match document {
        Value::Object(fields) => {
            let leads_out = |text: &str| !text.starts_with('#');
            let own = fields.get("$ref").and_then(Value::as_str).is_some_and(leads_out);
            usize::from(own) + fields.values().map(outside).sum::<usize>()
        }
        Value::Array(list) => list.iter().map(outside).sum(),
        _ => 0,
    }
}
