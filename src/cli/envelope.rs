//! The one shape in which programs get results and errors: agent-secrets' envelope.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::{exit::ExitStatus, report::Report, sanitize};

/// A command that might come next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct NextAction {
    pub(super) command: String,
    pub(super) description: String,
}

impl NextAction {
    pub(super) fn new(command: impl Into<String>, description: impl Into<String>) -> Self {
        Self { command: command.into(), description: description.into() }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    ok: bool,
    success: bool,
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    next_actions: &'a [NextAction],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorPart<'a> {
    message: &'a str,
    code: &'static str,
}

/// The envelope of a success; an empty result is left out.
pub(super) fn success(command: &str, result: &Value, next_actions: &[NextAction]) -> String {
    let empty = matches!(result, Value::Null) || result.as_object().is_some_and(serde_json::Map::is_empty);
    let result = (!empty).then_some(result);
    render(&Envelope { ok: true, success: true, command, result, next_actions, error: None, fix: None })
}

/// The envelope of an error.
pub(super) fn failure(command: &str, report: &Report) -> String {
    let error = ErrorPart { message: &report.message, code: report.status.word() };
    render(&Envelope {
        ok: false,
        success: false,
        command,
        result: report.result.as_ref(),
        next_actions: &[],
        error: Some(error),
        fix: Some(&report.fix),
    })
}

fn render(envelope: &Envelope<'_>) -> String {
    let text = serde_json::to_string_pretty(envelope).unwrap_or_else(|_| {
        // Only a map with keys that are no strings could fail, and a JSON value has none.
        format!(r#"{{"ok":false,"success":false,"error":{{"code":"{}"}}}}"#, ExitStatus::Internal.word())
    });
    escape(&text)
}

/// As Go's encoder writes it, and nothing that a terminal obeys: these characters stand in strings only.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if matches!(c, '&' | '<' | '>') || (sanitize::is_hostile(c) && c != '\n') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}"); // writing to a `String` cannot fail
            }
        } else {
            escaped.push(c);
        }
    }
    escaped.push('\n');
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_success_looks_like_this() {
        let next = [NextAction::new("secrets lease <name>", "Lease & use it")];
        assert_eq!(
            success("secrets add", &json!({"name": "a<b\u{9b}"}), &next),
            r#"{
  "ok": true,
  "success": true,
  "command": "secrets add",
  "result": {
    "name": "a\u003cb\u009b"
  },
  "next_actions": [
    {
      "command": "secrets lease \u003cname\u003e",
      "description": "Lease \u0026 use it"
    }
  ]
}
"#
        );
    }

    #[test]
    fn an_error_looks_like_this() {
        let report = Report::new(ExitStatus::Unavailable, "the daemon is not running", "secrets serve &");
        assert_eq!(
            failure("secrets status", &report),
            r#"{
  "ok": false,
  "success": false,
  "command": "secrets status",
  "next_actions": [],
  "error": {
    "message": "the daemon is not running",
    "code": "daemon_unavailable"
  },
  "fix": "secrets serve \u0026"
}
"#
        );
    }

    #[test]
    fn an_empty_result_is_left_out() {
        assert!(!success("secrets x", &json!({}), &[]).contains("result"));
    }
}
