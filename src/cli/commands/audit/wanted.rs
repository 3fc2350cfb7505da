//! The flags of `secrets audit` as a filter.

use super::Wanted;
use crate::{
    audit::{Action, Filter, Outcome},
    base::{Clock, Host, TimeToLive, Timestamp, expected},
    cli::{report::Report, sanitize::shell_word},
};

/// Words of agent-secrets that we do not write; its logs are read here too.
const THEIRS: &[&str] = &["heartbeat_fail", "secret_rotate"];

impl Wanted {
    /// What was asked for, or which word of it nobody knows.
    pub(super) fn filter(&self) -> Result<Filter, Report> {
        let mut filter = Filter::new();
        if let Some(client) = &self.client {
            filter = filter.client(client);
        }
        if let Some(secret) = &self.secret {
            filter = filter.secret(secret);
        }
        if let Some(host) = &self.host {
            filter = filter.host(canonical(host)?);
        }
        if let Some(action) = &self.action {
            filter = filter.action(known_action(action)?);
        }
        if let Some(outcome) = &self.outcome {
            filter = filter.outcome(known_outcome(outcome)?);
        }
        let now = Clock::system().now();
        let (since, until) = (time("--since", self.since.as_ref(), now)?, time("--until", self.until.as_ref(), now)?);
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            let message = format!("nothing lies between --since {since} and --until {until}");
            return Err(Report::misuse(message, format!("secrets audit --since {until} --until {since}")));
        }
        if let Some(since) = since {
            filter = filter.since(since);
        }
        if let Some(until) = until {
            filter = filter.until(until);
        }
        Ok(filter)
    }

    /// The flags as they were typed.
    pub(super) fn words(&self) -> Vec<String> {
        let Self { client, secret, host, action, outcome, since, until } = self;
        let flags = ["--client", "--secret", "--host", "--action", "--outcome", "--since", "--until"];
        let values = [client, secret, host, action, outcome, since, until];
        let typed = flags.into_iter().zip(values);
        typed.filter_map(|(flag, value)| Some(format!("{flag} {}", shell_word(value.as_ref()?)))).collect()
    }
}

/// As the record writes it: without port, in lower case, a foreign script as `xn--`.
fn canonical(host: &str) -> Result<String, Report> {
    let parsed: Result<Host, _> = host.parse();
    parsed
        .map(|host| host.to_string())
        .map_err(|error| Report::misuse(error.to_string(), "secrets audit --host api.example.com"))
}

fn known_action(word: &str) -> Result<&str, Report> {
    let ours = Action::ALL.iter().map(|action| action.as_str());
    let known: Vec<&str> = ours.chain(THEIRS.iter().copied()).collect();
    if known.contains(&word) {
        return Ok(word);
    }
    let message = format!("no action is called `{}`; {}", word.escape_debug(), expected(word, &known));
    Err(Report::misuse(message, "secrets audit --action request_ended"))
}

fn known_outcome(word: &str) -> Result<Outcome, Report> {
    Outcome::find(word).ok_or_else(|| {
        let known: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        let message = format!("no outcome is called `{}`; {}", word.escape_debug(), expected(word, &known));
        Report::misuse(message, "secrets audit --outcome refused")
    })
}

/// RFC 3339, or how long ago.
pub(in crate::cli::commands) fn time(
    flag: &str,
    text: Option<&String>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Report> {
    let Some(text) = text else { return Ok(None) };
    let ago = |back: TimeToLive| {
        let millis = i64::try_from(back.get().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(now.as_millis().saturating_sub(millis))
    };
    let read = Timestamp::parse(text).or_else(|| text.parse().ok().map(ago));
    read.map(Some).ok_or_else(|| {
        let message = format!(
            "{flag} takes a time such as `2026-11-24T08:00:00Z`, or how long ago, such as `2h` or `7d`; `{}` is neither",
            text.chars().take(40).collect::<String>().escape_debug()
        );
        Report::misuse(message, format!("secrets audit {flag} 2h"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_back_from_now() {
        let now = Timestamp::parse("2026-11-24T12:00:00Z").unwrap();
        let read = |text: &str| time("--since", Some(&text.to_owned()), now).map(Option::unwrap);
        for (text, is) in [
            ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00.000Z"),
            ("2026-11-24T08:00:00+01:00", "2026-11-24T07:00:00.000Z"),
            ("2h", "2026-11-24T10:00:00.000Z"),
            ("7d", "2026-11-17T12:00:00.000Z"),
            ("1h30m", "2026-11-24T10:30:00.000Z"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), is, "{text}");
        }
        for text in ["", "yesterday", "2026-11-24", "-2h", "2", "0s", "2026-13-01T00:00:00Z", "a\u{1b}[31m"] {
            let report = read(text).unwrap_err();
            assert_eq!(report.fix, "secrets audit --since 2h", "{text}");
            assert!(report.message.contains("is neither") && !report.message.contains('\u{1b}'), "{}", report.message);
        }
    }

    #[test]
    fn words_nobody_knows_are_misuse() {
        assert!(known_action("request_endd").unwrap_err().message.contains("did you mean `request_ended`?"));
        assert!(known_action("frobnicate").unwrap_err().message.contains("expected one of"));
        assert_eq!(known_action("secret_rotate"), Ok("secret_rotate"), "agent-secrets' own");
        assert!(known_outcome("refuse").unwrap_err().message.contains("did you mean `refused`?"));
    }
}
