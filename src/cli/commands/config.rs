//! `secrets config`: every setting as it is in force, and where it comes from.

use serde_json::json;

use crate::{
    cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report, sanitize, table::Table},
    daemon,
};

/// Reads the settings as the daemon does at its start; needs none that runs.
pub(super) fn run(context: &Context) -> Result<Outcome, Report> {
    let found = daemon::effective(&context.home, context.globals.config.as_deref())
        .map_err(|error| context.subject(None).failure(daemon::failure(&error)))?;
    let mut table = Table::new(&["key", "value", "from", "what it does"]);
    for setting in &found.settings {
        table.row([setting.key, &setting.value, setting.source, setting.about]);
    }
    let file = found.file.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let ignored = found.ignored.iter().map(|key| format!("ignored: `{}` is no setting\n", sanitize::line(key)));
    let table = table.render("no settings");
    let human = format!("file: {}\n\n{table}{}", sanitize::line(&file), ignored.collect::<String>());
    let next = vec![NextAction::new("secrets daemon restart", "Let the daemon read them again")];
    Ok(Outcome::Shown { result: json!(found), human, next })
}
