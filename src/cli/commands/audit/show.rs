//! A row for programs and for people.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    audit::{Row, RowState},
    cli::{printer::Form, sanitize, table::Table},
};

/// A row on one line, with nothing in it that a terminal would obey.
pub(super) fn line(row: &Row, form: Form) -> String {
    match form {
        Form::Human => {
            let cells = cells(row).map(|cell| if cell.is_empty() { "-".to_owned() } else { sanitize::line(&cell) });
            cells.join("  ")
        }
        Form::Json => safe_json(&entry(row)),
    }
}

/// JSON in which what a terminal would obey is escaped: it stands in texts only.
pub(super) fn safe_json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(sanitize::is_hostile) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if sanitize::is_hostile(c) {
            safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A row for programs: the fields of the record, as agent-secrets names them where it has them, and when it began.
pub(super) fn entry(row: &Row) -> Value {
    let mut entry = serde_json::to_value(&row.record).unwrap_or_default();
    if let Some(fields) = entry.as_object_mut() {
        fields.remove("prev");
        fields.insert("began".to_owned(), json!(row.began));
        fields.insert("open".to_owned(), json!(row.state == RowState::Open));
    }
    entry
}

pub(super) fn table(rows: &[Row], nothing: &str) -> String {
    let mut table = Table::new(&["began", "client", "secret", "what", "result", "took"]);
    for row in rows {
        table.row(cells(row));
    }
    table.render(nothing)
}

fn cells(row: &Row) -> [String; 6] {
    let record = &row.record;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let what = match (&record.method, &record.host) {
        (Some(method), Some(host)) => {
            let port = record.port.filter(|port| *port != 443).map(|port| format!(":{port}")).unwrap_or_default();
            format!("{method} {host}{port}{}", text(&record.path))
        }
        _ => match &record.details {
            Some(details) => format!("{} ({details})", record.action),
            None => record.action.clone(),
        },
    };
    let took = record.duration_us.map(|took| format!("{:?}", Duration::from_millis(took.div_ceil(1000))));
    [
        row.began.to_string(),
        text(&record.client_id),
        text(&record.secret_name),
        what,
        result(row),
        took.unwrap_or_default(),
    ]
}

/// Such as `200 ok`, `403 refused cap_denied`, `cut revoked`, `open`.
fn result(row: &Row) -> String {
    let record = &row.record;
    if row.state == RowState::Open {
        return "open".to_owned();
    }
    let done = if record.success { "ok" } else { "failed" };
    let status = record.status.map(|status| status.to_string());
    let words = [
        status.as_deref(),
        Some(record.outcome.as_deref().unwrap_or(done)),
        record.code.as_deref(),
        record.reason.as_deref(),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{self, Filter};

    fn rows(lines: &[Value]) -> Vec<Row> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        std::fs::write(&path, lines.iter().flat_map(|line| [line.to_string(), "\n".into()]).collect::<String>())
            .unwrap();
        audit::recent(&path, &Filter::new(), 10).unwrap().rows
    }

    #[test]
    fn a_request_is_one_row_with_what_came_of_it() {
        let at = "2026-11-24T12:00:00Z";
        let begun = json!({"timestamp": at, "action": "request_begun", "request_id": "1", "method": "GET",
            "host": "api.acme.test", "port": 8443, "path": "/x", "client_id": "agent", "success": true});
        let ended = json!({"timestamp": at, "action": "request_ended", "request_id": "1", "status": 200,
            "outcome": "ok", "duration_us": 1500, "success": true});
        let cut = json!({"timestamp": at, "action": "request_ended", "request_id": "2", "outcome": "cut",
            "reason": "revoked", "success": false});
        let both = rows(&[begun.clone(), ended, cut]);
        let [first, second] = both.as_slice() else { panic!("{both:?}") };
        assert_eq!(cells(first)[1..], ["agent", "", "GET api.acme.test:8443/x", "200 ok", "2ms"].map(str::to_owned));
        assert_eq!(cells(second)[4], "cut revoked");
        assert_eq!((entry(first)["open"].clone(), entry(first)["status"].clone()), (json!(false), json!(200)));
        assert_eq!(cells(&rows(&[begun])[0])[4], "open");
    }

    #[test]
    fn attack_110_json_lines_hold_nothing_that_a_terminal_obeys() {
        let hostile = json!({"path": "/a\n\u{1b}[31m\u{9b}\u{202e}\u{2028}é"});
        let line = safe_json(&hostile);
        assert!(!line.contains(sanitize::is_hostile), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), hostile);
    }
}
