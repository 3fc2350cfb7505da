//! The program `secrets`: commands, output, exit codes.
//!
//! Floor 6. Stateless: every command but `serve` and `demo` is a conversation with the daemon over its control socket.

mod autostart;
mod beside;
mod child;
mod commands;
mod context;
mod env_format;
mod envelope;
mod exit;
mod given;
mod globals;
mod harden;
mod narrow;
mod orphans;
mod parts;
mod printer;
mod project_file;
mod prompt;
mod provider;
mod report;
mod sanitize;
mod table;
mod value_input;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, error::ErrorKind};
use serde_json::{Value, json};

pub use parts::{Demo, Environment, Parts, PermissionCheck, Ready, Serve, ServeRequest, TrustRequest};

use commands::Command;
use context::{Context, Surroundings, Tenancy};
use envelope::NextAction;
use given::Given;
use globals::Globals;
use printer::{ErrorPlace, Form, Outcome, Printer};
use report::Report;

/// Secrets that agents can use and cannot read.
///
/// Programs run with `secrets exec` hold lease tokens; the proxy puts the real credentials into their requests, where
/// policy allows it, and records each one.
#[derive(Debug, Parser)]
#[command(name = "secrets", version)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Runs one command line, program name first, and gives the exit code of the process.
pub fn run(arguments: impl IntoIterator<Item = OsString>, parts: Parts) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let form = form_asked_for(&arguments);
            return ExitCode::from(refuse(Printer::standard(form), &error, &arguments));
        }
    };
    let json = cli.command.as_ref().is_some_and(Command::forces_json);
    let form = if json { Form::Json } else { cli.globals.form() };
    // Without a folder of its own, as after its removal, a caller has no project either.
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let around = Surroundings { printer: Printer::standard(form), folder, tenancy: Tenancy::Alone };
    ExitCode::from(dispatch(cli, parts, around))
}

fn dispatch(cli: Cli, parts: Parts, mut around: Surroundings) -> u8 {
    around.printer.keep(cli.globals.given());
    for warning in cli.globals.deprecations() {
        around.printer.say(warning);
    }
    let Some(command) = cli.command else { return tree(around.printer) };
    let place = command.error_place(cli.globals.wants_json());
    let name = command.name();
    let mut context = match Context::new(cli.globals, parts, around, name.to_owned()) {
        Ok(context) => context,
        Err(refused) => {
            let (report, mut printer) = *refused;
            return printer.failure(name, &report, place);
        }
    };
    let outcome = match command.run_blocking::<Cli>(&mut context) {
        Some(outcome) => outcome,
        None => run_async(&command, &mut context),
    };
    match outcome {
        Ok(outcome) => context.printer.outcome(name, outcome),
        Err(report) => context.printer.failure(name, &report, place),
    }
}

fn run_async(command: &Command, context: &mut Context) -> Result<Outcome, Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Report::internal(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(command.run(context));
    runtime.shutdown_background(); // nothing that still waits for a daemon may keep the process
    outcome
}

/// `secrets` alone: what there is, for people as help, for programs as a tree.
fn tree(mut printer: Printer) -> u8 {
    let mut root = Cli::command();
    if printer.form() == Form::Human {
        let help = root.render_long_help().to_string();
        printer.data(help.as_bytes());
        return 0;
    }
    root.build();
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let commands: Vec<Value> = root
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| {
            let usage = command.clone().render_usage().to_string();
            json!({
                "name": command.get_name(),
                "description": about(command),
                "usage": usage.trim_start_matches("Usage: "),
            })
        })
        .collect();
    let result = json!({"description": about(&root), "version": env!("CARGO_PKG_VERSION"), "commands": commands});
    let next = vec![
        NextAction::new("secrets status", "See what runs and what is leased"),
        NextAction::new("secrets doctor", "Check the whole set-up"),
        NextAction::new("secrets lease <name>", "Lease a secret"),
    ];
    printer.outcome("secrets", Outcome::Shown { result, human: String::new(), next })
}

/// A command line that cannot be read, or that only asks for help or the version.
fn refuse(mut printer: Printer, error: &clap::Error, arguments: &[OsString]) -> u8 {
    let text = error.render().to_string();
    if !error.use_stderr() {
        printer.data(text.as_bytes());
        return 0;
    }
    printer.keep(Given::of_line(arguments));
    let command = typed_command(arguments);
    // Without any flag clap shows the whole help instead, whose first line says nothing of an error.
    let lacks_word =
        matches!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand);
    let message = if lacks_word { lacking(&command) } else { sentence(&text) };
    let report = Report::misuse(message, format!("{command} --help"));
    // The streams of `exec` and `lease` are not ours to write to; their misuse goes where their errors go.
    let is_quiet = matches!(command.as_str(), "secrets exec" | "secrets lease");
    if printer.form() == Form::Human && !is_quiet && !lacks_word {
        printer.talk(&text);
        return report.status.code();
    }
    let place = if is_quiet { ErrorPlace::Stderr } else { ErrorPlace::ByForm };
    printer.failure(&command, &report, place)
}

/// What clap says over several lines, in one; its tips are sentences of their own.
fn sentence(text: &str) -> String {
    let is_said = |line: &&str| !line.starts_with("Usage") && !line.starts_with("For more information");
    let words = text.lines().map(str::trim).filter(|line| !line.is_empty()).take_while(is_said);
    let joined = words.collect::<Vec<_>>().join(" ");
    joined.trim_start_matches("error: ").replace(" tip: ", "; ")
}

/// What a command says that is nothing without a word after it.
fn lacking(command: &str) -> String {
    let root = Cli::command();
    let found = command.split(' ').skip(1).try_fold(&root, clap::Command::find_subcommand);
    let known = found.into_iter().flat_map(clap::Command::get_subcommands).map(clap::Command::get_name);
    let known: Vec<String> = known.filter(|name| *name != "help").map(|name| format!("`{name}`")).collect();
    let known = match known.as_slice() {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        one => one.concat(),
    };
    format!("`{command}` is not complete; {known} has to follow")
}

/// The command as far as it can be told from a line that clap refused.
fn typed_command(arguments: &[OsString]) -> String {
    let root = Cli::command();
    let (mut at, mut typed) = (&root, "secrets".to_owned());
    let mut is_value = false; // of the flag before it
    for word in arguments.iter().skip(1).map_while(|argument| argument.to_str()).take_while(|word| *word != "--") {
        if let (false, Some(found)) = (is_value, at.find_subcommand(word)) {
            at = found;
            typed = format!("{typed} {}", found.get_name());
        }
        is_value = matches!(word, "--home" | "--socket" | "--config" | "--timeout" | "--output");
    }
    typed
}

fn form_asked_for(arguments: &[OsString]) -> Form {
    let own = arguments.iter().take_while(|argument| *argument != "--").collect::<Vec<_>>();
    let asked = |form: &str| {
        own.iter().any(|argument| argument.to_str() == Some(&format!("--output={form}")))
            || own.windows(2).any(|pair| matches!(pair, [flag, value] if *flag == "--output" && *value == form))
    };
    match (asked("json"), asked("human")) {
        (true, _) => Form::Json,
        (_, true) => Form::Human,
        _ => Printer::form_of_stdout(),
    }
}

#[cfg(test)]
mod tests;
