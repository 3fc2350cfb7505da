//! How bad it is that a secret stands in a file, in agent-secrets' four words.

use serde::{Deserialize, Serialize};

/// From a nuisance to a disaster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing: public by design, or worthless elsewhere.
    Low,
    /// Probably a secret, or one of a test account.
    Medium,
    /// A secret with a limited reach or a limited life.
    High,
    /// A live credential by its shape.
    Critical,
}

impl Severity {
    /// Every word, the mildest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
