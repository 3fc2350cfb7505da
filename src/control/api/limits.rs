//! Limits over the socket: whose they are, how much of each is used, and when the next request may pass.

use serde::{Deserialize, Serialize};

use crate::base::SecretName;

/// `limits.list`: every limit in force, of grants, of secrets, and of what narrows live leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListLimits {
    /// Only those that count requests with this secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
}

/// The answer to `limits.list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitList {
    /// Grants first, in the order of the files, then budgets, then what narrows live leases.
    pub limits: Vec<LimitEntry>,
}

/// One limit and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitEntry {
    /// The secret whose requests it counts.
    pub secret: SecretName,
    /// Whose it is: `the grant at mine.toml:12`.
    pub owner: String,
    /// The limit as it is written: `requests = 60/min`.
    pub limit: String,
    /// What it counts: `requests`, `at_once`, `bytes`, `money`, `cap:NAME`, `risk:RISK`, or a meter of the service.
    pub measure: String,
    /// How much it allows; of money in millionths.
    pub most: u64,
    /// How much is used; may be more than it allows.
    pub used: u64,
    /// How much is left.
    pub left: u64,
    /// What amounts of money are in, where the prices say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// In how many seconds the next request may pass, 0 for at once; `None` when one of those that run has to end first.
    #[serde(default)]
    pub next_in_s: Option<u64>,
}
