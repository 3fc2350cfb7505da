//! An event as one JSON line: printable ASCII, fixed field order, bounded fields.
//!
//! Invariant: whatever a peer wrote into a host, method or path, the line holds one line feed, its last byte, and no
//! control, escape or bidirectional character (attack 110): everything that is not printable ASCII is escaped.

use std::{fmt::Display, io::Write as _};

use super::{
    Outcome,
    event::{Event, HostField},
};
use crate::base::{Environment, Timestamp};

/// What stands at the end of a field that was cut.
pub(super) const CUT: &str = "[cut]";

const MAX_CAPABILITY: usize = 128;
const MAX_HOST: usize = 255;
const MAX_METHOD: usize = 32;
const MAX_PATH: usize = 1024;
const MAX_TEXT: usize = 1024;

/// Whether a path or a folder of a record was too long to be recorded whole.
pub fn is_cut(text: &str) -> bool {
    text.len() >= MAX_PATH.min(MAX_TEXT) && text.ends_with(CUT)
}

/// Number, chain and time of a line.
pub(super) struct Frame<'a> {
    pub(super) seq: u64,
    pub(super) prev: &'a str,
    pub(super) time: &'a str,
}

/// Appends the line of an event, line feed included.
pub(super) fn write_line(out: &mut Vec<u8>, frame: &Frame<'_>, event: &Event<'_>) {
    write_chain(out, frame.seq, frame.prev);
    plain(out, "timestamp", frame.time);
    plain(out, "action", event.action.as_str());
    shown(out, "request_id", event.request);
    text(out, "client_id", event.client.map(AsRef::as_ref), usize::MAX);
    shown(out, "lease_id", event.lease);
    text(out, "secret_name", event.secret.map(AsRef::as_ref), usize::MAX);
    text(out, "service", event.service.map(AsRef::as_ref), usize::MAX);
    shown(out, "session_id", event.session);
    text(out, "project", event.project, MAX_TEXT);
    text(out, "environment", event.environment.map(Environment::as_str), usize::MAX);
    text(out, "capability", event.capability, MAX_CAPABILITY);
    text(out, "method", event.method, MAX_METHOD);
    match event.host {
        Some(HostField::Parsed(host)) => match host.name() {
            Some(name) => plain(out, "host", name), // canonical: lower-case letters, digits, `-`, `.` and `_`
            None => shown(out, "host", Some(host)),
        },
        Some(HostField::Written(host)) => text(out, "host", Some(host), MAX_HOST),
        None => {}
    }
    number(out, "port", event.port);
    text(out, "path", event.path.map(without_query), MAX_PATH);
    number(out, "status", event.status);
    if let Some(code) = event.code {
        plain(out, "code", code.as_str());
    }
    if let Some(reason) = event.reason {
        plain(out, "reason", reason.as_str());
    }
    number(out, "bytes_sent", event.bytes.map(|(sent, _)| sent));
    number(out, "bytes_received", event.bytes.map(|(_, received)| received));
    number(out, "duration_us", event.duration.map(|duration| duration.as_micros()));
    if let Some(outcome) = event.outcome {
        plain(out, "outcome", outcome.as_str());
    }
    text(out, "error", event.error, MAX_TEXT);
    text(out, "details", event.details, MAX_TEXT);
    let success = matches!(event.outcome, None | Some(Outcome::Ok));
    out.extend_from_slice(if success { b",\"success\":true}\n" } else { b",\"success\":false}\n" });
}

/// The beginning of a line, up to [`AFTER_CHAIN`].
pub(super) fn write_chain(out: &mut Vec<u8>, seq: u64, prev: &str) {
    out.extend_from_slice(b"{\"seq\":");
    display(out, seq);
    plain(out, "prev", prev);
}

/// What follows number and hash; the first of its kind in a line.
pub(super) const AFTER_CHAIN: &[u8] = b",\"timestamp\":";

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn display(out: &mut Vec<u8>, value: impl Display) {
    let _ = write!(out, "{value}"); // writing to a `Vec` cannot fail
}

fn number(out: &mut Vec<u8>, name: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        key(out, name);
        display(out, value);
    }
}

/// A value whose `Display` needs no escaping: an id or an address.
fn shown(out: &mut Vec<u8>, name: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        key(out, name);
        out.push(b'"');
        display(out, value);
        out.push(b'"');
    }
}

/// A text of our own that needs no escaping.
fn plain(out: &mut Vec<u8>, name: &str, text: &str) {
    key(out, name);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Any text, cut after `max` bytes and escaped.
fn text(out: &mut Vec<u8>, name: &str, text: Option<&str>, max: usize) {
    let Some(text) = text else { return };
    key(out, name);
    out.push(b'"');
    if text.len() <= max {
        escape(out, text);
    } else {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        escape(out, text.get(..end).unwrap_or_default());
        out.extend_from_slice(CUT.as_bytes());
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\') {
        return out.extend_from_slice(text.as_bytes()); // nearly always
    }
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            ' '..='~' => out.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}"); // writing to a `Vec` cannot fail
                }
            }
        }
    }
}

