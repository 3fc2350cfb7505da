//! `secrets heartbeat`: how it has been, and whether it would beat now.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{
    context::Context, envelope::NextAction, exit::ExitStatus, printer::Outcome, report::Report, sanitize, table,
};
use crate::control::{Client, Heartbeat, HeartbeatQuery, HeartbeatTested, Kill, TestHeartbeat};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Act {
    /// Show the last beat, the misses, and what a failure does
    Status,
    /// Beat once now and say whether it was one; counts for nothing
    Test,
}

impl Arguments {
    pub(in crate::cli) const fn name(&self) -> &'static str {
        match self.act {
            Act::Status => "secrets heartbeat status",
            Act::Test => "secrets heartbeat test",
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    match arguments.act {
        Act::Status => status(context).await,
        Act::Test => test(context).await,
    }
}

async fn status(context: &Context) -> Result<Outcome, Report> {
    let status = context.call(HeartbeatQuery {}, None).await?;
    let human = table::pairs(lines(&status.heartbeat).into_iter().chain([("kill switch", kill(&status.kill))]));
    // One that is not enabled cannot beat.
    let next = if status.heartbeat.enabled {
        NextAction::new("secrets heartbeat test", "Beat once now")
    } else {
        NextAction::new("secrets config", "See the settings under `heartbeat`, and in which file they are")
    };
    Ok(Outcome::Shown { result: json!(status), human, next: vec![next] })
}

async fn test(context: &Context) -> Result<Outcome, Report> {
    // As long as the settings let a beat take; the daemon keeps that bound.
    let deadline = context.globals.deadline().max(std::time::Duration::from_mins(2));
    context.connect().await?;
    let client = Client::connect(&context.socket, deadline).await;
    let mut client = client.map_err(|error| context.subject(None).control(error))?;
    let tested = client.call(TestHeartbeat {}).await.map_err(|error| context.subject(None).control(error))?;
    let HeartbeatTested { success, url, took_ms, message } = &tested;
    let human = format!("{}: {} ({took_ms} ms)\n", sanitize::line(url), sanitize::line(message));
    if *success {
        let next = vec![NextAction::new("secrets heartbeat status", "See how it has been")];
        return Ok(Outcome::Shown { result: json!(tested), human, next });
    }
    let report = Report::new(ExitStatus::Generic, message.clone(), "secrets heartbeat status");
    Err(report.with_result(json!(tested), human))
}

/// A heartbeat for people.
fn lines(heart: &Heartbeat) -> Vec<(&'static str, String)> {
    let Some(url) = heart.url.clone().filter(|_| heart.enabled) else {
        return vec![("heartbeat", "not enabled".to_owned())];
    };
    let answer = if heart.signed == Some(true) { "signed" } else { "any 2xx" };
    let mut lines = vec![
        ("heartbeat", format!("{url} every {}", heart.interval.as_deref().unwrap_or("?"))),
        ("answer", answer.to_owned()),
        ("misses", format!("{} of {}", heart.misses.unwrap_or(0), heart.threshold.unwrap_or(0))),
        ("failure", failure(heart)),
        ("last beat", heart.last_beat.map_or_else(|| "none yet".to_owned(), |time| time.to_string())),
    ];
    if let (Some(time), Some(why)) = (heart.last_miss, &heart.last_error) {
        lines.push(("last miss", format!("{time}: {why}")));
    }
    lines
}

fn failure(heart: &Heartbeat) -> String {
    match (heart.fail_action.as_slice(), heart.armed) {
        ([], _) => "is only recorded".to_owned(),
        (actions, Some(true)) => format!("trips the kill switch: {}", actions.join(", ")),
        (actions, _) => format!("has tripped the kill switch ({}); armed again by its reset", actions.join(", ")),
    }
}

/// The kill switch for people.
pub(super) fn kill(kill: &Kill) -> String {
    match kill {
        Kill::Ready => "ready".to_owned(),
        Kill::Tripped { since, by, reason } => format!("tripped at {since} by {by}: {reason}"),
    }
}

/// A heartbeat for people, in one line.
pub(super) fn summary(heart: &Heartbeat) -> Option<String> {
    let url = heart.url.as_ref().filter(|_| heart.enabled)?;
    let last = heart.last_beat.map_or_else(|| "never".to_owned(), |time| time.to_string());
    let (misses, threshold) = (heart.misses.unwrap_or(0), heart.threshold.unwrap_or(0));
    Some(format!("{url}, last {last}, {misses} of {threshold} misses"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_it_does_and_did() {
        let heart = |armed, actions: &[&str]| Heartbeat {
            enabled: true,
            armed: Some(armed),
            fail_action: actions.iter().map(|action| (*action).to_owned()).collect(),
            ..Heartbeat::default()
        };
        assert_eq!(failure(&heart(false, &[])), "is only recorded");
        assert_eq!(failure(&heart(true, &["revoke_all"])), "trips the kill switch: revoke_all");
        assert!(failure(&heart(false, &["revoke_all", "wipe_store"])).contains("armed again"));
        assert_eq!(lines(&Heartbeat::default()), [("heartbeat", "not enabled".to_owned())]);
    }
}
