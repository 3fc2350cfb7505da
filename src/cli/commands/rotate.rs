//! `secrets rotate`: runs rotation hooks, and says of each how it went.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::add::safe;
use crate::base::counted;
use crate::cli::{
    context::{Context, secret_name},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::Report,
    sanitize::shell_word,
    table::Table,
};
use crate::control::{RotateSecret, RotationEntry, RotationsRun, RunRotations, Which};

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Arguments {
    /// The secret to rotate, whatever its schedule says
    name: Option<String>,
    /// Rotate every secret that has a hook
    #[arg(long)]
    all: bool,
    /// Rotate what is due by its schedule or by the end of its value
    #[arg(long)]
    due: bool,
}

/// A little more than the daemon gives any call: hooks take their time, and its word is worth waiting for.
const PATIENCE: Duration = Duration::from_secs(125);

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    match &arguments.name {
        Some(name) => one(context, name).await,
        None => many(context, if arguments.all { Which::All } else { Which::Due }).await,
    }
}

async fn one(context: &mut Context, name: &str) -> Result<Outcome, Report> {
    let name = secret_name(name, &context.command)?;
    let mut client = context.connect_within(PATIENCE).await?;
    let request = RotateSecret { secret_name: name.clone() };
    let rotated = client.call(request).await.map_err(|error| context.subject(Some(&name)).control(error))?;
    let result = json!({"name": name, "message": rotated.output, "executed_at": rotated.executed_at});
    let next = vec![
        NextAction::new("secrets audit --tail 10", "See what was recorded"),
        NextAction::new("secrets list", "See when it is rotated next"),
    ];
    Ok(Outcome::Shown { result, human: safe(&rotated.output), next })
}

async fn many(context: &mut Context, which: Which) -> Result<Outcome, Report> {
    let mut client = context.connect_within(PATIENCE).await?;
    let run = client.call(RunRotations { which }).await;
    let RotationsRun { rotations } = run.map_err(|error| context.subject(None).control(error))?;
    let mut table = Table::new(&["name", "rotated", "what"]);
    for rotation in &rotations {
        let rotated = if rotation.success { "yes" } else { "no" };
        table.row([rotation.secret_name.as_str(), rotated, &rotation.message]);
    }
    let human = table.render(match which {
        Which::All => "no secret has a rotation hook",
        Which::Due => "nothing is due",
    });
    let failed: Vec<&RotationEntry> = rotations.iter().filter(|rotation| !rotation.success).collect();
    let result = json!({"rotations": rotations, "count": rotations.len(), "failed": failed.len()});
    let Some(first) = failed.first() else {
        let next = vec![NextAction::new("secrets list", "List all secrets")];
        return Ok(Outcome::Shown { result, human, next });
    };
    let status =
        if failed.iter().all(|rotation| rotation.timed_out) { ExitStatus::Timeout } else { ExitStatus::Generic };
    let message = format!("{} of {} failed", failed.len(), counted(rotations.len() as u64, "rotation"));
    let fix = format!("secrets rotate {}", shell_word(first.secret_name.as_str()));
    Err(Report::new(status, message, fix).with_result(result, human))
}
