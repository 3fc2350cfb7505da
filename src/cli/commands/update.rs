//! `secrets update`: a new value, a new rotation hook, another service.

use clap::Args;
use serde_json::json;

use super::{
    add::{Binding, is_known, safe},
    hook::Hook,
    refused,
};
use crate::cli::{
    context::{Context, secret_name},
    envelope::NextAction,
    printer::Outcome,
    report::Report,
    sanitize::shell_word,
    value_input::{Missing, ValueInput},
};
use crate::{
    base::SecretName,
    broker,
    control::{Failure, FailureCode, RefusedChange, UpdateSecret, WireValue},
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

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let read = read(context, arguments).await;
    let (name, value) = refused::recorded(context, RefusedChange::Update, &arguments.name, read).await?;
    let mut client = context.connect().await?;
    let request = UpdateSecret {
        name: name.clone(),
        value,
        rotate_via: arguments.hook.rotate_via.clone(),
        rotate_via_set: arguments.hook.rotate_via.is_some(),
        service: arguments.binding.service.clone(),
        credential: arguments.binding.credential.clone(),
        raw: arguments.binding.raw(),
        rotate_format: arguments.hook.rotate_format.clone(),
        rotate_every: arguments.hook.rotate_every,
        on_lease_expiry: arguments.hook.on_lease_expiry(),
        easy: arguments.binding.easy.binding(),
    };
    let done = client.call(request).await.map_err(|error| context.subject(Some(&name)).control(error))?;
    let mut result = json!({"name": name, "message": done.message});
    if let Some(fields) = result.as_object_mut() {
        fields.extend(arguments.hook.rotate_via.iter().map(|hook| ("rotate_via".to_owned(), json!(hook))));
        if arguments.binding.easy.is_given() {
            fields.extend(done.service.iter().map(|service| ("service".to_owned(), json!(service))));
            fields.insert("files".to_owned(), json!(done.files));
        }
    }
    let human = safe(&done.message);
    let word = shell_word(name.as_str());
    let next = match done.service {
        Some(_) => NextAction::new(format!("secrets exec --secret {word} -- COMMAND"), "Run a program with it"),
        None => NextAction::new("secrets policy list", "See the services that it can be bound to"),
    };
    Ok(Outcome::Shown { result, human, next: vec![next] })
}

/// The name of what is to be changed and its new value, as far as both can be judged here.
async fn read(context: &mut Context, arguments: &Arguments) -> Result<(SecretName, Option<WireValue>), Report> {
    let name = secret_name(&arguments.name, &context.command)?;
    let other_change = arguments.binding.is_given() || arguments.hook.is_given();
    let missing = if other_change { Missing::Allowed } else { Missing::Refused };
    let flags = arguments.binding.words() + &arguments.hook.words();
    let again = format!("{} {}{flags}", context.command, shell_word(name.as_str()));
    if arguments.value.is_waited_for() && !is_known(context, &name).await? {
        let unknown = Failure::new(FailureCode::SecretNotFound, broker::Error::SecretUnknown(name.clone()).to_string());
        return Err(context.subject(Some(&name)).failure(unknown));
    }
    let value = arguments.value.read(context, name.as_str(), missing, &again)?;
    let value = value.map(WireValue::new);
    if let Some(value) = &value {
        arguments.binding.easy.check(&again, &context.command, &name, value)?;
    }
    Ok((name, value))
}
