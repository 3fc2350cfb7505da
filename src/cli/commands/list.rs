//! `secrets list`: names and metadata, never values.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{
    context::Context, envelope::NextAction, printer::Outcome, report::Report, sanitize::shell_word, table::Table,
};
use crate::{
    base::Namespace,
    control::{ListSecrets, SecretEntry},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// Only those in this namespace: prod for prod/github
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<Namespace>,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let mut secrets = context.call(ListSecrets {}, None).await?.secrets;
    if let Some(namespace) = &arguments.namespace {
        secrets.retain(|secret| namespace.contains(&secret.name));
    }
    let mut table = Table::new(&["name", "service", "credential", "leases", "rotation", "updated"]);
    for secret in &secrets {
        table.row([
            secret.name.as_str(),
            secret.service.as_ref().map_or("", |service| service.as_str()),
            secret.credential.as_deref().unwrap_or(""),
            &secret.active_leases.to_string(),
            &rotation(secret),
            &secret.updated_at.to_string(),
        ]);
    }
    let human = table.render(match arguments.namespace {
        Some(_) => "no secrets in this namespace",
        None => "no secrets; add one with `secrets add NAME`",
    });
    let next = match secrets.as_slice() {
        [] if arguments.namespace.is_some() => vec![NextAction::new("secrets list", "List all secrets")],
        [] => vec![NextAction::new("secrets add <name>", "Store the first secret")],
        some => some.iter().map(lease_action).collect(),
    };
    let entries: Vec<Value> = secrets.iter().map(entry).collect();
    Ok(Outcome::Shown { result: json!({"count": entries.len(), "secrets": entries}), human, next })
}

fn has_rotation(secret: &SecretEntry) -> bool {
    secret.rotate_via.as_ref().is_some_and(|hook| !hook.is_empty())
}

fn rotation(secret: &SecretEntry) -> String {
    match (has_rotation(secret), secret.rotation_failures, secret.rotate_every) {
        (false, ..) => String::new(),
        (true, 0, None) => "hook".to_owned(),
        (true, 0, Some(every)) => format!("every {every}"),
        (true, failures, _) => format!("failed {failures}x"),
    }
}

fn lease_action(secret: &SecretEntry) -> NextAction {
    let word = shell_word(secret.name.as_str());
    NextAction::new(format!("secrets lease {word}"), format!("Lease {}", secret.name))
}

fn entry(secret: &SecretEntry) -> Value {
    let mut entry = json!({
        "name": secret.name,
        "has_rotation": has_rotation(secret),
        "active_leases": secret.active_leases,
        "created_at": secret.created_at,
        "updated_at": secret.updated_at,
    });
    if let (Some(fields), Some(service)) = (entry.as_object_mut(), &secret.service) {
        fields.insert("service".into(), json!(service));
        fields.insert("credential".into(), json!(secret.credential));
    }
    if let (Some(fields), true) = (entry.as_object_mut(), has_rotation(secret)) {
        let failures = (secret.rotation_failures > 0).then_some(secret.rotation_failures);
        let said = [
            ("last_rotated", json!(secret.last_rotated)),
            ("rotate_every", json!(secret.rotate_every)),
            ("expires_at", json!(secret.expires_at)),
            ("rotation_failures", json!(failures)),
            ("rotation_error", json!(secret.rotation_error)),
            ("next_rotation", json!(secret.next_rotation)),
        ];
        fields
            .extend(said.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)));
    }
    entry
}
