//! `secrets policy test`: the vectors of service files, judged by the engine that judges requests.

use std::sync::Arc;

use serde_json::json;

use super::check;
use crate::cli::{
    context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report, sanitize, table::Table,
};
use crate::{
    base::{counted, expected},
    policy::{FailedVector, PolicySet, Service},
};

/// Tries the vectors of the named services, or of all.
pub(super) fn run(context: &Context, names: &[String]) -> Result<Outcome, Report> {
    let Ok(set) = PolicySet::load(&context.home.policies()) else { return check(context, &[]) };
    let services = named(&set, names)?;
    let count = services.iter().map(|service| service.vectors()).sum::<usize>();
    let failed: Vec<FailedVector> = services.iter().flat_map(|service| service.try_vectors()).collect();
    let tried = format!("{} of {}", counted(count as u64, "vector"), counted(services.len() as u64, "service"));
    let shown: Vec<_> =
        failed.iter().map(|one| json!({"place": one.place, "request": one.request, "why": one.why})).collect();
    let result = json!({"services": services.len(), "vectors": count, "failed": shown});
    let Some(first) = failed.first() else {
        let next = vec![NextAction::new("secrets policy list", "See services and grants")];
        return Ok(Outcome::Shown { result, human: format!("{tried}: all hold\n"), next });
    };
    let mut table = Table::new(&["vector", "request", "why"]);
    for one in &failed {
        table.row([&one.place, &one.request, &one.why]);
    }
    let file = first.place.rsplit_once(':').map_or("", |(file, _)| file);
    let fix = match file.strip_prefix("catalogue:") {
        Some(_) => "secrets policy check".to_owned(), // a shipped file, whose vectors hold in every release
        None => format!("${{EDITOR:-vi}} {}", sanitize::shell_word(file)),
    };
    let message = format!("{}: {}, {} did not hold", first.place, tried, failed.len());
    Err(Report::new(ExitStatus::Data, message, fix).with_result(result, table.render("")))
}

pub(super) fn named(set: &PolicySet, names: &[String]) -> Result<Vec<Arc<Service>>, Report> {
    if names.is_empty() {
        return Ok(set.services().cloned().collect());
    }
    let find = |name: &String| {
        set.find_service(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = set.services().map(|service| service.id().as_str()).collect();
            let near = expected(name, &known);
            let near = if near.starts_with("did") { format!("; {near}") } else { String::new() };
            let message = format!("there is no service `{}`{near}", sanitize::line(name));
            Report::new(ExitStatus::Misuse, message, "secrets policy list")
        })
    };
    names.iter().map(find).collect()
}
