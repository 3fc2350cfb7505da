//! The demonstration: the whole of it offline, in one transcript.
//!
//! Floor 6. A temporary home, a stand-in API with TLS, a daemon, and an agent that runs as a child of `secrets exec`.
//! Every sentence of the transcript is checked; the demonstration fails when one of them is not true.

mod agent;
mod api;
mod error;
mod story;

pub use error::Error;
pub use story::run;

/// The host of the stand-in API.
const API_HOST: &str = "api.demo.test";
/// A host of another service.
const OTHER_HOST: &str = "files.demo.test";
/// The variable that the agent reads its key from.
const VARIABLE: &str = "DEMO_API_KEY";
/// The argument that makes the program play the agent.
pub const AGENT_ARGUMENT: &str = "demo-agent";

/// Plays the agent: what `secrets exec` runs in the demonstration.
pub fn play_agent(out: &mut dyn std::io::Write) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Io)?;
    runtime.block_on(agent::run(out))
}
