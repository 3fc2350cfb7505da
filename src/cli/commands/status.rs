//! `secrets status`: what runs, what is leased, what is wrong.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use super::heartbeat;
use crate::cli::{
    context::Context,
    envelope::NextAction,
    printer::Outcome,
    report::Report,
    table::{self, Table},
};
use crate::{
    base::{Clock, Environment, counted},
    control::{OpenedSession, Status, StatusQuery},
};

pub(super) async fn run(context: &mut Context) -> Result<Outcome, Report> {
    let status = context.call(StatusQuery {}, None).await?;
    let up = uptime(Clock::system().now().since(status.started_at));
    let mut result = json!(status);
    if let Some(fields) = result.as_object_mut() {
        fields.insert("uptime".into(), json!(up));
        fields.entry("heartbeat").or_insert_with(|| json!({"enabled": false}));
        if fields.get("policy_faults").is_some_and(|faults| faults.as_array().is_some_and(Vec::is_empty)) {
            fields.remove("policy_faults");
        }
        fields.insert("socket".into(), Value::from(context.socket.to_string_lossy()));
    }
    let next = vec![
        NextAction::new("secrets list", "List secrets"),
        NextAction::new("secrets audit --tail 20", "See what was done"),
    ];
    Ok(Outcome::Shown { result, human: human(&status, &up), next })
}

fn human(status: &Status, up: &str) -> String {
    let mut lines = vec![
        ("daemon", format!("running, version {}, process {}", status.version, status.pid)),
        ("up", up.to_owned()),
        ("proxy", status.proxy_addr.clone()),
        ("secrets", status.secrets_count.to_string()),
        ("leases", format!("{} live, {}", status.active_leases, counted(status.sessions, "session"))),
        ("audit", if status.audit_healthy { "records" } else { "cannot record; nothing is forwarded" }.to_owned()),
    ];
    lines.extend(status.kill.iter().map(|state| ("kill switch", heartbeat::kill(state))));
    lines.extend(status.heartbeat.iter().filter_map(heartbeat::summary).map(|line| ("heartbeat", line)));
    lines.extend(status.store_warning.iter().map(|warning| ("store", warning.clone())));
    lines.extend(status.policy_faults.iter().map(|fault| ("policy", format!("{}: {}", fault.place, fault.message))));
    table::pairs(lines) + &sessions(&status.open_sessions)
}

/// Empty when there are none.
fn sessions(open: &[OpenedSession]) -> String {
    let mut table = Table::new(&["session", "client", "environment", "project"]);
    for session in open {
        let environment = session.environment.as_ref().map_or("none", Environment::as_str);
        let project = session.project.as_deref().map(Path::to_string_lossy).unwrap_or_default();
        table.row([&*session.session_id.to_string(), session.client_id.as_str(), environment, &*project]);
    }
    if open.is_empty() { String::new() } else { format!("\n{}", table.render("")) }
}

/// As agent-secrets writes it: `2d 3h 4m`.
fn uptime(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h {minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_reads_like_agent_secrets() {
        let up = |secs| uptime(Duration::from_secs(secs));
        assert_eq!(up(59), "0m");
        assert_eq!(up(3_660), "1h 1m");
        assert_eq!(up(2 * 86_400 + 3 * 3_600 + 240), "2d 3h 4m");
    }
}
