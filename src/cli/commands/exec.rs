//! `secrets exec`: a session, its environment, the user's program; the session ends with the connection that opened it.
//!
//! Invariant: standard output belongs to the program alone, and its variables hold lease tokens, never values, unless
//! whoever runs it says `--raw`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    net::{Ipv4Addr, SocketAddr},
    os::unix::ffi::OsStringExt as _,
    path::PathBuf,
};

use clap::{Args, Parser};

use crate::cli::{
    beside::Beside,
    child,
    context::{Context, longest},
    exit::ExitStatus,
    globals::GivenTtl,
    narrow::NarrowFlags,
    parts::TrustRequest,
    printer::Outcome,
    project_file::{self, check_variable, edit, obeyed},
    provider,
    report::Report,
    sanitize::shell_word,
};
use crate::{
    base::{ClientId, MANIFEST_VARIABLE, SESSION_VARIABLE, SecretName, TimeToLive, VariableName},
    control::{Client, Error, FailureCode, ListSecrets, OpenSession, SessionOpened, SessionSecret},
    project::{ProjectFile, Variable, Wants},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// A secret to use, and the variable for its token; may be repeated [default: those of .secrets.json, else all
    /// that belong to a service]
    #[arg(long = "secret", value_name = "NAME[=VARIABLE]")]
    secrets: Vec<String>,
    /// Give the program the values themselves, for programs that do not speak HTTP; recorded as reveals
    #[arg(long)]
    raw: bool,
    /// How long the leases last at most, and the program with them
    #[arg(long, value_name = "DURATION", default_value = "", hide_default_value = true)]
    ttl: GivenTtl,
    /// How long the program may run, such as 90s or 10m; a bare number is seconds. It then gets SIGTERM, 5 s later
    /// SIGKILL, and the exit code is 124
    #[arg(id = "run_timeout", long = "timeout", value_name = "DURATION", value_parser = run_time)]
    timeout: Option<TimeToLive>,
    // Stands in for the flag of all other commands, so that `--timeout` can be the program's here.
    #[arg(id = "timeout", long = "daemon-timeout", hide = true, default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    _daemon_timeout: u64,
    /// For whom, as the record shows it and as policies name it
    #[arg(long, value_name = "ID")]
    client_id: Option<ClientId>,
    #[command(flatten)]
    narrow: NarrowFlags,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Arguments {
    /// The same command with other secrets, with `--raw` or not, and no longer than this.
    fn again<'a>(&self, secrets: impl IntoIterator<Item = &'a str>, raw: bool, ttl: Option<TimeToLive>) -> String {
        let mut line = "secrets exec".to_owned();
        for secret in secrets {
            line.extend([" --secret ", &shell_word(secret)]);
        }
        line.push_str(if raw { " --raw" } else { "" });
        let bounds = [("ttl", ttl), ("timeout", self.timeout)];
        line.extend(bounds.iter().filter_map(|(flag, time)| Some(format!(" --{flag} {}", (*time)?))));
        line.extend(self.client_id.iter().map(|id| format!(" --client-id {}", shell_word(id.as_str()))));
        line.push_str(&if raw { self.narrow.without() } else { self.narrow.clone() }.words());
        line.push_str(" --");
        line.extend(self.command.iter().map(|word| format!(" {}", shell_word(&word.to_string_lossy()))));
        line
    }

    fn named(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(String::as_str)
    }
}

/// A command line of nothing but a program.
#[derive(Debug, Parser)]
struct Plain {
    #[command(flatten)]
    arguments: Arguments,
}

/// Runs a program as `secrets exec -- PROGRAM` does.
pub(super) async fn run_plain(context: &mut Context, command: &[OsString]) -> Result<Outcome, Report> {
    let words = ["secrets exec", "--"].map(OsString::from).into_iter().chain(command.iter().cloned());
    let plain = Plain::try_parse_from(words);
    let plain = plain.map_err(|error| Report::misuse(error.to_string(), "secrets exec --help"))?;
    run(context, &plain.arguments).await
}

