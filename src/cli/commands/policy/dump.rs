//! `secrets policy dump`: where each service takes its credential, one record per place and wording.

use serde_json::json;

use super::{check, test::named};
use crate::cli::{context::Context, printer::Outcome, report::Report, table::Table};
use crate::policy::{PolicySet, Taken};

/// Lists the places of the named services, or of all.
pub(super) fn run(context: &Context, names: &[String]) -> Result<Outcome, Report> {
    let Ok(set) = PolicySet::load(&context.home.policies()) else { return check(context, &[]) };
    let taken: Vec<Taken> = named(&set, names)?.iter().flat_map(|service| service.dump()).collect();
    let mut table = Table::new(&["service", "hosts", "scheme", "place", "name", "format", "mint", "sign"]);
    for one in &taken {
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        table.row([
            &*one.service,
            &one.hosts.join(", "),
            &one.scheme,
            &one.place,
            &one.name,
            &one.format,
            &word(&one.mint),
            &word(&one.sign),
        ]);
    }
    Ok(Outcome::Shown { result: json!(taken), human: table.render("no services"), next: vec![] })
}
