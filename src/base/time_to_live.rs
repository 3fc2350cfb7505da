//! Durations as people write them: Go's syntax (`1h30m`, `90s`, `1.5h`) plus `d` for days.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A positive duration of at most 10,000 days, written like Go's `time.ParseDuration` plus `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeToLive(Duration);

/// Why a text is no duration; the writer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeToLiveError {
    /// Empty, without a unit, with an unknown one.
    #[error("`{0}` is not a duration; write it like `90s`, `30m`, `1h30m` or `7d`")]
    Malformed(String),
    /// Zero, negative, or longer than 10,000 days.
    #[error("`{0}` is out of range; a duration is more than zero and at most 10000d")]
    OutOfRange(String),
}

impl TimeToLive {
    const MAX: Duration = Duration::from_hours(240_000);

    /// One hour, the default of a lease.
    pub const HOUR: Self = Self(Duration::from_hours(1));
    /// One day, the default upper bound of a lease.
    pub const DAY: Self = Self(Duration::from_hours(24));

    /// From a duration known to be in range; clamps to the bounds.
    pub fn new(duration: Duration) -> Self {
        Self(duration.clamp(Duration::from_nanos(1), Self::MAX))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeToLive {
    type Err = TimeToLiveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let out_of_range = || TimeToLiveError::OutOfRange(text.chars().take(40).collect());
        let below = text.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        let is_below = below.is_some_and(|rest| !matches!(rest.parse::<Self>(), Err(TimeToLiveError::Malformed(_))));
        if is_below {
            return Err(out_of_range());
        }
        let duration = read(text)?;
        if duration.is_zero() {
            return Err(out_of_range());
        }
        Ok(Self(duration))
    }
}

/// A duration of at most 10,000 days that may be none at all, written like a [`TimeToLive`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(Duration);

impl Span {
    /// This duration; clamps to the bound.
    pub fn new(duration: Duration) -> Self {
        Self(duration.min(TimeToLive::MAX))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

/// Zero included.
fn read(text: &str) -> Result<Duration, TimeToLiveError> {
    let shown = || text.chars().take(40).collect();
    let malformed = || TimeToLiveError::Malformed(shown());
    if text == "0" {
        return Ok(Duration::ZERO); // Go takes it without a unit
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut nanos = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(malformed)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: f64 = number.parse().map_err(|_| malformed())?;
        nanos += number * unit_nanos(unit).ok_or_else(malformed)?;
        rest = tail;
    }
    let duration = Duration::try_from_secs_f64(nanos / 1e9).ok().filter(|duration| *duration <= TimeToLive::MAX);
    duration.ok_or_else(|| TimeToLiveError::OutOfRange(shown()))
}

fn unit_nanos(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3_600e9,
        "d" => 86_400e9,
        _ => return None,
    })
}

impl fmt::Display for TimeToLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        for (size, unit) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
            let (before, count) = (
                secs / size,
                match unit {
                    "d" => secs / size,
                    "h" => secs / size % 24,
                    _ => secs / size % 60,
                },
            );
            if before > 0 && count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        if !secs.is_multiple_of(60) {
            write!(f, "{}s", secs % 60)?;
        }
        // The finest unit that is needed, so that nothing is lost and what is written can be read.
        match self.0.subsec_nanos() {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => write!(f, "{}ms", nanos / 1_000_000)?,
            nanos if nanos % 1_000 == 0 => write!(f, "{}us", nanos / 1_000)?,
            nanos => write!(f, "{nanos}ns")?,
        }
        Ok(())
    }
}

impl Serialize for TimeToLive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeToLive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them_and_days_too() {
        for (text, secs) in [("90s", 90), ("1h30m", 5_400), ("1.5h", 5_400), ("7d", 604_800), ("1d12h", 129_600)] {
            assert_eq!(text.parse::<TimeToLive>().unwrap().get(), Duration::from_secs(secs), "{text}");
        }
        assert_eq!("250ms".parse::<TimeToLive>().unwrap().get(), Duration::from_millis(250));
    }

    #[test]
    fn what_is_no_duration_says_how_to_write_one() {
        for text in ["", "5", "h", "--1h", "-x", "1x", "1 h", "1h ", "..s", "NaNs"] {
            assert!(matches!(text.parse::<TimeToLive>(), Err(TimeToLiveError::Malformed(_))), "{text}");
        }
        for text in ["0s", "0", "-1h", "-0s", "10001d", "99999999999999999999h"] {
            assert!(matches!(text.parse::<TimeToLive>(), Err(TimeToLiveError::OutOfRange(_))), "{text}");
        }
    }

    #[test]
    fn a_span_may_be_none_and_is_read_the_same_way() {
        let span = |text: &str| serde_json::from_str::<Span>(&format!("{text:?}")).map_err(|error| error.to_string());
        for (text, millis) in [("0s", 0), ("0", 0), ("0h0m", 0), ("1m30s", 90_000), ("10000d", 864_000_000_000)] {
            assert_eq!(span(text), Ok(Span::new(Duration::from_millis(millis))), "{text}");
        }
        for (text, says) in [("", "is not a duration"), ("1", "is not a duration"), ("10001d", "out of range")] {
            assert!(span(text).unwrap_err().contains(says), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["90s", "1h", "24h", "36h", "1m1s", "7d", "250ms", "1.5s", "1h1ms", "500us", "1ns", "2m30.000001s"]
        {
            let ttl: TimeToLive = text.parse().unwrap();
            assert_eq!(ttl.to_string().parse::<TimeToLive>().unwrap(), ttl, "{text} became {ttl}");
        }
    }
}