/// A duration, or seconds.
fn run_time(text: &str) -> Result<TimeToLive, String> {
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    let text = if seconds { format!("{text}s") } else { text.to_owned() };
    text.parse().map_err(|error: crate::base::TimeToLiveError| error.to_string())
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Report::misuse("there is no command to run", "secrets exec --help"));
    };
    let named = named(arguments)?;
    if arguments.raw && arguments.narrow.narrows() {
        let message = "a value that is handed out as it is cannot be narrowed; a lease token can";
        return Err(Report::misuse(message, arguments.again(arguments.named(), false, arguments.ttl.0)));
    }
    let narrow_to = arguments.narrow.less("secrets exec --help")?;
    let project = if named.is_empty() { project_file::find(&context.folder)? } else { None };
    let mut client = context.connect().await?;
    let inherited: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let pulled = match &project {
        Some(file) => match child::unless_signalled(pulled(context, &mut client, file)).await {
            Ok(pulled) => pulled?,
            Err(code) => return Ok(Outcome::Child(code)),
        },
        None => None,
    };
    let file = project.as_ref().map(|project| edit(&project.path));
    let mut request = match &pulled {
        Some(_) => open(context, Vec::new(), arguments.client_id.clone()),
        None => wishes(context, arguments, &mut client, named, project).await?,
    };
    (request.environment, request.narrow_to) = (arguments.narrow.environment.clone(), narrow_to);
    let wanted: Vec<SecretName> = request.secrets.iter().map(|wish| wish.name.clone()).collect();
    if arguments.raw {
        request.raw = std::mem::take(&mut request.secrets);
    }
    let session = match client.call(request).await {
        Ok(session) => session,
        Err(error) => return Err(not_opened(context, arguments, &mut client, &wanted, file, error).await),
    };
    let variables = variables(context, arguments, &session, &inherited, file.as_deref(), pulled.unwrap_or_default())?;
    drop(session);
    let mut running = match child::start(context.tenancy, program, rest, &variables) {
        Ok(running) => running,
        Err(not_run) => {
            context.printer.say_with_fix(not_run.message(), not_run.fix());
            return Ok(Outcome::Child(not_run.code()));
        }
    };
    drop(variables);
    if let Some(limit) = arguments.timeout.into_iter().chain(arguments.ttl.0).min() {
        running.limit(limit.get());
    }
    let status = tokio::select! {
        biased;
        status = running.wait() => status,
        () = client.closed() => {
            context.printer.say("the daemon has gone and the session with it; requests will fail from here on");
            running.wait().await
        }
    };
    client.finish().await; // its leases end with it
    let code = status.map_err(|error| Report::internal(format!("cannot wait for the command: {error}")))?;
    if running.was_overdue() {
        context.printer.say("the time of the command was over");
    }
    Ok(Outcome::Child(code))
}

/// What an outside keeper has for the program, where the project names one: raw values, which are no leases.
async fn pulled(context: &Context, client: &mut Client, file: &ProjectFile) -> Result<Option<Pulled>, Report> {
    let Wants::Provider(wants) = &file.wants else { return Ok(None) };
    let variables = provider::pull(context, client, file, wants).await?;
    Ok(Some(Pulled { variables, named_by: file.path.clone() }))
}

/// What a keeper has, and the project file that names the keeper.
#[derive(Default)]
struct Pulled {
    variables: Vec<Variable>,
    named_by: PathBuf,
}

/// Why there is no session, with the command that might open one. `file` is the command that mends the project's file,
/// if that says what is wanted.
async fn not_opened(
    context: &Context,
    arguments: &Arguments,
    client: &mut Client,
    wanted: &[SecretName],
    file: Option<String>,
    error: Error,
) -> Report {
    let code = if let Error::Failed(failure) = &error { Some(failure.code) } else { None };
    let report = context.subject(None).control(error);
    let max = longest(context);
    let ttl = arguments.ttl.0.map(|ttl| max.map_or(ttl, |max| ttl.min(max)));
    let fix = match code {
        Some(FailureCode::InvalidParams) if ttl != arguments.ttl.0 => {
            Some(arguments.again(arguments.named(), arguments.raw, ttl))
        }
        Some(FailureCode::InvalidParams) if arguments.ttl.0.is_none() => file,
        // What belongs to no service has no token; its value can be had all the same.
        Some(FailureCode::Policy) if has_unbound(client, wanted).await => {
            Some(arguments.again(arguments.named(), true, ttl))
        }
        _ => None,
    };
    Report { fix: fix.unwrap_or(report.fix), ..report }
}

