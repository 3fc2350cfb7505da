//! `secrets policy new`: a service file for the easy case, or out of an OpenAPI description.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::super::easy::Easy;
use crate::cli::{
    context::{Context, absolute},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::Report,
    sanitize::{self, shell_word},
};
use crate::{
    base::{Origin, ServiceId, read_bounded},
    policy::{self, DescriptionError, Draft, MAX_DESCRIPTION, Wish},
};

const HELP: &str = "secrets policy new --help";

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The id of the service: lower-case letters, digits, `-` and `_`; grants and `secrets add --service` name it
    #[arg(value_name = "NAME")]
    id: String,
    #[command(flatten)]
    easy: Easy,
    /// Make it of this OpenAPI description, 3.x or Swagger 2.0, in JSON or YAML; --host takes the place of its servers
    #[arg(long, value_name = "FILE", conflicts_with_all = ["header", "wording", "query", "basic", "other"])]
    openapi: Option<PathBuf>,
    /// A variable that agents read the credential from; may be given several times [default: NAME_API_KEY]
    #[arg(long, value_name = "VARIABLE")]
    env: Vec<String>,
    /// Print the file instead of writing it; into a file or a pipe with --output human
    #[arg(long)]
    print: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let id = arguments.id.parse::<ServiceId>().map_err(|error| Report::misuse(error.to_string(), HELP))?;
    let (text, left_out) = if let Some(file) = &arguments.openapi {
        described(file, &id, arguments)?
    } else {
        let env = if arguments.env.is_empty() { vec![variable(&id)] } else { arguments.env.clone() };
        (arguments.easy.service(id.clone(), env, "secrets policy new")?.text(id.as_str()), Vec::new())
    };
    let mut draft = Draft::new(&context.home.policies()).map_err(failed)?;
    if let Some(known) = draft.set().service(&id) {
        // A file of its id would take its place, capabilities and all.
        let message = format!("there is a service `{id}` already, in {}", known.file());
        return Err(Report::new(ExitStatus::Misuse, message, format!("secrets policy show {id}")));
    }
    let path = draft.file(id.as_str(), text.clone()).map_err(failed)?;
    let service = shell_word(id.as_str());
    if arguments.print {
        let result = json!({"text": text, "left_out": left_out});
        return Ok(Outcome::Shown { result, human: sanitize::lines(&text), next: vec![] });
    }
    draft.write().map_err(failed)?;
    let mut human = format!("wrote {}\n", sanitize::line(&path.display().to_string()));
    human.extend(left_out.iter().map(|one| format!("left out: {}\n", sanitize::line(one))));
    let next = vec![
        NextAction::new(format!("secrets policy show {service}"), "See what it gives"),
        NextAction::new(format!("secrets add {service}-key --service {service}"), "Store its secret and grant it"),
    ];
    Ok(Outcome::Shown { result: json!({"service": id, "file": path, "left_out": left_out}), human, next })
}

fn variable(id: &ServiceId) -> String {
    let upper: String = id.as_str().chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }).collect();
    if upper.starts_with(|c: char| c.is_ascii_digit()) {
        format!("API_{upper}_KEY")
    } else {
        format!("{upper}_API_KEY")
    }
}

fn described(file: &Path, id: &ServiceId, arguments: &Arguments) -> Result<(String, Vec<String>), Report> {
    let file = absolute(file)?;
    let read = read_bounded(&file, MAX_DESCRIPTION);
    let (description, _) = read.map_err(|error| Report::new(ExitStatus::Io, error.to_string(), look_at(&file)))?;
    let origin = |host: &str| {
        let text = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        text.parse::<Origin>().map_err(|error| Report::misuse(error.to_string(), HELP))
    };
    let origins = arguments.easy.host().map(origin).transpose()?.into_iter().collect();
    let wish = Wish { id: id.clone(), origins, env: arguments.env.clone() };
    let described = policy::describe(&description, &wish).map_err(|error| {
        let fix = match &error {
            DescriptionError::NoHost => {
                format!(
                    "secrets policy new {id} --openapi {} --host api.example.com",
                    shell_word(&file.to_string_lossy())
                )
            }
            _ => look_at(&file),
        };
        Report::new(ExitStatus::Data, format!("{}: {error}", file.display()), fix)
    })?;
    Ok((described.text, described.left_out))
}

fn look_at(file: &Path) -> String {
    format!("${{EDITOR:-vi}} {}", shell_word(&file.to_string_lossy()))
}

fn failed(error: policy::Error) -> Report {
    let message = error.to_string();
    match error {
        policy::Error::Taken(path) => Report::new(ExitStatus::Misuse, message, look_at(&path)),
        policy::Error::Unusable(errors) => {
            let first = errors.faults().first().map_or(message, |fault| fault.message.clone());
            Report::misuse(first, HELP)
        }
        policy::Error::Broken(_) => Report::new(ExitStatus::Data, message, "secrets policy check"),
        _ => Report::new(ExitStatus::Io, message, "secrets doctor"),
    }
}
