//! `secrets delete` (`rm`): ends a secret's leases, then removes it.

use clap::{ArgAction, Args};
use serde_json::json;

use super::add::safe;
use crate::cli::{
    context::{Context, secret_name},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    prompt,
    report::Report,
    sanitize::{self, shell_word},
};
use crate::control::DeleteSecret;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The secret's name
    name: String,
    /// Do not ask; `--force=false` asks
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value_t = true, default_missing_value = "true")]
    force: bool,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let name = secret_name(&arguments.name, &context.command)?;
    if !arguments.force {
        let fix = format!("secrets delete {}", shell_word(name.as_str()));
        let question = format!("Delete `{}` and end its leases?", sanitize::line(name.as_str()));
        match prompt::confirmed(&question) {
            Ok(true) => {}
            Ok(false) => return Err(Report::new(ExitStatus::Generic, format!("`{name}` was not deleted"), fix)),
            Err(_) => return Err(Report::misuse("there is no terminal to ask on", fix)),
        }
    }
    let done = context.call(DeleteSecret { name: name.clone() }, Some(&name)).await?;
    let mut result = json!({"name": name, "deleted": true, "message": done.message});
    if let Some(fields) = result.as_object_mut() {
        for (key, paths) in [("removed", &done.removed), ("kept", &done.kept)] {
            fields.extend((!paths.is_empty()).then(|| (key.to_owned(), json!(paths))));
        }
    }
    let mut next = vec![NextAction::new("secrets list", "List the secrets that are left")];
    next.extend(done.kept.iter().map(|path| {
        let command = format!("rm {}", shell_word(&path.to_string_lossy()));
        NextAction::new(command, "Remove what still grants the name")
    }));
    Ok(Outcome::Shown { result, human: safe(&done.message), next })
}
