//! One trip: since when, by whom, why; and the file that it is kept in.
//!
//! The file is JSON and not sealed, because it outlives the identity: `{"version":1,"tripped":null}` means ready.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::base::{Timestamp, read_bounded, replace};

/// Who tripped the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tripper {
    /// Nobody: the state file cannot be read, which counts as tripped.
    DamagedState,
    /// The heartbeat stopped.
    Heartbeat,
    /// A person or a program with the operator's authority.
    Operator,
}

impl fmt::Display for Tripper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DamagedState => "a state file that cannot be read",
            Self::Heartbeat => "the heartbeat",
            Self::Operator => "the operator",
        })
    }
}

/// Why the switch is tripped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trip {
    /// When it was tripped first; pulling it again changes nothing.
    pub since: Timestamp,
    /// By whom.
    pub by: Tripper,
    /// One sentence, without a final stop and without any secret.
    pub reason: String,
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tripped at {} by {}: {}", self.since, self.by, self.reason)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    tripped: Option<Trip>,
}

const VERSION: u32 = 1;
/// A state file is small.
const MAX: u64 = 64 * 1024;

/// What the file says; one that is not there says ready.
pub(super) fn read(file: &Path) -> Result<Option<Trip>, Error> {
    let content = match read_bounded(file, MAX) {
        Ok((content, _)) => content,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let state = |why: String| Error::State { path: file.to_owned(), why };
    let kept: Kept = serde_json::from_slice(&content).map_err(|error| state(error.to_string()))?;
    if kept.version != VERSION {
        return Err(state(format!("it has version {} and this program knows {VERSION}", kept.version)));
    }
    Ok(kept.tripped)
}

/// Replaces the file whole, for its owner only.
pub(super) fn write(file: &Path, tripped: Option<&Trip>) -> Result<(), Error> {
    let kept = Kept { version: VERSION, tripped: tripped.cloned() };
    let mut content =
        serde_json::to_vec(&kept).map_err(|error| Error::State { path: file.to_owned(), why: error.to_string() })?;
    content.push(b'\n');
    Ok(replace(file, &content, 0o600, None)?)
}