/// Writes times, and remembers the last second: most lines share theirs with the line before.
#[derive(Debug, Default)]
pub(super) struct TimeWriter {
    second: Option<i64>,
    text: String,
}

impl TimeWriter {
    /// The time as RFC 3339 with milliseconds, in UTC.
    pub(super) fn write(&mut self, time: Timestamp) -> &str {
        use std::fmt::Write as _;
        const UP_TO_SECONDS: usize = "2025-11-24T16:00:00.".len();
        let second = time.as_millis().div_euclid(1000);
        if self.second == Some(second) {
            self.text.truncate(UP_TO_SECONDS);
            let _ = write!(self.text, "{:03}Z", time.as_millis().rem_euclid(1000)); // to a `String`: cannot fail
        } else {
            self.text = time.to_string();
            let is_usual = self.text.len() == UP_TO_SECONDS + 4 && self.text.get(..1) != Some("-");
            self.second = is_usual.then_some(second);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        audit::Action,
        base::{Authority, CutReason, RefusalCode},
    };

    fn line(event: &Event<'_>) -> String {
        let mut out = Vec::new();
        write_line(&mut out, &Frame { seq: 7, prev: "00", time: "2025-11-24T16:00:00.123Z" }, event);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_stand_in_one_order_and_what_is_unset_is_left_out() {
        let client = "agent one".parse().unwrap();
        let secret = "schlüssel".parse().unwrap();
        let authority = Authority::parse("api.example.com:8443", None).unwrap();
        let event = Event::new(Action::RequestEnded)
            .client(&client)
            .secret(&secret)
            .authority(&authority)
            .method("GET")
            .path("/v1/things")
            .status(200)
            .code(RefusalCode::Limit)
            .reason(CutReason::Expired)
            .bytes(1, 2)
            .duration(Duration::from_millis(3))
            .outcome(Outcome::Cut);
        let expected = concat!(
            r#"{"seq":7,"prev":"00","timestamp":"2025-11-24T16:00:00.123Z","action":"request_ended","#,
            r#""client_id":"agent one","secret_name":"schl\u00fcssel","method":"GET","host":"api.example.com","port":8443,"#,
            r#""path":"/v1/things","status":200,"code":"limit","reason":"expired","bytes_sent":1,"bytes_received":2,"#,
            r#""duration_us":3000,"outcome":"cut","success":false}"#,
            "\n"
        );
        assert_eq!(line(&event), expected);
        assert!(line(&Event::new(Action::DaemonStart)).ends_with("\"action\":\"daemon_start\",\"success\":true}\n"));
    }

    #[test]
    fn attack_110_untrusted_text_stays_one_line_of_printable_ascii() {
        let long = format!("/a\n\u{1b}[31m\"\\\u{202e}\u{85}\u{1f600}{}", "é".repeat(600_000));
        let event = Event::new(Action::RequestRefused)
            .host_as_written(&long)
            .path(&long)
            .project(&long)
            .method(&long)
            .capability(&long)
            .error(&long)
            .details(&long);
        let line = line(&event);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.trim_end().bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
        assert!(line.len() < 32_768, "{}", line.len());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let path = value["path"].as_str().unwrap();
        assert!(path.starts_with("/a\n\u{1b}[31m\"\\\u{202e}\u{85}\u{1f600}é") && path.ends_with(CUT), "{path}");
        assert!(path.len() <= MAX_PATH + CUT.len());
        assert!(is_cut(path) && is_cut(value["project"].as_str().unwrap()) && !is_cut("/a[cut]"), "{line}");
        assert!(value["method"].as_str().unwrap().len() <= MAX_METHOD + CUT.len());
        assert!(value["host"].as_str().unwrap().len() <= MAX_HOST + CUT.len());
    }

    #[test]
    fn a_query_string_is_never_recorded() {
        for path in ["/v1?key=sk-canary", "/v1#sk-canary", "/v1?a=1#sk-canary"] {
            let line = line(&Event::new(Action::RequestBegun).path(path));
            assert!(line.contains(r#""path":"/v1","#) && !line.contains("canary"), "{line}");
        }
    }

    #[test]
    fn times_agree_with_the_clocks_own_writing() {
        let mut writer = TimeWriter::default();
        for millis in
            [0, 1, 999, 1_000, 1_764_000_000_123, 1_764_000_000_007, -1, -999, -1_000, i64::MAX, i64::MAX - 1, 5]
        {
            let time = Timestamp::from_millis(millis);
            assert_eq!(writer.write(time), time.to_string(), "{millis}");
        }
    }
}
