//! `secrets audit verify` and `secrets audit key`: whether the record is whole, and with which key it is signed.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use crate::{
    audit::{self, BreakKind, NoteFault, NoteFinding, Trust, Verified},
    base::{Ed25519Key, counted},
    cli::{context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report},
    daemon,
};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The key that must have signed, as `secrets audit key` showed it [default: the one that is sealed in the home]
    #[arg(long, value_name = "BASE64")]
    public_key: Option<String>,
}

/// Prints the public key, to be kept where nobody can change it together with the log.
pub(super) fn key(context: &Context) -> Result<Outcome, Report> {
    let path = context.home.audit_key();
    match daemon::audit_key(&context.home) {
        Ok(Some(key)) => Ok(Outcome::Shown {
            result: json!({"public_key": key}),
            human: format!("{key}\n"),
            next: vec![NextAction::new(format!("secrets audit verify --public-key {key}"), "Check the record with it")],
        }),
        Ok(None) => {
            let message = format!("`{}` does not exist; the first start of the daemon makes it", path.display());
            Err(Report::new(ExitStatus::Data, message, "secrets serve &"))
        }
        Err(error) => Err(context.subject(None).failure(daemon::failure(&error))),
    }
}

/// Walks the chain in the files themselves and names its first break.
pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let (path, note) = (context.home.audit(), context.home.audit_head());
    let (key, no_key) = key_to_believe(context, arguments)?;
    let verified = match &key {
        Some(key) => audit::verify_with(&path, Trust { key, note: &note }),
        None => audit::verify(&path),
    };
    let verified = match verified {
        Err(error) if error.is_missing() => {
            let message = format!("`{}` does not exist", path.display());
            return Err(Report::new(ExitStatus::Data, message, "secrets doctor"));
        }
        other => other?,
    };
    let result = result(&verified, &path, key.as_ref());
    if let Some(found) = &verified.first_break {
        let (advice, fix) = advice(found.why);
        let message = format!("the record `{}` is not whole: {found}; {advice}", path.display());
        return Err(Report::new(ExitStatus::Data, message, fix).with_result(result, String::new()));
    }
    if let (Some(why), Some(named)) = (no_key, verified.named_key) {
        let message = format!(
            "the chain is whole, but whether its end was cut cannot be told: {why}; check with the key that you kept; \
             that of the fix is the one that the record itself names"
        );
        let fix = format!("secrets audit verify --public-key {named}");
        return Err(Report::new(ExitStatus::Data, message, fix).with_result(result, String::new()));
    }
    let human = human(&verified);
    Ok(Outcome::Shown { result, human, next: vec![NextAction::new("secrets audit", "See what was done")] })
}

/// What to do about a break, and the command that shows most of it.
const fn advice(why: BreakKind) -> (&'static str, &'static str) {
    match why {
        BreakKind::Cut { .. } | BreakKind::Removed(_) | BreakKind::Unmet(_) => {
            ("look for what is missing in a copy of the record; it cannot be had from anywhere else", "secrets audit")
        }
        BreakKind::Foreign => (
            "check with the key that you kept; if that does not fit, somebody else wrote the record",
            "secrets audit key",
        ),
        BreakKind::Note(_) => {
            ("compare the end of the record with a copy, or with what you know was done", "secrets audit")
        }
        BreakKind::NoteLost => (
            "compare what stands before it with a copy of the record, or with what you know was done",
            "secrets audit --tail 0",
        ),
        BreakKind::Beginning
        | BreakKind::Damaged
        | BreakKind::Edited
        | BreakKind::Mismatch
        | BreakKind::Reordered
        | BreakKind::Replaced
        | BreakKind::Signature
        | BreakKind::Torn
        | BreakKind::Unchained => {
            ("compare it with a copy of the record; what stands there now proves nothing", "secrets audit --tail 0")
        }
    }
}

/// The key that was given, or else the sealed one; or why there is none.
fn key_to_believe(context: &Context, arguments: &Arguments) -> Result<(Option<Ed25519Key>, Option<String>), Report> {
    if let Some(text) = &arguments.public_key {
        let parsed = text.parse::<Ed25519Key>();
        let key = parsed.map_err(|error| Report::misuse(error.to_string(), "secrets audit key"))?;
        return Ok((Some(key), None));
    }
    Ok(match daemon::audit_key(&context.home) {
        Ok(Some(key)) => (Some(key), None),
        Ok(None) => (None, Some(format!("`{}` is missing", context.home.audit_key().display()))),
        Err(error) => (None, Some(error.to_string())),
    })
}

fn result(verified: &Verified, path: &std::path::Path, key: Option<&Ed25519Key>) -> Value {
    let found = verified.first_break.as_ref();
    json!({
        "file": path,
        "files": verified.files,
        "lines": verified.lines,
        "unchained_lines": verified.unchained_lines,
        "damaged_lines": verified.damaged_lines,
        "begins_at": verified.begins_at,
        "moved_away": verified.moved_away,
        "open_requests": verified.open_requests.len(),
        "head": verified.head,
        "note": note_word(verified.note),
        "checkpoints": verified.checkpoints,
        "public_key": key,
        "first_break": found.map(|found| json!({"file": found.file, "line": found.line, "why": found.to_string()})),
    })
}

const fn note_word(note: NoteFinding) -> &'static str {
    match note {
        NoteFinding::Agrees => "agrees",
        NoteFinding::Disagrees => "disagrees",
        NoteFinding::Faulty(NoteFault::Missing) => "missing",
        NoteFinding::Faulty(NoteFault::Unsigned) => "unsigned",
        NoteFinding::Lost(_) => "lost",
        NoteFinding::Unchecked => "unchecked",
    }
}

fn human(verified: &Verified) -> String {
    let (lines, files) = (counted(verified.lines, "line"), counted(verified.files, "file"));
    let mut text = format!("{lines} in {files}, the chain is whole\n");
    let mut add = |line: String| {
        let _ = writeln!(text, "{line}"); // a String takes everything
    };
    if let Some(seq) = verified.begins_at.filter(|seq| *seq > 1) {
        let why = if verified.moved_away > 0 {
            "older files were moved away or removed by the settings"
        } else {
            "older files were removed by the settings"
        };
        add(format!("it begins at line number {seq}: {why}"));
    }
    if verified.moved_away > 0 {
        let times = counted(verified.moved_away, "time");
        add(format!("{times} somebody moved the log away while it was written"));
    }
    match verified.note {
        NoteFinding::Agrees => add("the note of its newest line agrees".to_owned()),
        NoteFinding::Lost(count) => {
            let lines = counted(count, "line");
            add(format!("{lines} more did not reach the disk before the machine went down, or were cut then"));
        }
        NoteFinding::Disagrees | NoteFinding::Faulty(_) | NoteFinding::Unchecked => {
            add("there is no key to check a note of its newest line with; a cut end would not show".to_owned());
        }
    }
    if verified.checkpoints > 0 {
        add(counted(verified.checkpoints, "signed checkpoint"));
    }
    text
}
