//! The whole history for other programs: CSV for spreadsheets, JSON with one object per line.
//!
//! Rows come in the order in which they ended, those that are open last; only what is open is held in memory.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use serde_json::Value;

use super::{Wanted, show};
use crate::{
    audit::{Filter, Lines, Row, Rows},
    base::counted,
    cli::{context::Context, printer::Outcome, report::Report, sanitize},
};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// RFC 4180 with a head line
    Csv,
    /// One object per line
    Json,
}

/// The columns of CSV, all of them in every row; new ones are added at the end.
const COLUMNS: &[&str] = &[
    "began",
    "timestamp",
    "action",
    "outcome",
    "success",
    "open",
    "client_id",
    "session_id",
    "secret_name",
    "service",
    "capability",
    "lease_id",
    "request_id",
    "method",
    "host",
    "port",
    "path",
    "status",
    "code",
    "reason",
    "bytes_sent",
    "bytes_received",
    "duration_us",
    "error",
    "details",
    "seq",
    "project",
    "environment",
];

/// Writes every wanted row. A reader that goes away ends it without a word.
pub(super) fn run(context: &mut Context, format: Format, filter: &Filter, wanted: &Wanted) -> Result<Outcome, Report> {
    let lines = match Lines::open(&context.home.audit()) {
        Err(error) if error.is_missing() => None,
        opened => Some(opened?),
    };
    let mut out = BufWriter::new(context.printer.stream());
    let (mut damaged, mut rows) = (0_u64, 0_u64);
    let mut joiner = Rows::new();
    let mut written = head(&mut out, format);
    for line in lines.into_iter().flatten() {
        let line = line?;
        damaged += u64::from(line.record().is_none());
        if let Some(row) = joiner.push(&line).filter(|row| filter.wants_row(row)) {
            rows += 1;
            written = written.and_then(|()| write_row(&mut out, format, &row));
        }
        if written.is_err() {
            break;
        }
    }
    for row in joiner.into_open().iter().filter(|row| filter.wants_row(row)) {
        rows += 1;
        written = written.and_then(|()| write_row(&mut out, format, row));
    }
    let flushed = written.and_then(|()| out.flush());
    drop(out);
    match flushed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Report::io("write to", std::path::Path::new("standard output"), &error));
        }
        _ => {}
    }
    if damaged > 0 {
        context
            .printer
            .say(&format!("{} cannot be read; `secrets audit verify` names the first", counted(damaged, "line")));
    }
    if rows == 0 && !wanted.words().is_empty() {
        let nothing = super::nothing(&context.home.audit(), wanted);
        context.printer.say(&nothing);
    }
    Ok(Outcome::Silent)
}

fn head(out: &mut dyn Write, format: Format) -> io::Result<()> {
    match format {
        Format::Csv => write!(out, "{}\r\n", COLUMNS.join(",")),
        Format::Json => Ok(()),
    }
}

fn write_row(out: &mut dyn Write, format: Format, row: &Row) -> io::Result<()> {
    let entry = show::entry(row);
    match format {
        Format::Csv => {
            let cells: Vec<String> = COLUMNS.iter().map(|column| cell(entry.get(column))).collect();
            write!(out, "{}\r\n", cells.join(","))
        }
        Format::Json => writeln!(out, "{}", show::safe_json(&entry)),
    }
}

/// A field of RFC 4180. Text is escaped as for a terminal, so it holds no line break; text that a spreadsheet would take
/// for a formula begins with an apostrophe.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => sanitize::line(text),
        Some(other) => return other.to_string(),
    };
    let is_formula = text.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains(['"', ',']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        for (text, is) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=HYPERLINK(\"http://evil\",\"x\")", "\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("\t=1", "\\t=1"),
            ("\r\n=1", "\\r\\n=1"),
            ("a\u{1b}[31m\u{202e}b", "a\\u{1b}[31m\\u{202e}b"),
            ("schlüssel", "schlüssel"),
        ] {
            assert_eq!(cell(Some(&json!(text))), is, "{text:?}");
        }
        assert_eq!(
            (cell(None), cell(Some(&json!(7))), cell(Some(&json!(true)))),
            (String::new(), "7".to_owned(), "true".to_owned())
        );
    }
}
