//! How much a grant, a secret or a narrowing allows: a measure, a number, and in which time.
//!
//! Invariant: every layer's limit has a bucket of its own and all of them apply, so that adding one never widens.

use std::{fmt, sync::Arc, time::Duration};

use crate::base::parse_byte_size;

use super::{money::Money, tariff::Tariff};
use crate::policy::{
    files::{Source, Span, Table, expected, is_name},
    services::{Risk, Service},
};

/// What a limit counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Requests that are forwarded.
    Requests,
    /// Exchanges that run at the same time.
    AtOnce,
    /// Bytes of bodies, both ways; counted when an exchange ends.
    Bytes,
    /// Millionths of a currency's unit, by the user's prices; counted when an exchange ends.
    Money,
    /// Requests that touch this capability.
    Capability(Arc<str>),
    /// Requests that touch a capability of this risk.
    Risk(Risk),
    /// What the answer says was used, by this meter of the service; counted when an exchange ends.
    Meter(Arc<str>),
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests => f.write_str("requests"),
            Self::AtOnce => f.write_str("at_once"),
            Self::Bytes => f.write_str("bytes"),
            Self::Money => f.write_str("money"),
            Self::Capability(name) => write!(f, "cap:{name}"),
            Self::Risk(risk) => write!(f, "risk:{risk}"),
            Self::Meter(name) => f.write_str(name),
        }
    }
}

/// One entry of a `limit` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    measure: Measure,
    most: u64,
    window: Duration,
    text: Box<str>,
}

/// The words for the time of a limit, the usual one of each first.
const WINDOWS: [(&str, u64); 12] = [
    ("sec", 1),
    ("s", 1),
    ("second", 1),
    ("min", 60),
    ("m", 60),
    ("minute", 60),
    ("hour", 3600),
    ("h", 3600),
    ("day", 86_400),
    ("d", 86_400),
    ("week", 604_800),
    ("w", 604_800),
];

/// What a mistyped time is compared with.
const WINDOW_WORDS: [&str; 5] = ["sec", "min", "hour", "day", "week"];

/// The most of anything that a limit can name, so that arithmetic on it stays exact.
const MOST: u64 = 1 << 50;

/// What is wrong with an entry, and what was expected.
type Wrong = (String, String);

impl Limit {
    /// What it counts.
    pub const fn measure(&self) -> &Measure {
        &self.measure
    }

    /// The most of it, of money in millionths; at least 1.
    pub const fn most(&self) -> u64 {
        self.most
    }

    /// In which time; zero for `at_once`.
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// The same as it stands in a file; for tests of what counts.
    #[cfg(test)]
    pub(crate) fn parse_alone(name: &str, text: &str) -> Result<Self, (String, String)> {
        Self::parse(name, text, None)
    }

    /// The amount and the time as they are written: `60/min`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// So much of what it counts, in words.
    pub fn amount(&self, amount: u64) -> String {
        if self.measure == Measure::Money { Money::from_micros(amount).to_string() } else { amount.to_string() }
    }

