//! `secrets scan --migrate`: the secrets of env files go into the store, lease tokens take their place.
//!
//! Invariant: a file is rewritten only when every secret that leaves it was read back from the store; any failure before
//! leaves the file as it was.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::scan::Arguments;
use crate::cli::{
    context::{Context, client_id},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Form,
    project_file, prompt,
    report::Report,
    sanitize::{self, shell_word},
};
use crate::{
    base::{ClientId, LeaseId, SecretBytes, SecretName, ServiceId, VariableName, constant_time_eq, read_bounded},
    control::{AddSecret, Client, Error, FailureCode, LeaseSecret, LeaseToken, RevokeLease, WireValue},
    policy::PolicySet,
    project::{EnvHeader, Variable, exchange, rewritten, variables_of},
    scan::{Found, Patterns, is_env_file},
};

/// The largest env file that is rewritten.
const MAX_FILE: u64 = 1 << 20;
/// How many names are tried for a secret whose name is taken.
const MAX_NAMES: u32 = 9;

/// What a migration did, and what it left.
#[derive(Debug, Default)]
pub(super) struct Migrated {
    pub(super) moved: Vec<Moved>,
    left: Vec<Left>,
}

/// A secret that is in the store now.
#[derive(Debug)]
pub(super) struct Moved {
    file: PathBuf,
    variable: VariableName,
    secret: SecretName,
    service: ServiceId,
    lease: LeaseId,
}

/// A secret that stays where it is.
#[derive(Debug)]
struct Left {
    file: PathBuf,
    variable: VariableName,
    why: String,
    /// What mends it.
    command: String,
    /// Whether the command runs as it is; one with a blank to fill in is no fix.
    is_fix: bool,
}

/// What is to be done with one file.
struct Plan {
    file: PathBuf,
    content: Zeroizing<Vec<u8>>,
    moves: Vec<Move>,
}

/// What is to be done with one variable.
struct Move {
    variable: VariableName,
    value: SecretBytes,
    pattern: String,
    name: SecretName,
    service: ServiceId,
    credential: String,
}

/// Shows what would happen, asks, and does it.
pub(super) async fn run(
    context: &mut Context,
    arguments: &Arguments,
    found: &Found,
    patterns: &Patterns,
    policy: &PolicySet,
) -> Result<Migrated, Report> {
    let mut migrated = Migrated::default();
    let files: BTreeSet<&Path> = found.findings.iter().map(|finding| finding.file.as_path()).collect();
    let mut plans = Vec::new();
    for file in files.into_iter().filter(|file| is_env_file(file)) {
        plans.extend(plan(file, patterns, policy, &mut migrated)?);
    }
    if plans.is_empty() {
        return Ok(migrated);
    }
    agree(context, arguments, &plans)?;
    let client_id = client_id(arguments.client_id.as_deref(), &context.command)?;
    let mut client = context.connect().await?;
    for plan in &plans {
        let mut issued = Vec::new();
        let done = carry_out(context, arguments, &client_id, &mut client, plan, &mut issued, &mut migrated).await;
        if let Err(report) = done {
            for (lease_id, _) in issued {
                let _ = client.call(RevokeLease::of(lease_id)).await; // the first error is the one worth telling
            }
            let result = json!({"migrated": migrated.result(|path| path.to_string_lossy().into_owned())});
            let human = migrated.human(|path| path.to_string_lossy().into_owned());
            let message = format!("`{}` is as it was: {}", plan.file.display(), report.message);
            return Err(Report { message, ..report }.with_result(result, human));
        }
    }
    Ok(migrated)
}

/// What can be moved out of a file. A file of our own holds leases or values that `secrets env` writes anew.
fn plan(file: &Path, patterns: &Patterns, policy: &PolicySet, migrated: &mut Migrated) -> Result<Option<Plan>, Report> {
    let (content, _) = read_bounded(file, MAX_FILE)?;
    let content = Zeroizing::new(content);
    if EnvHeader::parse(&content).is_managed {
        return Ok(None);
    }
    let mut moves = Vec::new();
    for (variable, value) in variables_of(&content) {
        let Some(known) = patterns.recognise(variable.as_str(), &value) else { continue };
        if known.pattern_name == "lease_token" {
            continue;
        }
        let Ok(name) = variable.as_str().to_ascii_lowercase().parse::<SecretName>() else { continue };
        let Some((service, credential)) = policy.recognise(variable.as_str(), &value) else {
            let command = format!("secrets add {} --host HOST", shell_word(name.as_str()));
            let why =
                format!("{} belongs to no service, so that a token for it would lead nowhere", known.pattern_name);
            migrated.left.push(Left { file: file.to_owned(), variable, why, command, is_fix: false });
            continue;
        };
        let value = SecretBytes::new(value.to_vec());
        let (pattern, credential) = (known.pattern_name, credential.to_string());
        moves.push(Move { variable, value, pattern, name, service, credential });
    }
    Ok((!moves.is_empty()).then(|| Plan { file: file.to_owned(), content, moves }))
}

