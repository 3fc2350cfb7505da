//! `secrets health`: counters, and a sentence for everything that deserves a look.

use clap::Args;
use serde_json::json;

use crate::{
    base::counted,
    cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report, table::Table},
    control::HealthQuery,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// Show only what will go wrong or could, not what is merely worth knowing
    #[arg(long)]
    warnings: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let mut health = context.call(HealthQuery {}, None).await?;
    if arguments.warnings {
        health.warnings.retain(|warning| warning.severity == "warning");
    }
    let mut table = Table::new(&["kind", "severity", "what to do"]);
    for warning in &health.warnings {
        table.row([&warning.kind, &warning.severity, &warning.message]);
    }
    let human = format!(
        "{}, {}, {} of them ending soon; {} never rotated, {} stale\n\n{}",
        counted(health.total_secrets, "secret"),
        counted(health.active_leases, "live lease"),
        health.expiring_soon,
        counted(health.never_rotated, "secret"),
        health.stale_secrets,
        table.render("nothing deserves a look")
    );
    let result = json!({
        "total_secrets": health.total_secrets,
        "active_leases": health.active_leases,
        "expiring_soon": health.expiring_soon,
        "never_rotated": health.never_rotated,
        "stale_secrets": health.stale_secrets,
        "warnings_count": health.warnings.len(),
        "warnings": health.warnings,
    });
    let next = vec![
        NextAction::new("secrets doctor", "Check the set-up"),
        NextAction::new("secrets audit", "See what was done"),
    ];
    Ok(Outcome::Shown { result, human, next })
}
