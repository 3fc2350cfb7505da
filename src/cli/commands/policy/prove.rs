//! `secrets policy prove`: a claim about a secret, proved from the rules or refuted with a request.

use std::path::Path;

use serde_json::json;

use super::check;
use crate::cli::{
    context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report, sanitize, table::Table,
};
use crate::{
    base::{counted, expected},
    policy::{Claim, Counter, PolicySet, Proof, Verdict},
};

/// Proves or refutes.
pub(super) fn run(context: &Context, words: &[String]) -> Result<Outcome, Report> {
    let claim = Claim::parse(words).map_err(|error| Report::misuse(error, "secrets policy prove --help"))?;
    let Ok(set) = PolicySet::load(&context.home.policies()) else { return check(context, &[]) };
    if !set.granted_secrets().contains(claim.secret()) {
        return Err(unknown(&set, &claim));
    }
    let proof = set.prove(&claim);
    let result = json!({"claim": claim.to_string(), "proof": proof});
    match &proof {
        Proof::Holds { grants: 0, .. } => {
            let secret = sanitize::line(claim.secret().as_str());
            let human = format!("holds: every grant of the secret `{secret}` is for nobody\n");
            Ok(Outcome::Shown { result, human, next: vec![NextAction::new("secrets policy list", "See the grants")] })
        }
        Proof::Holds { grants, rules } => {
            let looked_at = format!("{} with {}", counted(*grants as u64, "grant"), counted(*rules as u64, "rule"));
            let human = format!("holds: nothing in {looked_at} gives such a request\n");
            Ok(Outcome::Shown { result, human, next: vec![] })
        }
        Proof::Fails(counter) => {
            let how = if counter.verdict == Verdict::Ask { "is made once a person says yes" } else { "is made" };
            let message =
                format!("{} {how}: `{}` of the grant at {}", counter.request, counter.capability, counter.grant);
            Err(Report::new(ExitStatus::Data, message, explain(&claim, counter)).with_result(result, String::new()))
        }
        Proof::Open { cases } => {
            let mut table = Table::new(&["grant", "capability", "request"]);
            for case in cases {
                table.row([&case.grant, &case.capability, &case.request]);
            }
            let first = cases.first().map_or("", |case| &*case.request);
            let message = format!("not shown: whether {first} is made depends on its query, fields or body");
            let fix = cases.first().map_or_else(|| "secrets policy list".to_owned(), |case| explain(&claim, case));
            Err(Report::new(ExitStatus::Data, message, fix).with_result(result, table.render("")))
        }
    }
}

/// A claim about a secret that no grant names is true of any name at all, and so of a mistyped one.
fn unknown(set: &PolicySet, claim: &Claim) -> Report {
    let known = set.granted_secrets();
    let words: Vec<&str> = known.iter().map(|secret| secret.as_str()).collect();
    let near = expected(claim.secret().as_str(), &words);
    let meant = known.iter().find(|secret| near == format!("did you mean `{secret}`?"));
    let message = format!("no grant names a secret `{}`, so nothing can be proved of it", claim.secret());
    let (message, fix) = match meant {
        Some(secret) => {
            let claim = claim.about((*secret).clone()).to_string();
            (format!("{message}; {near}"), format!("secrets policy prove {}", sanitize::shell_word(&claim)))
        }
        None => (message, "secrets policy list".to_owned()),
    };
    Report::misuse(message, fix).with_result(json!({"claim": claim.to_string(), "granted": words}), String::new())
}

/// The command that shows what becomes of the request.
fn explain(claim: &Claim, counter: &Counter) -> String {
    let (method, url) = &counter.parts;
    let nowhere = counter.project.as_ref().is_some_and(|folder| !Path::new(folder).is_dir());
    if url.is_empty() || !url.contains("://") || nowhere {
        return format!("secrets policy show {}", sanitize::shell_word(&counter.service));
    }
    let [method, url, secret, client] =
        [method, url, claim.secret().as_str(), &counter.client].map(sanitize::shell_word);
    let environment = counter.environment.as_deref().map(sanitize::shell_word);
    let environment = environment.map(|name| format!(" --environment {name}")).unwrap_or_default();
    let project = counter.project.as_deref().map(|folder| format!(" --project {}", sanitize::shell_word(folder)));
    let project = project.unwrap_or_default();
    format!("secrets policy explain {method} {url} --secret {secret} --client {client}{environment}{project}")
}