/// The change as people read changes, without a value.
fn diff(plans: &[Plan], name: impl Fn(&Path) -> String) -> String {
    let mut text = String::new();
    for plan in plans {
        let name = sanitize::line(&name(&plan.file));
        let _ = writeln!(text, "--- {name}\n+++ {name}");
        for one in &plan.moves {
            let Move { variable, pattern, name, service, .. } = one;
            let _ = writeln!(text, "-{variable}=**** ({pattern})");
            let _ = writeln!(text, "+{variable}=<lease token> (secret `{name}`, service `{service}`)");
        }
    }
    text
}

/// Changes nothing without a yes.
fn agree(context: &mut Context, arguments: &Arguments, plans: &[Plan]) -> Result<(), Report> {
    let folder = context.folder.clone();
    let diff = diff(plans, |path| path.strip_prefix(&folder).unwrap_or(path).to_string_lossy().into_owned());
    let is_human = context.printer.form() == Form::Human;
    if is_human {
        context.printer.data(diff.as_bytes());
    }
    if arguments.yes {
        return Ok(());
    }
    let fix = "secrets scan --migrate --yes";
    let refused = |message: &str| {
        let human = String::new();
        Report::new(ExitStatus::Misuse, message, fix).with_result(json!({"diff": diff, "migrated": []}), human)
    };
    if !is_human {
        return Err(refused("nothing is changed without `--yes` when nobody can be asked"));
    }
    match prompt::confirmed("Move these secrets into the store and rewrite the files?") {
        Ok(true) => Ok(()),
        Ok(false) => Err(refused("nothing was changed")),
        Err(_) => Err(refused("there is no terminal to ask on, and nothing is changed without `--yes`")),
    }
}

/// Stores, reads back, leases, and only then rewrites.
async fn carry_out(
    context: &Context,
    arguments: &Arguments,
    client_id: &ClientId,
    client: &mut Client,
    plan: &Plan,
    issued: &mut Vec<(LeaseId, Variable)>,
    migrated: &mut Migrated,
) -> Result<(), Report> {
    let mut stored = Vec::new();
    for one in &plan.moves {
        stored.push((one, store(context, client, one).await?));
    }
    let mut moved = Vec::new();
    for (one, secret) in stored {
        let request = LeaseToken { ttl: arguments.ttl, ..LeaseToken::of(secret.clone(), client_id.clone()) };
        let leased = match client.call(request).await {
            Ok(leased) => leased,
            Err(Error::Failed(failure)) if failure.code == FailureCode::Policy => {
                let (file, variable) = (plan.file.clone(), one.variable.clone());
                let command = failure.fix.unwrap_or_else(|| "secrets policy list".to_owned());
                let why = format!("it is stored as `{secret}`, and {}", failure.message);
                migrated.left.push(Left { file, variable, why, command, is_fix: true });
                continue;
            }
            Err(error) => return Err(context.subject(Some(&secret)).control(error)),
        };
        let token = Zeroizing::new(leased.token.reveal().as_bytes().to_vec());
        issued.push((leased.lease_id, (one.variable.clone(), token)));
        let (file, variable, service) = (plan.file.clone(), one.variable.clone(), one.service.clone());
        moved.push((one, Moved { file, variable, secret, service, lease: leased.lease_id }));
    }
    if moved.is_empty() {
        return Ok(());
    }
    let new = rewritten(&plan.content, |name, value| {
        let is_it = |(one, _): &(&Move, Moved)| one.variable == *name && is_value(&one.value, value);
        let at = moved.iter().position(is_it)?;
        issued.get(at).map(|(_, (_, token))| token.clone())
    });
    exchange(&plan.file, &plan.content, &new).map_err(project_file::report)?;
    migrated.moved.extend(moved.into_iter().map(|(_, moved)| moved));
    issued.clear(); // they are in the file now
    Ok(())
}

