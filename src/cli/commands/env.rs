//! `secrets env`: the environment file of a project, or the same as lines to evaluate.
//!
//! Lease tokens by default, with the way into the proxy; raw values only when asked for, or when an outside keeper has
//! them. Unlike a session's, these leases last until their time runs out, they are revoked, or `cleanup` finds the file.

use std::{fmt::Write as _, path::Path};

use clap::{Args, ValueEnum as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::env_leases::{self, Leases};
use crate::cli::{
    child::unless_signalled,
    context::{Context, client_id},
    env_format::{self, EnvFormat},
    envelope::NextAction,
    exit::ExitStatus,
    globals::GivenTtl,
    narrow::NarrowFlags,
    printer::Outcome,
    project_file, provider,
    report::Report,
    sanitize,
};
use crate::{
    base::{ClientId, Clock, LeaseId, SecretName, Timestamp, VariableName, counted},
    control::{Client, ListSecrets, Note, RevokeLease},
    project::{EnvFile, Existing, ProjectFile, ProviderProject, StoreProject, Variable, Wants},
};

#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(in crate::cli) struct Arguments {
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    /// How long the leases last [default: as the project file says, else as configured]
    #[arg(long, value_name = "DURATION", default_value = "", hide_default_value = true)]
    pub(super) ttl: GivenTtl,
    /// Say what would be leased and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print instead of writing a file
    #[arg(long, conflicts_with_all = ["force", "dry_run"])]
    print: bool,
    /// With --print: for which reader
    #[arg(long, value_name = "READER", value_enum, default_value_t = EnvFormat::Sh, requires = "print")]
    format: EnvFormat,
    /// Raw values instead of lease tokens
    #[arg(long)]
    pub(super) raw: bool,
    /// For whom, as the record shows it
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    pub(super) narrow: NarrowFlags,
}

impl Arguments {
    /// Whether standard output is to be evaluated by a shell.
    pub(in crate::cli) const fn is_printing(&self) -> bool {
        self.print
    }

    /// The same command, as a reader of `change` wants it.
    pub(super) fn again(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut asked = self.clone();
        change(&mut asked);
        let mut line = "secrets env".to_owned();
        let flags = [("force", asked.force), ("dry-run", asked.dry_run), ("print", asked.print), ("raw", asked.raw)];
        line.extend(flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| format!(" --{flag}")));
        line.extend(asked.ttl.0.map(|ttl| format!(" --ttl {ttl}")));
        let format = asked.format.to_possible_value().filter(|_| asked.format != EnvFormat::Sh);
        line.extend(format.map(|format| format!(" --format {}", format.get_name())));
        line.extend(asked.client_id.map(|id| format!(" --client-id {}", sanitize::shell_word(&id))));
        line + &asked.narrow.words()
    }

    const fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let Some(project) = project_file::find(&context.folder)? else { return Err(without_project(context).await) };
    let path = project.env_file().map_err(project_file::report)?;
    let given = arguments.client_id.as_deref();
    if !arguments.dry_run && !arguments.print && !arguments.force && path.symlink_metadata().is_ok() {
        let report = project_file::report(crate::project::Error::Exists(path));
        return Err(Report { fix: arguments.again(|asked| asked.force = true), ..report });
    }
    let nobody = || arguments.again(|asked| asked.client_id = None);
    let is_raw = arguments.raw || matches!(project.wants, Wants::Provider(_));
    if is_raw && arguments.narrow.narrows() {
        let message = "values that are written as they are cannot be narrowed; lease tokens can";
        let keeps_raw = matches!(project.wants, Wants::Provider(_));
        let again = |asked: &mut Arguments| {
            if keeps_raw { asked.narrow = asked.narrow.without() } else { asked.raw = false }
        };
        return Err(Report::misuse(message, arguments.again(again)));
    }
    match &project.wants {
        Wants::Store(wants) => {
            let client_id = client_id(given.or(wants.client.as_ref().map(ClientId::as_str)), &nobody())?;
            if arguments.dry_run {
                return Ok(planned(arguments, wants, &path, &client_id));
            }
            of_store(context, arguments, &project.path, wants, &path, &client_id).await
        }
        Wants::Provider(wants) => {
            let client_id = client_id(given, &nobody())?;
            if arguments.dry_run {
                return Ok(planned_pull(arguments, wants, &path));
            }
            of_provider(context, arguments, &project, wants, &path, &client_id).await
        }
    }
}

/// The fix is a project file for a secret that is there.
async fn without_project(context: &Context) -> Report {
    let secrets = context.call(ListSecrets {}, None).await.map(|list| list.secrets);
    let fix = match secrets.as_deref() {
        Ok([]) => "secrets add api_key".to_owned(),
        Ok([first, ..]) => project_file::example(first.name.as_str()),
        Err(report) => report.fix.clone(),
    };
    Report::new(ExitStatus::Generic, "there is no `.secrets.json` here or above", fix)
}

