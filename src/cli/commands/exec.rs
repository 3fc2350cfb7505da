//! `secrets exec`: a session, its environment, the user's program; the session ends with the connection that opened it.
//!
//! Invariant: standard output belongs to the program alone, and its variables hold lease tokens, never values.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    net::{Ipv4Addr, SocketAddr},
};

use clap::Args;

use crate::cli::{
    child,
    context::Context,
    exit::ExitStatus,
    parts::TrustRequest,
    printer::Outcome,
    project_file::{ProjectFile, check_variable},
    report::Report,
    sanitize::shell_word,
};
use crate::{
    base::{ClientId, TimeToLive},
    control::{Client, ListSecrets, OpenSession, SessionOpened, SessionSecret},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// A secret to use, and the variable for its token; may be repeated [default: those of .secrets.json, else all
    /// that belong to a service]
    #[arg(long = "secret", value_name = "NAME[=VARIABLE]")]
    secrets: Vec<String>,
    /// How long the leases last at most; they end with the command in any case
    #[arg(long, value_name = "DURATION")]
    ttl: Option<TimeToLive>,
    /// For whom, as the record shows it and as policies name it
    #[arg(long, value_name = "ID")]
    client_id: Option<ClientId>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Report::misuse("there is no command to run", "secrets exec -- COMMAND"));
    };
    let named = named(arguments)?;
    let mut client = context.connect().await?;
    let request = wishes(context, arguments, &mut client, named).await?;
    let session = client.call(request).await.map_err(|error| context.subject(None).control(error))?;
    let variables = variables(context, &session, &std::env::vars_os().collect())?;
    let mut running = match child::start(program, rest, &variables) {
        Ok(running) => running,
        Err(not_run) => {
            context.printer.say(not_run.message());
            return Ok(Outcome::Child(not_run.code()));
        }
    };
    drop(variables);
    let status = tokio::select! {
        biased;
        status = running.wait() => status,
        () = client.closed() => {
            context.printer.say("the daemon has gone and the session with it; requests will fail from here on");
            running.wait().await
        }
    };
    drop(client); // this ends the session
    status.map(Outcome::Child).map_err(|error| Report::internal(format!("cannot wait for the command: {error}")))
}

/// What the flags name.
fn named(arguments: &Arguments) -> Result<Vec<SessionSecret>, Report> {
    arguments.secrets.iter().map(|text| wish(text, arguments.ttl)).collect()
}

fn wish(text: &str, ttl: Option<TimeToLive>) -> Result<SessionSecret, Report> {
    let misuse = |why: String| Report::misuse(why, "secrets exec --secret NAME=VARIABLE -- COMMAND");
    let (name, env_var) = match text.rsplit_once('=') {
        Some((name, variable)) => (name, Some(variable.to_owned())),
        None => (text, None),
    };
    if let Some(variable) = &env_var {
        check_variable(variable).map_err(misuse)?;
    }
    let name = name.parse().map_err(|error: crate::base::IdError| misuse(error.to_string()))?;
    Ok(SessionSecret { name, env_var, ttl })
}

/// The flags win, then the project file, then everything that belongs to a service.
async fn wishes(
    context: &Context,
    arguments: &Arguments,
    client: &mut Client,
    named: Vec<SessionSecret>,
) -> Result<OpenSession, Report> {
    let client_id = arguments.client_id.clone();
    let open = |secrets, project_dir, client_id| OpenSession { client_id, secrets, project_dir, narrow: None };
    if !named.is_empty() {
        return Ok(open(named, context.folder.clone(), client_id));
    }
    if let Some(project) = ProjectFile::find(&context.folder)? {
        let ttl = |own: Option<TimeToLive>| arguments.ttl.or(own).or(project.ttl);
        let wishes = project.secrets.iter().map(|wish| SessionSecret {
            name: wish.name.clone(),
            env_var: Some(wish.env_var.clone()),
            ttl: ttl(wish.ttl),
        });
        return Ok(open(wishes.collect(), context.folder.clone(), client_id.or(project.client_id.clone())));
    }
    let all = client.call(ListSecrets {}).await.map_err(|error| context.subject(None).control(error))?.secrets;
    let bound = all.into_iter().filter(|secret| secret.service.is_some());
    let secrets: Vec<_> =
        bound.map(|secret| SessionSecret { name: secret.name, env_var: None, ttl: arguments.ttl }).collect();
    if secrets.is_empty() {
        return Err(Report::misuse("no secret belongs to a service, so there is nothing to use", "secrets list"));
    }
    Ok(open(secrets, context.folder.clone(), client_id))
}

/// What the program gets: what it would have anyway, the way into the proxy, and the tokens over both.
fn variables(
    context: &Context,
    session: &SessionOpened,
    inherited: &BTreeMap<OsString, OsString>,
) -> Result<BTreeMap<OsString, OsString>, Report> {
    let request = TrustRequest {
        proxy: SocketAddr::from((Ipv4Addr::LOCALHOST, session.proxy_port)),
        support: &session.support_folder,
        root_pem: &session.root_pem,
        inherited,
        secret_hosts: &session.secret_hosts,
    };
    let trust = (context.parts.environment)(&request).map_err(|failure| context.subject(None).failure(failure))?;
    let mut variables = inherited.clone();
    let ways_in: BTreeSet<OsString> = trust.iter().map(|(name, _)| name.clone()).collect();
    variables.extend(trust);
    let mut tokens = BTreeMap::new();
    for lease in &session.leases {
        for name in &lease.env {
            check_variable(name).map_err(Report::internal)?;
            if ways_in.contains(OsStr::new(name)) || is_obeyed(name) {
                let message =
                    format!("`{name}` is obeyed by programs or leads them to the proxy; it cannot hold a token");
                return Err(Report::misuse(
                    message,
                    format!("secrets exec --secret {}=VARIABLE -- COMMAND", lease.secret),
                ));
            }
            if let Some(other) = tokens.insert(name, &lease.secret) {
                let message =
                    format!("`{other}` and `{}` both want to be `{name}`; name the ones to use", lease.secret);
                let fix = format!("secrets exec --secret {} -- COMMAND", shell_word(other.as_str()));
                return Err(Report::new(ExitStatus::Misuse, message, fix));
            }
            variables.insert(name.into(), lease.token.reveal().into());
        }
    }
    Ok(variables)
}

/// Variables that decide what a program runs or loads. A project file comes with a repository; a token there does no more
/// than break things, but a name there was never meant well (attack 95).
fn is_obeyed(name: &str) -> bool {
    const NAMES: [&str; 9] =
        ["BASH_ENV", "ENV", "HOME", "IFS", "NODE_OPTIONS", "PATH", "PERL5OPT", "PYTHONPATH", "SHELL"];
    NAMES.contains(&name) || name.starts_with("LD_") || name.starts_with("DYLD_") || name.starts_with("GIT_CONFIG")
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
            assert_eq!(wish(bad, None).unwrap_err().status, ExitStatus::Misuse, "{bad}");
        }
    }
}
