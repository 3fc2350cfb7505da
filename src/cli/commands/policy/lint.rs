//! `secrets policy lint`: what is legal in policy files and odd.

use std::sync::Arc;

use serde_json::json;

use super::{check, quorum, test::named};
use crate::cli::{
    context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report, sanitize, table::Table,
};
use crate::{
    base::counted,
    policy::{Finding, PolicySet, Service},
};

/// Looks at the named services, or at those that are the user's business.
pub(super) fn run(context: &Context, names: &[String], all: bool) -> Result<Outcome, Report> {
    let Ok(set) = PolicySet::load(&context.home.policies()) else { return check(context, &[]) };
    let services = if names.is_empty() && !all { own(&set) } else { named(&set, names)? };
    let mut findings: Vec<Finding> = services.iter().flat_map(|service| set.lint(service)).collect();
    if names.is_empty() {
        findings.extend(quorum::unfillable(context, &set));
    }
    let looked_at = counted(services.len() as u64, "service");
    let result = json!({"services": services.len(), "findings": findings});
    let Some(first) = findings.first() else {
        let next = vec![NextAction::new("secrets policy test", "Run the vectors of services")];
        return Ok(Outcome::Shown { result, human: format!("nothing odd in {looked_at}\n"), next });
    };
    let mut table = Table::new(&["place", "finding", "fix"]);
    for finding in &findings {
        table.row([&finding.place, &finding.message, &finding.fix]);
    }
    let message = format!("{} in {looked_at}; the first: {first}", counted(findings.len() as u64, "finding"));
    let file = first.place.split(" [").next().unwrap_or("");
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let without = |file| str::rsplit_once(file, ':').filter(|(_, last)| number(last)).map_or(file, |(file, _)| file);
    let file = without(without(file)); // line and column
    let fix = match file.strip_prefix("catalogue:") {
        Some(_) => "secrets policy list".to_owned(),
        None => format!("${{EDITOR:-vi}} {}", sanitize::shell_word(file)),
    };
    Err(Report::new(ExitStatus::Data, message, fix).with_result(result, table.render("")))
}

/// Services of the user's own files, and shipped ones that some grant gives.
fn own(set: &PolicySet) -> Vec<Arc<Service>> {
    let granted = |service: &Service| set.grants().any(|grant| grant.service() == service.id());
    set.services().filter(|service| !service.file().starts_with("catalogue:") || granted(service)).cloned().collect()
}