    /// Reads `requests = "60/min"`, without looking whether a capability exists. Of meters, only these can be named;
    /// without a list, any.
    pub(in crate::policy) fn parse(name: &str, text: &str, meters: Option<&[&str]>) -> Result<Self, Wrong> {
        let measure = measure(name, meters)?;
        let (most, window) = match &measure {
            Measure::AtOnce => (number(text).ok_or_else(|| unusable(name, text, "a number, such as `8`"))?, 0),
            measure => {
                let example = match measure {
                    Measure::Bytes => "a size with its unit and a time, such as `50MiB/hour`",
                    Measure::Money => "an amount with at most six decimals and a time, such as `5.00/day`",
                    _ => "a number and a time, such as `60/min` or `3M/day`",
                };
                let (amount, word) = text.split_once('/').ok_or_else(|| unusable(name, text, example))?;
                let most = match measure {
                    // Bytes without their unit would be read as thousands or millions of them.
                    Measure::Bytes => parse_byte_size(amount.trim()).filter(|_| amount.trim_end().ends_with('B')),
                    Measure::Money => amount.trim().parse().ok().map(Money::micros),
                    _ => number(amount.trim()),
                };
                let most = most.ok_or_else(|| unusable(name, text, example))?;
                let word = word.trim();
                let window = WINDOWS.iter().find(|(known, _)| *known == word).ok_or_else(|| {
                    (format!("`{}` is no time for a limit", word.escape_debug()), expected(word, &WINDOW_WORDS))
                })?;
                (most, window.1)
            }
        };
        if !(1..=MOST).contains(&most) {
            let least = if measure == Measure::Money { "0.000001" } else { "1" };
            let fix = format!("expected at least {least}; list a capability under `deny` to allow none of it");
            return Err((format!("`{name}` cannot be `{}`", text.escape_debug()), fix));
        }
        Ok(Self { measure, most, window: Duration::from_secs(window), text: text.into() })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.measure, self.text)
    }
}

fn unusable(name: &str, text: &str, want: &str) -> Wrong {
    (format!("`{}` cannot be `{}`", name.escape_debug(), text.escape_debug()), format!("expected {want}"))
}

/// A whole number, with `K`, `M` or `G` for thousands, millions and thousands of millions.
fn number(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let factor = match text.get(digits.len()..)? {
        "" => 1,
        "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return None,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(factor)
}

fn measure(name: &str, meters: Option<&[&str]>) -> Result<Measure, Wrong> {
    match (name, name.split_once(':')) {
        ("requests", _) => Ok(Measure::Requests),
        ("at_once", _) => Ok(Measure::AtOnce),
        ("bytes", _) => Ok(Measure::Bytes),
        ("money", _) => Ok(Measure::Money),
        (_, Some(("cap", capability))) => Ok(Measure::Capability(capability.into())),
        (_, Some(("risk", word))) => {
            let words = Risk::WORDS.map(|(word, _)| word);
            let found = Risk::WORDS.iter().find(|(known, _)| *known == word).map(|(_, risk)| Measure::Risk(*risk));
            found.ok_or_else(|| (format!("there is no risk `{}`", word.escape_debug()), expected(word, &words)))
        }
        _ if meters.map_or_else(|| is_name(name), |meters| meters.contains(&name)) => Ok(Measure::Meter(name.into())),
        _ => {
            let mut known = vec!["requests", "at_once", "bytes", "money", "cap:NAME", "risk:RISK"];
            known.extend(meters.unwrap_or_default());
            Err((format!("a limit cannot count `{}`", name.escape_debug()), expected(name, &known)))
        }
    }
}

/// Whose a `limit` table is.
#[derive(Clone, Copy)]
pub(in crate::policy) enum Limited<'a> {
    /// A service's, with its prices: capabilities and meters that it names must exist, and so must prices for money.
    Service(&'a Service, Option<&'a Tariff>),
    /// A secret's, which may be for several: none of these can be named, and the prices are looked for later.
    Secret,
}

/// Reads `limit = { … }`. A value may be a list: `requests = ["60/min", "1K/day"]`.
pub(in crate::policy) fn read_limits(table: &Table<'_>, whose: Limited<'_>) -> Vec<Arc<Limit>> {
    let (service, tariff) = match whose {
        Limited::Service(service, tariff) => (Some(service), tariff),
        Limited::Secret => (None, None),
    };
    let source = table.source();
    let mut limits: Vec<Arc<Limit>> = Vec::new();
    let meters: Vec<&str> = service.map_or_else(Vec::new, |service| service.meter_names().collect());
    for (name, texts) in table.numbers_or_texts() {
        let known: Vec<&str> = service.map_or_else(Vec::new, |s| s.capabilities.iter().map(|c| &*c.name).collect());
        for text in texts {
            let limit = match Limit::parse(name.value, &text.value, Some(&meters)) {
                Ok(limit) => limit,
                Err((message, fix)) => {
                    // What is wrong with the name stands at the name.
                    let at = if measure(name.value, Some(&meters)).is_err() { &name.span } else { &text.span };
                    source.fault(at.clone(), message, fix);
                    continue;
                }
            };
            match (&limit.measure, service) {
                (Measure::Capability(capability), Some(service)) if !known.contains(&&**capability) => {
                    let message = format!("`{}` has no capability `{}`", service.id, capability.escape_debug());
                    source.fault(name.span.clone(), message, expected(capability, &known));
                }
                (Measure::Capability(_) | Measure::Risk(_), None) => unbound(source, &name.span, &limit.measure),
                (Measure::Money, Some(service)) if tariff.is_none() => {
                    let (message, fix) = unpriced(service);
                    source.fault(name.span.clone(), message, fix);
                }
                _ => limits.push(Arc::new(limit)),
            }
        }
    }
    limits
}

