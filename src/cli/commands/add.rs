//! `secrets add`: a new secret, bound to its service when that is said or recognised.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{easy::Easy, hook::Hook, refused};
use crate::cli::{
    context::{Context, secret_name},
    envelope::NextAction,
    printer::Outcome,
    report::Report,
    sanitize::{self, shell_word},
    value_input::{Missing, ValueInput},
};
use crate::{
    base::{SecretName, ServiceId},
    control::{AddSecret, Error, Failure, FailureCode, ListSecrets, RawAccess, RefusedChange, Stored, WireValue},
    store,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The secret's name
    name: String,
    #[command(flatten)]
    value: ValueInput,
    #[command(flatten)]
    binding: Binding,
    #[command(flatten)]
    hook: Hook,
}

/// Flags that `add` and `update` share.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Binding {
    /// The service that it is for [default: recognised by name and shape]
    #[arg(long, value_name = "ID", conflicts_with = "host")]
    pub(super) service: Option<ServiceId>,
    /// Which credential of the service it is [default: the only one]
    #[arg(long, value_name = "NAME", requires = "service")]
    pub(super) credential: Option<String>,
    #[command(flatten)]
    pub(super) easy: Easy,
    /// Whether `secrets lease` may print the raw value
    #[arg(long, value_name = "ACCESS")]
    raw: Option<Raw>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Raw {
    Allow,
    Deny,
}

impl Binding {
    pub(super) fn raw(&self) -> Option<RawAccess> {
        self.raw.map(|raw| match raw {
            Raw::Allow => RawAccess::Allow,
            Raw::Deny => RawAccess::Deny,
        })
    }

    pub(super) fn is_given(&self) -> bool {
        self.service.is_some() || self.easy.is_given() || self.raw.is_some()
    }

    /// The flags as they were typed, each behind a blank.
    pub(super) fn words(&self) -> String {
        let raw = self.raw.map(|raw| match raw {
            Raw::Allow => "allow",
            Raw::Deny => "deny",
        });
        let flags = [
            ("--service", self.service.as_ref().map(ServiceId::as_str)),
            ("--credential", self.credential.as_deref()),
            ("--raw", raw),
        ];
        let flags = flags.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", shell_word(value?))));
        flags.chain([self.easy.words()]).collect()
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let read = read(context, arguments).await;
    let (name, value) = refused::recorded(context, RefusedChange::Add, &arguments.name, read).await?;
    let mut client = context.connect().await?;
    let request = AddSecret {
        name: name.clone(),
        value,
        rotate_via: arguments.hook.rotate_via.clone(),
        service: arguments.binding.service.clone(),
        credential: arguments.binding.credential.clone(),
        raw: arguments.binding.raw(),
        rotate_format: arguments.hook.rotate_format.clone(),
        rotate_every: arguments.hook.rotate_every,
        on_lease_expiry: arguments.hook.on_lease_expiry(),
        easy: arguments.binding.easy.binding(),
    };
    let stored = client.call(request).await.map_err(|error| not_stored(context, &name, error))?;
    let Stored { message, service, credential, files, granted_by, .. } = stored;
    let word = shell_word(name.as_str());
    let mut result = json!({"name": name, "message": message});
    if let Some(fields) = result.as_object_mut() {
        fields.extend(arguments.hook.rotate_via.iter().map(|hook| ("rotate_via".to_owned(), json!(hook))));
        fields.extend(service.iter().map(|service| ("service".to_owned(), json!(service))));
        fields.extend(credential.iter().map(|credential| ("credential".to_owned(), json!(credential))));
        fields.extend((!files.is_empty()).then(|| ("files".to_owned(), json!(files))));
        fields.extend((!granted_by.is_empty()).then(|| ("granted_by".to_owned(), json!(granted_by))));
    }
    let hint = match &service {
        Some(_) => "use it with `secrets exec -- COMMAND`".to_owned(),
        None => format!("bind it with `secrets update {word} --service ID`, or with --host"),
    };
    let mut human = format!("{message}\n{hint}\n");
    human.extend(
        granted_by
            .iter()
            .map(|place| format!("the grant at {place} was there before and says what agents may do with it\n")),
    );
    let next = vec![
        match service {
            Some(_) => NextAction::new(format!("secrets exec --secret {word} -- COMMAND"), "Run a program with it"),
            None => NextAction::new("secrets policy list", "See the services that it can be bound to"),
        },
        NextAction::new("secrets list", "List all secrets"),
    ];
    Ok(Outcome::Shown { result, human: safe(&human), next })
}

/// The name and the value of what is to be stored, as far as both can be judged here.
async fn read(context: &mut Context, arguments: &Arguments) -> Result<(SecretName, WireValue), Report> {
    let name = secret_name(&arguments.name, &context.command)?;
    let without_hook = format!("{} {}{}", context.command, shell_word(name.as_str()), arguments.binding.words());
    arguments.hook.check_new(name.as_str(), &without_hook)?;
    let again = without_hook + &arguments.hook.words();
    if arguments.value.is_waited_for() && is_known(context, &name).await? {
        let taken = Failure::new(FailureCode::SecretExists, store::Error::Duplicate(name.clone()).to_string());
        return Err(context.subject(Some(&name)).failure(taken));
    }
    let value = arguments.value.read(context, name.as_str(), Missing::Refused, &again)?;
    let value = value.ok_or_else(|| Report::internal("a value was required and is missing"))?;
    let value = WireValue::new(value);
    arguments.binding.easy.check(&again, &context.command, &name, &value)?;
    Ok((name, value))
}

/// Secret and policy are written both or not at all.
fn not_stored(context: &Context, name: &SecretName, error: Error) -> Report {
    let is_half =
        matches!(&error, Error::Failed(failure) if [FailureCode::Io, FailureCode::Policy].contains(&failure.code));
    let report = context.subject(Some(name)).control(error);
    let message = if is_half { format!("`{name}` was not stored: {}", report.message) } else { report.message.clone() };
    Report { message, ..report }
}

/// Whether the store has a secret of this name; asked before a value is.
pub(super) async fn is_known(context: &Context, name: &SecretName) -> Result<bool, Report> {
    let known = context.call(ListSecrets {}, None).await?.secrets;
    Ok(known.iter().any(|secret| secret.name == *name))
}

/// Sanitizes line by line.
pub(super) fn safe(text: &str) -> String {
    text.lines().map(|line| sanitize::line(line) + "\n").collect()
}