fn planned(arguments: &Arguments, wants: &StoreProject, path: &Path, client_id: &ClientId) -> Outcome {
    let mut human = format!("{} would hold:\n", sanitize::line(&path.to_string_lossy()));
    let mut vars = Vec::new();
    for wish in &wants.secrets {
        let ttl = wants.ttl_for(wish, arguments.ttl.0).to_string();
        let _ = writeln!(human, "  {} from {} for {ttl}", wish.variable, sanitize::line(wish.name.as_str()));
        vars.push(json!({"secret": wish.name, "env_var": wish.variable, "ttl": ttl}));
    }
    let result = json!({"mode": "store", "dry_run": true, "env_file": path, "client_id": client_id,
        "var_count": vars.len(), "vars": vars});
    Outcome::Shown { result, human, next: vec![NextAction::new("secrets env", "Write the file")] }
}

/// Unlike agent-secrets, nothing is fetched to say what would be fetched.
fn planned_pull(arguments: &Arguments, wants: &ProviderProject, path: &Path) -> Outcome {
    let (source, scope) = (wants.source.as_str(), wants.scope.as_str());
    let ttl = arguments.ttl.0.unwrap_or(wants.ttl).to_string();
    let shown = sanitize::line(&path.to_string_lossy());
    let human = format!("{shown} would hold the raw {scope} values of {source} for {ttl}\n");
    let result = json!({"mode": "provider", "dry_run": true, "env_file": path, "source": source, "scope": scope,
        "project": wants.project, "ttl": ttl, "required_vars": wants.required_vars});
    Outcome::Shown { result, human, next: vec![NextAction::new("secrets env", "Write the file")] }
}

/// A connection, once it is known that the project may be worked on so.
async fn connect(context: &Context, arguments: &Arguments, tokens_of: Vec<SecretName>) -> Result<Client, Report> {
    let mut client = context.connect().await?;
    let again = |environment| arguments.again(|asked| asked.narrow.environment = Some(environment));
    let environment = arguments.narrow.environment.as_ref();
    project_file::check_environment(context, &mut client, environment, tokens_of, again).await?;
    Ok(client)
}

async fn of_store(
    context: &Context,
    arguments: &Arguments,
    project: &Path,
    wants: &StoreProject,
    path: &Path,
    client_id: &ClientId,
) -> Result<Outcome, Report> {
    let wanted = wants.secrets.iter().filter(|_| !arguments.raw).map(|wish| wish.name.clone());
    let mut client = connect(context, arguments, wanted.collect()).await?;
    let mut leases = Leases::default();
    let asked = env_leases::Asked { client_id, raw: arguments.raw, file: project, ttl: arguments.ttl.0, arguments };
    let making = make(context, &asked, wants, path, &mut client, &mut leases);
    let stopped = match unless_signalled(making).await {
        Ok(Ok(outcome)) => return Ok(outcome),
        Ok(Err(report)) => Err(report),
        Err(code) => Ok(Outcome::Child(code)),
    };
    for lease_id in leases.ids {
        let _ = client.call(RevokeLease::of(lease_id)).await; // the first error is the one worth telling
    }
    stopped
}

/// Leases everything and writes the file; what was leased stands in `leases` also when it fails half-way.
async fn make(
    context: &Context,
    asked: &env_leases::Asked<'_>,
    wants: &StoreProject,
    path: &Path,
    client: &mut Client,
    leases: &mut Leases,
) -> Result<Outcome, Report> {
    let (arguments, client_id) = (asked.arguments, asked.client_id);
    env_leases::take(context, client, wants, asked, leases).await?;
    let way_in = if arguments.raw { None } else { Some(env_leases::way_in(context, client, &leases.hosts).await?) };
    let proxies = way_in.as_ref().map(|way_in| way_in.variables.as_slice()).unwrap_or_default();
    let has = |all: &[Variable], name: &VariableName| all.iter().any(|(taken, _)| taken == name);
    let beside =
        std::mem::take(&mut leases.beside).over(|name| has(proxies, name), |name| has(&leases.variables, name))?;
    leases.variables.extend(beside.into_iter().map(|(name, text)| (name, Zeroizing::new(text.into_bytes()))));
    let variables: Vec<&Variable> = proxies.iter().chain(&leases.variables).collect();
    if arguments.print {
        return printed(arguments, &variables);
    }
    let mut file = EnvFile::new("store", leases.ends.unwrap_or_else(|| Clock::system().now()));
    leases.ids.iter().for_each(|id| file.lease(*id));
    let mut next = vec![NextAction::new("secrets cleanup", "Remove the file when its time is over")];
    if let Some(way_in) = &way_in {
        file.note(&way_in.note);
        next.extend(way_in.next.clone());
    }
    fill(&mut file, &variables)?;
    note(context, client, client_id, &file, arguments.raw).await?;
    write(&file, path, arguments, client, &leases.ids).await?;
    let facts = json!({"mode": "store", "expires_at": leases.ends, "leases": leases.shown});
    Ok(written(&file, path, client_id, facts, leases.ends, next))
}