/// Why money of a service cannot be counted, and what to do.
pub(in crate::policy) fn unpriced(service: &Service) -> Wrong {
    let example =
        service.meter_names().last().map_or("request = \"0.01\"".to_owned(), |meter| format!("{meter} = \"2.50\""));
    let fix = format!(
        "write a file of kind `prices` with `[[price]]`, `service = \"{}\"` and what it costs, such as `{example}`",
        service.id
    );
    (format!("no price says what `{}` costs, so `money` cannot be counted", service.id), fix)
}

fn unbound(source: &Source, span: &Span, measure: &Measure) {
    let message = format!("the budget of a secret cannot count `{measure}`");
    source.fault(
        span.clone(),
        message,
        "expected `requests`, `at_once`, `bytes` or `money`; put it into the `limit` of a grant",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_number_and_a_time() {
        for (name, text, most, seconds) in [
            ("requests", "60/min", 60, 60),
            ("requests", "3M/day", 3_000_000, 86_400),
            ("requests", "10 / s", 10, 1),
            ("cap:push", "5/hour", 5, 3600),
            ("risk:write", "1K/week", 1000, 604_800),
            ("bytes", "50MiB/hour", 50 << 20, 3600),
            ("bytes", "500 B / hour", 500, 3600),
            ("at_once", "8", 8, 0),
            ("tokens", "3M/day", 3_000_000, 86_400),
            ("money", "5.00/day", 5_000_000, 86_400),
            ("money", "0.000001/min", 1, 60),
        ] {
            let limit = Limit::parse(name, text, Some(&["tokens"])).unwrap();
            assert_eq!((limit.most(), limit.window().as_secs()), (most, seconds), "{name} {text}");
            assert_eq!(limit.to_string(), format!("{name} = {text}"));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_says_what_can() {
        for (name, text, part) in [
            ("requests", "60", "such as `60/min`"),
            ("requests", "60/minn", "did you mean `min`?"),
            ("requests", "0/min", "at least 1"),
            ("requests", "-1/min", "such as"),
            ("requests", "+1/min", "such as"),
            ("requests", "1.5/min", "such as"),
            ("requests", "99999999999G/min", "such as"),
            ("requests", "9999999G/min", "at least 1"),
            ("bytes", "3M/day", "50MiB/hour"),
            ("bytes", "50/hour", "with its unit"),
            ("at_once", "8/min", "such as `8`"),
            ("request", "60/min", "did you mean `requests`?"),
            ("risk:wirte", "60/min", "did you mean `write`?"),
            ("tokns", "60/min", "did you mean `tokens`?"),
            ("tokens", "8", "such as"),
            ("money", "5.00", "such as `5.00/day`"),
            ("money", "0/day", "at least 0.000001"),
            ("money", "5.0000001/day", "six decimals"),
            ("money", "5K/day", "such as `5.00/day`"),
            ("mony", "5/day", "did you mean `money`?"),
        ] {
            let (message, fix) = Limit::parse(name, text, Some(&["tokens"])).unwrap_err();
            assert!(fix.contains(part), "{name} {text}: {message}; {fix}");
        }
    }
}
