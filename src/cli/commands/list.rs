//! `secrets list`: names and metadata, never values.

use serde_json::{Value, json};

use crate::cli::{
    context::Context, envelope::NextAction, printer::Outcome, report::Report, sanitize::shell_word, table::Table,
};
use crate::control::{ListSecrets, SecretEntry};

pub(super) async fn run(context: &mut Context) -> Result<Outcome, Report> {
    let secrets = context.call(ListSecrets {}, None).await?.secrets;
    let mut table = Table::new(&["name", "service", "credential", "leases", "rotation", "updated"]);
    for secret in &secrets {
        table.row([
            secret.name.as_str(),
            secret.service.as_ref().map_or("", |service| service.as_str()),
            secret.credential.as_deref().unwrap_or(""),
            &secret.active_leases.to_string(),
            if has_rotation(secret) { "hook" } else { "" },
            &secret.updated_at.to_string(),
        ]);
    }
    let human = table.render("no secrets; add one with `secrets add NAME`");
    let next = match secrets.as_slice() {
        [] => vec![NextAction::new("secrets add <name>", "Store the first secret")],
        some => some.iter().map(lease_action).collect(),
    };
    let entries: Vec<Value> = secrets.iter().map(entry).collect();
    Ok(Outcome::Shown { result: json!({"count": entries.len(), "secrets": entries}), human, next })
}

fn has_rotation(secret: &SecretEntry) -> bool {
    secret.rotate_via.as_ref().is_some_and(|hook| !hook.is_empty())
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
    entry
}
