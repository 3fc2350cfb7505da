//! How long leases last: the default and the maximum of the settings.

use super::Error;
use crate::base::TimeToLive;

/// The default and the longest time to live of a lease; 1 hour and 24 hours unless the settings say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseBounds {
    default: TimeToLive,
    max: TimeToLive,
}

impl LeaseBounds {
    /// These bounds; a default above the maximum is the operator's fault.
    pub fn new(default: TimeToLive, max: TimeToLive) -> Result<Self, Error> {
        if default > max { Err(Error::Bounds { default, max }) } else { Ok(Self { default, max }) }
    }

    /// The time to live of a lease for which this was asked: the default when nothing was. More than the maximum is
    /// refused, not shortened in silence.
    pub fn resolve(&self, asked: Option<TimeToLive>) -> Result<TimeToLive, Error> {
        match asked {
            None => Ok(self.default),
            Some(asked) if asked > self.max => Err(Error::TooLong { asked, max: self.max }),
            Some(asked) => Ok(asked),
        }
    }

    /// The time to live when none is asked for.
    pub const fn default_ttl(&self) -> TimeToLive {
        self.default
    }

    /// The longest time to live.
    pub const fn max(&self) -> TimeToLive {
        self.max
    }
}

impl Default for LeaseBounds {
    fn default() -> Self {
        Self { default: TimeToLive::HOUR, max: TimeToLive::DAY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_is_the_default_and_too_much_is_refused_by_name() {
        let bounds = LeaseBounds::default();
        let ttl = |text: &str| text.parse::<TimeToLive>().unwrap();
        assert_eq!(bounds.resolve(None), Ok(ttl("1h")));
        assert_eq!(bounds.resolve(Some(ttl("24h"))), Ok(ttl("1d")));
        let error = bounds.resolve(Some(ttl("24h1s"))).unwrap_err();
        assert_eq!(error.to_string(), "a lease of `1d1s` is longer than the maximum `1d`; ask for at most `1d`");
        assert!(LeaseBounds::new(ttl("2h"), ttl("1h")).unwrap_err().to_string().contains("`2h`"));
    }
}
