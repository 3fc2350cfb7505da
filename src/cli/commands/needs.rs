//! What agents say that they need, as `secrets approvals` shows it: no request waits, and no answer gives anything.

use crate::cli::{
    envelope::NextAction,
    sanitize::{self, shell_word},
    table::{self, Table},
};
use crate::control::{NeedEntry, NeededGrant};

/// The list, after that of the requests that wait; empty for none.
pub(super) fn table(needs: &[NeedEntry]) -> String {
    if needs.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["need", "agent", "asks for", "risk", "why"]);
    for need in needs {
        let (names, risks) = capabilities(need);
        table.row([&need.id, need.client_id.as_str(), &names, &risks, &need.why]);
    }
    format!("\n{}", table.render(""))
}

fn capabilities(need: &NeedEntry) -> (String, String) {
    let names: Vec<String> = need.capabilities.iter().map(|cap| format!("{}/{}", need.service, cap.name)).collect();
    let risks: Vec<&str> = need.capabilities.iter().map(|cap| cap.risk.as_str()).collect();
    (names.join(", "), risks.join(", "))
}

/// One need with what would give it.
pub(super) fn details(need: &NeedEntry) -> String {
    let (names, risks) = capabilities(need);
    let mut lines = vec![
        ("need", format!("{} (nothing waits, and nothing here gives it)", need.id)),
        ("agent", need.client_id.to_string()),
    ];
    lines.extend(need.project.iter().map(|project| ("project", project.display().to_string())));
    lines.extend([("asks for", names), ("risk", risks)]);
    let body = if need.hangs_on_body { " (if its body fits)" } else { "" };
    lines.extend(need.request.iter().map(|request| ("to send", format!("{request}{body}"))));
    lines.extend(need.params.iter().map(|param| ("parameter", format!("{} = {}", param.name, param.value))));
    lines.extend([("why", need.why.clone()), ("since", need.sent_at.to_string())]);
    table::pairs(lines) + &granting(&need.grant)
}

/// What a person would do; the lines stand on their own, to be copied.
fn granting(grant: &NeededGrant) -> String {
    let (how, lines) = match grant {
        NeededGrant::Command(command) => {
            ("no secret is stored for it; this stores one and grants it:".to_owned(), command.clone())
        }
        NeededGrant::Edit { place, lines } => {
            (format!("in the grant at {place}, these lines would give it:"), lines.clone())
        }
        NeededGrant::GivenUp => {
            ("policy gives it, but its project file or whoever opened the session gave it up".to_owned(), String::new())
        }
        NeededGrant::New { folder, lines } => {
            (format!("in a policy file in {}, these lines would give it:", folder.display()), lines.clone())
        }
    };
    let lines = sanitize::lines(&lines);
    format!("\n{}\n{}{lines}", sanitize::line(&how), if lines.is_empty() { "" } else { "\n" })
}

pub(super) fn next(need: &NeedEntry) -> Vec<NextAction> {
    let mut next = match &need.grant {
        NeededGrant::Command(command) => vec![NextAction::new(command.clone(), "Store its credential")],
        NeededGrant::Edit { .. } | NeededGrant::New { .. } => {
            vec![NextAction::new("secrets policy check", "Check the files once you have edited them")]
        }
        NeededGrant::GivenUp => Vec::new(),
    };
    next.push(NextAction::new(format!("secrets approvals deny {}", shell_word(&need.id)), "Dismiss it"));
    next
}

/// The need as one who watches is asked about it.
pub(super) fn prompt(need: &NeedEntry) -> String {
    let (names, risks) = capabilities(need);
    let mut text = format!(
        "\n{} {} says that it needs {} ({}); nothing waits for this\n",
        sanitize::line(&need.id),
        sanitize::line(need.client_id.as_str()),
        sanitize::line(&names),
        sanitize::line(&risks)
    );
    for line in [&need.request, &Some(need.why.clone()).filter(|why| !why.is_empty())].into_iter().flatten() {
        text.extend(["  ", &sanitize::line(line), "\n"]);
    }
    text
}
