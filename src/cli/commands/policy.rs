//! `secrets policy`: what would be allowed and why, what is known, and reading the files again.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{
    context::{Context, client_id},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::Report,
    table::{self, Table},
};
use crate::{
    base::SecretName,
    control::{ExplainPolicy, Explanation, ListPolicy, PolicyFault, PolicyList, ReloadPolicy},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show every layer's verdict on one request
    Explain {
        /// The HTTP method
        method: String,
        /// The absolute URL
        url: String,
        /// For whom [default: this machine's name]
        #[arg(long, value_name = "ID", visible_alias = "client-id")]
        client: Option<String>,
        /// With which secret [default: any that is for this host]
        #[arg(long, value_name = "NAME")]
        secret: Option<SecretName>,
    },
    /// List services and grants as they are in force
    List,
    /// Read the policy files again; a faulty set changes nothing
    Reload,
}

impl Arguments {
    pub(in crate::cli) const fn name(&self) -> &'static str {
        match self.act {
            Act::Explain { .. } => "secrets policy explain",
            Act::List => "secrets policy list",
            Act::Reload => "secrets policy reload",
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    match &arguments.act {
        Act::Explain { method, url, client, secret } => {
            let client_id = client_id(client.as_deref(), &context.command)?;
            let request =
                ExplainPolicy { method: method.to_uppercase(), url: url.clone(), client_id, secret: secret.clone() };
            let explanation = context.call(request, secret.as_ref()).await?;
            let human = explained(&explanation);
            let next = vec![NextAction::new("secrets policy list", "See services and grants")];
            Ok(Outcome::Shown { result: json!(explanation), human, next })
        }
        Act::List => {
            let list = context.call(ListPolicy {}, None).await?;
            Ok(Outcome::Shown { human: listed(&list), result: json!(list), next: vec![] })
        }
        Act::Reload => reload(context).await,
    }
}

async fn reload(context: &Context) -> Result<Outcome, Report> {
    let mut client = context.connect().await?;
    match client.call(ReloadPolicy {}).await {
        Ok(reloaded) => Ok(Outcome::Shown {
            human: format!("{} services, {} grants\n", reloaded.services, reloaded.grants),
            result: json!(reloaded),
            next: vec![],
        }),
        Err(error) => {
            let report = context.subject(None).control(error);
            if report.status != ExitStatus::Generic && report.status != ExitStatus::Data {
                return Err(report);
            }
            // Every fault at once, not only the one that the sentence names.
            let faults = client.call(ListPolicy {}).await.map(|list| list.faults).unwrap_or_default();
            let human = fault_table(&faults);
            Err(report.with_result(json!({"faults": faults}), human))
        }
    }
}

fn explained(explanation: &Explanation) -> String {
    let mut lines = vec![("verdict", explanation.verdict.clone())];
    lines.extend(explanation.code.iter().map(|code| ("code", code.clone())));
    lines.extend(explanation.capability.iter().map(|capability| ("capability", capability.clone())));
    lines.extend((!explanation.reason.is_empty()).then(|| ("reason", explanation.reason.clone())));
    lines.extend(explanation.nearest.iter().map(|nearest| ("nearest", nearest.clone())));
    let mut layers = Table::new(&["layer", "verdict", "reason"]);
    for layer in &explanation.layers {
        layers.row([&layer.layer, &layer.verdict, &layer.reason]);
    }
    format!("{}\n{}", table::pairs(lines), layers.render("no layer had a say"))
}

fn listed(list: &PolicyList) -> String {
    let mut grants = Table::new(&["service", "secret", "agents", "allow", "ask", "from"]);
    for grant in &list.grants {
        let any = |names: &[String]| if names.is_empty() { "any".to_owned() } else { names.join(", ") };
        grants.row([
            grant.service.as_str(),
            grant.secret.as_deref().unwrap_or("any"),
            &any(&grant.agents),
            &grant.allow.join(", "),
            &grant.ask.join(", "),
            &grant.source,
        ]);
    }
    let mut services = Table::new(&["service", "hosts", "credentials", "from"]);
    for service in &list.services {
        services.row([
            service.id.as_str(),
            &service.hosts.join(", "),
            &service.credentials.join(", "),
            &service.source,
        ]);
    }
    format!(
        "{}\n{}\nhosts that no grant names: {}\n{}",
        grants.render("no grants"),
        services.render("no services"),
        crate::cli::sanitize::line(&list.unknown_host),
        fault_table(&list.faults),
    )
}

/// Empty when there are none.
fn fault_table(faults: &[PolicyFault]) -> String {
    let mut table = Table::new(&["fault", "message"]);
    for fault in faults {
        table.row([&fault.place, &fault.message]);
    }
    if faults.is_empty() { String::new() } else { table.render("") }
}