async fn has_unbound(client: &mut Client, wanted: &[SecretName]) -> bool {
    let known = client.call(ListSecrets {}).await.map(|list| list.secrets).unwrap_or_default();
    known.iter().any(|secret| secret.service.is_none() && wanted.contains(&secret.name))
}

/// What the flags name.
fn named(arguments: &Arguments) -> Result<Vec<SessionSecret>, Report> {
    let wishes = arguments.secrets.iter().map(|text| {
        wish(text, arguments.ttl.0).map_err(|(why, name)| {
            let others = arguments.named().filter(|other| other != text);
            let again = name.map(|name| arguments.again(others.chain([name]), arguments.raw, arguments.ttl.0));
            Report::misuse(why, again.unwrap_or_else(|| "secrets list".to_owned()))
        })
    });
    wishes.collect()
}

/// `NAME` or `NAME=VARIABLE`; else why not, and the name, when that can be used.
fn wish(text: &str, ttl: Option<TimeToLive>) -> Result<SessionSecret, (String, Option<&str>)> {
    let (word, env_var) = match text.rsplit_once('=') {
        Some((name, variable)) => (name, Some(variable)),
        None => (text, None),
    };
    let name = word.parse().map_err(|error: crate::base::IdError| (error.to_string(), None))?;
    if let Some(variable) = env_var {
        check_variable(variable).map_err(|why| (why, Some(word)))?;
    }
    Ok(SessionSecret { name, env_var: env_var.map(str::to_owned), ttl })
}

/// The flags win, then the project file, then everything that belongs to a service.
async fn wishes(
    context: &Context,
    arguments: &Arguments,
    client: &mut Client,
    named: Vec<SessionSecret>,
    project: Option<ProjectFile>,
) -> Result<OpenSession, Report> {
    let client_id = arguments.client_id.clone();
    if !named.is_empty() {
        return Ok(open(context, named, client_id));
    }
    if let Some(Wants::Store(wants)) = project.map(|project| project.wants) {
        let wishes = wants.secrets.iter().map(|wish| SessionSecret {
            name: wish.name.clone(),
            env_var: Some(wish.variable.to_string()),
            ttl: wants.ttl_asked(wish, arguments.ttl.0),
        });
        return Ok(open(context, wishes.collect(), client_id.or(wants.client.clone())));
    }
    let all = client.call(ListSecrets {}).await.map_err(|error| context.subject(None).control(error))?.secrets;
    let first = all.first().map(|secret| secret.name.clone());
    let bound = all.into_iter().filter(|secret| secret.service.is_some());
    let secrets: Vec<_> =
        bound.map(|secret| SessionSecret { name: secret.name, env_var: None, ttl: arguments.ttl.0 }).collect();
    if secrets.is_empty() {
        let fix = match &first {
            Some(name) => arguments.again([name.as_str()], true, arguments.ttl.0),
            None => "secrets add api_key".to_owned(),
        };
        return Err(Report::misuse("no secret belongs to a service, so there is nothing to use", fix));
    }
    Ok(OpenSession { granted_only: true, ..open(context, secrets, client_id) })
}

fn open(context: &Context, secrets: Vec<SessionSecret>, client_id: Option<ClientId>) -> OpenSession {
    OpenSession { client_id, secrets, project_dir: context.folder.clone(), ..OpenSession::default() }
}

