//! `secrets env`: the environment file of a project, or the same as lines to evaluate.
//!
//! Lease tokens by default, with the way into the proxy; raw values only when asked for. Unlike a session's, these
//! leases last until their time runs out or they are revoked.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{
    context::{Context, client_id},
    env_format::{self, EnvFormat},
    envelope::NextAction,
    exit::ExitStatus,
    parts::TrustRequest,
    printer::Outcome,
    project_file::{ProjectFile, Wish},
    report::Report,
    sanitize::{self, shell_word},
};
use crate::{
    base::{ClientId, LeaseId, TimeToLive, Timestamp, replace},
    control::{Client, LeaseSecret, LeaseToken, ListSecrets, Ping, RevokeLease, ShowCa},
};

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(in crate::cli) struct Arguments {
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    /// How long the leases last [default: as the project file says, else as configured]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<TimeToLive>,
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
    raw: bool,
    /// For whom, as the record shows it
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
}

impl Arguments {
    /// Whether standard output is to be evaluated by a shell.
    pub(in crate::cli) const fn is_printing(&self) -> bool {
        self.print
    }
}

/// What was leased so far.
#[derive(Default)]
struct Leases {
    variables: Vec<(String, String)>,
    shown: Vec<Value>,
    ids: Vec<LeaseId>,
    ends: Option<Timestamp>,
    hosts: Vec<String>,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let project = ProjectFile::find(&context.folder)?.ok_or_else(|| {
        Report::new(ExitStatus::Generic, "there is no `.secrets.json` here or above", ProjectFile::example("NAME"))
    })?;
    let given = arguments.client_id.as_deref().or(project.client_id.as_ref().map(ClientId::as_str));
    let client_id = client_id(given, &context.command)?;
    if arguments.dry_run {
        return Ok(planned(arguments, &project, &client_id));
    }
    if !arguments.print && !arguments.force && project.env_file.symlink_metadata().is_ok() {
        let message = format!("`{}` exists", project.env_file.display());
        return Err(Report::new(ExitStatus::Generic, message, "secrets env --force"));
    }
    let mut client = context.connect().await?;
    let mut leases = Leases::default();
    let made = make(context, arguments, &project, &client_id, &mut client, &mut leases).await;
    if let Err(report) = made {
        for lease_id in leases.ids {
            let _ = client.call(RevokeLease { lease_id }).await; // the first error is the one worth telling
        }
        return Err(report);
    }
    Ok(if arguments.print {
        Outcome::Text(env_format::printed(arguments.format, &leases.variables))
    } else {
        written(&project.env_file, &client_id, &leases)
    })
}

fn ttl(arguments: &Arguments, project: &ProjectFile, wish: &Wish) -> Option<TimeToLive> {
    arguments.ttl.or(wish.ttl).or(project.ttl)
}

fn planned(arguments: &Arguments, project: &ProjectFile, client_id: &ClientId) -> Outcome {
    let mut human = format!("{} would hold:\n", sanitize::line(&project.env_file.to_string_lossy()));
    let mut vars = Vec::new();
    for wish in &project.secrets {
        let ttl = ttl(arguments, project, wish).unwrap_or(TimeToLive::HOUR).to_string();
        let _ = writeln!(human, "  {} from {} for {ttl}", wish.env_var, sanitize::line(wish.name.as_str()));
        vars.push(json!({"secret": wish.name, "env_var": wish.env_var, "ttl": ttl}));
    }
    let result = json!({"mode": "store", "dry_run": true, "env_file": project.env_file, "client_id": client_id,
        "var_count": vars.len(), "vars": vars});
    Outcome::Shown { result, human, next: vec![NextAction::new("secrets env", "Write the file")] }
}

/// Leases everything and writes the file; what was leased stands in `leases` also when it fails half-way.
async fn make(
    context: &Context,
    arguments: &Arguments,
    project: &ProjectFile,
    client_id: &ClientId,
    client: &mut Client,
    leases: &mut Leases,
) -> Result<(), Report> {
    if !arguments.raw {
        check_bound(context, client, &project.secrets).await?;
    }
    for wish in &project.secrets {
        let ttl = ttl(arguments, project, wish);
        lease(context, client, wish, client_id, ttl, arguments.raw, leases).await?;
    }
    if !arguments.raw {
        let mut trust = trust(context, client, &leases.hosts).await?;
        trust.append(&mut leases.variables);
        leases.variables = trust;
    }
    if arguments.print {
        return Ok(());
    }
    let ends = leases.ends.map(|ends| ends.to_string()).unwrap_or_default();
    let head = format!("# secrets-managed: true\n# secrets-ttl: {ends}\n# secrets-source: store\n");
    replace(&project.env_file, (head + &env_format::file(&leases.variables)).as_bytes(), 0o600, None)?;
    Ok(())
}

