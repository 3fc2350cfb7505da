//! A change that the command refused by itself is recorded too: who looks at the record sees every attempt.

use crate::{
    cli::{context::Context, exit::ExitStatus, report::Report},
    control::{Client, Note, RefusedChange},
};

/// Hands the refusal on, after it was recorded where a daemon runs; none is started for it, and that it is refused
/// stands whether or not it can be recorded. `name` is as it was typed.
pub(super) async fn recorded<T>(
    context: &Context,
    change: RefusedChange,
    name: &str,
    done: Result<T, Report>,
) -> Result<T, Report> {
    let Err(report) = &done else { return done };
    let is_unreachable = matches!(report.status, ExitStatus::Unavailable | ExitStatus::Timeout | ExitStatus::Protocol);
    if !is_unreachable && let Ok(mut client) = Client::connect(&context.socket, context.globals.deadline()).await {
        let secret = name.parse().ok();
        // What is no name may be a value that was pasted into the wrong place.
        let why = if secret.is_some() { report.message.as_str() } else { "the name is not usable" };
        let error = why.get(..why.floor_char_boundary(Note::MAX_WHY)).unwrap_or("").to_owned();
        let note = Note::Refused { change, secret, error };
        let _ = client.call(note).await; // the refusal is what there is to tell
    }
    done
}