async fn of_provider(
    context: &Context,
    arguments: &Arguments,
    project: &ProjectFile,
    wants: &ProviderProject,
    path: &Path,
    client_id: &ClientId,
) -> Result<Outcome, Report> {
    let mut client = connect(context, arguments, Vec::new()).await?;
    let pulled = match unless_signalled(provider::pull(context, &mut client, project, wants)).await {
        Ok(pulled) => pulled?,
        Err(code) => return Ok(Outcome::Child(code)),
    };
    let variables: Vec<&Variable> = pulled.iter().collect();
    if arguments.print {
        return printed(arguments, &variables);
    }
    let ends = Clock::system().now().plus(arguments.ttl.0.unwrap_or(wants.ttl).get());
    let mut file = EnvFile::new(wants.source.as_str(), ends);
    file.note("raw values; they cannot be revoked here");
    fill(&mut file, &variables)?;
    note(context, &mut client, client_id, &file, true).await?;
    write(&file, path, arguments, &mut client, &[]).await?;
    let facts = json!({"mode": "provider", "expires_at": ends, "source": wants.source, "scope": wants.scope,
        "project": wants.project});
    let next = vec![NextAction::new("secrets cleanup", "Remove the file when its time is over")];
    Ok(written(&file, path, client_id, facts, Some(ends), next))
}

/// Writes the file; the leases of the one that it replaces end, since nothing names them any more.
async fn write(
    file: &EnvFile,
    path: &Path,
    arguments: &Arguments,
    client: &mut Client,
    new: &[LeaseId],
) -> Result<(), Report> {
    let replaced = crate::project::leases_in(path);
    file.write(path, arguments.existing()).map_err(project_file::report)?;
    for lease_id in replaced.into_iter().filter(|id| !new.contains(id)) {
        let _ = client.call(RevokeLease::of(lease_id)).await; // most have ended by themselves
    }
    Ok(())
}

fn fill(file: &mut EnvFile, variables: &[&Variable]) -> Result<(), Report> {
    variables.iter().try_for_each(|(name, value)| file.set(name, value)).map_err(project_file::report)
}

/// The record comes before the file.
async fn note(
    context: &Context,
    client: &mut Client,
    client_id: &ClientId,
    file: &EnvFile,
    raw: bool,
) -> Result<(), Report> {
    let note = Note::EnvWrite { client_id: client_id.clone(), variables: file.names().count() as u64, raw };
    client.call(note).await.map(|_| ()).map_err(|error| context.subject(None).control(error))
}

fn printed(arguments: &Arguments, variables: &[&Variable]) -> Result<Outcome, Report> {
    let text = |(name, value): &&'_ Variable| -> Option<(String, String)> {
        let value = String::from_utf8(value.to_vec()).ok().filter(|value| !value.contains('\0'))?;
        Some((name.to_string(), value))
    };
    let texts: Option<Vec<(String, String)>> = variables.iter().map(text).collect();
    let texts = texts.ok_or_else(|| {
        let message = "a value holds bytes that cannot be printed for a shell";
        let file = |asked: &mut Arguments| (asked.print, asked.force) = (false, true);
        Report::new(ExitStatus::Data, message, arguments.again(file))
    })?;
    let pairs: Vec<(&str, &str)> = texts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(Outcome::Text(env_format::printed(arguments.format, &pairs)))
}

fn written(
    file: &EnvFile,
    path: &Path,
    client_id: &ClientId,
    facts: Value,
    ends: Option<Timestamp>,
    next: Vec<NextAction>,
) -> Outcome {
    let vars: Vec<&str> = file.names().collect();
    let odd: Vec<&str> = file.only_for_shells().into_iter().map(VariableName::as_str).collect();
    let until = ends.map(|ends| format!(", good until {ends}")).unwrap_or_default();
    let count = counted(vars.len() as u64, "variable");
    let mut human = format!("wrote {} with {count}{until}\n", sanitize::line(&path.to_string_lossy()));
    if !odd.is_empty() {
        let _ = writeln!(human, "only shells read {} byte for byte; dotenv readers differ", odd.join(", "));
    }
    let mut result = json!({"env_file": path, "client_id": client_id, "var_count": vars.len(), "vars": vars});
    if let (Some(result), Value::Object(facts)) = (result.as_object_mut(), facts) {
        result.extend(facts);
        result.extend((!odd.is_empty()).then(|| ("only_for_shells".to_owned(), json!(odd))));
    }
    Outcome::Shown { result, human, next }
}