/// A token is of use only where a service says where it goes; told before anything is answer.
async fn check_bound(context: &Context, client: &mut Client, wishes: &[Wish]) -> Result<(), Report> {
    let known = client.call(ListSecrets {}).await.map_err(|error| context.subject(None).control(error))?.secrets;
    for wish in wishes {
        let unbound = known.iter().any(|secret| secret.name == wish.name && secret.service.is_none());
        if unbound {
            let message = format!("`{}` belongs to no service, so that a token for it leads nowhere", wish.name);
            let fix = format!("secrets update {} --service ID", shell_word(wish.name.as_str()));
            return Err(Report::new(ExitStatus::Generic, message, fix));
        }
    }
    Ok(())
}

async fn lease(
    context: &Context,
    client: &mut Client,
    wish: &Wish,
    client_id: &ClientId,
    ttl: Option<TimeToLive>,
    raw: bool,
    leases: &mut Leases,
) -> Result<(), Report> {
    let (secret_name, client_id) = (wish.name.clone(), client_id.clone());
    let failed = |error| context.subject(Some(&wish.name)).control(error);
    let (lease_id, expires_at, value) = if raw {
        let answer = client.call(LeaseSecret { secret_name, client_id, ttl }).await.map_err(failed)?;
        leases.ids.push(answer.lease_id);
        let value = String::from_utf8(answer.value.reveal().to_vec()).ok().filter(|value| !value.contains('\0'));
        let value = value.ok_or_else(|| {
            let message = format!("`{}` holds bytes that no variable can hold", wish.name);
            Report::new(ExitStatus::Data, message, format!("secrets lease {} > FILE", shell_word(wish.name.as_str())))
        })?;
        (answer.lease_id, answer.expires_at, value)
    } else {
        let answer = client.call(LeaseToken { secret_name, client_id, ttl }).await.map_err(failed)?;
        leases.ids.push(answer.lease_id);
        leases.hosts.extend(answer.hosts);
        (answer.lease_id, answer.expires_at, answer.token.reveal().to_owned())
    };
    leases.variables.push((wish.env_var.clone(), value));
    leases.ends = Some(leases.ends.map_or(expires_at, |ends| ends.min(expires_at)));
    leases
        .shown
        .push(json!({"secret": wish.name, "env_var": wish.env_var, "lease_id": lease_id, "expires_at": expires_at}));
    Ok(())
}

/// The way into the proxy's main listener, independent of what this process happens to inherit.
async fn trust(context: &Context, client: &mut Client, hosts: &[String]) -> Result<Vec<(String, String)>, Report> {
    let pong = client.call(Ping {}).await.map_err(|error| context.subject(None).control(error))?;
    let certificate = client.call(ShowCa {}).await.map_err(|error| context.subject(None).control(error))?;
    let proxy = pong.proxy_addr.parse().map_err(|_| Report::internal("the proxy's address is odd"))?;
    let request = TrustRequest {
        proxy,
        support: &context.home.support(),
        root_pem: &certificate.pem,
        inherited: &BTreeMap::new(),
        secret_hosts: hosts,
    };
    let variables = (context.parts.environment)(&request).map_err(|failure| context.subject(None).failure(failure))?;
    let text = |value: std::ffi::OsString| value.into_string().map_err(|_| Report::internal("a path is not UTF-8"));
    variables.into_iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect()
}

fn written(path: &Path, client_id: &ClientId, leases: &Leases) -> Outcome {
    let vars: Vec<&str> = leases.variables.iter().map(|(name, _)| name.as_str()).collect();
    let result = json!({
        "mode": "store",
        "env_file": path,
        "expires_at": leases.ends,
        "client_id": client_id,
        "var_count": vars.len(),
        "vars": vars,
        "leases": leases.shown,
    });
    let ends = leases.ends.map(|ends| format!(", good until {ends}")).unwrap_or_default();
    let human = format!("wrote {} with {} variables{ends}\n", sanitize::line(&path.to_string_lossy()), vars.len());
    Outcome::Shown { result, human, next: vec![NextAction::new("secrets status", "See what is leased")] }
}