/// What the program gets: what it would have anyway, the way into the proxy, and over both the tokens, or what an outside
/// keeper gave.
fn variables(
    context: &Context,
    arguments: &Arguments,
    session: &SessionOpened,
    inherited: &BTreeMap<OsString, OsString>,
    file: Option<&str>,
    pulled: Pulled,
) -> Result<BTreeMap<OsString, OsString>, Report> {
    let request = TrustRequest {
        proxy: SocketAddr::from((Ipv4Addr::LOCALHOST, session.proxy_port)),
        credentials: session.wants_proof.then_some((&*session.proxy_user, &session.proxy_password)),
        support: &session.support_folder,
        root_pem: &session.root_pem,
        inherited,
        secret_hosts: &session.secret_hosts,
    };
    let trust = (context.parts.environment)(&request).map_err(|failure| context.subject(None).failure(failure))?;
    let mut variables = inherited.clone();
    let ways_in: BTreeSet<OsString> = trust.iter().map(|(name, _)| name.clone()).collect();
    variables.extend(trust);
    variables.insert(SESSION_VARIABLE.into(), session.mark.clone().into());
    variables.remove(OsStr::new(MANIFEST_VARIABLE)); // that of a session around this one says other things
    variables.extend(session.manifest.iter().map(|path| (MANIFEST_VARIABLE.into(), path.into())));
    let tokens =
        session.leases.iter().map(|lease| (&lease.secret, &lease.env, lease.token.reveal().as_bytes().to_vec()));
    let values = session.values.iter().map(|one| (&one.secret, &one.env, one.value.reveal().to_vec()));
    let mut taken = BTreeMap::new();
    for (secret, names, value) in tokens.chain(values) {
        if value.contains(&0) {
            return Err(zero_byte(secret));
        }
        for name in names {
            let variable: VariableName = name.parse().map_err(Report::internal)?;
            if ways_in.contains(OsStr::new(name)) || variable.is_obeyed() {
                let wish = format!("{secret}={}", project_file::variable_for(secret.as_str()));
                let others = arguments.named().filter(|other| !other.starts_with(&format!("{secret}=")));
                let fix = || arguments.again(others.chain([wish.as_str()]), arguments.raw, arguments.ttl.0);
                return Err(obeyed(name, file.map_or_else(fix, str::to_owned)));
            }
            if let Some(other) = taken.insert(name, secret) {
                let message = format!("`{other}` and `{secret}` both want to be `{name}`; name the ones to use");
                let given = |text: &&str| text.rsplit_once('=').map_or(*text, |(name, _)| name) == other.as_str();
                let wish = arguments.named().find(given).unwrap_or(other.as_str());
                let fix = || arguments.again([wish], arguments.raw, arguments.ttl.0);
                return Err(Report::new(ExitStatus::Misuse, message, file.map_or_else(fix, str::to_owned)));
            }
            variables.insert(name.into(), OsString::from_vec(value.clone()));
        }
    }
    let mut beside = Beside::default();
    session.leases.iter().try_for_each(|lease| beside.add(&lease.secret, &lease.beside))?;
    let holds_token = |name: &VariableName| taken.keys().any(|taken| *taken == name.as_str());
    let leads = |name: &VariableName| ways_in.contains(OsStr::new(name.as_str()));
    let beside = beside.over(leads, holds_token)?;
    variables.extend(beside.into_iter().map(|(name, text)| (name.as_str().into(), text.into())));
    for (name, value) in pulled.variables {
        if value.contains(&0) {
            return Err(project_file::report(crate::project::Error::ZeroByte(name.to_string())));
        }
        if ways_in.contains(OsStr::new(name.as_str())) {
            return Err(obeyed(name.as_str(), edit(&pulled.named_by)));
        }
        variables.insert(name.as_str().into(), OsString::from_vec(value.to_vec()));
    }
    Ok(variables)
}

/// A value that no variable can hold is for a file of the user's own.
fn zero_byte(secret: &SecretName) -> Report {
    let word = shell_word(secret.as_str());
    let message = crate::project::Error::ZeroByte(secret.to_string()).to_string();
    let file = shell_word(&format!("{}.value", project_file::variable_for(secret.as_str()).to_lowercase()));
    Report::new(ExitStatus::Data, message, format!("umask 077 && secrets lease {word} > {file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_with_or_without_its_variable() {
        let plain = wish("ops/key", None).unwrap();
        assert_eq!((plain.name.as_str(), plain.env_var), ("ops/key", None));
        let both = wish("a=b=API_KEY", Some(TimeToLive::HOUR)).unwrap();
        assert_eq!((both.name.as_str(), both.env_var.as_deref()), ("a=b", Some("API_KEY")));
        for bad in ["a=", "a=1X", "=X", ""] {
            assert!(wish(bad, None).is_err(), "{bad}");
        }
    }
}
