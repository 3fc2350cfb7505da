//! Whether an answer holds a credential, told by the names of its fields: 46 of 100 such operations are `GET`.

use serde_json::Value;

use super::document::resolve;

/// Names that mean a credential wherever they stand, without case and separators.
const NAMES: [&str; 20] = [
    "accesskey",
    "accesskeysecret",
    "accesstoken",
    "apikey",
    "apikeysecret",
    "apisecret",
    "apitoken",
    "authtoken",
    "bottoken",
    "clientsecret",
    "connectionstring",
    "kubeconfig",
    "privatekey",
    "refreshtoken",
    "secretaccesskey",
    "secretkey",
    "sessiontoken",
    "signingkey",
    "signingsecret",
    "webhooksecret",
];

/// How deep schemas are looked into.
const DEPTH: usize = 6;

/// How many schemas of one operation are looked at.
const MOST: usize = 2_000;

/// Whether the schema of a successful answer has a property with such a name.
pub(super) fn answers_with_secret(document: &Value, operation: &Value) -> bool {
    let answers = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
    let good = answers.filter(|(status, _)| status.starts_with('2') || *status == "default");
    let mut left = MOST;
    good.filter_map(|(_, answer)| resolve(document, answer)).any(|answer| {
        let bodies = answer.get("content").and_then(Value::as_object).into_iter().flatten();
        let schemas = bodies.filter_map(|(_, body)| body.get("schema")).chain(answer.get("schema"));
        schemas.into_iter().any(|schema| names_secret(document, schema, DEPTH, &mut left))
    })
}

fn names_secret(document: &Value, schema: &Value, depth: usize, left: &mut usize) -> bool {
    if depth == 0 || *left == 0 {
        return false;
    }
    *left -= 1;
    let Some(schema) = resolve(document, schema) else { return false };
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in properties {
        let Some(property) = resolve(document, property) else { continue };
        if property.get("writeOnly").and_then(Value::as_bool) == Some(true) {
            continue; // no answer has it
        }
        let is_password = property.get("format").and_then(Value::as_str) == Some("password");
        if (is_password || is_secret(name)) && is_text(property) || names_secret(document, property, depth - 1, left) {
            return true;
        }
    }
    let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    let inner = schema.get("items").into_iter().chain(schema.get("additionalProperties")).chain(lists);
    inner.into_iter().any(|inner| names_secret(document, inner, depth - 1, left))
}

fn is_secret(name: &str) -> bool {
    let bare: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    NAMES.contains(&&*bare)
}

/// A text, or whatever says nothing else of itself.
fn is_text(property: &Value) -> bool {
    match property.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => true,
    }
}