fn is_value(secret: &SecretBytes, value: &[u8]) -> bool {
    *secret == SecretBytes::new(value.to_vec())
}

/// Stores a value under its name, or under another when that one holds something else; read back before it counts.
async fn store(context: &Context, client: &mut Client, one: &Move) -> Result<SecretName, Report> {
    for number in 1..=MAX_NAMES {
        let name = if number == 1 { one.name.to_string() } else { format!("{}_{number}", one.name) };
        let Ok(name) = name.parse::<SecretName>() else { break };
        let request = AddSecret {
            name: name.clone(),
            value: WireValue::new(one.value.clone()),
            rotate_via: None,
            service: Some(one.service.clone()),
            credential: Some(one.credential.clone()),
            raw: None,
            rotate_format: None,
            rotate_every: None,
            on_lease_expiry: None,
            easy: None,
        };
        let is_new = match client.call(request).await {
            Ok(_) => true,
            Err(Error::Failed(failure)) if failure.code == FailureCode::SecretExists => false,
            Err(error) => return Err(context.subject(Some(&name)).control(error)),
        };
        match (holds(client, &name, &one.value).await, is_new) {
            (Ok(true), _) => return Ok(name),
            (Ok(false), true) => return Err(Report::internal(format!("`{name}` does not give back what was stored"))),
            (Err(error), true) => return Err(context.subject(Some(&name)).control(error)),
            (_, false) => {} // somebody else's; the next name
        }
    }
    let message = format!("`{}` and the names like it are taken by other values", one.name);
    Err(Report::new(ExitStatus::Generic, message, "secrets list"))
}

/// Whether a secret has this value.
async fn holds(client: &mut Client, name: &SecretName, value: &SecretBytes) -> Result<bool, Error> {
    let reader = reader();
    let leased = client.call(LeaseSecret { secret_name: name.clone(), client_id: reader, ttl: None }).await?;
    let same = constant_time_eq(leased.value.reveal(), WireValue::new(value.clone()).reveal());
    client.call(RevokeLease::of(leased.lease_id)).await?;
    Ok(same)
}

/// A client id of its own, so that nobody's lease is replaced.
#[expect(clippy::expect_used, reason = "a word and a number are a client id; every migration's test parses one")]
fn reader() -> ClientId {
    format!("scan-migrate-{}", std::process::id()).parse().expect("a word and a number are a client id")
}

impl Migrated {
    pub(super) fn result(&self, name: impl Fn(&Path) -> String) -> Value {
        let moved: Vec<Value> = self
            .moved
            .iter()
            .map(|one| {
                json!({"file": name(&one.file), "env_var": one.variable, "secret": one.secret, "service": one.service,
                "lease_id": one.lease})
            })
            .collect();
        let left: Vec<Value> = self
            .left
            .iter()
            .map(|one| {
                let which = if one.is_fix { "fix" } else { "command" };
                json!({"file": name(&one.file), "env_var": one.variable, "reason": one.why, which: one.command})
            })
            .collect();
        json!({"moved": moved, "left": left})
    }

    pub(super) fn human(&self, name: impl Fn(&Path) -> String) -> String {
        let mut text = String::new();
        for one in &self.moved {
            let (file, secret) = (name(&one.file), one.secret.as_str());
            let line = format!("moved {} of {file} to secret `{secret}` of service `{}`", one.variable, one.service);
            let _ = writeln!(text, "{}", sanitize::line(&line));
        }
        for one in &self.left {
            let line = format!("left {} in {}: {}; {}", one.variable, name(&one.file), one.why, one.command);
            let _ = writeln!(text, "{}", sanitize::line(&line));
        }
        text
    }

    /// What makes use of the tokens.
    pub(super) fn next(&self) -> Vec<NextAction> {
        let left =
            self.left.first().map(|one| NextAction::new(one.command.clone(), "Give a secret that was left a service"));
        let flags = self.moved.iter().fold(String::new(), |flags, one| {
            format!("{flags} --secret {}={}", shell_word(one.secret.as_str()), one.variable)
        });
        let run = format!("secrets exec{flags} -- COMMAND");
        let run = (!self.moved.is_empty()).then(|| NextAction::new(run, "Run a program with them, behind the proxy"));
        run.into_iter().chain(left).collect()
    }
}
